"""Where the constraints alone lead: the depth of test hands, from several starts.

    python benchmarks/depth_basins.py runs/experiments/photos/seed_0

What can weak supervision teach at best? Here no network stands between the constraints
and the hands: each test hand keeps its labelled 2D keypoints, and its depths (relative
and of the root) descend the constraints (`bmc_jax.constraints.WEIGHTS`, the limits of
the workdir) until they are kept. Starts are the labelled depths, their mirror image, a
flat hand, and what each trained row predicts. The depth error after the descent from
the truth tells how far apart plausible hands of one picture are; that from a prediction
tells which of them it leads to.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import trange

from bmc_jax import constraints, pose25d
from bmc_jax.console.tables import format_markdown
from bmc_jax.data import sources
from bmc_jax.limits import load_limits
from bmc_jax.training.loop import source_spec
from bmc_jax.training.trained_row import load_row_config

STEPS = 2000
OPTIMIZER = optax.adam(optax.cosine_decay_schedule(0.01, STEPS))  # reference bones


def implausibility(values, keypoints_2d, intrinsics, limits):
  """The loss of the constraints (N,) at depths (N, 21) and root depths (N,)."""
  depth, root = values
  joints = pose25d.lift(keypoints_2d, depth - depth[:, :1], root, intrinsics)
  return constraints.bmc_loss(joints, limits)[0]


@jax.jit
def step(values, state, *known):
  gradient = jax.grad(lambda v: implausibility(v, *known).sum())(values)
  updates, state = OPTIMIZER.update(gradient, state)
  return optax.apply_updates(values, updates), state


def descend(values, *known):
  """Depths and root depths after the descent."""
  state = OPTIMIZER.init(values)
  for _ in trange(STEPS, leave=False, unit='step'):
    values, state = step(values, state, *known)
  return values


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('workdir', type=Path, help='of an experiment')
  workdir = parser.parse_args().workdir
  folders = sorted(path.parent for path in workdir.glob('rows/*/predictions.npz'))
  if not folders:
    raise SystemExit(f'error: {workdir} holds no tested row.')
  limits = load_limits(workdir / 'limits.json')
  config = load_row_config(folders[0])
  spec = source_spec(config, 'test')
  if spec['kind'] == 'tfds':
    spec['with_image'] = False
  source = sources.open_source(spec)
  batch = source.batch(range(len(source)))
  keypoints, intrinsics = batch['keypoints_2d'], batch['intrinsics']
  scale = np.asarray(pose25d.scale_of(batch['joints_3d']))[:, None]
  truth = batch['joints_3d'][..., 2] / scale
  truth = jnp.asarray(truth - truth[:, :1])
  starts = {'labels': truth, 'mirrored labels': -truth, 'flat hand': 0 * truth}
  for folder in folders:
    with np.load(folder / 'predictions.npz') as saved:
      assert (saved['sample_id'] == batch['sample_id']).all()
      starts[folder.name] = jnp.asarray(saved['joints_3d'][..., 2] / 1e3 / scale)
  known = keypoints, intrinsics, limits
  table = [['start', 'depth error before, mm', 'after, mm', 'loss before', 'after']]
  for name, start in starts.items():
    root = pose25d.solve_root_depth(keypoints, start, intrinsics).value
    found = descend((start, root), *known)
    before, after = (implausibility(v, *known) for v in ((start, root), found))
    errors = [
      1e3 * scale * np.abs(np.asarray(d - d[:, :1] - truth)) for d in (start, found[0])
    ]
    cells = [f'{e.mean():.1f}' for e in errors]
    table.append([name, *cells, f'{np.median(before):.3f}', f'{np.median(after):.4f}'])
  print(format_markdown(table))


if __name__ == '__main__':
  main()
