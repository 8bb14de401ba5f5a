"""How commands say how many there are."""

import pytest

from bmc_jax.console.tables import counted


@pytest.mark.parametrize(
  ('count', 'noun', 'said'),
  [
    (1, 'hand', '1 hand'),
    (0, 'hand', '0 hands'),
    (2, 'image', '2 images'),
    (3, 'entry', '3 entries'),
  ],
)
def test_one_is_singular(count, noun, said):
  assert counted(count, noun) == said
