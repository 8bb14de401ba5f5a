"""The Python examples of README.md run as they stand there."""

import pathlib
import re

import jax
import numpy as np

from tests.fixtures_hands import degenerate_hands, random_hands

ROOT = pathlib.Path(__file__).resolve().parent.parent


def example(heading: str) -> str:
  """The Python code below a heading."""
  section = (ROOT / 'README.md').read_text().split(f'\n## {heading}\n')[1]
  return re.findall(r'^```python\n(.*?)^```$', section, re.MULTILINE | re.DOTALL)[0]


def run_example(heading: str) -> dict:
  """Runs an example as a user does, with JAX's own settings; its variables."""
  variables: dict = {'__name__': heading}
  with jax.numpy_rank_promotion('allow'):
    exec(example(heading), variables)
  return variables


def test_a_degenerate_prediction_does_not_spoil_the_loss_of_the_others():
  variables = run_example('Use the constraints')
  hands = random_hands(0, len(variables['joints_3d'])).joints.astype(np.float32)
  with jax.numpy_rank_promotion('allow'):
    for name, degenerate in degenerate_hands().items():
      hands[0] = degenerate
      value, gradient = jax.value_and_grad(variables['loss'])(hands)
      assert np.isfinite(value) and np.isfinite(gradient).all(), name
      assert gradient[1:].any(), name
    assert np.isfinite(variables['loss'](hands[1]))
