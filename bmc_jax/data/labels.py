"""Which examples of a source keep their 3D labels."""

import numpy as np

_MOST = 10_000_000


def labelled_in_3d(count: int, labels: str, share_3d: float) -> np.ndarray:
  """Which of `count` examples keep their 3D labels, (count,) bool.

  They are drawn at random, always the same ones: those of a smaller share are among
  those of a larger one, so that experiments differ in nothing else.

  Args:
    count: of the examples.
    labels: '3d', or '2d' which keeps none, whatever the share.
    share_3d: of the examples, in [0, 1]; a share above 0 keeps one at least.

  Raises:
    ValueError: `labels` or the share has no meaning, or a share of more examples than
      can be drawn from.
  """
  if labels not in ('3d', '2d'):
    raise ValueError(f"labels is {labels!r}; it must be '3d' or '2d'.")
  number = isinstance(share_3d, int | float) and not isinstance(share_3d, bool)
  if not number or not 0 <= share_3d <= 1:
    raise ValueError(f'share_3d is {share_3d!r}; it must be a share from 0 to 1.')
  if labels == '2d' or share_3d in (0, 1):
    return np.broadcast_to(labels == '3d' and share_3d == 1, count)
  if count > _MOST:
    raise ValueError(
      f'share_3d is {share_3d} of {count} examples: give a count of at most {_MOST}.'
    )
  kept = max(round(share_3d * count), 1)
  return np.random.default_rng(0).permutation(count) < kept
