"""The tree stays one that a reader can take in."""

import pytest

from tests.fixtures.session import ROOT


def _lines(path) -> int:
  return len(path.read_text().splitlines())


@pytest.mark.parametrize(
  ('folder', 'most'),
  [('bmc_jax', 300), ('configs', 300), ('data_prep', 300), ('tests', 400)],
)
def test_no_file_is_longer_than_one_topic_needs(folder, most):
  long = {path: _lines(path) for path in (ROOT / folder).glob('**/*.py')}
  assert not {path: lines for path, lines in long.items() if lines > most}


def test_the_package_has_few_modules_and_packages_at_its_top():
  assert len(list((ROOT / 'bmc_jax').glob('*.py'))) <= 16
  assert len(list((ROOT / 'bmc_jax').glob('*/__init__.py'))) <= 17
