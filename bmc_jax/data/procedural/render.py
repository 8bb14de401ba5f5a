"""Pictures of the hands of a domain, whose subjects keep their flesh and skin."""

import functools

import jax
from jaxtyping import Array, PRNGKeyArray, UInt8

from bmc_jax.data.procedural.domain import Domain
from bmc_jax.data.procedural.mesh import render
from bmc_jax.data.procedural.mesh.look import Body, sample_body
from bmc_jax.data.procedural.pose import HandSample, sample_hand, subject_key


def render_batch(
  keys: PRNGKeyArray,
  domain: Domain,
  size: int,
  atlas: UInt8[Array, 'count k k 3'] | None = None,
) -> tuple[HandSample, UInt8[Array, 'n size size 3']]:
  """Draws and renders one hand per key.

  Args:
    keys: (n,) random keys; the same key gives the same hand.
    domain: the distribution to draw from.
    size: side of the images in pixels.
    atlas: backgrounds; drawn ones without it.

  Returns:
    The hands, with a leading axis n, and their images.
  """
  look_keys, hands, bodies = sample_batch(keys, domain, size)
  images = render.render_batch(
    look_keys,
    hands.joints_3d,
    hands.intrinsics,
    look=domain.look,
    bodies=bodies,
    atlas=atlas,
    size=size,
  )
  return hands, images


@functools.partial(jax.jit, static_argnames=('domain', 'size'))
def sample_batch(
  keys: PRNGKeyArray, domain: Domain, size: int
) -> tuple[PRNGKeyArray, HandSample, Body]:
  """Draws one hand per key: keys (n,) of the pictures, hands and their persons.

  Args:
    keys: (n,) random keys.
    domain: the distribution to draw from.
    size: side of the images in pixels.
  """

  def one(key):
    pose_key, look_key = jax.random.split(key)
    hand = sample_hand(pose_key, domain, size)
    body_key = jax.random.fold_in(subject_key(hand.subject, domain), 9)
    return look_key, hand, sample_body(body_key, domain.look)

  return jax.vmap(one)(keys)
