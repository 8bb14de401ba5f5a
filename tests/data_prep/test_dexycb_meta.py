"""DexYCB's poses: from annotations in the form of HO-3D to a pose file."""

import pickle

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.data import sources
from bmc_jax.data_prep import dexycb_meta
from tests.fixtures.examples import make_joints

CAMERA = {'fx': 616.64, 'fy': 616.26, 'cx': 308.55, 'cy': 248.52}
CAMERA |= {'width': 640, 'height': 480}
HANDS = [make_joints(np.random.default_rng(i)) for i in range(4)]


def _meta(joints, subject=1, frame=0, **changed):
  meta = {
    'seqName': f'D:\\data\\20200709-subject-{subject:02d}\\20200709_141754',
    'frame': frame,
    'side': 'right',
    'order': 'HO3D',
    'handPose': np.full(48, 0.1, np.float32),
    'handTrans': np.ones(3, np.float32),
    'handJoints3D': skeleton.reorder(joints, 'canonical', 'ho3d').astype(np.float64),
    'objName': '002_master_chef_can',
  }
  return meta | changed


def _write(folder, metas):
  folder.mkdir(parents=True, exist_ok=True)
  for i, meta in enumerate(metas):
    (folder / f'{i:04d}.pkl').write_bytes(pickle.dumps(meta))


def _run(source, out, capsys, *, ok=True) -> str:
  """Runs the command line; the last line that it prints."""
  arguments = ['--source', str(source), '--out', str(out)]
  if ok:
    dexycb_meta.main(arguments)
    return capsys.readouterr().out.strip().splitlines()[-1]
  with pytest.raises(SystemExit) as error:
    dexycb_meta.main(arguments)
  assert error.value.code == 2 and not out.exists()
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith('error: ') and message.endswith('.')
  return message


def test_the_pose_file_is_read_as_the_poses_that_were_stored(tmp_path, capsys):
  empty = {'handPose': np.zeros(48), 'handTrans': np.zeros(3)}
  left = HANDS[2] * [-1, 1, 1]
  slash = 'any/where/20200813-subject-02/20200813_145341'
  _write(
    tmp_path / 'b' / 'meta',
    [
      _meta(HANDS[1], frame=7),
      _meta(HANDS[0] - [0, 0, 0.5], frame=0, **empty),  # at the camera: no hand yet
      _meta(HANDS[0], frame=3),
    ],
  )
  in_order = {'order': 'mano', 'handJoints3D': left, 'side': 'left'}
  _write(tmp_path / 'a', [_meta(left, subject=2) | in_order | {'seqName': slash}])
  line = _run(tmp_path, tmp_path / 'poses.npz', capsys)
  assert (
    '3 poses (2 of right hands, 1 of left ones) of the subjects 1, 2; 1 frames' in line
  )
  poses = sources.PoseSetSource(str(tmp_path / 'poses.npz'), camera=CAMERA)
  batch = poses.batch(range(3))
  np.testing.assert_allclose(batch['joints_3d'], HANDS[:3], atol=1e-6)
  assert batch['is_right'].tolist() == [1, 1, 0]
  with np.load(tmp_path / 'poses.npz') as file:
    assert file['subject'].tolist() == [1, 1, 2]
    assert file['frame'].tolist() == [3, 7, 0]
    assert file['sequence'].tolist() == 2 * ['20200709_141754'] + ['20200813_145341']


@pytest.mark.parametrize(
  ('changed', 'expected'),
  [
    ({'order': 'h36m'}, "joint order is 'h36m'; known are ho3d, mano"),
    ({'side': 'both'}, "side is 'both'; it must be left or right"),
    ({'seqName': 'ABF10'}, "seqName is 'ABF10'; it must end with a subject"),
    ({'handJoints3D': HANDS[0] * [1, -1, -1]}, 'in front of the camera (z > 0, OpenCV'),
    ({'handJoints3D': HANDS[0][:20]}, 'shape (20, 3), but (21, 3) is needed'),
    ({'handJoints3D': HANDS[0] * np.nan}, 'not finite'),
    (
      {'handJoints3D': 1000 * _meta(HANDS[0])['handJoints3D']},
      'looks like millimetres, not metres',
    ),
    ({'frame': 'first'}, 'frame holds something other than'),
    ({'handPose': np.zeros(48), 'handTrans': np.zeros(3)}, 'None of the 1 frames'),
  ],
)
def test_wrong_annotations_are_one_sentence(tmp_path, capsys, changed, expected):
  _write(tmp_path / 'meta', [_meta(HANDS[0], **changed)])
  assert expected in _run(tmp_path, tmp_path / 'poses.npz', capsys, ok=False)


def test_missing_fields_and_files_and_copies_are_one_sentence(tmp_path, capsys):
  out = tmp_path / 'poses.npz'
  message = _run(tmp_path, out, capsys, ok=False)
  assert 'does not exist or holds no .pkl files' in message
  _write(tmp_path / 'a', [_meta(HANDS[0])])
  _write(tmp_path / 'b', [_meta(HANDS[0])])
  message = _run(tmp_path, out, capsys, ok=False)
  assert 'holds the frame 0 of 20200709_141754 twice' in message
  _write(tmp_path / 'b', [{'camMat': np.eye(3)}])
  assert '0000.pkl has no handJoints3D' in _run(tmp_path, out, capsys, ok=False)
  (tmp_path / 'b' / '0000.pkl').write_bytes(b'cos\nsystem\n.')
  assert 'asks for os.system' in _run(tmp_path, out, capsys, ok=False)
  message = _run(tmp_path, tmp_path / 'poses.npy', capsys, ok=False)
  assert 'poses.npy: poses are written as .npz' in message


def test_real_annotations_give_the_poses_that_others_made_of_them(
  test_data, tmp_path, capsys
):
  source = test_data / 'data' / 'ho3d_layout' / 'dexycb_meta_pickles'
  expected = test_data / 'data' / 'poses' / 'dexycb_subjects01-08.npz'
  if not source.is_dir() or not expected.is_file():
    pytest.skip('no real samples of DexYCB')
  line = _run(source, tmp_path / 'poses.npz', capsys)
  assert (
    '7 poses (3 of right hands, 4 of left ones) of the subjects 1; 1 frames' in line
  )
  with np.load(expected) as others, np.load(tmp_path / 'poses.npz') as ours:
    rows = [
      np.flatnonzero((others['sequence'] == sequence) & (others['frame'] == frame))[0]
      for sequence, frame in zip(ours['sequence'], ours['frame'], strict=True)
    ]
    joints = skeleton.reorder(others['joints_ho3d'][rows], 'ho3d')
    np.testing.assert_array_equal(ours['joints_canonical'], joints)
    for name in ('side_is_right', 'subject'):
      np.testing.assert_array_equal(ours[name], others[name][rows])
