"""Where the package was installed from is where its extras are, too."""

import importlib.metadata
import json
import types

import pytest

from bmc_jax.console import installation

URL = 'https://example.org/bmc_jax'
ORIGINS = [
  (
    {'url': 'file:///a%20b/bmc_jax', 'dir_info': {'editable': True}},
    "pip install -e '/a b/bmc_jax[train]'",
  ),
  ({'url': 'file:///src/bmc_jax', 'dir_info': {}}, "pip install '/src/bmc_jax[train]'"),
  (
    {'url': URL, 'vcs_info': {'vcs': 'git', 'requested_revision': 'v1'}},
    f"pip install 'bmc_jax[train] @ git+{URL}@v1'",
  ),
  (
    {'url': f'{URL}/bmc_jax-1.whl', 'archive_info': {}},
    f"pip install 'bmc_jax[train] @ {URL}/bmc_jax-1.whl'",
  ),
  (None, "pip install '.[train]' in a checkout of its repository"),
]


@pytest.mark.parametrize(('origin', 'command'), ORIGINS)
def test_an_extra_is_added_from_where_the_package_is_from(origin, command, monkeypatch):
  kept = None if origin is None else json.dumps(origin)
  found = types.SimpleNamespace(read_text=lambda name: kept)
  monkeypatch.setattr(importlib.metadata, 'distribution', lambda name: found)
  assert installation.how_to_add('train').startswith(command)


def test_without_an_installation_there_is_a_remedy_all_the_same(monkeypatch):
  def missing(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, 'distribution', missing)
  assert installation.pip_arguments('viz') == []
  assert 'not on PyPI' in installation.how_to_add('viz')
