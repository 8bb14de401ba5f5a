"""Figures of predictions by the protocol of a benchmark: numbers, text and curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bmc_jax import skeleton
from bmc_jax.console.outputs import replacing
from bmc_jax.evaluate import doubts, protocols, row_doubts, submission
from bmc_jax.evaluate.ground_truth import GroundTruth
from bmc_jax.evaluate.protocols import ALIGNMENTS, Protocol, Score

MM_PER_METRE = 1000.0


# Of areas and of the errors that `protocols.decompose` gives: heading and format.
_COLUMNS = {
  'auc_0_50': ('AUC 0-50', '.4f'),
  'auc_20_50': ('AUC 20-50', '.4f'),
  'auc_hand3d': ('AUC 21-50', '.4f'),
  'keypoints_2d_px': ('2D px', '.3f'),
  'depth_mm': ('depth mm', '.3f'),
  'relative_depth_mm': ('relative depth mm', '.3f'),
}


def find_doubts(
  joints: np.ndarray, truth: GroundTruth, protocol: Protocol
) -> list[str]:
  """What looks wrong about predictions (N, 21, 3), left hands as they are."""
  right = truth.is_right[:, None, None]
  counted = np.isin(np.arange(skeleton.NUM_JOINTS), protocol.joints)
  form = submission.FORMS[protocol.form]
  wanted = np.where(right, truth.joints_3d, skeleton.mirror(truth.joints_3d))
  labelled = (truth.visibility > 0) & counted
  compared = doubts.compare(joints, wanted, labelled, truth.is_right, form)
  compared = compared or row_doubts.find(
    MM_PER_METRE * joints, MM_PER_METRE * wanted, labelled, 'mm'
  )
  others = doubts.find_size_and_place(joints, form) + compared
  return others or doubts.find_sides(joints, truth.is_right)


def score_subsets(
  joints: np.ndarray,
  truth: GroundTruth,
  protocol: Protocol,
  subsets: Mapping[str, np.ndarray],
) -> dict[str, Any]:
  """Figures of a protocol in float64, on the CPU, as plain numbers.

  Args:
    joints: (N, 21, 3) predictions in metres, canonical order, OpenCV axes, left hands
      as they are.
    truth: of the same images.
    protocol: of `PROTOCOLS`.
    subsets: name -> indices of the images that are scored.

  Returns:
    {subset: {'num_images', 'alignments': {alignment: {'epe_mm', areas and curves}},
    'decomposition': errors in the image and along the depth of the hands before the
    camera, or None if there are none or no cameras, 'num_behind': the other hands}}.

  Raises:
    ValueError: a joint that the protocol aligns has no label.
  """
  _check_labels(truth, protocol)
  right = truth.is_right[:, None, None]
  joints = np.where(right, joints, skeleton.mirror(joints))
  results = {}
  score = jax.jit(lambda hands: protocols.score(hands, protocol))
  with jax.enable_x64(True), jax.default_device(jax.devices('cpu')[0]):
    for name, index in subsets.items():
      hands = protocols.Hands(
        joints=MM_PER_METRE * joints[index],
        truth=MM_PER_METRE * truth.joints_3d[index],
        visibility=truth.visibility[index].astype(np.float64),
        scale=MM_PER_METRE * truth.scale[index],
      )
      scores = score(hands)
      results[name] = {
        'num_images': len(index),
        'alignments': {k: _plain(scores[k], protocol) for k in protocol.alignments},
        **_decompose(hands, protocol, truth.intrinsics, index),
      }
  return results


def _decompose(hands: protocols.Hands, protocol, intrinsics, index) -> dict[str, Any]:
  """The errors of the hands that have a place in the image, and how many have none."""
  if intrinsics is None:
    return {'decomposition': None, 'num_behind': 0}
  before = (hands.joints[:, list(protocol.joints), 2] > 0).all(axis=1)
  result = {'decomposition': None, 'num_behind': int(np.sum(~before))}
  if before.any():
    placed = protocols.Hands(*(values[before] for values in hands))
    errors = protocols.decompose(placed, protocol, intrinsics[index][before])
    result['decomposition'] = {k: float(v) for k, v in errors.items()}
  return result


def _check_labels(truth: GroundTruth, protocol: Protocol) -> None:
  for joint in protocol.labels:
    missing = int(np.sum(truth.visibility[:, joint] == 0))
    if missing:
      raise ValueError(
        f'{missing} of {len(truth.names)} images have no label of joint {joint} '
        f'({skeleton.JOINT_NAMES[joint]}), which {protocol.title} aligns.'
      )


def _plain(score: Score, protocol: Protocol) -> dict[str, Any]:
  areas = {name: float(score.areas[name]) for name in protocol.thresholds}
  curves = {
    name: {
      'thresholds_mm': thresholds.tolist(),
      'pck': np.asarray(score.curves[name]).tolist(),
    }
    for name, thresholds in protocol.thresholds.items()
  }
  return {'epe_mm': float(score.epe_mm)} | areas | {'curves': curves}


def tables(results: Mapping[str, Any], protocol: Protocol) -> list[list[list[str]]]:
  """The figures as rows of text: by alignment, and the errors told apart."""
  areas = list(protocol.thresholds)
  heading = ['images', 'alignment', 'EPE mm', *(_COLUMNS[name][0] for name in areas)]
  rows = [heading]
  parts = {}
  for subset, result in results.items():
    label = f'{subset} ({result["num_images"]})'
    for name, score in result['alignments'].items():
      figures = [format(score[area], _COLUMNS[area][1]) for area in areas]
      rows.append([label, ALIGNMENTS[name].title, f'{score["epe_mm"]:.3f}', *figures])
    if result['decomposition']:
      placed = result['num_images'] - result['num_behind']
      parts[f'{subset} ({placed})'] = result['decomposition']
  if not parts:
    return [rows]
  names = list(next(iter(parts.values())))
  lines = [['images', *(_COLUMNS[name][0] for name in names)]] + [
    [label, *(format(part[name], _COLUMNS[name][1]) for name in names)]
    for label, part in parts.items()
  ]
  return [rows, lines]


def draw_curves(path: Path, result: Mapping[str, Any], protocol: Protocol) -> None:
  """Writes a PNG with the PCK curve of each alignment, of the protocol's first area."""
  area = next(iter(protocol.thresholds))
  curves = {
    f'{ALIGNMENTS[name].title} ({score[area]:.3f})': (
      protocol.thresholds[area],
      score['curves'][area]['pck'],
    )
    for name, score in result['alignments'].items()
  }
  draw_pck(path, curves, 'mm', f'{protocol.title}: {_COLUMNS[area][0]}')


def draw_pck(
  path: Path,
  curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  unit: str,
  title: str,
) -> None:
  """Writes a PNG of PCK curves: what each is called -> thresholds (t,), shares (t,)."""
  from matplotlib import figure

  drawing = figure.Figure(figsize=(5, 3.6), layout='constrained')
  axes = drawing.add_subplot()
  for label, (thresholds, shares) in curves.items():
    axes.plot(thresholds, 100 * np.array(shares), label=label)
    axes.set(xlim=np.array(thresholds)[[0, -1]])
  axes.set(xlabel=f'distance threshold ({unit})', ylabel='joints within it (%)')
  axes.set(title=title, ylim=(0, 101))
  axes.grid(alpha=0.3)
  axes.legend(fontsize='small')
  with replacing(path) as partial:
    drawing.savefig(partial, dpi=150)
