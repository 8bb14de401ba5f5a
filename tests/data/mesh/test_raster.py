"""The z-buffer against painting by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.data.procedural.mesh import raster

SIZE = 24


@pytest.fixture(scope='module')
def triangles():
  """(3, t, 3): corners in pixels and depths, some of them beyond the image."""
  rng = np.random.default_rng(0)
  centres = rng.uniform(-4, SIZE + 4, (1, 40, 2))
  corners = centres + rng.uniform(-7, 7, (3, 40, 2))
  return np.concatenate([corners, rng.uniform(0.5, 2.0, (3, 40, 1))], axis=-1)


def paint(triangles, perspective):
  """Nearest triangle and depth of each pixel, one by one, in float64."""
  nearest = np.full((SIZE, SIZE), np.inf)
  number = np.full((SIZE, SIZE), -1)
  for t, corners in enumerate(triangles.transpose(1, 0, 2)):
    matrix = np.concatenate([corners[:, :2].T, np.ones((1, 3))])
    for row in range(SIZE):
      for column in range(SIZE):
        shares = np.linalg.solve(matrix, [column, row, 1])
        if shares.min() >= 0:
          z = corners[:, 2]
          depth = 1 / (shares @ (1 / z)) if perspective else shares @ z
          if depth < nearest[row, column]:
            nearest[row, column], number[row, column] = depth, t
  return number, nearest


@pytest.mark.parametrize('perspective', [True, False])
def test_each_pixel_sees_the_nearest_triangle(triangles, perspective):
  drawn = jax.jit(
    lambda x: raster.rasterize(
      x, SIZE, groups=(10, 30), depths=(0.1, 3.0), perspective=perspective
    )
  )(jnp.float32(triangles))
  number, nearest = paint(triangles, perspective)
  found = np.asarray(drawn.triangle).reshape(SIZE, SIZE)
  seen = number >= 0
  assert 100 < seen.sum() < SIZE * SIZE
  # Pixels on an edge, and surfaces that cross there, may fall to either side.
  assert np.mean(found == number) > 0.99
  same = seen & (found == number)
  depth = np.asarray(drawn.depth).reshape(SIZE, SIZE)
  np.testing.assert_allclose(depth[same], nearest[same], rtol=1e-3)


def test_places_on_a_triangle_are_corrected_for_perspective(triangles):
  corners = np.float32(triangles)
  drawn = raster.rasterize(jnp.asarray(corners), SIZE, groups=(40,), depths=(0.1, 3.0))
  _, nearest = paint(triangles, True)
  rows = corners.transpose(1, 0, 2)[np.maximum(drawn.triangle, 0)]
  pixel = np.stack([np.arange(SIZE * SIZE) % SIZE, np.arange(SIZE * SIZE) // SIZE])
  hits = raster.hits(jnp.asarray(rows), jnp.float32(pixel))
  found = np.asarray(drawn.triangle) >= 0
  depth = np.asarray(hits.depth)
  close = np.isclose(depth[found], nearest.ravel()[found], rtol=1e-3)
  assert close.mean() > 0.99
  np.testing.assert_allclose(np.asarray(hits.shares).sum(axis=0)[found], 1, atol=1e-4)
  # A place on the triangle, in space, is on the pixel's ray.
  space = rows * np.concatenate(
    [rows[..., 2:], rows[..., 2:], np.ones_like(rows[..., 2:])], -1
  )
  place = np.einsum('kn,nki->ni', hits.shares, space)
  error = np.abs(place[:, :2] / place[:, 2:] - pixel.T).max(axis=1)
  assert np.percentile(error[found], 99) < 0.01


def test_what_is_behind_the_near_plane_is_not_drawn(triangles):
  behind = triangles * np.array([1, 1, -1])
  drawn = raster.rasterize(jnp.float32(behind), SIZE, groups=(40,), depths=(0.1, 3.0))
  assert (np.asarray(drawn.triangle) == -1).all()
