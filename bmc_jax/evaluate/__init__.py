"""Scores of prediction files by the protocols of public benchmarks.

`bmc-jax evaluate` is the command; docs/evaluation.md defines the protocols.
"""

from bmc_jax.evaluate.ground_truth import GroundTruth, read_ground_truth
from bmc_jax.evaluate.protocols import PROTOCOLS, Protocol
from bmc_jax.evaluate.scoring import score_subsets

__all__ = [
  'PROTOCOLS',
  'GroundTruth',
  'Protocol',
  'read_ground_truth',
  'score_subsets',
]
