"""Terms of the loss that are not of this library: `config.extra_terms`."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from bmc_jax.console.plugins import load_named
from bmc_jax.models import PoseOutput
from bmc_jax.skeleton import Array
from bmc_jax.training import losses
from bmc_jax.training.config import Config

EXAMPLES = ('all', '3d', '2d')
_KEYS = {'function', 'weight', 'examples'}


def check_extra_terms(config: Config) -> None:
  """Raises ValueError if a term is not what `defaults.add_term` makes, its function
  can not be imported, or a value has no meaning.
  """
  for name, term in config.extra_terms.items():
    where = f'extra_terms.{name}'
    keys = set(term) if hasattr(term, 'keys') else set()
    if keys != _KEYS:
      raise ValueError(
        f'{where} must have {", ".join(sorted(_KEYS))} and nothing else: '
        'defaults.add_term adds a term.'
      )
    if term.examples not in EXAMPLES:
      raise ValueError(
        f'{where}.examples is {term.examples!r}; choose one of {EXAMPLES}.'
      )
    if not 0 <= term.weight < math.inf:
      raise ValueError(f'{where}.weight is {term.weight}; it must be at least 0.')
    if not callable(load_named(term.function)):
      raise ValueError(f'{where}.function, {term.function!r}, is no function.')


def extra_weights(config: Config) -> dict[str, float]:
  """The weight of every term of `compute_extra`."""
  return {f'extra_{name}': term.weight for name, term in config.extra_terms.items()}


def compute_extra(
  output: PoseOutput, batch: Mapping[str, jax.Array], config: Config
) -> dict[str, Array]:
  """The terms, unweighted, each the mean over the examples that it applies to.

  Args:
    output: the model's prediction.
    batch: what it was made for.
    config: the run's config. A term of weight 0 is left out.

  Raises:
    ValueError: a function gives something else than one number for each example.
  """
  masks = {
    'all': batch['mask'],
    '3d': batch['mask'] * batch['has_joints_3d'],
    '2d': batch['mask'] * (1 - batch['has_joints_3d']),
  }
  terms = {}
  for name, term in config.extra_terms.items():
    if term.weight:
      values = jnp.asarray(load_named(term.function)(output, batch))
      if values.shape != batch['mask'].shape:
        raise ValueError(
          f'extra_terms.{name}: {term.function} gives values of the shape '
          f'{values.shape}, but one for each example, {batch["mask"].shape}, is needed.'
        )
      terms[f'extra_{name}'] = losses.masked_mean(values, masks[term.examples])
  return terms
