"""The Python examples of README.md and docs/data.md do what they say."""

import re
import sys

import cv2
import jax
import numpy as np
import pytest

from bmc_jax.data import sources
from bmc_jax.data_prep import build
from tests.fixtures.examples import make_example
from tests.fixtures.hands import degenerate_hands, random_hands
from tests.fixtures.session import ROOT


def example(page: str, heading: str) -> str:
  """The Python code below a heading."""
  section = (ROOT / page).read_text().split(f'\n## {heading}\n')[1]
  return re.findall(r'^```python\n(.*?)^```$', section, re.MULTILINE | re.DOTALL)[0]


@pytest.mark.slow
def test_a_degenerate_prediction_does_not_spoil_the_loss_of_the_others():
  variables: dict = {}
  with jax.numpy_rank_promotion('allow'):
    exec(example('README.md', 'Use the constraints'), variables)
  hands = random_hands(0, len(variables['joints_3d'])).joints.astype(np.float32)
  with jax.numpy_rank_promotion('allow'):
    for name, degenerate in degenerate_hands().items():
      hands[0] = degenerate
      value, gradient = jax.value_and_grad(variables['loss'])(hands)
      assert np.isfinite(value) and np.isfinite(gradient).all(), name
      assert gradient[1:].any(), name
    assert np.isfinite(variables['loss'](hands[1]))


@pytest.fixture(scope='module')
def my_hands(tmp_path_factory):
  """A newcomer's folder with the module of docs/data.md."""
  folder = tmp_path_factory.mktemp('newcomer')
  (folder / 'my_hands.py').write_text(example('docs/data.md', 'Your own images'))
  yield folder
  sys.modules.pop('my_hands', None)
  sys.path[:] = [path for path in sys.path if path != str(folder)]


@pytest.fixture
def source(my_hands, tmp_path, monkeypatch):
  """Two hands in each of the folders that the builder reads, labels in float64."""
  monkeypatch.chdir(my_hands)
  for split in ('train', 'test'):
    folder = tmp_path / 'source' / split
    folder.mkdir(parents=True)
    for index in range(2):
      hand = make_example(index)
      cv2.imwrite(str(folder / f'{index}.jpg'), hand.pop('image'))
      del hand['sample_id']
      np.savez(folder / f'{index}.npz', **{k: np.float64(v) for k, v in hand.items()})
  return tmp_path / 'source'


def _build(source) -> int:
  out = source.parent / 'out'
  where = ['--source', str(source), '--out', str(out)]
  return build.main(['--module', 'my_hands:MyHands', *where])


def test_the_builder_makes_a_dataset(source):
  assert _build(source) == 0
  path = source.parent / 'out' / 'my_hands'
  batch = sources.TfdsSource(str(path), 'test').batch(range(2))
  for sample_id, joints in zip(batch['sample_id'], batch['joints_3d'], strict=True):
    written = make_example(int(sample_id))
    np.testing.assert_array_equal(joints, written['joints_3d'])
  assert list(path.glob('*/contact_sheet.png'))


def test_the_builder_refuses_an_image_that_cannot_be_decoded(source, capsys):
  (source / 'test' / '1.jpg').write_bytes(b'no image')
  assert _build(source) == 2
  error = capsys.readouterr().err.strip().splitlines()[-1]
  image = source / 'test' / '1.jpg'
  assert error.startswith(f'error: {image} cannot be decoded as a JPEG or PNG image; ')
  assert not list(source.parent.glob('out/**/dataset_info.json'))
