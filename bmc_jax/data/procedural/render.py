"""Renders procedural hands: sphere tracing of smoothly joined capsules, in JAX.

A ray starts where it meets the first capsule, widened by the blending distance, and
walks on by the signed distance of the joined solid. At the surface, colour and normal
are averages over the parts, weighted by nearness; light is a key light with a
soft shadow, ambient light with occlusion, and a weak highlight. Vectors are tuples of
three arrays over the pixels, which lets XLA fuse a whole distance into one loop.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from bmc_jax import geometry, kinematics
from bmc_jax.data.procedural.appearance import Appearance, sample_appearance
from bmc_jax.data.procedural.body import OBJECT, SKIN, Part, build_body, hand_scale
from bmc_jax.data.procedural.domain import Domain
from bmc_jax.data.procedural.pose import HandSample, sample_hand

_STEPS = 4  # of sphere tracing
_MARGIN = 0.003  # metres by which blending may lift the surface over its parts
_FAR = 10.0  # metres: a ray that meets nothing
_REFERENCE_SIZE = 80  # pixels: image size that the blur is given for

# Probes of the distance around a surface point: metres along the normal and along the
# light. The first two measure ambient occlusion, the others the shadow.
_PROBES = np.array(
  [
    [0.006, 0],
    [0.016, 0],
    [0.002, 0.006],
    [0.002, 0.014],
    [0.002, 0.028],
    [0.002, 0.05],
  ],
  np.float32,
)
_NUM_OCCLUSION_PROBES = 2

_Vector = tuple[Array, Array, Array]


class Picture(NamedTuple):
  """A rendered image with what a test or a figure wants to see."""

  image: Float[Array, 'size size 3']  # sRGB in [0, 1]
  mask: Float[Array, 'size size']  # coverage by skin, sleeve or held object


class _Surface(NamedTuple):
  """Averages over the parts at surface points, each an array over the pixels."""

  normal: _Vector
  inner: _Vector
  materials: _Vector  # weights of skin, sleeve and object


def _dot(u, v):
  return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def _step(point, direction, length) -> _Vector:
  return tuple(p + length * d for p, d in zip(point, direction, strict=True))


def _unit(v) -> _Vector:
  inverse = jax.lax.rsqrt(_dot(v, v) + 1e-12)
  return tuple(c * inverse for c in v)


def _offset(part: Part, point):
  """Vector from the nearest point of a part's axis, its length, the radius there."""
  axis = part.end - part.start
  local = tuple(point[i] - part.start[i] for i in range(3))
  along = jnp.clip(_dot(local, axis / (_dot(axis, axis) + 1e-12)), 0.0, 1.0)
  offset = tuple(local[i] - along * axis[i] for i in range(3))
  radius = part.start_radius + along * (part.end_radius - part.start_radius)
  return offset, jnp.sqrt(_dot(offset, offset) + 1e-12), radius


def _over_parts(function, init, body: Part):
  """Folds `function(state, part)` over the parts: a loop, so that it compiles fast."""
  return jax.lax.scan(lambda state, part: (function(state, part), None), init, body)[0]


def _distance(body: Part, point):
  """Signed distance to the joined solid, metres; smooth minimum over the parts."""

  def join(result, part):
    _, length, radius = _offset(part, point)
    distance = length - radius
    near = jnp.maximum(1 - jnp.abs(result - distance) / part.blend, 0.0)
    return jnp.minimum(result, distance) - 0.25 * part.blend * near * near

  return _over_parts(join, jnp.full_like(point[0], _FAR), body)


def _surface(body: Part, point, sharpness=0.0015) -> _Surface:
  """Averages the parts' properties at surface points, by nearness."""

  def add(sums, part):
    offset, length, radius = _offset(part, point)
    # On the surface the nearest part is at most slightly inside: no overflow.
    weight = jnp.exp(-jnp.clip((length - radius) / sharpness, -30.0, 30.0))
    terms = [o / length for o in offset]
    terms += [part.inner[i] for i in range(3)]
    terms += [jnp.where(part.material == i, 1.0, 0.0) for i in range(3)]
    return [s + weight * t for s, t in zip(sums, terms, strict=True)]

  sums = _over_parts(add, [jnp.zeros_like(point[0])] * 9, body)
  total = sums[6] + sums[7] + sums[8] + 1e-20
  return _Surface(
    _unit(sums[:3]), _unit(sums[3:6]), tuple(m / total for m in sums[6:])
  )


def _hit(body: Part, ray):
  """Where rays from the camera meet the parts: metres along them, `_FAR` for none.

  Returns:
    The first meeting with a part, and with a part widened by `_MARGIN`.
  """

  def meet(nearest, part):
    axis = part.end - part.start
    axis_axis, start_axis = _dot(axis, axis), -_dot(part.start, axis)
    start_start = _dot(part.start, part.start)
    ray_axis, ray_start = _dot(ray, axis), -_dot(ray, part.start)
    a = jnp.maximum(axis_axis - ray_axis * ray_axis, 1e-12)
    b = axis_axis * ray_start - start_axis * ray_axis
    # A cone is taken for a cylinder with its radius where the ray passes closest.
    passing = jnp.clip((start_axis - b / a * ray_axis) / axis_axis, 0.0, 1.0)
    radius = part.start_radius + passing * (part.end_radius - part.start_radius)
    b_end = _dot(ray, part.end)
    end_end = _dot(part.end, part.end)

    def first(widened):
      c = axis_axis * (start_start - widened * widened) - start_axis * start_axis
      discriminant = b * b - a * c
      side = (-b - jnp.sqrt(jnp.maximum(discriminant, 0.0))) / a
      along = start_axis + side * ray_axis
      # Beyond the ends of the cylinder the ball around the nearer end counts.
      at_start = along < 0
      middle = jnp.where(at_start, -ray_start, b_end)
      ball = middle * middle - jnp.where(at_start, start_start, end_end)
      ball = ball + widened * widened
      on_ball = jnp.where(
        ball > 0, middle - jnp.sqrt(jnp.maximum(ball, 0.0)), _FAR
      )
      on_side = (along > 0) & (along < axis_axis)
      hit = jnp.where(on_side, side, on_ball)
      return jnp.where((discriminant > 0) & (part.start_radius > 0), hit, _FAR)

    return (
      jnp.minimum(nearest[0], first(radius)),
      jnp.minimum(nearest[1], first(radius + _MARGIN)),
    )

  return _over_parts(meet, (jnp.full_like(ray[0], _FAR),) * 2, body)


def _trace(body: Part, ray, pixel):
  """Finds the joined solid along rays.

  Args:
    body: the solid.
    ray: unit directions.
    pixel: width of a pixel at distance 1.

  Returns:
    The distance along the rays, metres, and the coverage of the pixels.
  """
  exact, widened = _hit(body, ray)
  is_hit = exact < _FAR

  def walk(_, state):
    travelled, closest = state
    distance = _distance(body, _step((0.0, 0.0, 0.0), ray, travelled))
    closest = jnp.minimum(closest, distance)
    return travelled + distance, closest

  # From a part the way leads back to the skin that blending lays over it; a ray that
  # meets none passes through the widened ones, where blending may have filled a gap.
  start = jnp.where(is_hit, exact, widened)
  travelled, closest = jax.lax.fori_loop(0, _STEPS, walk, (start, start))
  gap = jnp.maximum(closest, 0.0) / (start * pixel)
  coverage = jnp.where(is_hit, 1.0, jnp.clip(1.1 - gap, 0.0, 1.0))
  return jnp.clip(travelled, start - 0.02, start + 0.03), coverage * (start < _FAR)


def _visibility(body: Part, point, normal, light):
  """Share of ambient light and of the key light that reaches surface points."""

  def probe(carry, steps):
    place = _step(_step(point, normal, steps[0]), light, steps[1])
    return carry, _distance(body, place)

  _, distances = jax.lax.scan(probe, None, jnp.asarray(_PROBES))
  split = _NUM_OCCLUSION_PROBES
  reach = _PROBES[:split, 0, None]
  ambient = jnp.mean(jnp.clip(distances[:split] / reach, 0.0, 1.0), axis=0)
  openness = distances[split:] / (0.35 * _PROBES[split:, 1, None])
  return 0.25 + 0.75 * ambient, jnp.clip(jnp.min(openness, axis=0), 0.0, 1.0)


def _near(point, centre, radius):
  """Bump of height 1 around a point of space."""
  offset = tuple(point[i] - centre[i] for i in range(3))
  return jnp.exp(-_dot(offset, offset) / (radius * radius))


def _skin_pattern(hand: HandSample, point, surface: _Surface):
  """Where skin is redder, darker (creases) and nail: three arrays over the pixels."""
  scale = hand_scale(hand)
  fingers = hand.joints_3d[1:].reshape(5, 4, 3)
  frames = kinematics.bone_frames(hand.joints_3d)
  back = -_dot(surface.normal, surface.inner)
  red, crease, nail = (jnp.zeros_like(point[0]) for _ in range(3))
  for finger in range(5):
    mcp, pip, dip, tip = fingers[finger]
    red += 0.8 * _near(point, tip, 0.011 * scale)
    red += 0.5 * _near(point, pip, 0.011 * scale)
    red += 0.7 * _near(point, mcp, 0.016 * scale) * jnp.clip(back, 0.0, 1.0)
    for joint, before in ((pip, mcp), (dip, pip)):
      along = geometry.normalize(joint - before)
      local = tuple(point[i] - joint[i] for i in range(3))
      height = _dot(local, along) / (0.0013 * scale)
      ring = jnp.exp(-height * height)
      crease += ring * (_dot(local, local) < (0.016 * scale) ** 2)
    along = geometry.normalize(tip - dip)
    outward = -frames[finger, 2, 0]
    outward = geometry.normalize(outward - _dot(outward, along) * along)
    width = (0.0052 if finger == 0 else 0.0042) * scale
    side = jnp.cross(along, outward)
    local = tuple(point[i] - tip[i] for i in range(3))
    u = (_dot(local, along) + 0.0045 * scale) / (1.25 * width)
    v = _dot(local, side) / width
    plate = jax.nn.sigmoid((1 - u * u * u * u - v * v * v * v) * 5)
    nail = jnp.maximum(nail, plate * (_dot(surface.normal, outward) > 0.25))
  return jnp.clip(red, 0.0, 1.0), jnp.clip(crease, 0.0, 1.0), nail


def _shade(hand: HandSample, body: Part, look: Appearance, point, ray):
  """Linear colours (3 arrays) of surface points."""
  surface = _surface(body, point)
  ambient, shadow = _visibility(body, point, surface.normal, look.light)
  facing = _dot(surface.normal, look.light)
  half = _unit(tuple(look.light[i] - ray[i] for i in range(3)))
  gloss = jnp.clip(_dot(surface.normal, half), 0.0, 1.0) ** 24
  red, crease, nail = _skin_pattern(hand, point, surface)
  palm = jax.nn.sigmoid(4 * _dot(surface.normal, surface.inner))
  skin_share = surface.materials[SKIN]
  nail = nail * skin_share
  up = 0.5 - 0.5 * surface.normal[1]  # ambient light comes from above, mostly
  colours = []
  # Per channel: palms are lighter, blood shows in red, light seeps under the skin.
  for i, (paler, blood, seep) in enumerate(
    zip((0.10, 0.13, 0.14), (0.05, -0.22, -0.18), (0.3, 0.12, 0.08), strict=True)
  ):
    skin = look.colours[SKIN, i] * (1 + blood * red) * (1 - 0.16 * crease)
    skin = skin + paler * (palm - 0.3) * skin
    skin = skin * (1 - nail) + nail * (0.75 * skin + 0.25 * (0.85, 0.66, 0.6)[i])
    albedo = skin * skin_share
    for material in (1, OBJECT):
      albedo += look.colours[material, i] * surface.materials[material]
    wrap = seep * skin_share
    direct = jnp.clip((facing + wrap) / (1 + wrap), 0.0, 1.0)
    direct = direct * (shadow + wrap * (1 - shadow) * 0.5)
    light = look.light_colour[i] * direct
    light += look.ambient[i] * ambient * (0.55 + 0.45 * up)
    highlight = (0.06 + 0.12 * nail) * skin_share * gloss * shadow
    colours.append(albedo * light + highlight * look.light_colour[i])
  return colours


def _srgb(linear):
  return jnp.clip(linear, 1e-5, 1.0) ** (1 / 2.2)


def _blur(image, sigma):
  """Gaussian blur with a standard deviation in pixels, which may be traced."""
  place = jnp.arange(image.shape[0])
  offset = (place[:, None] - place) / jnp.maximum(sigma, 0.05)
  kernel = jnp.exp(-0.5 * offset * offset)
  kernel = kernel / kernel.sum(axis=1, keepdims=True)
  return jnp.einsum('ij,jkc,lk->ilc', kernel, image, kernel)


def render(key: PRNGKeyArray, hand: HandSample, look: Appearance) -> Picture:
  """Renders one hand.

  Args:
    key: random key of the sensor noise.
    hand: one posed hand, without batch dimensions.
    look: its appearance; the size of its background is that of the image.
  """
  size = look.background.shape[0]
  grid = jnp.arange(size, dtype=jnp.float32)
  focal, centre = hand.intrinsics[0, 0], hand.intrinsics[:2, 2]
  x = jnp.broadcast_to((grid - centre[0]) / focal, (size, size)).ravel()
  y = jnp.broadcast_to(((grid - centre[1]) / focal)[:, None], (size, size)).ravel()
  ray = _unit((x, y, jnp.ones_like(x)))

  body = build_body(hand, look.arm)
  travelled, coverage = _trace(body, ray, 1 / focal)
  point = _step((0.0, 0.0, 0.0), ray, travelled)
  colours = [_srgb(c * look.gain) for c in _shade(hand, body, look, point, ray)]
  # Without the barrier XLA shades every pixel once more for each channel.
  colours = jax.lax.optimization_barrier(colours)
  image = jnp.stack(colours, -1).reshape(size, size, 3)

  mask = coverage.reshape(size, size)
  background = jnp.clip(look.background * look.gain, 0.0, 1.0)
  image = image * mask[..., None] + background * (1 - mask[..., None])
  cover, opacity = look.occluder[..., :3], look.occluder[..., 3:]
  image = image * (1 - opacity) + cover * opacity
  image = _blur(image, look.blur * size / _REFERENCE_SIZE)
  image = image + look.noise * jax.random.normal(key, image.shape)
  return Picture(jnp.clip(image, 0.0, 1.0), mask)


@functools.partial(jax.jit, static_argnames=('domain', 'size'))
def render_batch(
  keys: PRNGKeyArray, domain: Domain, size: int
) -> tuple[HandSample, UInt8[Array, 'n size size 3']]:
  """Draws and renders one hand per key.

  Args:
    keys: (n,) random keys; the same key gives the same hand.
    domain: the distribution to draw from.
    size: side of the images in pixels.

  Returns:
    The hands, with a leading axis n, and their images.
  """

  def one(key):
    pose_key, look_key, noise_key = jax.random.split(key, 3)
    hand = sample_hand(pose_key, domain, size)
    look = sample_appearance(look_key, hand.subject, domain, size)
    image = render(noise_key, hand, look).image
    return hand, jnp.round(255 * image).astype(jnp.uint8)

  return jax.lax.map(one, keys)
