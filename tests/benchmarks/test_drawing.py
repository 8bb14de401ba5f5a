"""Benchmarks of drawn hands and of the network that ships, over few inputs."""

import numpy as np
import pytest

from bmc_jax.data.procedural.mesh import load_mesh
from bmc_jax.predict.views import HandPrediction

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('few_backgrounds')]


def test_drawing_is_timed_and_sheets_are_written(load, capsys, tmp_path, test_data):
  benchmark = load('rendering', SIZES=(32,), BATCH=4, BATCHES=1, REPEATS=1)
  benchmark.main([])
  rows = capsys.readouterr().out.splitlines()[1:]
  assert len(rows) == 1 and rows[0].startswith('  32 px: ')
  if not (test_data / 'data' / 'poses').is_dir():
    pytest.skip('no real samples: there are no poses')
  benchmark.main(['--sheets', str(tmp_path), '--size', '32'])
  assert {path.name for path in tmp_path.iterdir()} == {'everyday.png', 'dressed.png'}


def test_fingers_that_sink_into_each_other_are_measured(load, monkeypatch, capsys):
  benchmark = load('mesh_hand', COUNT=6, CANDIDATES=(1,))
  monkeypatch.setattr(benchmark, 'real', lambda: load_mesh().joints[None])
  benchmark.main()
  *_, drawn, rest = capsys.readouterr().out.splitlines()
  assert drawn.startswith('| everyday, best of 1 | ')
  assert rest == '| DexYCB | 0 % | 0.0 mm | 0.0 mm | 0.0 mm | 0.0 mm |'
  # A finger laid into its neighbour is found: the index finger's tip in the middle's.
  vertices = np.float64(load_mesh().vertices)
  index, middle = (benchmark.fingers_of_vertices() == f for f in (1, 2))
  moved = vertices.copy()
  moved[index] += vertices[middle].mean(axis=0) - vertices[index].mean(axis=0)
  assert 0.002 < benchmark.depth(moved) < 0.02


def test_photos_are_scored_against_their_labels(load, monkeypatch, capsys, test_data):
  for name in ('hand_graph_cnn_real', 'freihand_layout'):
    if not (test_data / 'data' / name).is_dir():
      pytest.skip(f'no real samples: there is no {name}')
  benchmark = load('photos')
  read_photos, read_freihand = benchmark.ge_photos, benchmark.freihand_images
  views, keypoints, joints = (part[:3] for part in read_photos())
  monkeypatch.setattr(benchmark, 'ge_photos', lambda: (views, keypoints, joints))
  monkeypatch.setattr(
    benchmark, 'freihand_images', lambda: tuple(part[:3] for part in read_freihand())
  )

  class Perfect:
    """Knows the labels; of others it says that hands are in a corner."""

    def predict(self, views_, passes):
      known = len(views_) == 3 and views_[0] is views[0]
      return [
        HandPrediction(
          joints_3d=1.3 * joints[i] if known else joints[i],
          keypoints_2d=keypoints[i] if known else np.zeros((21, 2)),
          conditioning=0.0,
          root_depth_from='refined',
          bone_length=0.03,
          is_right=False,
          intrinsics=np.eye(3),
          box=np.zeros(4),
        )
        for i in range(3)
      ]

  monkeypatch.setattr(benchmark.HandPosePredictor, 'pretrained', lambda: Perfect())
  benchmark.main([])
  _, _, ge, constant, freihand = (
    [cell.strip() for cell in line.strip('| ').split('|')]
    for line in capsys.readouterr().out.splitlines()
  )
  assert ge[1:] == ['0.0', '0.0', '0.0', '0.0']
  assert float(constant[2]) > 0
  assert 40 < float(freihand[1]) < 100
