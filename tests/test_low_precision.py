"""Hands in 16 bits: the pure core computes in float32, whatever it is given."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax import (
  constraints,
  geometry,
  hull,
  kinematics,
  limits,
  metrics,
  pose25d,
  root_depth,
  skeleton,
)
from bmc_jax.limits import scale_fit
from bmc_jax.repair import nearest
from bmc_jax.training import losses
from tests.fixtures.core_functions import CASES, LIMITS
from tests.fixtures.hands import wild_hands

# These round nothing: 16-bit numbers are moved and compared, and change their signs.
MOVES = {'convert_element_type', 'broadcast_in_dim', 'slice', 'gather', 'gt'}
MOVES |= {'stop_gradient'}
SIGNS = {'change_axes': {'mul'}, 'mirror': {'mul'}}


def _steps(jaxpr, dtype):
  """The primitives that numbers of a type go into or come out of."""
  for step in jaxpr.eqns:
    inner = [p for p in jax.tree.leaves(step.params) if hasattr(p, 'eqns')]
    inner += [p.jaxpr for p in jax.tree.leaves(step.params) if hasattr(p, 'jaxpr')]
    for each in inner:
      yield from _steps(each, dtype)
    variables = [*step.invars, *step.outvars]
    if not inner and any(v.aval.dtype == dtype for v in variables):
      yield step.primitive.name


WITHIN = {'angle_distance', 'batch_first'}  # of `hull_distance`, and of most others
MODULES = (
  *(constraints, geometry, hull.distance, kinematics, losses, metrics, nearest),
  *(pose25d, root_depth, scale_fit, skeleton),
)


def test_no_public_function_of_the_core_is_left_out():
  named = {name.split(' ')[0].strip(',') for name in CASES}
  for module in MODULES:
    for name, function in vars(module).items():
      ours = inspect.isfunction(function) and function.__module__ == module.__name__
      if ours and not name.startswith(('_', 'check_', 'as_', 'is_')):
        assert name in named | WITHIN, name


@pytest.mark.parametrize('name', CASES)
def test_nothing_is_computed_in_16_bits(name):
  """So results are those of float32 for the rounded numbers, and gradients, too."""
  case = CASES[name]
  arguments = [jax.ShapeDtypeStruct(a.shape, jnp.bfloat16) for a in case.arguments]
  program = jax.make_jaxpr(case.function)(*arguments)
  found = set(_steps(program.jaxpr, jnp.bfloat16))
  assert found and found <= MOVES | SIGNS.get(name, set())


@pytest.mark.parametrize('dtype', [jnp.float16, jnp.bfloat16])
def test_joints_in_metres_keep_their_loss_and_gradient(dtype):
  """The bones are 2 to 8 cm long: in float16 their squares would count as nothing."""

  @jax.jit
  @jax.value_and_grad
  def loss(joints):
    hands = pose25d.in_reference_bones(joints)
    return constraints.bmc_loss(hands, LIMITS)[0].sum()

  metres = jnp.asarray(0.03 * wild_hands(19, 2), dtype)
  value, gradient = loss(metres)
  wanted, slope = loss(metres.astype(jnp.float32))
  assert value.dtype == jnp.float32 and gradient.dtype == dtype
  assert value == wanted > 0
  np.testing.assert_array_equal(gradient, slope.astype(dtype))
  # Of a hand that is very small, float16 cannot hold the gradient.
  _, gradient = loss(1e-4 * metres)
  assert jnp.isfinite(gradient).all() and jnp.abs(gradient).max() > 1e4


def test_boxes_of_limits_in_16_bits_have_their_hulls_corners():
  hulls = np.asarray(LIMITS.hulls, np.float16)
  boxes = limits.as_boxes(dataclasses.replace(LIMITS, hulls=hulls))
  np.testing.assert_array_equal(boxes.hulls.min(2), hulls.min(2))
  np.testing.assert_array_equal(boxes.hulls.max(2), hulls.max(2))
