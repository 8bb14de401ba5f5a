"""README's "Your own experiment": the build, the config, and a training in small."""

import cv2
import numpy as np
import pytest

from bmc_jax.data_prep import build
from bmc_jax.experiments import inputs
from bmc_jax.experiments.row_configs import row_configs
from bmc_jax.experiments.rows import run_experiment
from bmc_jax.training.config_files import config_from_flags
from tests.docs.test_readme import example
from tests.fixtures import coco_exports, examples

CONFIG = '--config=configs/my_experiment.py'
SMALL = (
  *('--config.num_steps=1', '--config.batch_size=4', '--config.eval.batch_size=4'),
  *('--config.image_size=32', '--config.model.pose_network.width=4'),
  *('--config.model.pose_network.depth=10', '--config.init_from='),
  *("--config.run_rows=('2D only',)", '--config.data.num_threads=0'),
)
COUNT = 10


def _write_export(folder):
  """Photos with keypoints as CVAT exports them, the first pixel's centre at 0.5."""
  hands = [examples.make_example(index, size=120) for index in range(COUNT)]
  export = coco_exports.make_export() | {
    'images': [
      {'id': i, 'file_name': f'{i}.png', 'width': 120, 'height': 120}
      for i in range(COUNT)
    ],
    'annotations': [
      coco_exports.make_annotation(i, i, points=hand['keypoints_2d'] + 0.5)
      for i, hand in enumerate(hands)
    ],
  }
  coco_exports.write_export(folder, export)
  (folder / 'images').mkdir()
  for i, hand in enumerate(hands):
    cv2.imwrite(str(folder / 'images' / f'{i}.png'), hand['image'][..., ::-1])


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
  """A folder with the config, an export, and some hands in place of made-up ones."""
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'configs').mkdir()
  config = example('README.md', 'Your own experiment')
  (tmp_path / 'configs' / 'my_experiment.py').write_text(config)
  _write_export(tmp_path / 'export')
  made_up = [examples.make_example(50 + index) for index in range(16)]
  examples.prepare(tmp_path / 'data/tfds/procedural_hands', {'wild_train': made_up})
  where = ['--source', 'export', '--out', 'data/tfds', '--crop-size', '80']
  assert build.main(['coco_hands', *where]) == 0
  return tmp_path


@pytest.mark.slow
def test_the_recipe_for_your_own_photos_trains_and_is_tested(newcomer, capsys):
  rows = row_configs(config_from_flags([CONFIG]))
  assert list(rows) == ['made-up hands only', '2D only', '+ BMC']
  for name, row in rows.items():
    assert row.init_from and row.augment.rotation > 0, name
  # The pretrained weights fit, there are batches, and a test set.
  assert inputs.check_inputs(rows, trained=()) == set(rows)
  config = config_from_flags([CONFIG, *SMALL])
  with config.unlocked():
    config.data.val = config.data.test
  results = run_experiment(config, 'runs/mine', write_page=False)
  assert set(results) == {'2D only'}
  found = results['2D only']
  assert np.isfinite(list(found.values())).all()
  assert {'keypoints_2d_px', 'pck_2d_5px', 'hands_within_limits'} < set(found)
  log = (newcomer / 'runs/mine/rows/2d_only/metrics.csv').read_text()
  assert {f'eval/{name}' for name in found} < set(log.splitlines()[0].split(','))
  assert 'eval/depth_mm' not in log and 'nan' not in log
  assert '0 of 2 test hands have 3D labels' in capsys.readouterr().out
