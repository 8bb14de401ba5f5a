"""Exported files give what the model gives, for any batch, and say what they take."""

import json

import jax
import numpy as np
import optax
import pytest

from bmc_jax.console.installation import how_to_add
from bmc_jax.experiments.rows import run_experiment
from bmc_jax.export import onnx, parity, signature, stablehlo, tflite
from bmc_jax.export.__main__ import main
from bmc_jax.models import create_model
from bmc_jax.training import trained_row
from tests.fixtures import tiny_config
from tests.fixtures.hands import as_users_call

pytestmark = pytest.mark.slow  # they train a network first


def _train(folder, data):
  config = tiny_config.get_config(data)
  config.num_steps = 2
  config.data.val = {}
  config.run_rows = ('source only',)
  run_experiment(config, folder, write_page=False)
  return trained_row.open_row(folder)


@pytest.fixture(scope='module')
def network(tmp_path_factory):
  folder = tmp_path_factory.mktemp('network')
  return _train(folder / 'run', tiny_config.write_images(folder / 'images', train=8))


@pytest.fixture(scope='module')
def lifter(tmp_path_factory):
  folder = tmp_path_factory.mktemp('lifter')
  return _train(folder / 'run', tiny_config.write_poses(folder / 'poses.npy'))


def _export(row, *arguments):
  main(['--checkpoint', str(row.folder), *(str(a) for a in arguments)])


def _expected(row, inputs):
  """The model's outputs, by its own call."""
  first, cameras = inputs
  name = 'keypoints_2d'
  if first.dtype == np.uint8:
    name, first = 'image', first.astype(np.float32) / 255
  apply = jax.jit(row.model.apply)
  output = apply(row.variables, {name: first, 'intrinsics': cameras})
  return [getattr(output, name) for name in signature.OUTPUTS]


@pytest.mark.parametrize('kind', ['network', 'lifter'])
def test_stablehlo_gives_the_model_s_outputs_for_any_batch_and_says_what_it_takes(
  kind, tmp_path, capsys, request
):
  row = request.getfixturevalue(kind)
  out = tmp_path / 'made' / 'hand.stablehlo'
  _export(row, '--format', 'stablehlo', '--out', out)
  text = capsys.readouterr().out
  assert text.count('differs from the model by at most') == 4
  inputs = signature.Signature.of(row)
  predict = stablehlo.read(out, inputs)
  given = [values[:3] for values in signature.sample_inputs(inputs, parity.CROPS)]
  for value, expected in zip(predict(*given), _expected(row, given), strict=True):
    assert value.shape == expected.shape
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)
  names = sorted(path.name for path in out.parent.iterdir())
  assert names == ['hand.stablehlo', 'hand.stablehlo.json']

  about = json.loads((out.parent / 'hand.stablehlo.json').read_text())
  assert list(about['inputs']) == list(inputs.names)
  if kind == 'network':
    assert 'uint8' in about['inputs']['image'] and about['image_size'] == 32
  assert list(about['outputs']) == list(signature.OUTPUTS)
  assert about['joint_names'][0] == 'wrist' and about['reference_bone'] == [9, 10]
  assert about['format'] == 'stablehlo'
  assert list(about['differences']) == list(signature.OUTPUTS)
  assert max(about['differences'].values()) < 1e-4


def test_a_reader_leaves_a_run_of_another_optimizer_as_it_is(
  network, monkeypatch, capsys, tmp_path
):
  create = trained_row.create_optimizer
  monkeypatch.setattr(
    trained_row,
    'create_optimizer',
    lambda *a: optax.chain(create(*a), optax.scale_by_schedule(lambda step: 1.0)),
  )
  before = sorted(network.folder.rglob('*'))
  with pytest.raises(SystemExit) as error:
    _export(network, '--format', 'stablehlo', '--out', tmp_path / 'x.stablehlo')
  told = capsys.readouterr().err
  assert error.value.code == 2 and told.count('\n') == 1
  assert (
    'holds a state of another structure' in told and ' there and missing here' in told
  )
  assert sorted(network.folder.rglob('*')) == before


def test_a_file_that_differs_is_not_kept(lifter, tmp_path, capsys, monkeypatch):
  read = stablehlo.read

  def read_wrongly(path, inputs):
    predict = read(path, inputs)
    return lambda *given: [value + 1e-3 for value in predict(*given)]

  monkeypatch.setattr(stablehlo, 'read', read_wrongly)
  with pytest.raises(SystemExit) as error:
    _export(lifter, '--format', 'stablehlo', '--out', tmp_path / 'x.stablehlo')
  assert error.value.code == 2 and 'so it is not kept' in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


def test_differences_are_those_of_the_worst_crop(lifter):
  inputs = signature.Signature.of(lifter)
  model = signature.crop_function(lifter.model, lifter.variables, inputs)
  given = [values[:4] for values in signature.sample_inputs(inputs, parity.CROPS)]
  jitted = jax.jit(model)

  def spoiled(first, cameras):
    outputs = [np.array(value) for value in jitted(first, cameras)]
    outputs[0][-1, 3] += 7.0
    outputs[2][0] = np.nan
    return outputs

  found = parity.differences(model, spoiled, given, batch=4)
  expected = jitted(*given)[0][-1, 3]
  gap = (7 / (1 + np.abs(expected))).max()
  assert found['keypoints_2d'] == pytest.approx(float(gap), rel=1e-3)
  assert found['root_depth'] == np.inf and found['joints_3d'] == 0


def test_an_export_takes_the_place_of_an_export_alone(lifter, tmp_path, capsys):
  for name in ('x.stablehlo', 'x.stablehlo.json'):
    (tmp_path / name).write_text('{"of": "somebody"}')
    with pytest.raises(SystemExit):
      _export(lifter, '--format', 'stablehlo', '--out', tmp_path / 'x.stablehlo')
    assert 'is there and holds something else than' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / name).unlink()


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--format', 'stablehlo', '--out', 'x.bin'], 'are written as .stablehlo;'),
    (['--format', 'stablehlo', '--row', 'other'], 'holds no row'),
  ],
)
def test_wrong_calls_are_told(network, capsys, arguments, message):
  with pytest.raises(SystemExit) as error:
    _export(network, *arguments)
  assert error.value.code == 2
  assert message in capsys.readouterr().err


@pytest.mark.parametrize('form', ['tflite', 'onnx'])
def test_a_missing_library_is_told_with_its_extra(
  network, tmp_path, capsys, monkeypatch, form
):
  for name in ('tensorflow', 'jax2onnx'):
    monkeypatch.setitem(__import__('sys').modules, name, None)
  with pytest.raises(SystemExit):
    _export(network, '--format', form, '--out', tmp_path / f'x.{form}')
  assert f'{how_to_add(form)}, best in an environment' in capsys.readouterr().err


@pytest.mark.parametrize(
  'form',
  [
    pytest.param(tflite, marks=pytest.mark.extra('tflite')),
    pytest.param(onnx, marks=pytest.mark.extra('onnx')),
  ],
  ids=['tflite', 'onnx'],
)
@pytest.mark.parametrize(('depth', 'head'), [(18, 'heatmap'), (50, 'regression')])
def test_other_formats_are_the_model_within_their_tolerance(
  form, depth, head, tmp_path
):
  model = create_model({'name': 'pose_network', 'depth': depth, 'head': head})
  inputs = signature.Signature(
    ('image', 'intrinsics'), ((128, 128, 3), (3, 3)), (np.uint8, np.float32)
  )
  images, cameras = signature.sample_inputs(inputs, 100)
  example = {'image': images[:1] / np.float32(255), 'intrinsics': cameras[:1]}
  variables = jax.jit(model.init)(jax.random.key(0, impl='rbg'), example)
  variables = {name: variables[name] for name in ('params', 'batch_stats')}
  function = signature.crop_function(model, variables, inputs)
  path = tmp_path / f'hand{form.SUFFIX}'
  # jax2onnx's own code is not as strict as the tests.
  with as_users_call(), jax.numpy_rank_promotion('allow'):
    form.write(path, function, inputs)
  predict = form.read(path, inputs)
  found = parity.differences(function, predict, (images, cameras), batch=form.BATCH)
  print(form.SUFFIX, depth, found)
  assert max(found.values()) < parity.TOLERANCE


def test_stablehlo_of_a_whole_resnet_is_the_model_bit_by_bit(tmp_path):
  model = create_model({'name': 'pose_network', 'depth': 10, 'head': 'regression'})
  inputs = signature.Signature(
    ('image', 'intrinsics'), ((64, 64, 3), (3, 3)), (np.uint8, np.float32)
  )
  images, cameras = signature.sample_inputs(inputs, 4)
  example = {'image': images[:1] / np.float32(255), 'intrinsics': cameras[:1]}
  variables = jax.jit(model.init)(jax.random.key(0, impl='rbg'), example)
  function = signature.crop_function(model, variables, inputs)
  path = tmp_path / 'hand.stablehlo'
  stablehlo.write(path, function, inputs)
  predict = stablehlo.read(path, inputs)
  found = parity.differences(function, predict, (images, cameras), batch=2)
  assert set(found.values()) == {0.0}
