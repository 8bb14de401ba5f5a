"""ImageNet weights in our backbone: the same features, and a sentence for misfits."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmc_jax.experiments.rows import run_experiment
from bmc_jax.models import PoseNetwork, create_model, resnet
from bmc_jax.torch_import import weights
from bmc_jax.training import defaults
from bmc_jax.training.initial_values import check_weights
from bmc_jax.training.loop import create_optimizer, model_options, variables_of
from bmc_jax.training.step import create_train_state
from tests.fixtures import tiny_config
from tests.fixtures import torch_states as ft


@functools.cache
def _like(depth: int) -> Mapping:
  """The shapes of a pose network's variables."""
  batch = {'image': jnp.zeros((1, 32, 32, 3)), 'intrinsics': jnp.eye(3)[None]}
  return jax.eval_shape(PoseNetwork(depth=depth).init, jax.random.key(0), batch)


def _backbone(path, depth: int) -> dict:
  """The backbone's variables, filled from a file."""
  filled, _ = weights.fill_backbone(_like(depth), PoseNetwork(depth=depth), str(path))
  return {kind: tree['backbone'] for kind, tree in filled.items()}


def _features(path, depth: int, images: np.ndarray) -> tuple[np.ndarray, ...]:
  """Our four stages' features of NCHW images, as NCHW."""
  apply = jax.jit(resnet.ResNet(depth=depth).apply)
  stages = apply(_backbone(path, depth), images.transpose(0, 2, 3, 1))
  return tuple(np.asarray(stage).transpose(0, 3, 1, 2) for stage in stages)


def _assert_near(got, wanted):
  assert got.shape == wanted.shape
  assert np.abs(got - wanted).max() < 1e-4 * np.abs(wanted).max()


def _images(size: int) -> np.ndarray:
  return np.random.default_rng(1).standard_normal((2, 3, size, size), np.float32)


def _lax_stages(state: Mapping[str, np.ndarray], x: jax.Array, blocks) -> list:
  """A ResNet of basic blocks in torch's layout, in plain functions."""

  def conv(name, x, stride=1):
    kernel = state[f'{name}.weight']
    pad = kernel.shape[-1] // 2
    layout = ('NCHW', 'OIHW', 'NCHW')
    return jax.lax.conv_general_dilated(
      x, kernel, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=layout
    )

  def norm(name, x):
    scale, bias, mean, var = (
      state[f'{name}.{leaf}'][:, None, None]
      for leaf in ('weight', 'bias', 'running_mean', 'running_var')
    )
    scale, bias, mean, var = (v[None] for v in (scale, bias, mean, var))
    return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias

  x = jax.nn.relu(norm('bn1', conv('conv1', x, 2)))
  x = jax.lax.reduce_window(
    x,
    -jnp.inf,
    jax.lax.max,
    (1, 1, 3, 3),
    (1, 1, 2, 2),
    ((0, 0), (0, 0), (1, 1), (1, 1)),
  )
  stages = []
  for stage, count in enumerate(blocks, 1):
    for block in range(count):
      name = f'layer{stage}.{block}'
      stride = 2 if stage > 1 and block == 0 else 1
      y = jax.nn.relu(norm(f'{name}.bn1', conv(f'{name}.conv1', x, stride)))
      y = norm(f'{name}.bn2', conv(f'{name}.conv2', y))
      if f'{name}.downsample.0.weight' in state:
        x = norm(f'{name}.downsample.1', conv(f'{name}.downsample.0', x, stride))
      x = jax.nn.relu(x + y)
    stages.append(x)
  return stages


@pytest.mark.slow
def test_features_are_those_of_plain_functions_in_torchs_layout(tmp_path):
  state, images = ft.random_state(18), _images(32)
  ft.save_zip(tmp_path / 'w.pth', ft.tensors(state))
  wanted = jax.jit(lambda x: _lax_stages(state, x, ft.BLOCKS[18]))(images)
  for ours, theirs in zip(
    _features(tmp_path / 'w.pth', 18, images), wanted, strict=True
  ):
    _assert_near(ours, np.asarray(theirs))


def _torch_stages(torch, state: Mapping, x, depth: int) -> list:
  """The forward pass of torchvision's ResNet, by torch's own functions."""
  f = torch.nn.functional

  def conv(name, x, stride=1):
    kernel = state[f'{name}.weight']
    return f.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)

  def norm(name, x):
    leaves = ('running_mean', 'running_var', 'weight', 'bias')
    return f.batch_norm(x, *(state[f'{name}.{leaf}'] for leaf in leaves))

  x = f.max_pool2d(f.relu(norm('bn1', conv('conv1', x, 2))), 3, 2, 1)
  stages = []
  for stage, count in enumerate(ft.BLOCKS[depth], 1):
    for block in range(count):
      name, y = f'layer{stage}.{block}', x
      stride = 2 if stage > 1 and block == 0 else 1
      last, strided = (2, 1) if depth < 50 else (3, 2)
      for i in range(1, last + 1):
        y = conv(f'{name}.conv{i}', y, stride if i == strided else 1)
        y = norm(f'{name}.bn{i}', y)
        y = f.relu(y) if i < last else y
      if f'{name}.downsample.0.weight' in state:
        x = norm(f'{name}.downsample.1', conv(f'{name}.downsample.0', x, stride))
      x = f.relu(x + y)
    stages.append(x)
  return stages


@pytest.mark.slow
@pytest.mark.parametrize(
  'depth, ending',
  [(18, 'pth'), (34, 'legacy'), (50, 'safetensors'), (101, 'pth'), (152, 'legacy')],
)
def test_features_and_logits_are_those_of_torch(tmp_path, depth, ending):
  torch = pytest.importorskip('torch', reason='torch is not installed')
  arrays, images = ft.random_state(depth), _images(64)
  state = {name: torch.from_numpy(array) for name, array in arrays.items()}
  path = tmp_path / ('w.safetensors' if ending == 'safetensors' else 'w.pth')
  if ending == 'safetensors':
    ft.save_safetensors(path, arrays)
  else:
    torch.save(state, path, _use_new_zipfile_serialization=ending == 'pth')
  ours = _features(path, depth, images)
  with torch.no_grad():
    theirs = _torch_stages(torch, state, torch.from_numpy(images), depth)
    pooled = torch.nn.functional.adaptive_avg_pool2d(theirs[-1], 1).flatten(1)
    logits = torch.nn.functional.linear(pooled, state['fc.weight'], state['fc.bias'])
  for a, b in zip(ours, theirs, strict=True):
    _assert_near(a, b.numpy())
  got = ours[-1].mean((2, 3)) @ arrays['fc.weight'].T + arrays['fc.bias'][None]
  _assert_near(got, logits.numpy())


@pytest.mark.parametrize(
  'prefix', ['module.', 'model.', 'backbone.', 'encoder.', 'module.encoder_q.']
)
def test_what_stands_before_all_names_is_found(tmp_path, prefix):
  views = ft.views(ft.shapes(18))
  tree = {f'{prefix}{name}': view for name, view in views.items()}
  tree['neck.conv1.weight'] = views['conv1.weight']
  ft.save_zip(tmp_path / 'w.pth', {'state_dict': tree})
  _, line = weights.fill_backbone(
    _like(18), PoseNetwork(depth=18), str(tmp_path / 'w.pth')
  )
  assert line == (
    f'{tmp_path / "w.pth"}: 100 arrays (11,186,112 numbers) of a ResNet-18 start the '
    'backbone; left out: 20 of num_batches_tracked, 2 of fc, 1 of neck; random: 2 of '
    'pose_head, 10 of refiner.'
  )


Shapes = dict[str, tuple[int, ...]]


def _changed(depth: int, change: Callable[[str], str | None]) -> Shapes:
  """Shapes with other names; None leaves one out."""
  renamed = {change(name): shape for name, shape in ft.shapes(depth).items()}
  return {name: shape for name, shape in renamed.items() if name}


# The names and shapes are those of torchvision and timm.
OTHERS: dict[str, tuple[Shapes, str]] = {
  'wide_resnet50_2': (
    ft.shapes(50) | {'layer1.0.conv2.weight': (128, 128, 3, 3)},
    r'layer1.0.conv2.weight has the shape \(128, 128, 3, 3\), not \(64, 64, 3, 3\)',
  ),
  'resnext50_32x4d': (
    ft.shapes(50) | {'layer1.0.conv2.weight': (128, 4, 3, 3)},
    r'layer1.0.conv2.weight has the shape \(128, 4, 3, 3\)',
  ),
  'seresnet50': (
    ft.shapes(50) | {'layer1.0.se.fc1.weight': (16, 256, 1, 1)},
    "'layer1.0.se.fc1.weight' has no place in one",
  ),
  'resnet50d': (
    _changed(50, lambda name: 'conv1.0.weight' if name == 'conv1.weight' else name),
    "'conv1.0.weight' has no place in one",
  ),
  'resnet50d, behind the stem': (
    _changed(50, lambda name: name.replace('downsample.1', 'downsample.2')),
    "'layer1.0.downsample.2.weight' has no place in one",
  ),
  'RN50 of CLIP': (
    ft.shapes(50) | {'conv1.weight': (32, 3, 3, 3), 'conv2.weight': (32, 32, 3, 3)},
    r'conv1.weight has the shape \(32, 3, 3, 3\), not \(64, 3, 7, 7\)',
  ),
  'grey images': (
    ft.shapes(18) | {'conv1.weight': (64, 1, 7, 7)},
    r'conv1.weight has the shape \(64, 1, 7, 7\)',
  ),
  'resnet50_gn': (
    _changed(18, lambda name: None if 'running' in name else name),
    'bn1.running_mean is missing',
  ),
  'resnet26': (
    ft.shapes(50, [2, 2, 2, 2]),
    r'\(2, 2, 2, 2\) bottleneck blocks are those of no depth of 10, 18, 34, 50, 101',
  ),
  'a stage without its last block': (
    _changed(18, lambda name: name.replace('layer4.1', 'layer4.2')),
    'layer4.1.bn1.bias is missing',
  ),
  'a shortcut too many': (
    ft.shapes(18) | {'layer1.1.downsample.0.weight': (64, 64, 1, 1)},
    'layer1.1.downsample.0.weight has no place in one of this depth',
  ),
  'a wider last stage': (
    ft.shapes(18) | {'layer4.1.bn2.bias': (513,)},
    r'layer4.1.bn2.bias has the shape \(513,\), not \(512,\)',
  ),
  'vgg': ({'features.0.weight': (64, 3, 3, 3)}, 'it has no layer1.0.conv1.weight'),
  'two ResNets': (
    {'a.layer1.0.conv1.weight': (64,), 'b.layer1.0.conv1.weight': (64,)},
    r"holds 2 ResNets, below 'a\.', 'b\.': keep one of them",
  ),
  'a ResNet-34': (
    ft.shapes(34),
    'holds a ResNet-34, the model has depth 18: set model.pose_network.depth=34',
  ),
}


@pytest.mark.parametrize('name', OTHERS)
def test_what_does_not_fit_is_told_in_a_sentence(tmp_path, name):
  shapes, message = OTHERS[name]
  ft.save_zip(tmp_path / 'w.pth', ft.views(shapes))
  with pytest.raises(ValueError, match=message) as error:
    _backbone(tmp_path / 'w.pth', 18)
  text = str(error.value)
  assert '\n' not in text and text.endswith('.') and 'w.pth' in text


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
  tree = ft.views(ft.shapes(18))
  tree['bn1.running_var'] = ft.tensor(np.full(64, value, np.float16), '1')
  ft.save_zip(tmp_path / 'w.pth', tree)
  with pytest.raises(ValueError, match='w.pth: bn1.running_var holds values that are'):
    _backbone(tmp_path / 'w.pth', 18)


@pytest.mark.parametrize(
  'options, message',
  [
    ({'width': 32}, 'a model of width 32: set model.pose_network.width=64'),
    ({'stem': 'small'}, "a model of stem 'small': set model.pose_network.stem='image"),
    ({'name': 'keypoint_lifter'}, 'A LifterNetwork has no ResNet that could start'),
  ],
)
def test_models_that_cannot_take_imagenet_weights_say_so(options, message):
  model = create_model({'name': 'pose_network'} | options)
  with pytest.raises(ValueError, match=message):
    check_weights(model, 32, 'w.safetensors')


@pytest.fixture(scope='module')
def images(tmp_path_factory):
  return tiny_config.write_images(tmp_path_factory.mktemp('images'))


def _config(images):
  config = tiny_config.get_config(images)
  config.model.pose_network.update({'depth': 18, 'width': 64, 'stem': 'imagenet'})
  return config


@pytest.mark.slow
@pytest.mark.usefixtures('full_compilation')  # 11 million random numbers, twice
def test_training_starts_from_the_files_backbone_and_its_own_heads(
  images, tmp_path, capsys
):
  arrays = ft.random_state(18)
  ft.save_legacy(tmp_path / 'w.pth', ft.tensors(arrays))
  config = _config(images)
  config.seed = 1
  model = create_model(model_options(config))
  optimizer = create_optimizer(config.optimizer, 1)
  random = variables_of(create_train_state(config, model, optimizer))
  assert capsys.readouterr().out == ''
  config.init_from = str(tmp_path / 'w.pth')
  state = create_train_state(config, model, optimizer)
  assert capsys.readouterr().out.startswith(f'{config.init_from}: 100 arrays (11,186')
  started = jax.device_get(variables_of(state))
  params, stats = (started[k]['backbone'] for k in ('params', 'batch_stats'))
  for got, name in [
    (params['conv1']['kernel'].transpose(3, 2, 0, 1), 'conv1.weight'),
    (
      params['layer4_1']['conv2']['kernel'].transpose(3, 2, 0, 1),
      'layer4.1.conv2.weight',
    ),
    (params['layer4_1']['bn2']['scale'], 'layer4.1.bn2.weight'),
    (params['layer2_0']['downsample_bn']['bias'], 'layer2.0.downsample.1.bias'),
    (stats['layer2_0']['downsample_bn']['var'], 'layer2.0.downsample.1.running_var'),
    (stats['bn1']['mean'], 'bn1.running_mean'),
  ]:
    np.testing.assert_array_equal(got, arrays[name], err_msg=name)
  for kind, trees in random.items():
    for name in trees.keys() - {'backbone'}:
      jax.tree.map(np.testing.assert_array_equal, trees[name], started[kind][name])
  assert {'pose_head', 'refiner'} < random['params'].keys()


def test_a_file_that_does_not_fit_is_told_before_anything_is_trained(images, tmp_path):
  ft.save_zip(tmp_path / 'w.pt', ft.views(ft.shapes(34)))
  config = _config(images)
  defaults.add_row(config, 'last', {'init_from': str(tmp_path / 'w.pt')})
  with pytest.raises(
    ValueError, match='w.pt holds a ResNet-34, the model has depth 18'
  ):
    run_experiment(config, tmp_path / 'run')
  with config.unlocked():
    config.rows['last'].overrides.init_from = str(tmp_path / 'nope.safetensors')
  with pytest.raises(FileNotFoundError, match='no weights .*nope.safetensors; docs/'):
    run_experiment(config, tmp_path / 'run')
  left = {p.name for p in (tmp_path / 'run').iterdir() if '.lock' not in p.name}
  assert left == {'config.json'}
