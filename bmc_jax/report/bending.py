"""The viewer in an experiment's report: predicted test hands to turn and to bend."""

from collections.abc import Iterator

import numpy as np

from bmc_jax.limits.types import REFERENCE_UNIT
from bmc_jax.report import hands, load, viewer_page
from bmc_jax.report.viewer_page import ViewedHand

_SAMPLES = 3  # of each group
_MAX_HANDS = 36


def bending(experiment: load.Experiment) -> list[tuple[str, str, str]]:
  """The section for `document.write_document`; none without limits or hands."""
  limits = experiment.limits
  if limits is None or limits.metadata.unit != REFERENCE_UNIT:
    return []
  shown = [hand for group in experiment.groups for hand in _viewed(group)]
  if not shown:
    return []
  intro = (
    '<p class="soft">Predicted test hands, coloured by how far they are outside of the '
    'limits, the true hand in grey. Drag or use the arrow keys to turn; a click '
    'chooses a finger, its sliders bend the joints, and the constraints follow.</p>'
  )
  section = viewer_page.viewer_section(shown[:_MAX_HANDS], limits)
  return [('bend', 'Turn and bend', intro + section)]


def _viewed(group: load.Group) -> Iterator[ViewedHand]:
  """Some samples, each as all rows predict it; the last row first."""
  samples = hands.choose_samples(group)
  picks = np.unique(np.linspace(0, len(samples) - 1, _SAMPLES).round().astype(int))
  for sample in (samples[i] for i in picks if samples):
    rows = list(zip(group.predicted, sample.indices, sample.errors, strict=True))
    for row, index, error in reversed(rows):
      if (predicted := row.predictions) is None:
        continue
      root = predicted.get('root_3d', np.zeros_like(predicted['joints_3d'][:, 0]))
      image = camera = None
      if row.images is not None and row.cameras is not None:
        image, camera = row.images[index], row.cameras[index]
      yield ViewedHand(
        title=f'{sample.sample_id}: {row.name}',
        joints_3d=predicted['joints_3d'][index] + root[index],
        image=image,
        intrinsics=camera,
        truth_3d=row.truth('joints_3d', index) if group.measured_3d else None,
        notes=(f'mean error {error:.1f} {group.unit}', sample.title),
      )
