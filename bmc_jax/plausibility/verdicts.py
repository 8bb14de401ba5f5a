"""Files that tell of every hand what is wrong with it: JSON and CSV."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.console.outputs import Kind, write_text
from bmc_jax.plausibility.judgement import NAMES, Judgement

KEPT, BROKEN = 'keeps all limits', 'breaks limits'
INCOMPLETE, NO_SIZE = 'joints are missing', 'has no size'
_KEY = 'verdicts_of'
_COLUMNS = ('hand', 'side', 'verdict', 'broken')
_DIGITS = 6  # that count


def verdicts(judgement: Judgement) -> list[str]:
  """One of the four verdicts for each hand."""
  judged, complete = judgement.found.judged, judgement.poses.complete
  return np.select(
    [~complete, ~judged, judgement.broken.any(axis=1)],
    [INCOMPLETE, NO_SIZE, BROKEN],
    KEPT,
  ).tolist()


def write_verdicts(
  path: str | os.PathLike, judgement: Judgement, joints: str, limits: str
) -> None:
  """Writes a file of the verdicts; its ending names the form.

  JSON has what the hands contradict and the broken limits of each, CSV a column for
  each limit: by how much a value is outside, with a sign, 0 within it, nothing for
  hands that are not judged.

  Args:
    path: to write.
    judgement: of all hands.
    joints: the file that the hands are from.
    limits: what the limits are called.

  Raises:
    ValueError: another ending, or something else is in its place.
    OSError: it cannot be written; what was there before stays.
  """
  is_json = Path(path).suffix.lower() == '.json'
  text = _as_json(judgement, joints, limits) if is_json else _as_csv(judgement)
  write_text(path, text, VERDICTS)


def _is_ours(path: Path) -> bool:
  begins = {'.json': f'{{"{_KEY}"', '.csv': ','.join(_COLUMNS)}
  with path.open(encoding='utf-8', errors='replace') as file:
    return file.read(80).startswith(begins[path.suffix.lower()])


VERDICTS = Kind('verdicts', ('.json', '.csv'), _is_ours)


def _side(judgement: Judgement, hand: int) -> str | None:
  """None for a hand with missing joints: nothing was made of its side."""
  if not judgement.poses.complete[hand]:
    return None
  return 'right' if judgement.poses.is_right[hand] else 'left'


def _rounded(value: float) -> float:
  return float(f'{value:.{_DIGITS}g}')


def _as_json(judgement: Judgement, joints: str, limits: str) -> str:
  found = verdicts(judgement)
  hands = []
  for hand, verdict in enumerate(found):
    broken = [
      {
        'limit': str(NAMES[limit]),
        'excess': _rounded(values[hand]),
        'unit': unit.strip(),
      }
      for limit, (values, unit) in enumerate(judgement.excess)
      if judgement.broken[hand, limit]
    ]
    side = _side(judgement, hand)
    hands.append({'hand': hand, 'side': side, 'verdict': verdict, 'broken': broken})
  counts = {name: found.count(name) for name in (KEPT, BROKEN, INCOMPLETE, NO_SIZE)}
  content: dict[str, Any] = {_KEY: joints, 'limits': limits}
  content |= {'doubts': judgement.poses.doubts, 'counts': counts, 'hands': hands}
  return json.dumps(content, allow_nan=False) + '\n'


def _as_csv(judgement: Judgement) -> str:
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator='\n')
  units = [unit.strip() for _, unit in judgement.excess]
  named = [f'{name} ({unit})' for name, unit in zip(NAMES, units, strict=True)]
  writer.writerow([*_COLUMNS, *named])
  values = np.stack([values for values, _ in judgement.excess], axis=1)
  values = np.where(judgement.broken, values, 0)
  for hand, verdict in enumerate(verdicts(judgement)):
    is_judged = verdict in (KEPT, BROKEN)
    cells = [f'{value:.{_DIGITS}g}' for value in values[hand]]
    count = judgement.broken[hand].sum()
    writer.writerow(
      [hand, _side(judgement, hand), verdict]
      + ([count, *cells] if is_judged else [''] * (1 + len(cells)))
    )
  return buffer.getvalue()
