"""The paper's experiments: what they run, what they show, and that they start."""

import dataclasses
import functools
import json

import numpy as np
import pytest
from scipy import interpolate

from bmc_jax.experiments import __main__ as command
from bmc_jax.experiments import catalogue, page, results, schedule, summary
from bmc_jax.experiments.row_configs import row_configs
from bmc_jax.experiments.workdir import record_config
from bmc_jax.training.config_files import config_from_flags
from tests.fixtures.session import ROOT

TABLES = catalogue.TABLES


def _flags(data):
  return (f'--config={ROOT}/configs/tables/{data}.py',)


@functools.cache
def _rows(data):
  return row_configs(config_from_flags(_flags(data)))


@pytest.mark.parametrize('data', catalogue.DATA)
def test_every_row_of_a_table_is_in_the_config(data):
  rows = _rows(data)
  for name in catalogue.select(['all'], data):
    table = catalogue.fit_to(TABLES[name], rows)
    left_out = set(TABLES[name].rows) - set(table.rows)
    assert left_out <= ({'source only'} if data in ('poses', 'stb') else set()), name
    assert set(table.order) | set(table.gap) <= set(table.rows)
    labels = [label for points in table.curves.values() for _, label in points]
    assert set(labels) <= set(table.rows)


@pytest.mark.parametrize('data', catalogue.DATA)
def test_no_two_rows_train_the_same(data):
  rows = {name: row.to_json(sort_keys=True) for name, row in _rows(data).items()}
  assert len(set(rows.values())) == len(rows)


@pytest.mark.parametrize('data', sorted(set(catalogue.DATA) - {'study'}))
def test_labels_are_those_of_the_rows_names(data):
  for name, row in _rows(data).items():
    weak = row.data.weak
    labelled = 'full 3D' in name or name.startswith('3D for')
    assert (weak.labels == '3d') == labelled, name
    one_of = name.removeprefix('3D for 1 of ').split()[0]
    assert weak.get('share_3d', 1.0) == (1 / int(one_of) if one_of.isdigit() else 1)
    assert row.data.use_weak != name.endswith('source only')
    has_constraints = any(row.bmc.weights.values())
    assert has_constraints == ('BMC' in name or ' BL' in name), name


def test_a_lifters_source_only_stands_for_2d_labels():
  table = catalogue.fit_to(TABLES['table2'], _rows('poses'))
  assert table.rows['+ 2D'] == 'source only' and 'source only' not in table.rows
  assert table.gap == TABLES['table2'].gap and 'keypoints_2d_px' not in table.metrics
  table = catalogue.fit_to(TABLES['figure5'], _rows('stb'))
  assert table.curves['without'][0] == (0.0, '+ 2D')


def test_rows_are_what_their_names_say():
  rows = _rows('photos')
  assert rows['+ 2D'].bmc.weights.bone_length == 0
  assert rows['+ 2D + BL'].bmc.weights.bone_length > 0
  assert rows['+ 2D + BL'].bmc.weights.root_bone == 0
  assert rows['+ 2D + BL + RB'].bmc.weights.root_bone > 0
  assert rows['+ 2D + BL + RB'].bmc.weights.joint_angle == 0
  assert rows['+ 2D + BMC, boxes'].bmc.shape == 'box'
  assert not rows['full 3D, no refiner'].model.pose_network.refine
  assert rows['3D for 1 of 20 + BMC'].data.weak.share_3d == 0.05
  assert not rows['full 3D + BMC'].bmc.weak_only
  source = rows['+ 2D + BMC, source limits']
  assert source.limits.source.path == source.data.full.path
  assert source.limits.source.split == source.data.full.split


def test_the_study_does_not_see_the_test_subjects():
  for row in _rows('study').values():
    used = [row.data.weak, row.limits.source, row.data.test]
    assert not {7, 8} & {s for source in used for s in source.subjects}
    assert tuple(row.data.test.subjects) == (5, 6)
    assert not set(row.data.weak.subjects) & {5, 6}


def test_the_papers_own_figures_have_the_order_that_is_claimed():
  for table in TABLES.values():
    metric = table.metrics[0]
    known = [
      table.paper[k][metric] for k in table.order if metric in table.paper.get(k, {})
    ]
    if metric.startswith('auc'):
      known = [-value for value in known]
    assert known == sorted(known, reverse=True), table.title
  gap = [TABLES['table2'].paper[k]['depth_mm'] for k in TABLES['table2'].gap]
  assert summary.closed_share(*gap) == pytest.approx(0.62, abs=0.005)


def test_mean_and_standard_deviation():
  values = np.random.default_rng(0).normal(size=5)
  mean, std = summary.mean_and_std(values)
  assert mean == pytest.approx(values.mean())
  assert std**2 == pytest.approx(((values - mean) ** 2).sum() / 4)
  assert summary.mean_and_std([3.0]) == (3.0, 0.0)


def test_claims_count_the_seeds_in_which_they_hold():
  table = catalogue.Table(
    't', 'q', {}, metrics=('depth_mm',), order=('a', 'b'), gap=('a', 'b', 'c')
  )
  depth = {'a': (10.0, 12.0, 8.0), 'b': (4.0, 6.0, 9.0), 'c': (2.0, 2.0, 4.0)}
  values = {
    label: {seed: {'depth_mm': value} for seed, value in enumerate(row)}
    for label, row in depth.items()
  }
  order, gap = map(str, summary.claims(table, values))
  assert order.startswith('"b" is better than "a": holds in 2 of 3 seeds')
  assert order.endswith('(Depth error mm 10.00 -> 6.33, -37 %)')
  shares = np.array([6 / 8, 6 / 10, -1 / 4])
  assert f'closes {100 * shares.mean():.1f} +- {100 * shares.std(ddof=1):.1f} %' in gap


def test_what_is_no_number_counts_for_no_seed():
  table = catalogue.Table(
    't', 'q', {}, metrics=('auc_0_50',), order=('a', 'b'), curves={'a': ((0.0, 'a'),)}
  )
  table = dataclasses.replace(table, curves={'a': ((0.0, 'a'),), 'b': ((0.5, 'b'),)})
  values = {
    'a': {0: {'auc_0_50': None}, 1: {'auc_0_50': 0.5}},
    'b': {0: {'auc_0_50': 0.6}, 1: {'auc_0_50': 0.4}},
  }
  claim, saved = summary.claims(table, values)
  assert claim.holds == {1: False} and 'does not hold' in str(claim)
  assert summary.curve(table, 'a', 'auc_0_50', values) == {0.0: (0.5, 0.0)}
  assert 'with constraints and 50 % of the labels' in str(saved).lower()


def test_more_is_better_for_areas():
  table = catalogue.Table('t', 'q', {}, metrics=('auc_0_50',), order=('a', 'b'))
  values = {'a': {0: {'auc_0_50': 0.5}}, 'b': {0: {'auc_0_50': 0.6}}}
  (claim,) = summary.claims(table, values)
  assert claim.holds == {0: True}


def test_the_share_of_labels_is_interpolated():
  shares, areas = [0.01, 0.02, 0.1, 1.0], [0.5, 0.55, 0.7, 0.9]
  plain = {0.0: (0.4, 0.0)} | {s: (a, 0.0) for s, a in zip(shares, areas, strict=True)}
  inverse = interpolate.interp1d(areas, np.log(shares))
  for wanted in (0.5, 0.53, 0.66, 0.9):
    found = summary.share_needed(plain, wanted)
    assert found == pytest.approx(np.exp(inverse(wanted)), rel=1e-9)
  assert summary.share_needed(plain, 0.45) == pytest.approx(0.005)
  assert summary.share_needed(plain, 0.3) == 0
  assert summary.share_needed(plain, 0.95) is None


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['table9', '--data', 'poses'], "no experiment 'table9'"),
    (
      ['table7', '--data', 'poses'],
      'table7 does not exist for --data poses, but for pap',
    ),
    (['table2', '--data', 'poses', '--seeds', '0,x'], "--seeds is '0,x'"),
    (['table2', '--data', 'poses', '--seeds', '1,1'], 'different whole numbers'),
    (['table2', '--data', 'poses', '--jobs', '0'], '--jobs is 0'),
    (['table2', '--data', 'poses', '--config.nmu_steps=2'], "no key 'nmu_steps'"),
    (
      ['table2', '--data', 'poses', 'table4', '--steps=2'],
      "unknown argument '--steps=2'",
    ),
    (
      ['table2', '--data', 'poses', '--data-dir', 'x'],
      '--data-dir is for --data paper',
    ),
    (['table2', '--data', 'poses', '--config.dry_run=True'], 'dry_run has no meaning'),
    (['table2', '--data', 'poses', '--config.seed=3'], '--config.seed has no meaning'),
    (['table2', '--data', 'poses', '--config.eval_path=x'], 'eval_path has no meaning'),
  ],
)
def test_wrong_arguments_are_told_in_a_sentence(arguments, message, tmp_path, capsys):
  with pytest.raises(SystemExit) as caught:
    command.main([*arguments, '--workdir', str(tmp_path / 'new')])
  assert caught.value.code == 2
  assert message in capsys.readouterr().err
  assert not (tmp_path / 'new').exists()


def test_a_page_shows_figures_and_unfinished_rows(tmp_path):
  rng = np.random.default_rng(0)
  table = catalogue.fit_to(TABLES['figure5'], _rows('poses'))
  labels = list(table.rows)[:-1]
  values = {
    label: {
      seed: dict.fromkeys(table.metrics, 0.5 + 0.02 * i + 0.01 * rng.random())
      for seed in (0, 1)
    }
    for i, label in enumerate(labels)
  }
  found = {
    'table': 'figure5',
    'data': 'poses',
    'seeds': [0, 1],
    'rows': {
      label: {'row': label, 'seeds': {str(s): m for s, m in row.items()}}
      for label, row in values.items()
    },
    'claims': [str(claim) for claim in summary.claims(table, values)],
    **dict.fromkeys(('description', 'test_set', 'device', 'command'), '<x>'),
    'seconds': 60.0,
  }
  assert page.read_values(found) == values
  html = page.write_page(tmp_path, [(table, found)]).read_text()
  assert 'share of the 3D labels (%)' in html and 'not run' in html
  assert '<x>' not in html and '&lt;x&gt;' in html
  assert '% of the labels AUC 0-50 mm is' in html


def test_a_table_without_3d_labels_shows_the_image_and_the_limits_and_claims_nothing():
  table = catalogue.fit_to(TABLES['table2'], _rows('photos'))
  seen = {'keypoints_2d_px': 2.0, 'pck_2d_5px': 90.0, 'hands_within_limits': 10.0}
  values = {label: {0: seen} for label in table.rows}
  shown = summary.measured(table, values)
  assert shown.metrics == tuple(seen)
  assert summary.claims(table, values) == []
  lines = summary.cells(shown, summary.statistics(values, shown.metrics))
  assert lines[0] == [
    'row',
    '2D error px',
    'paper',
    '2D PCK 5 px %',
    'Hands in limits %',
  ]
  assert all(cell for line in lines for cell in (line[1], line[3], line[4]))
  whole = {label: {0: seen | {'depth_mm': 3.0}} for label in table.rows}
  assert summary.measured(table, whole).metrics == ('depth_mm', 'keypoints_2d_px')
  assert summary.measured(table, {}) == table


def test_another_config_is_refused_where_all_is_finished(tmp_path, monkeypatch, capsys):
  flags = (*_flags('poses'), '--config.seed=0', '--config.num_steps=2')
  workdir = tmp_path / 'poses' / 'seed_0'
  workdir.mkdir(parents=True)
  record_config(workdir, config_from_flags(flags))
  (workdir / 'rows').mkdir()
  monkeypatch.setattr(schedule, 'unfinished', lambda *_: pytest.fail('too late'))
  arguments = ['table5', '--data', 'poses', '--seeds', '0', '--workdir', str(tmp_path)]
  with pytest.raises(SystemExit):
    command.main([*arguments, '--config.num_steps=3'])
  assert 'begun with another config (different: num_steps)' in capsys.readouterr().err


def test_results_of_all_experiments_are_in_the_catalogues_order(tmp_path):
  for data, name in (('stb', 'table2'), ('poses', 'table4'), ('poses', 'table2')):
    folder = tmp_path / data / name
    folder.mkdir(parents=True)
    content = {'table': name, 'data': data}
    (folder / 'results.json').write_text(json.dumps(content))
  (tmp_path / 'poses' / 'other').mkdir()
  (tmp_path / 'poses' / 'other' / 'results.json').write_text('{}')
  found = [(each['table'], each['data']) for each in results._read_all(tmp_path)]
  assert found == [('table2', 'poses'), ('table2', 'stb'), ('table4', 'poses')]


@pytest.mark.parametrize(
  ('seeds', 'told'), [([0], '--seeds 0,1,2 makes'), ([0, 1, 2, 3], ''), ([2, 1, 0], '')]
)
def test_a_table_of_fewer_seeds_does_not_replace_another_in_silence(
  seeds, told, tmp_path, capsys
):
  path = tmp_path / 'results.json'
  results._tell_of_other_seeds(path, seeds)
  path.write_text('{"seeds": [0, 1, 2]}')
  results._tell_of_other_seeds(path, seeds)
  heard = capsys.readouterr().err
  assert told in heard and bool(heard) == bool(told)


def test_a_damaged_table_does_not_hide_the_others(tmp_path, capsys):
  for name, text in (('table2', '{"table": "table2", "data": "stb"}'), ('cut', '{"t')):
    (tmp_path / 'stb' / name).mkdir(parents=True)
    (tmp_path / 'stb' / name / 'results.json').write_text(text)
  assert [each['table'] for each in results._read_all(tmp_path)] == ['table2']
  told = capsys.readouterr().err
  assert 'left out of the page' in told and 'cut/results.json is not valid' in told
