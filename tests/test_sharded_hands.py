"""Hands on a mesh of explicit axes, which is what `jax.make_mesh` makes."""

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from bmc_jax import constraints
from tests.fixtures.core_functions import CASES, LIMITS, sum_of

# `tests/docs/test_interop.py` compares values on four devices: here types are enough,
# and a mesh of devices that are not there.
MESH = AbstractMesh((4,), ('d',), axis_types=(AxisType.Explicit,))


def _sharded(array, *axes):
  return jax.ShapeDtypeStruct(
    array.shape, np.float32, sharding=NamedSharding(MESH, P(*axes))
  )


def _names():
  """All; that of `repair` takes longest to trace, so one of its cases is enough."""
  slow = {'repair', 'mirrored_is_more_plausible'}
  names = [name for name in CASES if name != 'repair in the picture']
  return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in names]


@pytest.mark.parametrize('name', _names())
def test_gradients_are_sharded_as_the_hands_are(name):
  arguments = [_sharded(argument, 'd') for argument in CASES[name].arguments]
  with jax.sharding.use_abstract_mesh(MESH):
    gradient = jax.eval_shape(jax.grad(sum_of(CASES[name])), *arguments)
  assert gradient.sharding.spec[0] == 'd'


@pytest.mark.parametrize(
  'name', ['bmc_loss', 'procrustes_align', 'repair in the picture']
)
def test_hands_may_be_mapped_over_and_know_their_mesh_themselves(name):
  arguments = [_sharded(argument, 'd') for argument in CASES[name].arguments]
  for function in (CASES[name].function, jax.vmap(CASES[name].function)):
    for value in jax.tree.leaves(jax.eval_shape(function, *arguments)):
      assert value.sharding.spec[0] == 'd'


def test_limits_on_every_device_have_gradients():
  joints = _sharded(CASES['bmc_loss'].arguments[0], 'd')
  everywhere = jax.tree.map(lambda leaf: _sharded(leaf), LIMITS)
  gradient = jax.eval_shape(
    jax.grad(lambda limits, x: constraints.bmc_loss(x, limits)[0].sum()),
    everywhere,
    joints,
  )
  assert gradient.hulls.sharding.is_fully_replicated
