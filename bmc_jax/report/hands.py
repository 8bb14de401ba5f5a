"""Pictures of predicted and true hands: on the image, from the front, from the side.

Hand-written SVG: a skeleton is six paths, and the page's style colours the fingers.
"""

import base64
import dataclasses
import html
import io
import json
from collections.abc import Sequence

import numpy as np
from PIL import Image

from bmc_jax.console.files import to_lists
from bmc_jax.report import load

_FINGERS = np.concatenate(
  [np.zeros((5, 1), int), np.arange(1, 21).reshape(5, 4)], axis=1
)
_QUANTILES = {
  0.1: 'low error (10th percentile)',
  0.3: '30th percentile of the error',
  0.5: 'median error',
  0.7: '70th percentile of the error',
  0.9: 'high error (90th percentile)',
}
_MAX_IMAGE = 320  # pixels; larger test images are shown smaller


@dataclasses.dataclass(frozen=True)
class Sample:
  """A test sample that all rows of a group have predicted.

  Attributes:
    title: why it was chosen, and among how many if not all; plain text.
    sample_id: its name in the dataset; any text.
    indices: its index in the predictions of each of `group.predicted`.
    errors: (rows,) mean joint error in `group.unit`.
  """

  title: str
  sample_id: str
  indices: list[int]
  errors: list[float]


class ImageStore:
  """Holds every picture once, however many rows show it."""

  def __init__(self) -> None:
    self._images: dict[str, str] = {}

  def add(self, image: np.ndarray) -> str:
    """Stores an (S, S, 3) uint8 image; returns its element id."""
    height, width = image.shape[:2]
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((_MAX_IMAGE, _MAX_IMAGE))
    buffer = io.BytesIO()
    picture.save(buffer, format='JPEG', quality=88)
    data = base64.b64encode(buffer.getvalue()).decode()
    # Pixel centres are at integers, so the picture begins at -0.5.
    element = (
      f'x="-0.5" y="-0.5" width="{width}" height="{height}" '
      f'preserveAspectRatio="none" href="data:image/jpeg;base64,{data}"/>'
    )
    return self._images.setdefault(element, f'image{len(self._images)}')

  def definitions(self) -> str:
    """An invisible `<svg>` with all pictures; `<use>` elements refer to them."""
    images = ''.join(
      f'<image id="{name}" {element}' for element, name in self._images.items()
    )
    return f'<svg class="store" aria-hidden="true"><defs>{images}</defs></svg>'


def choose_samples(group: load.Group) -> list[Sample]:
  """Picks samples spread over the quantiles of the error, and the worst.

  Rows with images can only show the first few of the test set, so the choice is among
  those; where some hands have 3D labels, among these. The error is the mean over the
  rows of the group.
  """
  rows = group.predicted
  if not rows:
    return []
  index_of = []
  for row in rows:
    total = len(row.visible)
    count = total if row.images is None else len(row.images)
    ids = row.predictions.get('sample_id', np.arange(total))
    usable = row.labelled_3d | (not group.measured_3d)
    # Reversed, so that the first of equal ids counts.
    pairs = [(str(name), i) for i, name in enumerate(ids[:count]) if usable[i]]
    index_of.append(dict(reversed(pairs)))
  common = [name for name in index_of[0] if all(name in ids for ids in index_of)]
  common.sort(key=lambda name: index_of[0][name])
  if not common:
    return []
  errors = np.array(
    [
      [_mean_error(*group.errors_of(row), ids[name]) for name in common]
      for row, ids in zip(rows, index_of, strict=True)
    ]
  )
  order = np.argsort(np.nan_to_num(errors.mean(axis=0), nan=np.inf), kind='stable')
  chosen = {int(order[-1]): 'largest error'}
  for quantile, title in reversed(_QUANTILES.items()):
    place = int(order[round(quantile * (len(order) - 1))])
    chosen.setdefault(place, title)
  some = len(common) < max(len(row.visible) for row in rows)
  among = f' among the first {len(common)} samples' if some else ''
  return [
    Sample(
      title=title + among,
      sample_id=common[place],
      indices=[ids[common[place]] for ids in index_of],
      errors=errors[:, place].tolist(),
    )
    for place, title in reversed(chosen.items())
  ]


def _mean_error(errors: np.ndarray, counted: np.ndarray, index: int) -> float:
  """Mean over the joints of one sample that count."""
  counted = counted[index]
  return float(errors[index][counted].mean()) if counted.any() else 0.0


def image_view(row: load.Row, index: int, images: ImageStore) -> str:
  """The true and the predicted 2D skeleton on the image, or on a blank canvas."""
  assert row.predictions is not None
  true = row.truth('keypoints_2d', index)
  predicted = row.predictions['keypoints_2d'][index]
  if row.images is None:
    box, background = view_box(true, 0.65), ''
  else:
    image = row.images[index]
    box = f'-0.5 -0.5 {image.shape[1]} {image.shape[0]}'
    background = f'<use href="#{images.add(image)}"/>'
    background += _skeleton(true, 'halo')
  kind = 'blank' if row.images is None else 'photo'
  return (
    f'<svg class="hand {kind}" viewBox="{box}" role="img" '
    f'aria-label="2D keypoints">{background}{_skeleton(true, "true")}'
    f'{finger_paths(predicted)}</svg>'
  )


def depth_views(row: load.Row, index: int) -> str:
  """The true and predicted 3D skeleton seen from the camera and from the side."""
  assert row.predictions is not None
  true = row.truth('joints_3d', index)
  predicted = row.predictions['joints_3d'][index]
  views = []
  for label, columns in (('front', (0, 1)), ('side', (2, 1))):
    box = view_box(
      np.concatenate([true, np.clip(predicted, -2000, 2000)]), 0.62, columns
    )
    views.append(
      f'<figure><svg class="hand blank" viewBox="{box}" role="img" '
      f'aria-label="3D hand, {label} view">{_skeleton(true[:, list(columns)], "true")}'
      f'{finger_paths(predicted[:, list(columns)])}</svg>'
      f'<figcaption>{label}</figcaption></figure>'
    )
  return f'<div class="views">{"".join(views)}</div>'


def viewer(names: list[str], cells: str, samples: list[dict]) -> str:
  """Skeletons that turn, all canvases together.

  Args:
    names: what the samples are called, plain text; one is shown at a time.
    cells: HTML with a `<canvas>` for each hand of a sample.
    samples: of `viewer_sample`.
  """
  options = ''.join(f'<option>{html.escape(name)}</option>' for name in names)
  # No `<` may end the script element.
  data = json.dumps(samples, separators=(',', ':')).replace('<', '\\u003c')
  return (
    '<div class="viewer"><div class="controls">'
    f'<select aria-label="sample">{options}</select>'
    '<button type="button" class="turn">Turn</button>'
    '<button type="button" data-yaw="0" data-pitch="0">Front</button>'
    '<button type="button" data-yaw="1.5708" data-pitch="0">Side</button>'
    '<button type="button" data-yaw="0" data-pitch="1.5">Top</button></div>'
    f'<div class="cells">{cells}</div>'
    f'<script type="application/json">{data}</script></div>'
  )


def viewer_sample(truth: np.ndarray, shown: list[np.ndarray]) -> dict:
  """The true hand (21, 3), drawn grey, and those of the canvases, in millimetres."""
  return {'true': _numbers(truth), 'rows': [_numbers(joints) for joints in shown]}


def _numbers(joints: np.ndarray) -> list[float | None]:
  """Flat coordinates with one decimal, at most two metres."""
  return to_lists(np.clip(joints, -2000, 2000).ravel(), 1)


def view_box(points: np.ndarray, margin: float, columns: Sequence[int] = (0, 1)) -> str:
  """A square viewBox around points; `margin` times their extent to each side."""
  points = points[np.isfinite(points).all(axis=1)]
  if not len(points):
    points = np.zeros((1, 3))
  low, high = points.min(axis=0), points.max(axis=0)
  half = margin * max(float((high - low).max()), 1.0)
  left, top = ((low + high) / 2)[list(columns)] - half
  return f'{left:.1f} {top:.1f} {2 * half:.1f} {2 * half:.1f}'


def line_data(points: np.ndarray) -> str:
  """Path data through points (n, 2); segments with a non-finite end are left out."""
  finite = np.isfinite(points).all(axis=1)
  places = [f'{x:.1f} {y:.1f}' for x, y in np.clip(points, -1e5, 1e5)]
  data = ''
  for i in range(len(points) - 1):
    if finite[i] and finite[i + 1]:
      start = '' if data.endswith(places[i]) else f'M{places[i]}'
      data += f'{start}L{places[i + 1]}'
  return data


def _skeleton(points: np.ndarray, kind: str) -> str:
  """All bones as one path; points (21, 2)."""
  return f'<path class="{kind}" d="{"".join(map(line_data, points[_FINGERS]))}"/>'


def finger_paths(points: np.ndarray) -> str:
  """One path per finger, and a dot at every joint; points (21, 2)."""
  lines = []
  for finger, joints in enumerate(_FINGERS):
    dots = ''.join(
      f'M{x:.1f} {y:.1f}h0'
      for x, y in np.clip(points[joints[1:]], -1e5, 1e5)
      if np.isfinite(x) and np.isfinite(y)
    )
    lines.append(f'<path class="f{finger}" d="{line_data(points[joints])}"/>')
    lines.append(f'<path class="f{finger} dot" d="{dots}"/>')
  return ''.join(lines)
