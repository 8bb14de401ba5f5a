"""Draws the pictures of docs/concepts.md with the library itself: `make figures`."""

import pathlib

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from bmc_jax import hull, kinematics, limits, pose25d
from bmc_jax.data.procedural import domain, pose

FIGURES = pathlib.Path(__file__).resolve().parent.parent / 'figures'
FINGER_COLOURS = ['#c2410c', '#15803d', '#1d4ed8', '#7e22ce', '#b45309']
AXIS_COLOURS = {'x': '#dc2626', 'y': '#16a34a', 'z': '#2563eb'}


def median_hand() -> np.ndarray:
  """A median hand with half bent fingers (21, 3) in reference bones."""
  angles = np.radians(pose.ANGLE_PERCENTILES[..., 1])
  return np.asarray(
    kinematics.forward_kinematics(angles, pose.LENGTH_RATIOS, pose.ROOT_DIRECTIONS)
  )


def space(figure, place, joints, view=(18, -70)):
  """3D axes of equal scale around a hand, without a grid."""
  axes = figure.add_subplot(*place, projection='3d', proj_type='ortho')
  # The hand's y points to the fingertips; matplotlib's z points up.
  low, high = (to_plot(joints).min(0), to_plot(joints).max(0))
  axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
  axes.set_box_aspect(np.maximum(high - low, 0.4), zoom=1.25)
  axes.view_init(*view)
  axes.set_axis_off()
  return axes


def to_plot(points):
  return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def draw_hand(axes, joints, alpha=1.0, colours=FINGER_COLOURS):
  for finger, colour in zip(range(5), colours, strict=True):
    chain = np.concatenate([joints[:1], joints[1 + 4 * finger : 5 + 4 * finger]])
    axes.plot(*to_plot(chain).T, '-o', color=colour, alpha=alpha, lw=2, ms=3)


def draw_arrows(axes, starts, directions, colour, length):
  axes.quiver(
    *to_plot(starts).T,
    *(length * to_plot(directions)).T,
    color=colour,
    lw=1.6,
    arrow_length_ratio=0.2,
  )


def frames() -> plt.Figure:
  """The frames in which the bones of three fingers are measured."""
  joints = median_hand()
  rows = np.asarray(kinematics.bone_frames(joints))  # (5, 3, axis, 3)
  starts = joints[1:].reshape(5, 4, 3)[:, :3]
  figure = plt.figure(figsize=(6, 5))
  axes = space(figure, (1, 1, 1), joints)
  draw_hand(axes, joints, alpha=0.45)
  for index, (name, colour) in enumerate(AXIS_COLOURS.items()):
    for finger in (0, 1, 4):
      draw_arrows(axes, starts[finger], rows[finger, :, index], colour, 0.45)
    axes.plot([], [], color=colour, label=name)
  axes.legend(loc='upper left', frameon=False, ncols=3)
  return figure


def palm() -> plt.Figure:
  """Root bones, the normals of the palm between them, and those at them."""
  joints = median_hand()
  figure = plt.figure(figsize=(9, 4))
  names = ('palm normals n', 'edge normals e')
  normals = (kinematics.palm_normals(joints), kinematics.edge_normals(joints))
  knuckles = joints[1::4]
  middles = (knuckles[1:] + knuckles[:-1]) / 2
  for column, (name, vectors, starts) in enumerate(
    zip(names, normals, (middles, knuckles), strict=True), start=1
  ):
    shown = np.concatenate([joints[:1], knuckles, starts + 0.9 * np.asarray(vectors)])
    axes = space(figure, (1, 2, column), shown, view=(40, 60))
    for knuckle, colour in zip(knuckles, FINGER_COLOURS, strict=True):
      axes.plot(*to_plot(np.stack([joints[0], knuckle])).T, '-o', color=colour, lw=2)
    axes.plot(*to_plot(knuckles).T, color='#94a3b8', lw=1)
    draw_arrows(axes, starts, np.asarray(vectors), '#334155', 0.8)
    axes.set_title(name, fontsize=10)
  return figure


def hulls() -> plt.Figure:
  """The hulls of the index finger, and the way of a point back to one of them."""
  keys = jax.random.split(jax.random.key(0), 2000)
  sample = jax.jit(jax.vmap(lambda key: pose.sample_hand(key, domain.WILD, 224)))
  joints = sample(keys).joints_3d
  angles = np.asarray(kinematics.joint_angles(joints))[:, 1]
  fitted = limits.fit_limits(joints, coverage=0.99)
  boxes = limits.as_boxes(fitted)
  figure, columns = plt.subplots(1, 3, figsize=(9, 3.2), layout='constrained')
  for bone, name in enumerate(('PIP', 'DIP', 'TIP')):
    axes = columns[bone]
    axes.plot(
      *np.degrees(angles[:, bone]).T, '.', color='#93c5fd', ms=1.5, rasterized=True
    )
    for shape, style in ((fitted, '-'), (boxes, ':')):
      corners = np.degrees(np.asarray(shape.hulls)[1, bone])
      axes.plot(*np.concatenate([corners, corners[:1]]).T, style, color='#1d4ed8')
    outside = np.asarray(fitted.hulls)[1, bone].max(0) + np.radians([2, 3])
    nearest = nearest_point(outside, np.asarray(fitted.hulls)[1, bone])
    axes.annotate(
      '',
      np.degrees(nearest),
      np.degrees(outside),
      arrowprops={'arrowstyle': '->', 'color': '#dc2626'},
    )
    axes.plot(*np.degrees(outside), 'o', color='#dc2626', ms=4)
    points = np.broadcast_to(outside, (5, 3, 2)).astype(np.float32)
    distance = np.degrees(hull.hull_distance(points, fitted.hulls)[1, bone])
    axes.set(title=f'{name} bone: {distance:.0f} degrees outside', xlabel='flexion')
  columns[0].set_ylabel('abduction')
  return figure


def nearest_point(point, corners):
  """The point of a polygon's outline that is nearest, of many along its edges."""
  steps = np.linspace(0, 1, 200)[:, None, None]
  outline = (corners + steps * (np.roll(corners, -1, 0) - corners)).reshape(-1, 2)
  return outline[np.linalg.norm(outline - point, axis=-1).argmin()]


def basins() -> plt.Figure:
  """One picture, two hands: relative depth as it is, and mirrored."""
  tilt = np.radians(35)
  turn = np.array(
    [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
  )
  hand = (median_hand() * [1, -1, -1]) @ turn.T + [0, 0, 12]
  intrinsics = np.array([[500, 0, 112], [0, 500, 112], [0, 0, 1]], np.float32)
  posed = pose25d.to_pose25d(hand.astype(np.float32), intrinsics)
  figure, (image, side) = plt.subplots(
    1, 2, figsize=(8, 3.4), width_ratios=(1, 2), layout='constrained'
  )
  for sign, style in ((1, '-o'), (-1, '--')):
    lifted = pose25d.lift(
      posed.keypoints_2d, sign * posed.relative_depth, posed.root_depth, intrinsics
    )
    for finger, colour in zip(range(5), FINGER_COLOURS, strict=True):
      chain = np.array([0, *range(1 + 4 * finger, 5 + 4 * finger)])
      side.plot(*lifted[chain][:, [2, 1]].T, style, color=colour, ms=3)
      if sign == 1:
        image.plot(*posed.keypoints_2d[chain].T, style, color=colour, ms=3)
  image.set(title='both in the image', xticks=[], yticks=[], aspect='equal')
  side.set(title='from the side', xlabel='depth', xticks=[], yticks=[], aspect='equal')
  for axes in (image, side):
    axes.invert_yaxis()
  return figure


def root_depth() -> plt.Figure:
  """The quadratic of the root depth for one hand: the length of the reference bone."""
  hand = pose.sample_hand(jax.random.key(3), domain.WILD, 224)
  scale = float(pose25d.scale_of(hand.joints_3d))
  truth = float(hand.joints_3d[0, 2]) / scale
  relative = (hand.joints_3d[:, 2] - hand.joints_3d[0, 2]) / scale
  solved = pose25d.solve_root_depth(hand.keypoints_2d, relative, hand.intrinsics)
  depths = np.linspace(-2 * truth, 2 * truth, 300)
  lengths = [
    float(
      np.linalg.norm(
        np.diff(
          pose25d.lift(hand.keypoints_2d, relative, depth, hand.intrinsics)[9:11],
          axis=0,
        )
      )
    )
    for depth in depths.astype(np.float32)
  ]
  figure, axes = plt.subplots(figsize=(6, 3), layout='constrained')
  axes.plot(depths, lengths, color='#1d4ed8')
  axes.axhline(1, color='#94a3b8', lw=1)
  axes.plot(float(solved.value), 1, 'o', color='#dc2626', label='larger root')
  axes.axvline(truth, color='#16a34a', ls=':', label='true root depth')
  axes.set(
    xlabel='root depth in reference bones', ylabel='length of the reference bone'
  )
  axes.legend(frameon=False)
  return figure


def main() -> None:
  matplotlib.use('Agg')
  # Reproducible files: no date, no random names of elements.
  plt.rcParams.update({'svg.hashsalt': 'bmc_jax', 'font.size': 9})
  for draw in (frames, palm, hulls, basins, root_depth):
    figure = draw()
    path = FIGURES / f'{draw.__name__}.svg'
    figure.savefig(path, dpi=150, bbox_inches='tight', metadata={'Date': None})
    path.write_text('\n'.join(line.rstrip() for line in path.open()) + '\n')
    plt.close(figure)
    print(f'{path.relative_to(FIGURES.parent.parent)}: {path.stat().st_size:,} bytes')


if __name__ == '__main__':
  main()
