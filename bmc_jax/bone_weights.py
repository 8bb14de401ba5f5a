"""How much each bone counts in the terms of the loss."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from bmc_jax import geometry
from bmc_jax.skeleton import NUM_JOINTS, WRIST, Array, as_float, check_not_negative

SHAPES: Mapping[str, tuple[int, ...]] = {
  'bone_length': (5, 4),
  'root_bone': (4,),
  'joint_angle': (5, 3),
}
"""The quantities that each term averages: by finger and bone, or by palm pair."""


def _mask(joints):
  return np.isin(np.arange(NUM_JOINTS), joints)


def _knuckles(first, last):
  return [1 + 4 * finger for finger in range(max(first, 0), min(last, 4) + 1)]


def _finger(finger, bone):
  """The joints of a finger from its knuckle to the end of the bone."""
  return list(range(1 + 4 * finger, 2 + 4 * finger + bone))


# Thumb to little, the neighbours whose root bones span the palm at the finger.
_PALM_AT = ((0, 1), (1, 2), (1, 3), (2, 4), (3, 4))
_NEEDED: Mapping[str, np.ndarray] = {
  'bone_length': np.array(
    [[_mask([WRIST, *_finger(f, b)][-2:]) for b in range(4)] for f in range(5)]
  ),
  # Edge normals also depend on the next neighbour on either side.
  'root_bone': np.array([_mask([WRIST, *_knuckles(i - 1, i + 2)]) for i in range(4)]),
  'joint_angle': np.array(
    [
      [_mask([WRIST, *_knuckles(*_PALM_AT[f]), *_finger(f, b)]) for b in (1, 2, 3)]
      for f in range(5)
    ]
  ),
}
"""Which joints each quantity is computed from: (*shape, 21)."""


def check_bone_weights(bone_weights: Mapping[str, Array]) -> None:
  """Raises ValueError for an unknown term, weights of another shape or below 0."""
  for term, weights in bone_weights.items():
    if term not in SHAPES:
      raise ValueError(f'Unknown bone_weights {term!r}; known are {sorted(SHAPES)}.')
    if np.shape(weights) != SHAPES[term]:
      raise ValueError(
        f'bone_weights of {term!r} have the shape {np.shape(weights)}, but '
        f'{SHAPES[term]} is needed.'
      )
    check_not_negative(weights, f'bone_weights of {term!r}')


def check_confidence(confidence: Array, joints: Array) -> None:
  """Raises ValueError unless there is one confidence for each joint, 0 or more."""
  if np.shape(confidence) != np.shape(joints)[:-1]:
    raise ValueError(
      f'confidence has the shape {np.shape(confidence)}, but the joints call for '
      f'{np.shape(joints)[:-1]}.'
    )
  check_not_negative(confidence, 'confidence')


def mean_over_bones(
  penalty: Array, term: str, bone_weights: Mapping[str, Array], confidence: Array | None
) -> Array:
  """Weighted mean of a penalty, batch last; 0 where all weights are.

  A bone's weight is its entry of `bone_weights` times the least confidence among the
  joints that its quantity is computed from: a chain is as good as its weakest link,
  and a confidence that all joints share changes nothing.

  Args:
    penalty: (bone, finger, *b) or (pair, *b).
    term: a key of `SHAPES`.
    bone_weights: by term, each of its shape in `SHAPES`; 1 where there are none.
    confidence: (*b, 21) in [0, 1], or None. No gradient flows into it: the loss could
      be lowered by distrusting joints.
  """
  bones = tuple(range(len(SHAPES[term])))
  if confidence is None and term not in bone_weights:
    return penalty.mean(bones)
  weights = as_float(bone_weights.get(term, np.ones(SHAPES[term]))).T
  weights = weights.reshape(weights.shape + (1,) * (penalty.ndim - len(bones)))
  weights = jnp.broadcast_to(weights.astype(penalty.dtype), penalty.shape)
  if confidence is not None:
    weights = weights * _least_confidence(as_float(confidence), term)
  total = weights.sum(bones)
  return geometry.safe_divide(jnp.ones_like(total), total) * (weights * penalty).sum(
    bones
  )


def _least_confidence(confidence, term):
  confidence = jnp.moveaxis(jax.lax.stop_gradient(confidence), -1, 0)
  needed = np.moveaxis(_NEEDED[term], -1, 0)  # (21, finger, bone)
  needed = needed.swapaxes(1, -1)  # (21, bone, finger)
  batch = confidence.shape[1:]
  needed = needed.reshape(needed.shape + (1,) * len(batch))
  confidence = confidence.reshape(NUM_JOINTS, *(1,) * len(SHAPES[term]), *batch)
  return jnp.where(needed, confidence, jnp.inf).min(0)
