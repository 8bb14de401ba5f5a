"""One way up: a module imports nothing that stands above it."""

import ast
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.fixtures.session import ROOT

# From the ground up, as CONTRIBUTING.md draws it. Those of one line stand side by side,
# and may not import each other.
FLOORS = (
  ('console',),
  ('__init__',),
  ('skeleton',),
  ('geometry',),
  ('bone_weights', 'vector'),
  ('anatomy',),
  ('kinematics',),
  ('root_depth',),
  ('pose25d', 'metrics'),
  ('hull',),
  ('limits',),
  ('constraints',),
  ('repair', 'joint_files'),
  ('plausibility', 'models', 'data'),
  ('torch_import',),
  ('data_prep', 'training'),
  ('configs', 'report'),
  ('evaluate',),
  ('submit',),
  ('experiments', 'predict', 'export'),
  ('lift',),
  # The commands: nothing imports them, but for the list of them all.
  ('main', '__main__'),
  ('cli',),
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
PARTS = ('bmc_jax', 'configs', 'data_prep')


def _unit(module: str) -> str:
  """The package, or module at the top, that a dotted name belongs to."""
  names = module.removeprefix('bmc_jax.').split('.')
  if '__main__' in names:
    return '__main__'
  return '__init__' if names == ['bmc_jax'] else names[0]


def _imports(path: pathlib.Path, module: str) -> Iterator[tuple[int, str]]:
  """Lines and dotted names of what a file imports of the project."""
  package = module if path.name == '__init__.py' else module.rpartition('.')[0]
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ''
      if node.level:
        above = package.split('.')[: len(package.split('.')) - node.level + 1]
        base = '.'.join([*above, base]).rstrip('.')
      yield from ((node.lineno, f'{base}.{alias.name}') for alias in node.names)


def _wrong_imports(root: pathlib.Path) -> list[str]:
  """Each import of a higher floor, or of a neighbour on the same one."""
  wrong = []
  for path in sorted(file for part in PARTS for file in root.glob(f'{part}/**/*.py')):
    names = path.relative_to(root).with_suffix('').parts
    module = '.'.join(names if names[0] == 'bmc_jax' else ('bmc_jax', *names))
    module = module.removesuffix('.__init__')
    own = _unit(module)
    for line, name in _imports(path, module):
      if name.split('.')[0] in PARTS:
        other = _unit(name if name.startswith('bmc_jax') else f'bmc_jax.{name}')
        # No command imports another.
        apart = other != own or other == '__main__'
        if apart and FLOOR_OF.get(other, 0) >= FLOOR_OF[own]:
          wrong.append(
            f'{path.relative_to(root)}:{line}: {own} imports {name}, but {other} '
            'does not stand below it'
          )
  return wrong


def test_nothing_imports_what_stands_above_it():
  assert not _wrong_imports(ROOT)


def test_every_module_has_its_floor():
  tops = {path.stem for path in (ROOT / 'bmc_jax').glob('*.py')}
  packages = {path.parent.name for path in (ROOT / 'bmc_jax').glob('*/__init__.py')}
  known = set(FLOOR_OF) - {'__main__', 'configs', 'data_prep'}
  assert tops | packages == known


@pytest.mark.parametrize(
  ('file', 'line'),
  [
    ('bmc_jax/geometry.py', 'from bmc_jax import constraints'),
    ('bmc_jax/limits/files.py', 'from bmc_jax.joint_files.reading import read_joints'),
    ('bmc_jax/training/loop.py', '  import bmc_jax.report.load'),
    ('data_prep/rhd.py', 'from bmc_jax.training import loop'),
    ('bmc_jax/report/page.py', 'from bmc_jax.limits.__main__ import main'),
    ('bmc_jax/repair/__main__.py', 'from bmc_jax.limits.__main__ import main'),
  ],
)
def test_an_import_turned_round_is_told_with_its_line(file, line, tmp_path):
  (tmp_path / file).parent.mkdir(parents=True)
  (tmp_path / file).write_text(f'import math\nif True:\n  {line.strip()}\n')
  (told,) = _wrong_imports(tmp_path)
  assert told.startswith(f'{file}:3: ')


@pytest.mark.slow
@pytest.mark.parametrize(
  ('modules', 'heavy'),
  [
    # Users of the constraints alone, and of commands that read joints.
    (
      'constraints limits metrics training.losses joint_files plausibility lift.files',
      'flax grain tensorflow_datasets tensorflow ml_collections optax orbax cv2',
    ),
    ('limits.__main__ plausibility.__main__ report', 'flax ml_collections orbax grain'),
    ('cli', 'jax numpy absl'),
  ],
)
def test_modules_load_no_more_than_they_need(modules, heavy):
  names = ', '.join(f'bmc_jax.{module}' for module in modules.split())
  program = (
    f'import sys, {names}\nprint(*sorted({set(heavy.split())} & set(sys.modules)))'
  )
  done = subprocess.run(
    [sys.executable, '-c', program], capture_output=True, text=True, cwd=ROOT
  )
  assert done.returncode == 0, done.stderr
  assert not done.stdout.split()


if __name__ == '__main__':  # of `make lint`: an import in a circle stops pytest earlier
  sys.exit('\n'.join(_wrong_imports(ROOT)) or None)
