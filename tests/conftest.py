"""Settings of the test session and the fixtures that many tests share."""

import gc
import importlib.metadata
import importlib.util
import os
import pathlib
from collections.abc import Iterator

import pytest

from tests.fixtures.session import ROOT

MANY_MAPPINGS = 25_000

# Read when JAX is imported, and inherited by the processes that tests start.
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.cache' / 'jax'))
# The processes that tests start compile much of what other tests have compiled.
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
# Nearly all tests compile far longer than they run; `full_compilation` is for others.
os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] = '1'
# XLA ends the process for a flag that it does not know. Tests of networks took a third
# less time with these, which may not be there for long.
if importlib.metadata.version('jaxlib').startswith('0.10.'):
  flags = '--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
  os.environ.setdefault('XLA_FLAGS', flags)
# Tracing makes many objects that stay; looking for garbage among them takes its time.
gc.set_threshold(100_000, 50, 100)

import hypothesis  # noqa: E402
import jax  # noqa: E402
import jaxtyping  # noqa: E402

# Must stand before the first import of these modules: it checks the annotated shapes
# and types of every call.
jaxtyping.install_import_hook(
  [
    'bmc_jax.skeleton',
    'bmc_jax.geometry',
    'bmc_jax.root_depth',
    'bmc_jax.pose25d',
    'bmc_jax.anatomy',
    'bmc_jax.kinematics',
    'bmc_jax.hull.distance',
    'bmc_jax.hull.fitting',
    'bmc_jax.hull.trimming',
    # Not limits.types: the leaves of a pytree may be anything while JAX maps over it.
    'bmc_jax.limits.fitting',
    'bmc_jax.limits.files',
    'bmc_jax.limits.clinical',
    'bmc_jax.constraints',
    'bmc_jax.limits.scale_fit',
    'bmc_jax.repair.nearest',
    'bmc_jax.training.losses',
    'bmc_jax.metrics',
    'bmc_jax.evaluate.protocols',
  ],
  'beartype.beartype',
)

from bmc_jax import (  # noqa: E402
  constraints,
  geometry,
  kinematics,
  metrics,
  pose25d,
  root_depth,
)
from bmc_jax.training import losses  # noqa: E402
from tests.fixtures import whole_programs  # noqa: E402

whole_programs.wrap_public_functions(
  [constraints, geometry, kinematics, losses, metrics, pose25d, root_depth]
)

# (B, 21, 3) must never meet (21, 3) by accident.
jax.config.update('jax_numpy_rank_promotion', 'raise')

# Compiling takes longer than any deadline, and a failure must come back when rerun.
hypothesis.settings.register_profile('project', deadline=None, derandomize=True)
hypothesis.settings.load_profile('project')


# What tests marked `extra` need. These libraries do not get on with each other:
# `make extras` and `make torch` run each one's tests in an environment of its own.
LIBRARIES = {
  'anny': ('anny',),
  'beam': ('apache_beam',),
  'onnx': ('jax2onnx', 'onnxruntime'),
  'tflite': ('ai_edge_litert', 'tensorflow'),
  'torch': ('torch',),
}

# In the order in which they start; the others follow, by name.
LONGEST = (
  *('training/test_hosts.py', 'test_main.py', 'experiments/test_runs.py'),
  *('export/test_export.py', 'training/test_loop.py', 'test_properties.py'),
  *('data_prep/test_folders.py', 'experiments/test_rows.py', 'docs/test_interop.py'),
  *('repair/test_nearest.py', 'test_constraints.py', 'data/test_procedural.py'),
  *('models/test_models.py', 'training/test_objective.py', 'docs/test_docs.py'),
  *('limits/test_command.py', 'training/test_profiling.py', 'test_kinematics.py'),
)

# The only reasons for which a test may be skipped where CI=true.
REASONS = ('no real samples', 'torch is not installed', 'no GPU')


def _is_here(extra: str) -> bool:
  return all(importlib.util.find_spec(library) for library in LIBRARIES[extra])


def pytest_report_header():
  """Names the extras whose tests are left out."""
  missing = [extra for extra in LIBRARIES if not _is_here(extra)]
  return f'left out: tests of {", ".join(missing)} (make extras)' if missing else []


def pytest_collection_modifyitems(config, items):
  """Leaves out tests of extras that are not here.

  Files that take longest come first: no process waits for them at the end.
  """
  order = {ROOT / 'tests' / file: place for place, file in enumerate(LONGEST)}
  items.sort(key=lambda item: order.get(item.path, len(order)))
  without = [
    item
    for item in items
    if (mark := item.get_closest_marker('extra')) and not _is_here(mark.args[0])
  ]
  config.hook.pytest_deselected(items=without)
  items[:] = [item for item in items if item not in without]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
  """In CI a test that is skipped for another reason than `REASONS` fails."""
  report = yield
  if os.environ.get('CI') == 'true' and report.skipped and call.excinfo:
    reason = str(call.excinfo.value)
    if not hasattr(report, 'wasxfail') and not reason.startswith(REASONS):
      report.outcome = 'failed'
      report.longrepr = f'{item.nodeid} is skipped, which CI does not allow: {reason}'
  return report


@pytest.fixture(scope='session')
def test_data() -> pathlib.Path:
  """The folder of real samples: $BMC_JAX_TEST_DATA, by default ../shared."""
  path = pathlib.Path(os.environ.get('BMC_JAX_TEST_DATA', ROOT.parent / 'shared'))
  if not path.is_dir():
    pytest.skip(f'no real samples: BMC_JAX_TEST_DATA names no folder ({path})')
  return path


@pytest.fixture
def x64() -> Iterator[None]:
  """Lets JAX make float64 arrays for the length of one test."""
  with jax.enable_x64(True):
    yield


@pytest.fixture(scope='module')
def full_compilation() -> Iterator[None]:
  """Lets XLA optimise as it does for users, for the tests of one file."""
  name = 'jax_disable_most_optimizations'
  jax.config.update(name, False)
  yield
  jax.config.update(name, True)


@pytest.fixture(scope='module', autouse=True)
def few_mappings() -> Iterator[None]:
  """Lets go of compiled programs before they use up what Linux gives a process.

  Each holds some memory mappings, of which there are 65,530; without more, XLA crashes.
  """
  yield
  mappings = pathlib.Path('/proc/self/maps')
  if mappings.exists() and mappings.read_bytes().count(b'\n') > MANY_MAPPINGS:
    jax.clear_caches()


@pytest.fixture(scope='module')
def few_backgrounds():
  """Two backgrounds behind drawn hands: painting all of them takes a while."""
  from bmc_jax.data.procedural.mesh import backgrounds

  patch = pytest.MonkeyPatch()
  patch.setattr(backgrounds, 'ATLAS_COUNT', 2)
  backgrounds.load_atlas.cache_clear()
  yield
  patch.undo()
  backgrounds.load_atlas.cache_clear()
