"""DexYCB as a generated folder of its layout."""

import numpy as np
import pytest

from bmc_jax.data import sources
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import dexycb
from tests.fixtures import readers

INTRINSICS = np.array([[610, 0, 320], [0, 612, 240], [0, 0, 1]])
FRAMES = 2  # the first without a hand


def _hand(subject):
  hand = readers.make_hands(subject, 1)[0]
  return hand if subject % 2 else hand * [-1, 1, 1]


def _write(path, subjects=(1, 8), *, sequences=1, images=True):
  """Odd subjects have right hands, even ones left hands."""
  (path / 'calibration' / 'intrinsics').mkdir(parents=True)
  for serial in dexycb._SERIALS:
    (path / 'calibration' / 'intrinsics' / f'{serial}_640x480.yml').write_text(
      'color:\n  fx: 610.0\n  fy: 612.0\n  ppx: 320.0\n  ppy: 240.0\n'
      'depth:\n  fx: 1.0\n  fy: 1.0\n  ppx: 1.0\n  ppy: 1.0\n'
    )
  for subject in subjects:
    joints = _hand(subject)[None].astype(np.float32)
    keypoints = readers.slow_projection(joints[0], INTRINSICS)[None]
    for number in range(sequences):
      place = path / f'20200709-subject-{subject:02d}' / f'20200709_{number:06d}'
      place.mkdir(parents=True)
      side = 'right' if subject % 2 else 'left'
      frames = FRAMES if images else 0
      (place / 'meta.yml').write_text(
        f'mano_sides:\n- {side}\nnum_frames: {frames}\nycb_ids: [1]\n'
      )
      for serial in dexycb._SERIALS if images else ():
        for frame in range(FRAMES):
          image = place / serial / f'color_{frame:06d}.jpg'
          readers.write_image(image, 640, 480)
          sign = -1 if frame == 0 else 1
          np.savez(
            place / serial / f'labels_{frame:06d}.npz',
            joint_3d=joints if sign > 0 else np.full_like(joints, -1),
            joint_2d=keypoints if sign > 0 else np.full_like(keypoints, -1),
          )


def test_hands_are_built_and_project_on_their_keypoints(tmp_path):
  source = tmp_path / 'source'
  _write(source)
  path = build_lib.build('dexycb', tmp_path / 'out', source=source, setup='s1')
  built = sources.TfdsSource(str(path), 'test')
  assert len(built) == 8  # one frame of eight cameras
  example = built[0]
  serial = dexycb._SERIALS[0]
  assert example['sample_id'] == (
    f'20200709-subject-08/20200709_000000/{serial}/000001'
  )
  assert example['is_right'] == 0  # and mirrored on reading
  hand = _hand(8) * [-1, 1, 1]
  np.testing.assert_allclose(example['joints_3d'], hand, atol=1e-5)
  own = readers.slow_projection(hand, example['intrinsics'])
  assert np.abs(own - example['keypoints_2d']).max() < 0.5
  assert len(sources.TfdsSource(str(path), 'train')) == 8


def test_cameras_make_the_splits_of_s2(tmp_path):
  _write(tmp_path)
  splits = dexycb.read_records(tmp_path, setup='s2')
  serials = {
    split: sorted({frame.image.parent.name for frame in frames})
    for split, frames in splits.items()
  }
  assert serials == {
    'train': list(dexycb._SERIALS[:6]),
    'val': [dexycb._SERIALS[6]],
    'test': [dexycb._SERIALS[7]],
  }


def test_the_splits_share_nothing_and_miss_nothing():
  whole = {(s, c, q) for s in range(10) for c in range(8) for q in range(100)}
  for name, splits in dexycb.SETUPS.items():
    parts = [
      {(s, c, q) for s in people for c in views for q in numbers}
      for people, views, numbers in splits.values()
    ]
    assert set.union(*parts) == whole, name
    assert sum(map(len, parts)) == len(whole), name


@pytest.mark.parametrize('setup', ['s0', 's3'])
def test_sequences_that_are_missing_shift_no_split(tmp_path, setup):
  _write(tmp_path, (1,), sequences=3, images=False)
  with pytest.raises(ValueError, match='has 3 sequences, but the splits of s'):
    dexycb.read_records(tmp_path, setup=setup)


DAMAGES = {
  'no subject': (lambda p: None, 'has no folder such as 20200709-subject-01'),
  'no labels': (
    lambda p: next(p.rglob('*.npz')).unlink(),
    'is missing; get a complete',
  ),
  'cut off': (
    lambda p: next(p.rglob('*.npz')).write_bytes(b'PK'),
    'has no readable joint_3d',
  ),
  'both sides': (
    lambda p: next(p.rglob('meta.yml')).write_text('mano_sides: [right, left]'),
    'mano_sides other than one of right and left',
  ),
  'no camera': (
    lambda p: next(p.rglob('8362*.yml')).write_text('color: {fx: 1}'),
    'color is no camera',
  ),
  'no YAML': (
    lambda p: next(p.rglob('meta.yml')).write_text('{a'),
    'cannot be read as YAML',
  ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_each_kind_of_damage_has_its_sentence(tmp_path, name):
  spoil, expected = DAMAGES[name]
  if name != 'no subject':
    _write(tmp_path, (1,))
  spoil(tmp_path)
  with pytest.raises((ValueError, FileNotFoundError), match=expected) as error:
    dexycb.read_records(tmp_path, setup='s1')
  assert str(error.value).endswith('.')
