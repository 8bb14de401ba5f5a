"""A dry run of rows: what their steps need, and whether they could be trained."""

from collections.abc import Mapping

from bmc_jax.console.errors import USER_ERRORS, warn
from bmc_jax.experiments.inputs import check_inputs
from bmc_jax.training import dry_run
from bmc_jax.training.config import Config


def run(rows: Mapping[str, Config]) -> None:
  """Prints what the steps of rows need, whether or not their data are there.

  Raises:
    ValueError: a run would refuse what the rows read. It is told beforehand, too.
    FileNotFoundError: so it is if a file is missing.
  """
  refused = None
  try:
    check_inputs(rows, ())
  except USER_ERRORS as error:
    refused = error
    warn(f'these rows can not be trained: {error}')
  dry_run.run(rows)
  if refused:
    raise refused
