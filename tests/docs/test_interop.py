"""The examples of docs/interop.md run as they stand there, and do what it says."""

import functools
import os
import pickle
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from bmc_jax import constraints, limits
from tests.fixtures import core_functions
from tests.fixtures.session import ROOT, xla_flags_for

DOCUMENT = ROOT / 'docs' / 'interop.md'
FIRST = 'Hands to work with'
DEVICES = 'Many devices'


def examples() -> dict[str, str]:
  """The code of each section by its heading."""
  sections = re.split(r'^## ', DOCUMENT.read_text(), flags=re.MULTILINE)[1:]
  block = re.compile(r'^```python\n(.*?)^```$', re.MULTILINE | re.DOTALL)
  return {s.splitlines()[0]: '\n'.join(block.findall(s)) for s in sections}


@functools.cache
def _variables_of_first() -> dict:
  return _run(FIRST, {})


def run_example(heading: str) -> dict:
  """Runs the first section and this one, as a user does; the variables they set."""
  first = _variables_of_first()
  return first if heading == FIRST else _run(heading, dict(first))


def _run(heading, variables):
  code = compile(examples()[heading], f'{DOCUMENT.name}: {heading}', 'exec')
  # The test session refuses to promote ranks, JAX by default does not.
  with jax.numpy_rank_promotion('allow'):
    exec(code, variables)
  return variables


def _depth_is_learned(result):
  losses = result['losses']
  assert np.isfinite(losses).all() and losses[-1] < 0.5 * losses[0]


def _subjects_keep_their_own_limits(result):
  total, terms = result['total'], result['terms']
  bmc_loss = jax.jit(constraints.bmc_loss)
  hands, fitted = result['hands_of_subjects'], result['fitted']
  for subject in range(2):
    wanted = bmc_loss(hands[subject], fitted[subject])
    got = total[subject], {name: term[subject] for name, term in terms.items()}
    for one, other in zip(*map(jax.tree.leaves, (got, wanted)), strict=True):
      np.testing.assert_allclose(one, other, atol=1e-5)
  # Each fits its own limits, and not the other's.
  assert total.max() < 0.05 and bmc_loss(hands[1], fitted[0])[0].min() > 0.05


def _values_of_limits_compile_nothing_anew(result):
  assert (result['traces_of_values'], result['traces_of_structures']) == (1, 2)
  assert 0 <= result['loose'] < result['strict']
  assert result['own'] != result['strict']


def _assert_same(got, wanted, rtol=1e-4, atol=1e-6):
  for one, other in zip(got, wanted, strict=True):
    np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)
  assert np.any(wanted[1] != 0)


@jax.jit
@jax.value_and_grad
def _mean_loss(joints):
  return constraints.bmc_loss(joints, limits.clinical_limits())[0].mean()


def _pieces_and_rematerialisation_change_nothing(result):
  _assert_same((result['value'], result['gradient']), _mean_loss(result['noisy']))


def _devices_change_nothing(result):
  for name in ('automatic', 'manual'):
    _assert_same(result[name], _mean_loss(np.asarray(result['noisy'])))


def _half_precision_enters_and_leaves(result):
  for name in ('float16', 'bfloat16'):
    value, gradient = result[f'in_{name}']
    assert value.dtype == np.float32 and gradient.dtype == name
    # The input is rounded; what is made of it has the digits of float32.
    rounded = result['noisy'].astype(name).astype(np.float32)
    wanted, slope = _mean_loss(rounded)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    digits = 2 * float(jax.numpy.finfo(name).eps)
    np.testing.assert_allclose(gradient.astype(np.float32), slope, digits, 1e-6)


def _other_conventions_change_nothing(result):
  noisy = np.asarray(result['noisy'])
  bone = np.linalg.norm(noisy[:, 10] - noisy[:, 9], axis=-1)
  joints = noisy / bone[:, None, None]
  total, _ = jax.jit(constraints.bmc_loss)(joints, result['hand_limits'])
  # Plausible hands: of another order or side they would cost 0.1 and more.
  np.testing.assert_allclose(result['value'], total.mean(), atol=1e-6)


def _hands_are_plausible(result):
  hands, known = result['joints_3d'], result['keypoints_2d']
  assert hands.shape == (256, 21, 3) and known.shape == (256, 21, 2)
  bmc_loss = jax.jit(constraints.bmc_loss)
  _, terms = bmc_loss(hands, result['hand_limits'])
  assert terms['bone_length'].max() < 1e-5


CHECKS = {
  FIRST: _hands_are_plausible,
  'Plain JAX': _depth_is_learned,
  'Equinox': _depth_is_learned,
  'Flax NNX': _depth_is_learned,
  'Limits of each subject': _subjects_keep_their_own_limits,
  'Limits as an argument of a jitted function': _values_of_limits_compile_nothing_anew,
  'Rematerialisation and scan': _pieces_and_rematerialisation_change_nothing,
  DEVICES: _devices_change_nothing,
  'Half precision': _half_precision_enters_and_leaves,
  'Joints in other orders, units and of left hands': _other_conventions_change_nothing,
}


@pytest.mark.slow
@pytest.mark.parametrize('heading', [h for h in examples() if h != DEVICES])
def test_the_example_does_what_it_says(heading):
  if heading == 'Equinox':
    pytest.importorskip('equinox')
  CHECKS[heading](run_example(heading))


def check_sharded_functions() -> None:
  """Those that look things up, sort, loop or decompose: as without sharding."""
  mesh = jax.make_mesh((4,), ('data',))
  for name in ('fit_scale', 'procrustes_align', 'solve_root_depth, all_bones'):
    case = core_functions.CASES[name]
    function = jax.jit(jax.value_and_grad(core_functions.sum_of(case)))
    arguments = [a.astype(np.float32) for a in case.arguments]
    wanted = function(*arguments)
    sharding = NamedSharding(mesh, P('data'))
    got = function(*(jax.device_put(a, sharding) for a in arguments))
    assert got[1].sharding.spec[0] == 'data'
    _assert_same(got, jax.device_get(wanted), rtol=1e-3, atol=1e-5)
  case = core_functions.CASES['repair in the picture']
  repair = jax.jit(case.function)
  arguments = [a.astype(np.float32) for a in case.arguments]
  wanted = repair(*arguments)
  got = repair(*(jax.device_put(a, sharding) for a in arguments))
  for field in got._fields:
    one, other = getattr(got, field), getattr(wanted, field)
    assert one.sharding.spec[0] == 'data', field
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6, err_msg=field)
  moved = np.abs(wanted.joints - arguments[0])
  assert moved.max() > 1e-4, 'steps were taken'


@pytest.mark.slow
def test_the_example_of_many_devices_does_on_four(tmp_path):
  program = (
    'import pickle, sys, jax\n'
    'from tests.docs import test_interop as test\n'
    'result = test.run_example(test.DEVICES)\n'
    "assert len(result['automatic'][1].sharding.device_set) == 4\n"
    'test.check_sharded_functions()\n'
    "names = ('noisy', 'automatic', 'manual')\n"
    "with open(sys.argv[1], 'wb') as file:\n"
    '  pickle.dump(jax.device_get({name: result[name] for name in names}), file)\n'
  )
  settings = {
    'XLA_FLAGS': xla_flags_for(4),
    'JAX_PLATFORMS': 'cpu',
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
  }
  path = tmp_path / 'result.pickle'
  done = subprocess.run(
    [sys.executable, '-c', program, str(path)],
    env=os.environ | settings,
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  CHECKS[DEVICES](pickle.loads(path.read_bytes()))


def test_shard_map_may_check_which_values_vary_over_devices():
  mesh = jax.make_mesh((1,), ('data',), axis_types=(AxisType.Auto,))
  mapped = jax.shard_map(
    lambda joints: constraints.bmc_loss(joints, limits.clinical_limits())[0],
    mesh=mesh,
    in_specs=P('data'),
    out_specs=P('data'),
  )
  joints = jax.ShapeDtypeStruct((4, 21, 3), np.float32)
  assert jax.eval_shape(mapped, joints).shape == (4,)
