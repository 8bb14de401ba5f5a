"""Ground truth and arguments that are wrong are told in one sentence."""

import re

import numpy as np
import pytest

from bmc_jax import skeleton
from bmc_jax.evaluate.submission import FORMS, write_submission
from tests.fixtures import examples
from tests.fixtures.benchmark_files import (
  CAMERA,
  COUNT,
  NOISY,
  TRUTH,
  dump,
  error_of,
  scores_of,
)

MANO = list(skeleton.JOINT_ORDERS['mano'])


def _wrong_scale(folder):
  dump(folder / 'evaluation_scale.json', np.full(5, 0.03))


def _wrong_camera(folder):
  dump(folder / 'evaluation_K.json', [[480, 480]] * COUNT)


def _transposed_camera(folder):
  dump(folder / 'evaluation_K.json', [np.transpose(CAMERA)] * COUNT)


def _no_numbers(folder):
  (folder / 'evaluation_xyz.json').write_text('[[1, "a"]]')


def _not_finite(folder):
  joints = TRUTH.copy()
  joints[2, 3] = np.inf
  dump(folder / 'evaluation_xyz.json', joints)


def _changed(change):
  """Writes labels in which `change` has changed an array (12, 21, 3)."""

  def write(folder):
    joints = TRUTH.copy()
    change(joints)
    dump(folder / 'evaluation_xyz.json', joints)

  return write


def _other_scale(factor, order=1):
  bones = np.linalg.norm(TRUTH[:, 10] - TRUTH[:, 9], axis=-1)
  sizes = factor * np.linspace(1, 1.2, COUNT)
  made = bones * sizes if order == 1 else bones * sizes / sizes[::-1]
  return lambda folder: dump(folder / 'evaluation_scale.json', made)


WRONG_TRUTH = {
  'scale of millimetres': (_other_scale(1000), 'in 12 of 12 images, first image 0'),
  'negative scale': (_other_scale(-1), 'in 12 of 12 images, first image 0'),
  'scale in another order': (
    _other_scale(1, -1),
    r'in 1\d of 12 images, .* same order',
  ),
  'one hand in millimetres': (
    _changed(lambda joints: np.multiply(joints[7], 1000, out=joints[7])),
    '1 of 12 hands, first hand 7, are far larger than a hand in metres',
  ),
  'one hand of zeros': (
    _changed(lambda joints: joints[7].fill(0)),
    '1 of 12 hands, first hand 7, have a joint that does not lie before the camera',
  ),
  'relative hands': (
    _changed(lambda joints: np.subtract(joints, joints[:, :1].copy(), out=joints)),
    'their joints are relative to one of them',
  ),
  'another order': (
    _changed(lambda joints: joints.__setitem__(..., joints[:, MANO])),
    'is probably the right one',
  ),
  'scale file': (
    lambda folder: (folder / 'evaluation_scale.json').unlink(),
    'FreiHAND_pub_v2 has no evaluation_scale.json; name the folder',
  ),
  'joints file': (
    lambda folder: (folder / 'evaluation_xyz.json').unlink(),
    'FreiHAND_pub_v2 has no evaluation_xyz.json; name the folder',
  ),
  'count': (_wrong_scale, 'evaluation_scale.json is about 5 images, not 12'),
  'shape': (_wrong_camera, r'shape \(12, 2\), expected \(N, 3, 3\), N images'),
  'transposed cameras': (_transposed_camera, 'entry 0 is a transposed matrix'),
  'a long number': (
    lambda folder: (folder / 'evaluation_K.json').write_text(f'[{400 * "1"}]'),
    'evaluation_K.json: this is no JSON list of numbers',
  ),
  'content': (_no_numbers, 'evaluation_xyz.json: this is no JSON list of numbers'),
  'infinity': (_not_finite, 'evaluation_xyz.json: a number is not finite'),
}


@pytest.mark.parametrize('kind', WRONG_TRUTH)
def test_wrong_ground_truth_is_told_in_one_sentence(freihand, capsys, kind):
  damage, message = WRONG_TRUTH[kind]
  damage(freihand)
  write_submission(freihand / 'pred.zip', NOISY, FORMS['freihand'])
  arguments = ('--ground-truth', freihand, '--protocol', 'freihand')
  error = error_of(capsys, '--predictions', freihand / 'pred.zip', *arguments)
  assert re.search(message, error)
  assert not list(freihand.glob('pred_*'))


def test_wrong_arguments_are_told_in_one_sentence(freihand, prepared, capsys, tmp_path):
  pred = tmp_path / 'pred.zip'
  write_submission(pred, NOISY, FORMS['camera'])

  def fails(folder, protocol, *more) -> str:
    arguments = ('--ground-truth', folder, '--protocol', protocol, *more)
    return error_of(capsys, '--predictions', pred, *arguments)

  assert 'no folder of ground truth' in fails(tmp_path / 'nowhere', 'stb')
  assert 'holds no prepared dataset; prepare' in fails(freihand, 'stb')
  assert '12 images, but there are 24 images' in fails(prepared, 'rhd')
  assert "no split 'tset'" in fails(prepared, 'rhd', '--split', 'tset')
  assert 'write NAME=FILE' in fails(freihand, 'freihand', '--subset', 'x.txt')
  (tmp_path / 'x.txt').write_text('00000003\n3\n')  # the first is an image
  subset = ('--subset', f'X={tmp_path}/x.txt')
  assert "'3' is none of the images" in fails(freihand, 'freihand', *subset)
  error = fails(freihand, 'freihand', '--subset', 'X=nowhere.txt')
  assert 'There is no file nowhere.txt for the subset X.' in error


def test_a_list_of_frames_of_another_length_is_refused(ho3d, capsys):
  (ho3d / 'evaluation.txt').write_text('SM1/0000\n')
  write_submission(ho3d / 'pred.zip', NOISY, FORMS['ho3d'])
  arguments = ('--ground-truth', ho3d, '--protocol', 'ho3d')
  error = error_of(capsys, '--predictions', ho3d / 'pred.zip', *arguments)
  assert 'names 1 image, but evaluation_xyz.json holds joints of 12' in error


def test_a_wrist_without_a_label_is_refused_where_hands_are_aligned_to_it(
  tmp_path, capsys
):
  rows = [examples.make_example(i, size=40) for i in range(2)]
  rows[1]['visibility'][0] = 0
  rows.append(examples.make_example(2, size=40) | {'has_joints_3d': np.float32([0])})
  folder = examples.prepare(tmp_path / 'data', {'a': rows[:2], 'b': rows[2:]})
  pred = tmp_path / 'pred.zip'
  joints = np.array([row['joints_3d'] for row in rows])
  write_submission(pred, joints[:2], FORMS['camera'])
  arguments = ('--predictions', pred, '--ground-truth', folder, '--protocol', 'stb')
  error = error_of(capsys, *arguments, '--split', 'a')
  assert '1 of 2 images have no label of joint 0 (wrist), which STB aligns' in error
  error = error_of(capsys, *arguments, '--split', 'b')
  assert '1 of 1 examples have no 3D labels to score against' in error


def test_a_subset_counts_each_image_once(freihand, capsys, tmp_path):
  (tmp_path / 'x.txt').write_text('00000003 00000001 00000003')
  (tmp_path / 'y.txt').write_text('00000003')
  write_submission(tmp_path / 'pred.zip', NOISY, FORMS['freihand'])
  arguments = ('--predictions', tmp_path / 'pred.zip', '--protocol', 'freihand')
  arguments += ('--ground-truth', freihand, '--subset')
  error = error_of(capsys, *arguments, f'X={tmp_path / "x.txt"}')
  assert "x.txt: the image '00000003' is named 2 times; name each image once" in error
  again = f'Y={tmp_path / "y.txt"}'
  error = error_of(capsys, *arguments, again, '--subset', again)
  assert '--subset Y is given twice' in error


def test_ho3d_labels_in_another_order_are_refused_with_the_order_named(ho3d, capsys):
  dump(ho3d / 'evaluation_xyz.json', TRUTH * [1, -1, -1])
  write_submission(ho3d.parent / 'pred.zip', NOISY, FORMS['ho3d'])
  arguments = ('--ground-truth', ho3d, '--protocol', 'ho3d')
  error = error_of(capsys, '--predictions', ho3d.parent / 'pred.zip', *arguments)
  assert "evaluation_xyz.json: in the joint order 'ho3d' the bones are" in error
  assert 'longer than in the order canonical' in error


def test_cameras_of_pictures_of_another_size_are_told(freihand, capsys):
  cameras = np.array([CAMERA] * COUNT)
  cameras[3:, :2] *= 0.3
  dump(freihand / 'evaluation_K.json', cameras)
  scores_of(freihand, 'freihand', NOISY)
  told = capsys.readouterr().err
  assert 'evaluation_K.json: 9 of 12 cameras look wrong, first entry 3' in told
