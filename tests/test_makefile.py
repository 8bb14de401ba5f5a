"""What make says of a Python that it cannot use."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.fixtures.session import ROOT

OLD_PYTHON = f"""#!/bin/sh
exec {sys.executable} -c 'import sys; sys.version_info = (3, 9); exec(sys.argv[1])' "$2"
"""


def _make_venv(python: pathlib.Path) -> str:
  """What `make venv` says, which must fail."""
  if shutil.which('make') is None:
    pytest.skip('no make')
  venv = python.parent / 'venv'
  command = ['make', 'venv', f'PYTHON={python}', f'VENV={venv}']
  made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
  assert made.returncode and not venv.exists()
  return made.stderr


def _write_program(path: pathlib.Path, text: str) -> pathlib.Path:
  path.write_text(text)
  path.chmod(0o755)
  return path


def test_an_old_python_is_called_old(tmp_path):
  told = _make_venv(_write_program(tmp_path / 'python', OLD_PYTHON))
  assert 'is older than the 3.11 that bmc_jax needs' in told


def test_the_error_of_a_python_that_does_not_start_is_shown(tmp_path):
  broken = _write_program(tmp_path / 'python', '#!/bin/sh\necho no library >&2; exit 1')
  assert 'no library' in _make_venv(broken)
  for python in (broken, tmp_path / 'missing'):
    told = _make_venv(python)
    assert f'The Python "{python}" cannot be started' in told and 'older' not in told
