r"""Judges hands from any detector: which bones break which limit, and by how much.

    bmc-jax plausibility joints.npz --order mediapipe --unit m \
        --limits limits.json --out page.html --out verdicts.csv

The forms of joint files are listed in `bmc_jax.joint_files`; `mano`, `surface` and
`clinical` stand for limits that ship. Lengths are told in millimetres if the unit is
known, otherwise in percent of the reference bone; angles in degrees.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bmc_jax import limits as limits_lib
from bmc_jax.console import interrupts
from bmc_jax.console.errors import USER_ERRORS, fail
from bmc_jax.console.outputs import Kind, check_output
from bmc_jax.console.parsing import command_parser
from bmc_jax.console.tables import format_table
from bmc_jax.joint_files.flags import add_pose_flags, read_poses
from bmc_jax.limits import HandLimits
from bmc_jax.plausibility import verdicts
from bmc_jax.plausibility.judgement import Judgement, judge

_NUM_WORST = 12
_NUM_PHRASES = 5


@interrupts.told()
def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command line; ends with exit status 2 for wrong input."""
  parser = command_parser('plausibility', __doc__)
  parser.add_argument('joints', help='.npy, .npz, .csv or .json file of 3D joints')
  parser.add_argument(
    '--limits', required=True, help="limits file, or 'mano', 'surface' or 'clinical'"
  )
  parser.add_argument(
    '--out',
    action='append',
    default=[],
    help="page (.html) to write, or every hand's verdict (.json or .csv); may be given "
    'more than once',
  )
  add_pose_flags(parser)
  flags = parser.parse_args(argv)
  try:
    for out in flags.out:
      check_output(out, _kind_of(out), flags.joints, flags.limits)
    limits = limits_lib.open_limits(flags.limits)
    judgement = judge(read_poses(flags.joints, flags, limits), limits)
    print(judgement.summary())
    worst = judgement.worst()[:_NUM_WORST]
    if len(worst):
      print(f'\n{format_table(judgement.table())}\n\nThe worst hands:')
    for hand in worst:
      phrases = judgement.describe(hand)
      more = len(phrases) - _NUM_PHRASES
      rest = f', and {more} more' if more > 0 else ''
      print(f'hand {hand}: {", ".join(phrases[:_NUM_PHRASES])}{rest}')
    for out in flags.out:
      _write(out, judgement, limits, flags)
      print(out)
  except USER_ERRORS as error:
    fail(str(error))


def _kind_of(out: str) -> Kind:
  """Verdicts, or a page."""
  if Path(out).suffix.lower() in verdicts.VERDICTS.endings:
    return verdicts.VERDICTS
  from bmc_jax.report import document

  return document.PAGES


def _write(
  out: str, judgement: Judgement, limits: HandLimits, flags: argparse.Namespace
) -> None:
  if _kind_of(out) is verdicts.VERDICTS:
    verdicts.write_verdicts(out, judgement, flags.joints, flags.limits)
    return
  from bmc_jax.report import plausibility_page

  title = f'Plausibility of {flags.joints}, by {flags.limits}'
  plausibility_page.write_plausibility_page(out, title, judgement, limits)


if __name__ == '__main__':
  main()
