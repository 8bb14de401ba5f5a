"""Values that every experiment starts from, and how rows are added to its table,
and terms to its loss.

The model and the schedule are the paper's (ResNet-50, 128 px, SGD, step decay); the
experiments in `configs/` override what they need.
"""

import ml_collections

from bmc_jax.training.config import Config


def get_config() -> Config:
  """The base config."""
  c = ml_collections.ConfigDict()
  c.title = ''
  c.description = ''
  c.seed = 0

  # What 2.5D means: root joint, reference bone, and the range of root depths that the
  # quadratic may return, in reference bones.
  c.root = 0
  c.reference = (9, 10)
  c.depth_bounds = (3.0, 100.0)

  c.image_size = 128
  c.model = _model()
  # A weights file of ours (.npz), or package:NAME; empty for random ones. Or the state
  # dict of a ResNet of torchvision or timm (.pth, .pt, .bin, .safetensors), which fills
  # the pose network's backbone alone: see docs/training.md.
  c.init_from = ''
  # Where to write the trained weights in half precision; empty for nowhere.
  c.save_weights = ''

  c.data = _data()
  # Replaces the path of the test set by another one of the same form.
  c.eval_path = ''
  # The builder of data_prep that prepares such a path if it holds original files.
  c.eval_prepare = ''

  c.batch_size = 64
  c.num_steps = 1000
  c.augment = _augment()
  # For sources without images: turns in degrees, noise in pixels (see
  # `bmc_jax.data.augment.augment_poses`).
  c.augment_poses = ml_collections.ConfigDict(
    {'rotation': 0.0, 'tilt': 0.0, 'viewpoint': 0.0, 'noise': 0.0}
  )
  c.optimizer = _optimizer()
  # Weights of the supervised terms (paper section 4). `heatmap` is ours: a loss on the
  # maps of a heatmap head. So is `depth_likelihood`: it teaches a lifter how uncertain
  # its depths are.
  c.loss = ml_collections.ConfigDict(
    {
      'keypoints_2d': 1.0,
      'heatmap': 0.0,
      'relative_depth': 5.0,
      'depth_likelihood': 0.0,
      'root_depth': 1.0,
    }
  )
  c.bmc = _constraints()
  # Terms of the loss that are not of this library: `add_term` adds one.
  c.extra_terms = ml_collections.ConfigDict()

  # Limits: a file or 'mano', 'surface' or 'clinical', or the source whose 3D labels
  # they are computed from.
  c.limits = ml_collections.ConfigDict(
    {'path': '', 'source': {}, 'num_vertices': 12, 'coverage': 0.999}
  )

  # 'stop' at a step whose loss or gradient is not finite, or 'skip' it and count.
  c.nonfinite = 'stop'
  # Parts in which a batch is taken, so that larger ones fit into memory.
  c.accumulate = 1
  # Lets each device hold a part of the optimizer's state (ZeRO, stage 1).
  c.shard_optimizer = False

  # Writes a trace of ten steps of each row (see `bmc_jax.training.profiling`).
  c.profile = False
  # Compiles the steps, tells what they need, and ends (see `bmc_jax.training.dry_run`).
  c.dry_run = False

  c.log_every = 50
  # Logs the norm of the gradient of each weighted term, too: a backward pass for each.
  c.log_gradients = False
  c.eval = ml_collections.ConfigDict({'every': 200, 'batch_size': 128})
  c.checkpoint = ml_collections.ConfigDict({'every': 200, 'keep': 2})

  # The table: {row: {group, overrides}}, and the order in which rows are run.
  c.rows = ml_collections.ConfigDict()
  c.run_rows = ()
  return c


def _model() -> ml_collections.ConfigDict:
  """Which model, and the options of each (see their classes in bmc_jax.models)."""
  return ml_collections.ConfigDict(
    {
      'name': 'pose_network',
      'pose_network': {
        'depth': 50,
        'width': 64,
        'stem': 'imagenet',
        'output_stride': 32,
        'head': 'regression',
        'head_channels': 64,
        'heatmap_stride': 4,
        'refine': True,
        'stop_root_gradient': True,
        'stop_refiner_gradient': True,
        'dtype': 'float32',
      },
      'keypoint_lifter': {
        'width': 512,
        'depth': 2,
        'refine': True,
        'correct_2d': False,
        'stop_root_gradient': True,
      },
    }
  )


def _data() -> ml_collections.ConfigDict:
  """Sources (see `bmc_jax.data.sources.open_source`).

  `full` carries 3D labels; `weak` is mixed in half and half where `use_weak` is set,
  and its `labels` say what it teaches; `val` is evaluated along the way.
  """
  return ml_collections.ConfigDict(
    {
      'full': {},
      'weak': {},
      'use_weak': True,
      'val': {},
      'test': {},
      'num_threads': 2,
    }
  )


def _augment() -> ml_collections.ConfigDict:
  """Augmentation of images (see `bmc_jax.data.augment.augment_batch`)."""
  return ml_collections.ConfigDict(
    {
      'rotation': 0.0,  # degrees, in the image plane
      'scale': 0.0,
      'shift': 0.0,
      'brightness': 0.0,
      'contrast': 0.0,
      'color': 0.0,
      'noise': 0.0,
      'blur': 0.0,
      'erase': 0.0,
    }
  )


def _optimizer() -> ml_collections.ConfigDict:
  """Optimiser and schedule (see `bmc_jax.training.optimizers`)."""
  return ml_collections.ConfigDict(
    {
      'name': 'sgd',
      'learning_rate': 0.01,
      'momentum': 0.9,
      'weight_decay': 1e-4,
      'clip_norm': 5.0,
      'clip_by': 'all',  # or 'term': the gradient of each weighted term by itself
      'warmup_steps': 0,
      'schedule': 'step',
      'decay_every': 1000,
      'decay_factor': 0.1,
    }
  )


def _constraints() -> ml_collections.ConfigDict:
  """The constraints. All weights 0: not used."""
  return ml_collections.ConfigDict(
    {
      'weights': {'bone_length': 0.0, 'root_bone': 0.0, 'joint_angle': 0.0},
      'ramp_start': 0.3,  # share of the run without constraints
      'ramp_end': 0.6,  # share of the run after which they have their full weight
      # Of the joint angles: see bmc_jax.constraints.joint_angle_penalty.
      'hull_power': 1,
      'hull_distance': 'euclidean',  # or 'chordal_l1'
      'stop_frame_gradient': False,
      'shape': 'hull',  # or 'box': flexion and abduction bounded independently
      'mirror': 0.0,  # weight of the mirror term; not the paper's
      'weak_only': True,  # False: on fully labelled examples, too
      # Or 'calculated', 'labelled': see bmc_jax.training.objective.compute_bmc. With
      # these loss.root_depth also weighs what trains the refiner on weak examples.
      'joints': 'refined',
    }
  )


def add_row(c: Config, name: str, overrides: dict, *, group: str = 'network') -> None:
  """Adds a row to the table.

  Args:
    c: the experiment's config.
    name: of the row.
    overrides: nested values that differ from the experiment's.
    group: rows of one group are compared with each other.

  Raises:
    ValueError: the name is no text, or holds a dot, which separates a config's keys.
  """
  if not isinstance(name, str) or not name.strip():
    raise ValueError(f'The name of a row is {name!r}; it must be a text.')
  if '.' in name:
    raise ValueError(f'The name of the row {name!r} holds a dot: leave it out.')
  c.rows[name] = ml_collections.ConfigDict({'group': group, 'overrides': overrides})
  c.run_rows = (*c.run_rows, name)


def add_term(
  c: Config, name: str, function: str, *, weight: float = 1.0, examples: str = 'all'
) -> None:
  """Adds a term to the loss, without a change to the library.

  Args:
    c: the experiment's config.
    name: of the term; it is logged as `train/extra_NAME`.
    function: 'MODULE:NAME' of a function of a prediction (`models.PoseOutput`) and the
      augmented batch of b examples it was made for, that gives (b,) losses. It runs
      under `jax.jit` and `jax.grad`; what it gives for other examples is not read.
    weight: of the term's mean in the loss; a row may override
      `extra_terms.NAME.weight`, and 0 leaves the term out.
    examples: over which the mean is: 'all', those with '3d' labels, or those with '2d'
      labels alone.

  Raises:
    ValueError: the name is no word.
  """
  if not name.isidentifier():
    raise ValueError(f'The name of a term is {name!r}; it must be a word, as in fist.')
  c.extra_terms[name] = ml_collections.ConfigDict(
    {'function': function, 'weight': float(weight), 'examples': examples}
  )
