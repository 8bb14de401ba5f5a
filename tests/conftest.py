"""Settings of the test session and the fixtures that many tests share."""

import gc
import importlib.metadata
import os
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
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
    'bmc_jax.repair',
    'bmc_jax.losses',
    'bmc_jax.metrics',
    'bmc_jax.protocols',
  ],
  'beartype.beartype',
)

# (B, 21, 3) must never meet (21, 3) by accident.
jax.config.update('jax_numpy_rank_promotion', 'raise')

# Compiling takes longer than any deadline, and a failure must come back when rerun.
hypothesis.settings.register_profile('project', deadline=None, derandomize=True)
hypothesis.settings.load_profile('project')


def pytest_collection_modifyitems(items):
  """Files with slow tests come first: no process waits for them at the end."""
  slow = {item.path for item in items if item.get_closest_marker('slow')}
  items.sort(key=lambda item: item.path not in slow)


def xla_flags_for(devices: int) -> str:
  """The flags of this session, and so many made-up devices."""
  return (
    f'{os.environ.get("XLA_FLAGS", "")} '
    f'--xla_force_host_platform_device_count={devices}'
  )


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
