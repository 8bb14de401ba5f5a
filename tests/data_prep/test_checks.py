"""Checks of prepared data: each mistake is named, and what is right passes."""

import io

import numpy as np
import PIL.Image
import pytest
from absl import logging

from bmc_jax import skeleton
from bmc_jax.data import example as example_lib
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import checks, registry
from tests.fixtures import toy_dataset
from tests.fixtures.examples import encode_png


@pytest.fixture
def source(tmp_path, monkeypatch):
  """A sound dataset that a test may spoil."""
  datasets = {**registry.DATASETS, 'toy_hands': toy_dataset.ENTRY}
  monkeypatch.setattr(build_lib, 'DATASETS', datasets)
  return toy_dataset.write(tmp_path / 'source')


def _build(source, *arguments) -> int:
  out = source.parent / 'out'
  return build_lib.main(
    ['toy_hands', '--source', str(source), '--out', str(out), *arguments]
  )


def _failure(source, capsys, *arguments) -> str:
  """Builds what must fail and leave nothing; the message."""
  assert _build(source, *arguments) == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith('error: ') and message.endswith('.')
  assert message.count('. ') == 0, 'one sentence'
  assert not (source.parent / 'out').exists()
  return message


def _spoil(source, index, **changed) -> None:
  """Writes one training example anew, with changed fields."""
  example = toy_dataset.make_right_hand(index) | changed
  toy_dataset.write_example(source / 'train' / f'{index:03d}', example)


def _hand(index=3, **changed):
  return toy_dataset.make_right_hand(index) | changed


def test_a_sound_dataset_passes_and_its_card_says_so(source, capsys):
  assert _build(source) == 0
  assert '12 examples' in capsys.readouterr().out
  card = (source.parent / 'out' / 'toy_hands' / '1.0.0' / 'README.md').read_text()
  assert '| train | 12 | 1 |' in card and 'Licence: None.' in card
  assert 'Examples left out: 0' in card and '@misc{toy}' in card
  assert 'right hands: bend to the palm, sine | 16 |' in card
  assert 'Homepage' not in card, 'it has none'


def _swap_order(order):
  inverse = np.argsort(skeleton.JOINT_ORDERS[order])
  return _hand()['joints_3d'][inverse]


@pytest.mark.parametrize(
  ('changed', 'expected'),
  [
    ({'joints_3d': _hand()['joints_3d'] * 1000}, 'this looks like millimetres, not'),
    (
      {'joints_3d': _hand()['joints_3d'] * np.float32([1, -1, -1])},
      'negate y and z if these are OpenGL axes',
    ),
    (
      {'joints_3d': _hand()['joints_3d'] * np.float32([-1, 1, 1])},
      'negate x of the joints',
    ),
    (
      {'joints_3d': _hand()['joints_3d'] * np.float32([1, -1, 1])},
      'negate y of the joints',
    ),
    ({'joints_3d': _swap_order('mano')}, "joints look to be in the order 'mano'"),
    ({'joints_3d': _swap_order('stb')}, "joints look to be in the order 'stb'"),
    (
      {'keypoints_2d': np.ascontiguousarray(_hand()['keypoints_2d'][:, ::-1])},
      'swap the two coordinates of the keypoints',
    ),
    (
      {'keypoints_2d': _hand()['keypoints_2d'] * np.float32(0.7) + np.float32(20)},
      'they fit after u, v -> 0.7 u +20, 0.7 v +20 of the projection',
    ),
    (
      {'keypoints_2d': _hand()['keypoints_2d'] + np.float32(np.eye(21)[:, :2] * 9)},
      'check the axes, the joint order, the crop and the intrinsics',
    ),
    ({'keypoints_2d': _hand()['keypoints_2d'] + np.float32(500)}, 'all keypoints lie'),
    (
      {'keypoints_2d': _hand()['keypoints_2d'] * np.float32(np.nan)},
      'keypoints_2d holds a value that is not finite',
    ),
    (
      {'joints_3d': _hand()['joints_3d'] * np.float32(np.inf)},
      'joints_3d holds a value that is not finite',
    ),
    ({'joints_3d': _hand()['joints_3d'] - np.float32([0, 0, 0.5])}, 'in front of the'),
    ({'intrinsics': np.eye(3, dtype=np.float32) * 0}, 'positive focal lengths'),
    ({'intrinsics': np.eye(3, dtype=np.float32)}, 'multiply fx, cx by its width'),
  ],
)
def test_wrong_labels_are_named_with_their_remedy(source, capsys, changed, expected):
  _spoil(source, 3, **changed)
  message = _failure(source, capsys)
  file = source / 'train' / '003.png'
  assert f"{file}: Example 'hand_0003'" in message and expected in message


def _bomb() -> bytes:
  """A PNG of 10 kB that is 81 megapixels of black."""
  file = io.BytesIO()
  PIL.Image.new('1', (9000, 9000)).save(file, 'png')
  return file.getvalue()


@pytest.mark.parametrize(
  ('image', 'expected'),
  [
    (b'', 'cannot be decoded as a JPEG or PNG image'),
    (b'GIF89a' + bytes(100), 'cannot be decoded as a JPEG or PNG image'),
    (encode_png(_hand()['image'])[:-30], 'is cut off or damaged'),
    (_bomb(), 'has 9000x9000, more than 67108864 pixels'),
  ],
)
def test_wrong_images_are_named_with_their_remedy(source, capsys, image, expected):
  _spoil(source, 3, image=image)
  message = _failure(source, capsys)
  assert str(source / 'train' / '003.png') in message and expected in message
  assert message.endswith('get an intact copy, or leave it out.')


def test_so_many_bad_examples_are_left_out_as_are_allowed(source, capsys):
  for index in (3, 5):
    _spoil(source, index, image=b'')
  assert '003.png' in _failure(source, capsys)
  assert '005.png' in _failure(source, capsys, '--max-bad', '1')
  assert _build(source, '--max-bad', '2') == 0
  output = capsys.readouterr().out
  assert output.count('left out: ') == 2 and '10 examples' in output
  card = (source.parent / 'out' / 'toy_hands' / '1.0.0' / 'README.md').read_text()
  assert 'Examples left out: 2' in card and '005.png cannot be decoded' in card


def test_mirrored_hands_are_noticed_where_most_are(source, capsys):
  for index in range(12):
    _spoil(source, index, is_right=np.zeros(1, np.float32))
  message = _failure(source, capsys)
  assert '12 of 12 left hands bend their fingers as right hands do' in message


def test_a_few_hands_that_bend_backwards_are_told_and_no_mistake(source, monkeypatch):
  told = []
  monkeypatch.setattr(logging, 'warning', lambda text, *a: told.append(text % a))
  for index in range(5):
    example = toy_dataset.make_example(index, size=160)
    example['joints_3d'][4::4, 2] -= 0.06
    points = example['joints_3d'] @ example['intrinsics'].T
    _spoil(source, index, **example | {'keypoints_2d': points[:, :2] / points[:, 2:]})
  assert _build(source) == 0
  assert any('right hands bend their fingers as left hands do' in one for one in told)


def test_a_hand_without_3d_labels_needs_none():
  example = example_lib.drop_joints_3d(_hand())
  checks.check_example(example, (160, 160, 3))
  measures = checks.measure([example | {'image_shape': (160, 160, 3)}])
  assert [name for name, values in measures.items() if values] == [
    'hand_percent',
    'inside_percent',
  ]


def test_a_camera_of_another_size_is_told_though_the_joints_project(source, capsys):
  for index in range(12):
    example = toy_dataset.make_right_hand(index)
    example['intrinsics'][:2] *= 2
    example['keypoints_2d'] *= 2
    example['keypoints_2d'][0] = 80  # one lies inside
    example['joints_3d'][0, :2] = (
      (80 - example['intrinsics'][:2, 2]) * example['joints_3d'][0, 2]
    ) / example['intrinsics'][[0, 1], [0, 1]]
    toy_dataset.write_example(source / 'train' / f'{index:03d}', example)
  message = _failure(source, capsys)
  assert 'lie in the image; the intrinsics or the keypoints are those of' in message


def test_hidden_joints_may_project_anywhere():
  example = _hand()
  example['joints_3d'][8] += np.float32([0.1, 0, 0])
  with pytest.raises(ValueError, match='px away'):
    checks.check_example(example, (160, 160, 3))
  example['visibility'][8] = 0
  checks.check_example(example, (160, 160, 3))
  shape = {'image_shape': (160, 160, 3)}
  measures = checks.measure([example | shape, _hand() | shape])
  assert max(measures['reprojection_px']) < 0.01
  assert [len(values) for values in measures.values()] == [2, 2, 2, 2, 1, 0]
