"""The gradient of each term of the loss by itself: its norm, and clipping by term.

Terms differ in their gradients by factors of thousands, early in a run. If the norm of
their sum is clipped, the largest one leaves nothing of the others; clipped one by one,
each of them keeps its say.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

CLIP_BY = ('all', 'term')
"""What `optimizer.clip_norm` bounds: the gradient of the loss, or of each term."""


def gradient_by_term(
  weighted: Callable[[Any], tuple[Mapping[str, jax.Array], Any]],
  params: Any,
  clip_norm: float,
) -> tuple[Any, dict[str, jax.Array], Any]:
  """The sum of the terms' gradients, each clipped by itself.

  The forward pass is shared; the backward pass is run once for each term.

  Args:
    weighted: of the parameters; gives the weighted terms, scalars, and what else the
      forward pass found.
    params: where the gradient is taken.
    clip_norm: greatest norm of the gradient of a term; `inf` clips nothing.

  Returns:
    The gradient; the norms `gradient_norm_TERM` before clipping; and what else was
    found.
  """
  terms, pull_back, found = jax.vjp(weighted, params, has_aux=True)
  names = sorted(terms)

  def add_term(total, direction):
    (gradient,) = pull_back(dict(zip(names, direction, strict=True)))
    norm = optax.tree.norm(gradient)
    # Not clip_norm / norm, which is NaN where both are 0 or infinite.
    share = jnp.where(norm > clip_norm, clip_norm / norm, 1.0)
    return jax.tree.map(lambda t, g: t + share * g, total, gradient), norm

  directions = jnp.eye(len(names), dtype=terms[names[0]].dtype)
  # One after the other: the gradients of all at once would need as much memory.
  total, norms = jax.lax.scan(
    add_term, jax.tree.map(jnp.zeros_like, params), directions
  )
  return (
    total,
    {f'gradient_norm_{k}': n for k, n in zip(names, norms, strict=True)},
    found,
  )
