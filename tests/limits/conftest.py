"""Hands, and the limits that are fitted on them."""

import pytest

from bmc_jax import limits
from tests.fixtures.hands import random_hands


@pytest.fixture(scope='module')
def hands():
  return random_hands(0, 300, spread=10).joints


@pytest.fixture(scope='module')
def fitted(hands):
  return limits.fit_limits(hands, coverage=1.0, source='made-up hands')
