"""Hands that are drawn while a network trains."""

import numpy as np
import pytest

from bmc_jax import geometry, kinematics, pose25d
from bmc_jax.data import example, pipeline, sources
from bmc_jax.data.drawn import ProceduralPosesSource
from bmc_jax.data.procedural.conventions import BONE_RATIOS
from bmc_jax.data.procedural.detections import Detector

COUNT = 512
PLAIN = {
  'skin': 0.0,
  'slide': 0.0,
  'length_std': 0.0,
  'conventions': ['mano'],
}


@pytest.fixture(scope='module')
def drawn():
  return ProceduralPosesSource().batch(range(COUNT))


@pytest.fixture(scope='module')
def plain():
  source = ProceduralPosesSource(anyone=PLAIN, detector={'noise': [1e-6, 2e-6]})
  return source.batch(range(COUNT))


def test_an_example_is_the_same_wherever_it_stands_and_another_for_another_seed(drawn):
  source = ProceduralPosesSource()
  again = source.batch([*range(COUNT - 2), 300, 7])
  for name, values in drawn.items():
    assert values.shape == again[name].shape
    np.testing.assert_array_equal(again[name][-2:], values[[300, 7]])
  other = ProceduralPosesSource(seed=1).batch(range(COUNT))
  assert np.abs(other['joints_3d'] - drawn['joints_3d']).max(axis=(1, 2)).min() > 1e-3
  example.validate_example(source[5])
  # Another size of the batch is another program.
  np.testing.assert_allclose(source[5]['joints_3d'], drawn['joints_3d'][5], rtol=1e-5)


def test_keypoints_are_the_projected_joints_and_detections_err_by_what_is_told(drawn):
  projected = geometry.project(drawn['joints_3d'], drawn['intrinsics'])
  np.testing.assert_allclose(drawn['keypoints_2d'], projected, atol=0.05)
  error = np.linalg.norm(drawn['observed_2d'] - drawn['keypoints_2d'], axis=-1)
  size = np.ptp(drawn['keypoints_2d'], axis=1).max(axis=-1, keepdims=True) / 2
  share = np.median(error / size, axis=1)
  low, high = Detector().noise
  assert low < np.percentile(share, 10) < 0.005
  assert 0.03 < np.percentile(share, 95) < 3 * high
  confidence = drawn['confidence']
  sure = (confidence > 0) & (confidence < 1)
  correlation = np.corrcoef(confidence[sure], np.log((error / size)[sure] + 1e-4))
  assert correlation[0, 1] < -0.5


def test_gaps_and_unknown_cameras_are_as_frequent_as_asked(drawn):
  missing = drawn['confidence'] == 0
  # Of 21 joints one at least is missing with the probability 1 - (1 - share)^21.
  shares = np.linspace(0, 0.5, 1001)
  gaps = Detector().gaps * np.mean(1 - (1 - shares) ** 21)
  expected = 1 - (1 - gaps) * (1 - Detector().gap_finger)
  assert abs(missing.any(axis=1).mean() - expected) < 3 * np.sqrt(0.25 / COUNT)
  assert 0.65 < drawn['camera_known'].mean() < 0.75
  sure = ProceduralPosesSource(
    detector=Detector(gaps=0.0, gap_finger=0.0, camera=1.0)
  ).batch(range(COUNT))
  assert (sure['confidence'] > 0).all() and sure['camera_known'].all()


def test_hands_are_seen_from_everywhere_or_face_the_camera():
  """Each coordinate of a random unit vector is uniform (Archimedes)."""
  for share in (0.0, 1.0):
    source = ProceduralPosesSource(anyone={'facing': share, 'facing_tilt': 10.0})
    joints = source.batch(range(COUNT))['joints_3d']
    across, along = joints[:, 5] - joints[:, 17], joints[:, 9] - joints[:, 0]
    for number, vector in enumerate((along, np.cross(along, across))):
      unit = vector / np.linalg.norm(vector, axis=1, keepdims=True)
      for axis in range(3):
        values = np.sort(unit[:, axis])
        apart = np.abs(values - np.linspace(-1, 1, COUNT)).max() / 2
        uniform = apart < 1.63 / np.sqrt(COUNT)  # Kolmogorov and Smirnov, 1 %
        assert uniform == (share == 0.0)
        if share and number and axis == 2:
          assert (np.abs(values) > np.cos(np.deg2rad(40))).mean() > 0.95
          assert 0.4 < (values > 0).mean() < 0.6


def test_bones_are_those_of_the_conventions(plain, drawn):
  ratios = kinematics.bone_lengths(plain['joints_3d'])
  ratios = ratios / pose25d.scale_of(plain['joints_3d'])[:, None, None]
  expected = np.broadcast_to(BONE_RATIOS['mano'], ratios.shape)
  np.testing.assert_allclose(ratios, expected, rtol=2e-3)
  # All of them lie within what is drawn.
  ratios = kinematics.bone_lengths(drawn['joints_3d'])
  ratios = ratios / pose25d.scale_of(drawn['joints_3d'])[:, None, None]
  low, high = np.percentile(ratios, [1, 99], axis=0)
  for convention in BONE_RATIOS.values():
    assert (low < np.array(convention)).all() and (np.array(convention) < high).all()


def test_a_finger_behind_another_is_less_sure():
  detector = {'noise': [0.01, 0.0101], 'outlier': 0.0, 'slip': 0.0, 'gaps': 0.0}
  errors = [
    ProceduralPosesSource(detector=detector | {'hidden': factor}).batch(range(COUNT))
    for factor in (1.0, 5.0)
  ]
  plain, hidden = (b['observed_2d'] - b['keypoints_2d'] for b in errors)
  changed = np.abs(hidden - plain).max(axis=-1) > 1e-3
  assert 0.05 < changed.mean() < 0.5


def test_it_is_a_source_of_the_pipeline_and_of_configs():
  source = sources.open_source({'kind': 'procedural_poses', 'count': 64})
  assert len(source) == 64
  batches = pipeline.train_batches(source, None, batch_size=8, seed=0, num_threads=0)
  batch = next(batches)
  assert batch['observed_2d'].shape == (8, 21, 2) and batch['mask'].all()


@pytest.mark.parametrize(
  'options, message',
  [
    ({'seed': -1}, 'seed is -1; it must be a whole number from 0 on'),
    ({'count': 0}, 'count is 0; it must be a whole number'),
    ({'anyone': {'curls': 1}}, "anyone is {'curls': 1}; it may set conventions"),
    ({'anyone': {'conventions': ['ours']}}, "no labelling convention 'ours'; known"),
    ({'anyone': {'ranges': 'ours'}}, "There are no ranges 'ours'; known are wide, rhd"),
    ({'detector': {'slip': 2.0}}, 'slip is 2.0; it must be a probability'),
    ({'detector': {'noise': (0.1, 0.01)}}, 'noise is .*; it must be two numbers'),
    ({'anyone': {'distance': (0.0, 3.0)}}, 'distance is .*; it must be two numbers'),
    ({'anyone': {'curl_std': -1.0}}, 'curl_std is -1.0; it must be a number of'),
  ],
)
def test_a_wrong_option_is_told_in_a_sentence(options, message):
  with pytest.raises(ValueError, match=message):
    ProceduralPosesSource(**options)
