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
# # A tour of the biomechanical constraints
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/)
#
# `bmc_jax.constraints` tells how far a 3D hand is from being one: the lengths of its
# bones, the shape of its palm, the angles of its joints (Spurr et al., ECCV 2020,
# section 3.1). Everything is a pure function that you can `jit`, `vmap` and
# differentiate. We bend a hand and watch the penalties, break it and repair it, and fit
# limits. Two minutes on a CPU.

# %%
# @title Installation { display-mode: "form" }
# @markdown In Colab: the address of your copy of bmc_jax, as `git clone` takes it.
REPOSITORY = ''  # @param {type:"string"}

import importlib.util
import os
import pathlib
import subprocess
import sys

EXTRA = 'viz,repair'
NEEDED = ('bmc_jax', 'matplotlib', 'optax')
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

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from bmc_jax import constraints, kinematics, limits, pose25d, repair, skeleton
from bmc_jax.data.procedural.domain import WILD
from bmc_jax.data.procedural.pose import sample_hand

count = 500 if REDUCED else 4000
keys = jax.random.split(jax.random.key(0), count)
hands = jax.jit(jax.vmap(lambda key: sample_hand(key, WILD, 224).joints_3d))(keys)
print(hands.shape, 'metres, on', jax.devices()[0].platform)

# %% [markdown]
# ## Limits are data
#
# A range for each bone length, each palm curvature and each angle between root bones,
# and a convex hull in the plane of flexion and abduction for each of the 15 joints. The
# unit is the bone from the middle MCP to the middle PIP, so the size of a hand does not
# matter.

# %%
hand_limits = limits.fit_limits(hands, source='procedural hands')
clinical = limits.clinical_limits()  # from the medical literature: no data needed
for name, one in {'fitted': hand_limits, 'clinical': clinical}.items():
  index, ring = np.rad2deg(one.root_angles)[:, [1, 3]].T.round(1)
  print(f'{name:8} angle index-middle {index}, ring-little {ring} degrees')

# %% [markdown]
# ## Bend a finger
#
# `forward_kinematics` is the inverse of `joint_angles`: it poses a hand by its angles.
# Here the PIP joint of the index finger goes from -60 to 150 degrees. The penalty is
# the distance of $(\theta^f, \theta^a)$ to the hull,
#
# $$\mathcal{L}_A = \frac{1}{15} \sum_b D\big((\theta_b^f, \theta_b^a), H_b\big),$$
#
# zero inside of it.

# %%
INDEX, PIP_JOINT = 1, 1
hand = pose25d.in_reference_bones(hands[7])
hand = hand - hand[:1]
bones = kinematics.bone_vectors(hand)
angles = kinematics.joint_angles(hand)


@jax.jit
def bend(flexion):
  """The hand with another flexion of the index finger, radians."""
  return kinematics.forward_kinematics(
    angles.at[INDEX, PIP_JOINT, 0].set(flexion),
    kinematics.bone_lengths(hand),
    bones[:, 0],
  )


sweep = jnp.deg2rad(jnp.linspace(-60, 150, 106))
bent = jax.vmap(bend)(sweep)
total, terms = jax.vmap(lambda joints: constraints.bmc_loss(joints, hand_limits))(bent)


# %%
def draw_hand(axis, joints, title=''):
  """A hand seen from the front: thumb red, index orange, ... little finger violet."""
  colors = ('#e03131', '#ee8a00', '#2b9e44', '#1c7ed6', '#9c36b5')
  joints = np.asarray(joints)
  for finger, color in enumerate(colors):
    chain = joints[[0, *range(4 * finger + 1, 4 * finger + 5)]]
    axis.plot(chain[:, 0], chain[:, 2], -chain[:, 1], 'o-', color=color, ms=3)
  axis.set_aspect('equal')
  axis.set_axis_off()
  axis.set_title(title, fontsize=10)


def draw_hull(axis, point):
  corners = np.rad2deg(hand_limits.hulls[INDEX, PIP_JOINT])
  axis.fill(corners[:, 0], corners[:, 1], alpha=0.25)
  axis.plot(*np.rad2deg(point), 'o', color='#ee8a00')
  axis.set(xlabel='flexion (degrees)', ylabel='abduction (degrees)')
  axis.set(xlim=(-70, 160), ylim=(-40, 40))


chosen = np.deg2rad([-40.0, 20.0, 80.0, 140.0])
figure = plt.figure(figsize=(12, 5.5), layout='constrained')
for column, flexion in enumerate(chosen):
  joints = bend(flexion)
  penalty = float(constraints.bmc_loss(joints, hand_limits)[1]['joint_angle'])
  axis = figure.add_subplot(2, 4, column + 1, projection='3d')
  draw_hand(axis, joints, f'{np.rad2deg(flexion):.0f} degrees: $L_A$ = {penalty:.3f}')
  draw_hull(
    figure.add_subplot(2, 4, column + 5),
    kinematics.joint_angles(joints)[INDEX, PIP_JOINT],
  )
plt.show()

# %%
figure, axis = plt.subplots(figsize=(7, 3), layout='constrained')
for name, values in terms.items():
  axis.plot(np.rad2deg(sweep), values, label=name)
axis.set(xlabel='flexion of the index PIP joint (degrees)', ylabel='penalty')
axis.legend()
plt.show()

# %% [markdown]
# With `ipywidgets`, which Colab has, a slider bends the finger:

# %%
try:
  from ipywidgets import interact
except ImportError:
  print('ipywidgets is not installed: no slider.')
else:

  @interact(degrees=(-60, 150, 5))
  def show(degrees=20):
    joints = bend(np.deg2rad(degrees))
    figure = plt.figure(figsize=(8, 3.2), layout='constrained')
    loss, _ = constraints.bmc_loss(joints, hand_limits)
    draw_hand(figure.add_subplot(1, 2, 1, projection='3d'), joints, f'{loss:.3f}')
    point = kinematics.joint_angles(joints)[INDEX, PIP_JOINT]
    draw_hull(figure.add_subplot(1, 2, 2), point)
    plt.show()


# %% [markdown]
# ## Break hands, and let the gradient repair them
#
# 64 hands, where they are before their camera. The depth of every joint gets noise
# along its viewing ray, as in a prediction from an image. The gradient of the loss with
# respect to depth alone makes them hands again: no joint moves in the image. This is
# the training signal of images that have 2D labels only.

# %%
true = pose25d.in_reference_bones(hands[:64])
rays = true / true[..., 2:]
depth = true[..., 2] + 0.4 * jax.random.normal(jax.random.key(1), true.shape[:-1])
broken = rays * depth[..., None]


def implausibility(depth):
  return constraints.bmc_loss(rays * depth[..., None], hand_limits)[0].sum()


@jax.jit
def descend(depth):
  def step(depth, _):
    return depth - 0.001 * jax.grad(implausibility)(depth), None

  return jax.lax.scan(step, depth, None, 400 if REDUCED else 4000)[0]


by_gradient = rays * descend(depth)[..., None]

# %% [markdown]
# `bmc_jax.repair` moves joints along the same rays, and stays near to what it is given:
# 200 steps of a better optimiser come as near to the truth as those 4,000. Both know
# the scale of the hands: the reference bone has the length 1.

# %%
repaired = repair.repair(broken, hand_limits, keep='projection', scale=1.0).joints
stages = {
  'true': true,
  'broken': broken,
  'by gradient': by_gradient,
  'by bmc_jax.repair': repaired,
}
figure = plt.figure(figsize=(12, 3.4), layout='constrained')
for column, (name, joints) in enumerate(stages.items()):
  error = jnp.abs(joints - true)[..., 2].mean()  # of all hands, in reference bones
  axis = figure.add_subplot(1, 4, column + 1, projection='3d')
  draw_hand(axis, joints[7], f'{name}: depth error {error:.2f}')
plt.show()

# %% [markdown]
# ## Which bones are wrong?
#
# Every term is available unreduced, bone by bone.

# %%
degrees = np.rad2deg(constraints.joint_angle_penalty(broken[7], hand_limits)).round(1)
for finger, values in zip(skeleton.FINGERS, degrees, strict=True):
  print(f'{finger:7} degrees outside, joint by joint:', values)

# %% [markdown]
# ## Fast enough for any training step

# %%
batch = pose25d.in_reference_bones(hands[:1024])
value_and_grad = jax.jit(
  jax.value_and_grad(lambda joints: constraints.bmc_loss(joints, hand_limits)[0].mean())
)
jax.block_until_ready(value_and_grad(batch))
start = time.perf_counter()
for _ in range(20):
  jax.block_until_ready(value_and_grad(batch))
milliseconds = (time.perf_counter() - start) / 20 * 1e3
print(f'{milliseconds:.1f} ms for value and gradient of {len(batch)} hands')
