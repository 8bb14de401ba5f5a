"""What looks wrong about predicted hands, though it need not be.

A network that has hardly learnt, a mean pose or the zeros of a template are honest
predictions with bones of any length. So nothing here is an error: the functions give
sentences without a full stop, and commands print them as warnings. Joints are in
canonical order with OpenCV axes, as `submission.read_predictions` gives them; the
sentences speak of the file's own form.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from bmc_jax import skeleton
from bmc_jax.evaluate import submission
from bmc_jax.evaluate.submission import Form
from bmc_jax.joint_files import units
from bmc_jax.limits.depths import doubt_depth
from bmc_jax.limits.evidence import doubt_order, doubt_sides
from bmc_jax.skeleton import WRIST

_CLEARLY = 0.5
_FARTHEST = 20.0  # metres
_PLENTY = 1000


def find(joints_3d: np.ndarray, form: Form) -> list[str]:
  """Doubts about hands (N, 21, 3) of which no truth is known."""
  order = doubt_order(submission.to_form(joints_3d, form), form.order)
  found = [*([order] if order else []), *find_size_and_place(joints_3d, form)]
  return found or (find_sides(joints_3d, True) if form.is_right else [])


def find_sides(joints_3d: np.ndarray, is_right: np.ndarray | bool) -> list[str]:
  """The doubt that hands (N, 21, 3) are of the sides (N,) that are told.

  It means something where nothing else is wrong: noise has no side.
  """
  doubt = doubt_sides(joints_3d, is_right)
  if not doubt or not doubt.is_clear:
    return []
  return [f'{doubt}: an axis may be mirrored, as x is of hands that are flipped']


def find_size_and_place(joints_3d: np.ndarray, form: Form) -> list[str]:
  """The doubts of `find` but for the order of the joints."""
  if not np.ptp(joints_3d, axis=1).any():
    return ['all joints of each hand lie at one place, as in an empty template']
  depth = doubt_depth(joints_3d)
  found = [depth] if depth else []
  bone, unit = units.find_unit(joints_3d)
  if unit is None:
    low, high = units.REFERENCE_BONE_RANGE
    found.append(
      f'the middle MCP->PIP bone measures {bone:.4g} metres, outside {low:g}-{high:g}, '
      'and fits no other unit either: the joints may be in another order than '
      f'{form.order!r}, or no plausible hands'
    )
  far = np.flatnonzero((np.abs(joints_3d) > _FARTHEST).any(axis=(1, 2)))
  rows = np.union1d(units.of_other_units(joints_3d), far)
  if unit is not None and rows.size:
    found.append(
      f'{rows.size} of {len(joints_3d)} hands, first hand {rows[0]}, are far larger '
      f'than a hand in metres, or farther away than {_FARTHEST:g} m, as in another '
      'unit: all means count them'
    )
  around = (joints_3d.min(axis=1) <= 0) & (joints_3d.max(axis=1) >= 0)
  if around.all(axis=-1).mean() > _CLEARLY:
    found.append(
      'the camera, at 0, 0, 0, lies within most hands: their joints are relative to '
      'one of them, and no error in the image, along the depth or without alignment '
      "means anything; add that joint's place in the camera's frame to all"
    )
  elif not (joints_3d[..., 2] > 0).any():
    wanted = 'OpenCV (z > 0' if form.axes == 'opencv' else 'OpenGL (y up, z < 0'
    found.append(
      f'no joint lies before the camera; the axes must be those of {wanted} in front)'
    )
  return found


def compare(
  joints_3d: np.ndarray,
  truth: np.ndarray,
  labelled: np.ndarray,
  is_right: np.ndarray,
  form: Form,
) -> list[str]:
  """The doubt that the truth raises: that the file is in another order or other axes.

  Args:
    joints_3d: (N, 21, 3) predictions in metres.
    truth: (N, 21, 3) in metres, left hands as they are.
    labelled: (N, 21) bool, of the joints that count.
    is_right: (N,) bool.
    form: of the file.

  Returns:
    A sentence if another joint order, or axes negated, would more than halve the error
    of hands moved to the true wrist (to the true mean of the joints that count where
    some hand's wrist is not one of them), or else nothing.
  """
  every = math.ceil(len(joints_3d) / _PLENTY)
  joints_3d, truth = joints_3d[::every], truth[::every]
  labelled, is_right = labelled[::every], is_right[::every]
  weight = np.zeros(labelled.shape)
  if labelled[:, WRIST].all():
    weight[:, WRIST] = 1
    aligned = 'root-aligned'
  else:
    weight = labelled / np.maximum(labelled.sum(axis=1, keepdims=True), 1)
    aligned = 'centroid-aligned'

  def error(joints) -> float:
    difference = joints - truth
    difference -= np.sum(weight[..., None] * difference, axis=1, keepdims=True)
    return 1e3 * float(np.linalg.norm(difference, axis=-1)[labelled].mean())

  stored = skeleton.reorder(joints_3d, 'canonical', form.order)
  own = error(joints_3d)
  readings = (
    (error(sign * skeleton.reorder(stored, order)), order, axes)
    for order in _distinct_orders(form.order)
    for axes, sign in _negations(is_right)
  )
  best, order, axes = min(readings, key=lambda reading: reading[0])
  if not best < _CLEARLY * own:
    return []
  said = [f'in the joint order {_names(order)}'] * (order != form.order)
  said += [f'with {axes}'] * bool(axes)
  return [
    f'read {" and ".join(said)} its {aligned} error would be {best:.1f} mm, not '
    f'{own:.1f} mm: it is probably not in the form that the protocol wants'
  ]


def _distinct_orders(first: str) -> list[str]:
  """One name of each order."""
  names = {skeleton.JOINT_ORDERS[first]: first}
  for name, order in skeleton.JOINT_ORDERS.items():
    names.setdefault(order, name)
  return list(names.values())


def _names(order: str) -> str:
  known = skeleton.JOINT_ORDERS
  return ' or '.join(name for name in known if known[name] == known[order])


def _negations(is_right: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
  """What is negated, and signs that broadcast with (N, 21, 3); first nothing is."""
  for signs in itertools.product((1.0, -1.0), repeat=3):
    axes = [axis for axis, sign in zip('xyz', signs, strict=True) if sign < 0]
    yield (f'{" and ".join(axes)} negated' if axes else ''), np.array(signs)
  if is_right.any() and not is_right.all():
    signs = np.ones((len(is_right), 1, 3))
    signs[~is_right, :, 0] = -1
    yield 'x of left hands negated', signs
