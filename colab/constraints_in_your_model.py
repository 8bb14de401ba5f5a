# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
# ---

# %% [markdown]
# # The constraints in your own model
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/)
#
# Your joints have their own order and unit, your model its own library. This notebook
# makes limits from such joints and puts the loss into plain JAX, Equinox and Flax NNX.

# %%
# @title Installation { display-mode: "form" }
# @markdown In Colab: the address of your copy of bmc_jax, as `git clone` takes it.
REPOSITORY = ''  # @param {type:"string"}

import importlib.util
import os
import pathlib
import subprocess
import sys

EXTRA = 'train'
NEEDED = (
  *('bmc_jax', 'PIL', 'absl', 'array_record', 'cv2', 'flatbuffers', 'flax', 'grain'),
  *('importlib_resources', 'matplotlib', 'ml_collections', 'optax', 'orbax'),
  *('safetensors', 'simplejpeg', 'tensorboardX', 'tensorflow_datasets', 'tqdm'),
  'yaml',
)
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if missing:
  source = os.environ.get('BMC_JAX_REPOSITORY', REPOSITORY) or '..'
  if pathlib.Path(source, 'pyproject.toml').exists():  # a clone, such as this one
    package = [f'{pathlib.Path(source).resolve()}[{EXTRA}]']
  elif source != '..':
    package = [f'bmc_jax[{EXTRA}] @ git+{source}']
  elif 'bmc_jax' not in missing:  # from where it was installed
    from bmc_jax.console import installation

    package = installation.pip_arguments(EXTRA)
  else:
    package = []
  if not package:
    raise ValueError('Fill in REPOSITORY: the address of your copy of bmc_jax.')
  print('Missing:', ', '.join(missing))
  # Keeps the JAX that a GPU or TPU runtime has.
  subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', *package], check=True)

REDUCED = os.environ.get('BMC_JAX_NOTEBOOKS') == 'reduced'  # for a quick check

if importlib.util.find_spec('equinox') is None:
  subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', 'equinox'], check=True)

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

from bmc_jax import constraints, limits, pose25d, skeleton
from bmc_jax.data.procedural.domain import WILD
from bmc_jax.data.procedural.pose import sample_hand

STEPS = 20 if REDUCED else 400

# %% [markdown]
# ## Your joints
#
# Say they are in MANO's order and in millimetres. (Here they are made; load yours in
# their place.) `skeleton.reorder` brings any of these orders into the canonical one:

# %%
print(', '.join(skeleton.JOINT_ORDERS))
keys = jax.random.split(jax.random.key(0), 1024)
made = jax.jit(jax.vmap(lambda key: sample_hand(key, WILD, 224).joints_3d))(keys)
my_joints = np.asarray(1e3 * skeleton.reorder(made, 'canonical', 'mano'))  # (N, 21, 3)

joints_3d = skeleton.reorder(my_joints, 'mano')  # left hands: skeleton.mirror first
hand_limits = limits.fit_limits(joints_3d, source='my joints')  # any unit will do
limits.save_limits('my_limits.json', hand_limits)
print('a file to read and to edit: my_limits.json')

# %% [markdown]
# ## What the model shall learn
#
# Depth from 2D keypoints. Only 32 hands have 3D labels, all others just their
# keypoints: there the constraints have to help. `in_reference_bones` brings hands into
# the unit of the limits.

# %%
joints = pose25d.in_reference_bones(joints_3d)
joints = joints - joints[:, :1]
keypoints_2d, depth_true = joints[:768, :, :2], joints[:768, :, 2]
test_keypoints, test_depth = joints[768:, :, :2], joints[768:, :, 2]
LABELLED = 32


def loss_fn(depth, weight):
  """L1 on the labelled hands, and the constraints on the others.

  Args:
    depth: (N, 21) predictions, reference bones.
    weight: of the constraints.
  """
  supervised = jnp.abs(depth - depth_true)[:LABELLED].mean()
  hands = jnp.concatenate([keypoints_2d, depth[..., None]], axis=-1)
  total, _ = constraints.bmc_loss(hands[LABELLED:], hand_limits)
  return supervised + weight * total.mean()


def weight_at(step):
  """The constraints come in slowly, once the labels have shown the right side.

  They have a second basin, the hand mirrored in depth.
  """
  return 0.03 * jnp.clip((step / STEPS - 0.2) / 0.3, 0, 1)


optimizer = optax.adam(2e-3)
errors = {}


def test_error(predict):
  """Mean error of the depth on hands that were never seen, reference bones."""
  return float(jnp.abs(predict(test_keypoints) - test_depth).mean())


# %% [markdown]
# ## Plain JAX


# %%
def init(key, sizes=(42, 256, 256, 21)):
  keys = jax.random.split(key, len(sizes) - 1)
  pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
  return [(jax.random.normal(k, (m, n)) / m**0.5, jnp.zeros(n)) for k, m, n in pairs]


def apply(params, keypoints):
  x = keypoints.reshape(-1, 42)
  for weights, bias in params[:-1]:
    x = jax.nn.relu(x @ weights + bias)
  weights, bias = params[-1]
  return x @ weights + bias


@jax.jit
def train_step(params, state, weight):
  gradient = jax.grad(lambda p: loss_fn(apply(p, keypoints_2d), weight))(params)
  updates, state = optimizer.update(gradient, state)
  return optax.apply_updates(params, updates), state


for name, factor in {'plain JAX, labels only': 0.0, 'plain JAX': 1.0}.items():
  params = init(jax.random.key(1))
  state = optimizer.init(params)
  for step in range(STEPS):
    params, state = train_step(params, state, factor * weight_at(step))
  errors[name] = test_error(lambda keypoints, params=params: apply(params, keypoints))
print(errors)

# %% [markdown]
# ## Equinox
#
# Limits are a pytree of arrays: pass them beside the model. As a field of a module they
# would get gradients, and be trained.


# %%
class EquinoxLifter(eqx.Module):
  mlp: eqx.nn.MLP

  def __init__(self, key):
    self.mlp = eqx.nn.MLP(42, 21, width_size=256, depth=2, key=key)

  def __call__(self, keypoints):  # of one hand, (21, 2)
    return self.mlp(keypoints.ravel())


@eqx.filter_jit
def equinox_step(model, state, weight):
  gradient = eqx.filter_grad(lambda m: loss_fn(jax.vmap(m)(keypoints_2d), weight))(
    model
  )
  updates, state = optimizer.update(gradient, state)
  return eqx.apply_updates(model, updates), state


for name, factor in {'Equinox, labels only': 0.0, 'Equinox': 1.0}.items():
  model = EquinoxLifter(jax.random.key(1))
  state = optimizer.init(eqx.filter(model, eqx.is_array))
  for step in range(STEPS):
    model, state = equinox_step(model, state, factor * weight_at(step))
  errors[name] = test_error(jax.vmap(model))

# %% [markdown]
# ## Flax NNX


# %%
class NnxLifter(nnx.Module):
  def __init__(self, rngs):
    sizes = ((42, 256), (256, 256), (256, 21))
    self.layers = nnx.List([nnx.Linear(m, n, rngs=rngs) for m, n in sizes])

  def __call__(self, keypoints):  # (N, 21, 2)
    x = keypoints.reshape(-1, 42)
    for layer in self.layers[:-1]:
      x = nnx.relu(layer(x))
    return self.layers[-1](x)


@nnx.jit
def nnx_step(model, state, weight):
  gradient = nnx.grad(lambda m: loss_fn(m(keypoints_2d), weight))(model)
  state.update(model, gradient)


for name, factor in {'NNX, labels only': 0.0, 'NNX': 1.0}.items():
  model = NnxLifter(nnx.Rngs(1))
  state = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
  for step in range(STEPS):
    nnx_step(model, state, factor * weight_at(step))
  errors[name] = test_error(model)

# %% [markdown]
# ## What came out
#
# The error of the depth on hands that no model has seen. One seed of a toy problem; the
# experiments of docs/results.md have more.

# %%
figure, axis = plt.subplots(figsize=(7, 2.6), layout='constrained')
colors = ['#8b95a1' if 'only' in name else '#1a73c9' for name in errors]
axis.barh(list(errors), list(errors.values()), color=colors)
axis.invert_yaxis()
axis.set_xlabel('depth error (reference bones, about 3.5 cm)')
plt.show()
for library in ('plain JAX', 'Equinox', 'NNX'):
  change = 100 * (errors[library] / errors[f'{library}, labels only'] - 1)
  print(f'{library}: {change:+.0f} % depth error with the constraints')
