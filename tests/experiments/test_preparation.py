"""Datasets that were prepared in another way than the paper's experiments need."""

import ml_collections
import pytest

from bmc_jax.configs.tables import paper
from bmc_jax.data import sources
from bmc_jax.data_prep import build, registry
from bmc_jax.experiments import __main__ as command
from bmc_jax.experiments import benchmark, catalogue, inputs
from bmc_jax.experiments.row_configs import row_config
from tests.fixtures import toy_dataset
from tests.fixtures.examples import make_example, prepare

SPLITS = ('train', 'validation', 'evaluation', 'test')
FITTING = {
  'rhd': {'crop_size': 224, 'options': {'hands': 'dominant'}},
  'freihand': {'crop_size': 224, 'options': {'validation_share': 0.1}},
  'ho3d_v3': {'crop_size': 224, 'options': {}},
  'dexter_object': {'crop_size': 224, 'options': {}},
}


def _prepare(folder, **settings):
  """The paper's datasets, ten examples a split; some with other settings."""
  for name, fitting in FITTING.items():
    parts = {split: [make_example(0, size=40)] * 10 for split in SPLITS}
    prepare(folder / name, parts, **(fitting | settings.get(name, {})))
  return str(folder)


def _check(folder, row='+ 2D'):
  """Opens what a row of the paper's experiment reads, as a run does at its start."""
  config = paper.get_config(folder)
  config.batch_size = 2
  inputs.check_inputs({row: row_config(config, row)}, ())


def _sources(node):
  """All specifications of sources in a config."""
  if not isinstance(node, ml_collections.ConfigDict):
    return
  if 'path' in node and 'split' in node:
    yield node
  for key in node:
    yield from _sources(node[key])


def test_what_the_config_asks_for_is_what_builders_write():
  specs = list(_sources(paper.get_config('data')))
  names = {spec.path.split('/')[-1] for spec in specs}
  for table in catalogue.TABLES.values():
    names |= {each.dataset for group in table.benchmarks.values() for each in group}
  assert names == set(FITTING)
  for spec in specs:
    dataset = registry.DATASETS[spec.path.split('/')[-1]]
    assert set(spec.built) <= {*build.READING_FLAGS, *dataset.flags}
    assert spec.built.crop_size == spec.image_size


def test_sets_that_fit_are_opened(tmp_path):
  folder = _prepare(tmp_path)
  for row in ('+ 2D', '+ 2D + BMC, source limits', 'HO-3D: + 2D + BMC'):
    _check(folder, row)


@pytest.mark.parametrize(
  ('name', 'settings', 'row', 'message'),
  [
    ('rhd', {'crop_size': None}, '+ 2D', 'whole images, where crops of 224 px'),
    (
      'rhd',
      {'options': {'hands': 'each'}},
      'source only',
      "hands = 'each', where hands = 'dominant' is needed",
    ),
    ('freihand', {'crop_size': 128}, '+ 2D', 'crops of 128 px around hands, where'),
    ('ho3d_v3', {'crop_size': None}, 'HO-3D: + 2D', 'whole images, where crops'),
  ],
)
def test_a_set_that_was_built_in_another_way_is_refused_with_the_command(
  tmp_path, name, settings, row, message
):
  folder = _prepare(tmp_path, **{name: settings})
  with pytest.raises(ValueError, match=message) as error:
    _check(folder, row)
  text = str(error.value)
  assert f'bmc-jax build {name} --crop-size 224' not in text  # the test set's own name
  assert '--crop-size 224' in text and f'--out {tmp_path / name}' in text
  assert text.endswith('.') and '\n' not in text


def test_test_sets_are_looked_at_before_anything_is_trained(tmp_path, capsys):
  folder = _prepare(tmp_path / 'data', dexter_object={'crop_size': None})
  arguments = ['table8', '--data', 'paper', '--data-dir', folder, '--seeds', '0']
  with pytest.raises(SystemExit):
    command.main([*arguments, '--workdir', str(tmp_path / 'runs')])
  error = capsys.readouterr().err
  assert 'dexter_object' in error and 'whole images, where crops of 224 px' in error
  assert not list((tmp_path / 'runs').rglob('rows'))


def test_a_test_set_that_is_missing_is_named(tmp_path):
  (each,) = catalogue.TABLES['table8'].benchmarks['source only']
  with pytest.raises(FileNotFoundError, match='dexter_object does not exist'):
    benchmark.check(each, tmp_path)


def test_what_a_build_keeps_is_what_a_source_asks_for(tmp_path, monkeypatch):
  datasets = {**registry.DATASETS, 'toy_hands': toy_dataset.ENTRY}
  monkeypatch.setattr(build, 'DATASETS', datasets)
  source = toy_dataset.write(tmp_path / 'source', train=3, test=1)
  spec = {'kind': 'tfds', 'split': 'train', 'built': {'crop_size': 32}}
  cropped = build.build('toy_hands', tmp_path / 'a', source=source, crop_size=32)
  assert len(sources.open_source(spec | {'path': str(cropped)})) == 3
  card = (cropped / 'README.md').read_text()
  assert 'squares of 32 px around a hand, 1.5 times as large as the box' in card
  whole = build.build('toy_hands', tmp_path / 'b', source=source)
  assert 'Images are whole: no hand was cropped.' in (whole / 'README.md').read_text()
  out = tmp_path / 'b'
  command_line = f'`bmc-jax build toy_hands --crop-size 32 --source SOURCE --out {out}`'
  with pytest.raises(ValueError) as error:
    sources.open_source(spec | {'path': str(whole)})
  assert command_line in str(error.value)


def test_the_card_tells_how_large_hands_are_in_their_images(tmp_path, monkeypatch):
  datasets = {**registry.DATASETS, 'toy_hands': toy_dataset.ENTRY}
  monkeypatch.setattr(build, 'DATASETS', datasets)
  source = toy_dataset.write(tmp_path / 'source', train=3, test=1)
  path = build.build('toy_hands', tmp_path / 'a', source=source, crop_size=200)
  (line,) = [
    line
    for line in (path / 'README.md').read_text().splitlines()
    if 'longer side' in line
  ]
  median = float(line.strip('| ').split(' | ')[3])
  assert median == pytest.approx(100 / 1.5, abs=1.5)
