"""Evaluation: metrics by hand, batches that do not come out even, chance."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import limits, models, pose25d
from bmc_jax.data import sources
from bmc_jax.data.example import drop_joints_3d, stack_examples
from bmc_jax.training import defaults, validation
from bmc_jax.training.validation import chance, evaluate, predict, summarize
from tests.fixtures import tiny_config
from tests.fixtures.examples import make_example


class Oracle(nn.Module):
  """Knows the truth, but for a factor on the depth behind the root."""

  stretch: float = 1.0
  replaced: bool = False

  @nn.compact
  def __call__(self, batch, train):
    true = pose25d.to_pose25d(batch['joints_3d'], batch['intrinsics'])
    depth = true.relative_depth * self.stretch
    joints = pose25d.lift(
      batch['keypoints_2d'], depth, true.root_depth, batch['intrinsics']
    )
    return models.PoseOutput(
      keypoints_2d=batch['keypoints_2d'] + (self.stretch - 1),
      relative_depth=depth,
      root_depth_calculated=true.root_depth,
      root_depth=true.root_depth,
      root_depth_replaced=jnp.full(true.root_depth.shape, self.replaced),
      joints_3d=joints,
      conditioning=true.scale,
    )


class Blind(nn.Module):
  """Sees 2D keypoints, 3 px off, and gives every hand the same depths."""

  @nn.compact
  def __call__(self, batch, train):
    points = batch['keypoints_2d'] + jnp.array([[[3.0, 0.0]]])
    depth = jnp.broadcast_to(jnp.linspace(0, 1, 21)[None], points.shape[:2])
    root = jnp.full(len(points), 15.0)
    joints = pose25d.lift(points, depth, root, batch['intrinsics'])
    return models.PoseOutput(
      keypoints_2d=points,
      relative_depth=depth,
      root_depth_calculated=root,
      root_depth=root,
      root_depth_replaced=root < 0,
      joints_3d=joints,
      conditioning=root,
    )


def _config(batch_size: int = 8):
  c = defaults.get_config()
  c.image_size = 32
  c.eval.batch_size = batch_size
  return c


def _arrays(count: int = 13):
  batch = stack_examples([make_example(i) for i in range(count)], count)
  del batch['image']
  return batch


def _source(count: int = 13):
  return sources.ArraySource(_arrays(count))


def test_perfect_predictions_have_no_error_and_full_area():
  metrics, _ = evaluate(_config(), Oracle(), {}, _source())
  for name in ('depth_mm', 'epe_mm', 'epe_median_mm', 'epe_abs_mm', 'epe_pa_mm'):
    assert metrics[name] == pytest.approx(0, abs=1e-3), name
  assert metrics['keypoints_2d_px'] == 0
  # An error of a rounding counts at every threshold but the first, which is 0.
  assert metrics['auc_0_50'] == pytest.approx(1, abs=0.0051)
  assert metrics['auc_pa_0_50'] == pytest.approx(1, abs=0.0051)


def test_depth_and_2d_errors_are_those_computed_by_hand():
  arrays = _arrays()
  metrics, predictions = evaluate(
    _config(), Oracle(stretch=1.25), {}, sources.ArraySource(arrays)
  )
  depth = 1000 * (arrays['joints_3d'][..., 2] - arrays['joints_3d'][:, :1, 2])
  assert metrics['depth_mm'] == pytest.approx(0.25 * np.abs(depth).mean(), rel=1e-4)
  assert metrics['keypoints_2d_px'] == pytest.approx(0.25 * np.sqrt(2), rel=1e-4)
  percent = 100 * 0.25 * np.sqrt(2) / 32
  assert metrics['keypoints_2d_percent'] == pytest.approx(percent, rel=1e-4)
  error = predictions['joints_3d'] - predictions['joints_3d_true']
  error = np.linalg.norm(error, axis=-1)
  assert metrics['epe_mm'] == pytest.approx(error.mean(), rel=1e-4)
  assert metrics['epe_median_mm'] == pytest.approx(np.median(error), rel=1e-4)
  thresholds = np.linspace(0, 50, 100)
  curve = [(error <= threshold).mean() for threshold in thresholds]
  area = np.trapezoid(curve, thresholds) / 50
  assert metrics['auc_0_50'] == pytest.approx(area, abs=1e-4)
  # The root is right, so the error in the camera's frame is the same.
  assert metrics['epe_abs_mm'] == pytest.approx(metrics['epe_mm'], rel=1e-4)


@pytest.mark.parametrize('count, batch_size', [(13, 8), (13, 5), (3, 8), (8, 8)])
def test_every_example_counts_once_whatever_the_batch(count, batch_size):
  model = Oracle(stretch=1.25)
  wanted, one_by_one = evaluate(_config(1), model, {}, _source(count))
  got, predictions = evaluate(_config(batch_size), model, {}, _source(count))
  assert predictions['sample_id'].tolist() == [f'hand_{i:04d}' for i in range(count)]
  for name, values in predictions.items():
    assert len(values) == count
    if name != 'sample_id':
      np.testing.assert_allclose(values, one_by_one[name], rtol=1e-5, atol=1e-3)
  for name, value in wanted.items():
    assert got[name] == pytest.approx(value, rel=1e-4), name


def test_joints_that_are_not_annotated_do_not_count():
  arrays = _arrays()
  arrays['visibility'][:, 4] = 0
  wanted, _ = evaluate(_config(), Oracle(1.25), {}, sources.ArraySource(arrays))
  arrays['keypoints_2d'][:, 4] += 5  # moves the predicted joint away from its label
  got, _ = evaluate(_config(), Oracle(1.25), {}, sources.ArraySource(arrays))
  for name, value in wanted.items():
    # All are moved by the alignment, but the fit is to the visible ones.
    assert got[name] == pytest.approx(value, rel=1e-5), name


def test_predictions_are_relative_to_the_root_and_add_up_to_the_camera_frame():
  arrays = _arrays()
  predictions = predict(_config(), Oracle(), {}, sources.ArraySource(arrays))
  for end in ('', '_true'):
    joints = predictions[f'joints_3d{end}'] + predictions[f'root_3d{end}'][:, None]
    np.testing.assert_allclose(predictions[f'joints_3d{end}'][:, 0], 0, atol=1e-4)
    np.testing.assert_allclose(joints, 1000 * arrays['joints_3d'], atol=2e-2)
  normalized = predictions['joints_3d_normalized']
  np.testing.assert_allclose(
    np.linalg.norm(normalized[:, 10] - normalized[:, 9], axis=-1), 1, rtol=1e-4
  )


def test_root_depths_that_were_replaced_are_told(monkeypatch):
  told = []
  monkeypatch.setattr(
    validation.logging, 'warning', lambda text, *values: told.append(text % values)
  )
  evaluate(_config(), Oracle(), {}, _source())
  assert not told
  _, predictions = evaluate(_config(), Oracle(replaced=True), {}, _source())
  assert told[0].startswith('The refined root depth of 13 of 13 hands puts a joint')
  assert told[0].endswith('was taken. 0 hands have a joint there all the same.')
  assert predictions['root_depth_replaced'].all()


def test_images_are_judged_in_pixels_of_the_crop_that_the_network_sees(tmp_path):
  source = sources.TfdsSource(tiny_config.write_images(tmp_path, test=3), 'test')
  predictions = predict(_config(), Oracle(), {}, source)
  original = source.batch(range(3))['keypoints_2d']  # of images of 40 px
  expected = (original + 0.5) * 32 / 40 - 0.5
  np.testing.assert_allclose(predictions['keypoints_2d_true'], expected, atol=1e-4)
  metrics = summarize(predictions, 32)
  assert metrics['epe_mm'] == pytest.approx(0, abs=0.01)


def test_chance_is_the_error_of_the_median_depths():
  predictions = predict(_config(), Oracle(), {}, _source())
  predictions['visibility'][2, 7] = predictions['visibility'][3, 7] = 0
  truth = predictions['joints_3d_true'].astype(float)
  truth[2, 7] = truth[3, 7] = 1e6  # not annotated: may be anything
  predictions['joints_3d_true'] = truth.astype(np.float32)
  errors = []
  for joint in range(21):
    hands = [n for n in range(13) if predictions['visibility'][n, joint]]
    scale = {n: np.linalg.norm(truth[n, 10] - truth[n, 9]) for n in hands}
    middle = np.median([truth[n, joint, 2] / scale[n] for n in hands])
    errors += [abs(middle * scale[n] - truth[n, joint, 2]) for n in hands]
  assert chance(predictions) == {'depth_mm': pytest.approx(np.mean(errors), rel=1e-4)}


@pytest.fixture(scope='module')
def clinical():
  return limits.clinical_limits()


def test_2d_labels_alone_measure_the_image_and_the_limits(clinical):
  source = sources.ArraySource(drop_joints_3d(_arrays()))
  with_3d, _ = evaluate(_config(), Blind(), {}, _source())
  got, predictions = evaluate(_config(), Blind(), {}, source, clinical)
  assert set(got) == {
    *('keypoints_2d_px', 'keypoints_2d_percent'),
    *('pck_2d_2px', 'pck_2d_5px', 'pck_2d_10px'),
    *('hands_within_limits', 'broken_limits'),
  }
  assert got['keypoints_2d_px'] == pytest.approx(with_3d['keypoints_2d_px'])
  assert [got[f'pck_2d_{px}px'] for px in (2, 5, 10)] == [0, 100, 100]
  assert got['hands_within_limits'] == 0 and got['broken_limits'] >= 1
  assert np.isnan(predictions['joints_3d_true']).all()
  assert np.isfinite(predictions['joints_3d']).all()
  assert chance(predictions) == {}
  without, _ = evaluate(_config(), Blind(), {}, source)
  assert set(got) - set(without) == {'hands_within_limits', 'broken_limits'}


def test_errors_in_3d_are_those_of_the_hands_that_have_3d_labels():
  arrays = _arrays()
  keep = np.arange(13) % 2 == 0
  mixed = drop_joints_3d(arrays, keep)
  mixed['visibility'] = arrays['visibility'].copy()
  mixed['visibility'][2, 10] = 0  # without its reference bone a hand has no size
  keep[2] = False
  part = sources.ArraySource({name: value[keep] for name, value in mixed.items()})
  wanted, _ = evaluate(_config(), Blind(), {}, part)
  got, predictions = evaluate(_config(), Blind(), {}, sources.ArraySource(mixed))
  assert predictions['has_joints_3d'].tolist() == keep.tolist()
  for name in ('depth_mm', 'epe_pa_mm', 'auc_0_50'):
    assert got[name] == pytest.approx(wanted[name], rel=1e-5), name
  assert np.isfinite(list(got.values())).all() and 'pck_2d_5px' in got
  assert np.isfinite(chance(predictions)['depth_mm'])


def test_evaluating_again_does_not_compile_again():
  calls = []

  class Counting(Oracle):
    def __call__(self, batch, train):
      calls.append(jnp.shape(batch['joints_3d']))
      return super().__call__(batch, train)

  for _ in range(3):
    evaluate(_config(), Counting(), {}, _source())
  assert len(calls) == 1
