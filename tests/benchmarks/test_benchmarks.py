"""Every benchmark runs, over few and small inputs: none may fall behind the library."""

import functools
import pathlib
import sys
import types

import jax
import numpy as np
import pytest

from bmc_jax import constraints, limits, repair, skeleton
from bmc_jax.training import defaults
from bmc_jax.training.config_files import config_from_flags
from tests.fixtures import tiny_config
from tests.fixtures.hands import INTRINSICS, random_hands, wild_hands
from tests.fixtures.lifters import lifted_hands, random_lifter, seen_hands
from tests.fixtures.session import ROOT

FOLDER = ROOT / 'benchmarks'
HANDS = 40


@pytest.fixture
def samples(tmp_path):
  """Files of few hands, with the names and forms of the real ones."""
  folder = tmp_path / 'data' / 'poses'
  folder.mkdir(parents=True)
  count = 8 * HANDS
  joints = (0.03 * random_hands(0, count).joints + [0, 0, 0.6]).astype(np.float32)
  np.save(folder / 'stb_train_joints.npy', joints)
  in_ho3d = np.empty_like(joints)
  in_ho3d[:, skeleton.JOINT_ORDERS['ho3d']] = joints
  np.savez(
    folder / 'dexycb_subjects01-08.npz',
    joints_ho3d=in_ho3d,
    side_is_right=np.ones(count, bool),
    subject=np.repeat(np.arange(1, 9), HANDS),
  )
  golden = tmp_path / 'golden'
  golden.mkdir()
  np.savez(
    golden / 'constraints_golden.npz',
    joints_3d_m=joints[:HANDS],
    intrinsics=np.broadcast_to(INTRINSICS, (HANDS, 3, 3)),
    limit_bone_lengths=limits.fit_limits(joints).bone_lengths,
  )
  return tmp_path / 'data'


def _rows(printed: str) -> list[list[str]]:
  """The cells of the tables, without their headings."""
  lines = [line for line in printed.splitlines() if line.startswith('|')]
  rows = [[cell.strip() for cell in line.strip(' |').split('|')] for line in lines]
  return [row for row in rows if any(cell[:1].isdigit() for cell in row)]


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'constants', 'rows'),
  [
    ('clinical', {}, 47),
    ('fingertip_boxes', {}, 3),
    ('hulls', {'COUNTS': (4, 8), 'COVERAGES': (0.95,)}, 5),
    (
      'repair',
      {
        'NUM_HANDS': HANDS,
        'MANY_HANDS': HANDS,
        'NOISE_MM': (5,),
        'repair_lib': types.SimpleNamespace(KEEP=('projection',)),
        'repair': jax.jit(
          functools.partial(repair.repair, num_steps=2), static_argnames='keep'
        ),
      },
      14,
    ),
    ('root_depth', {'NOISE': ((2, 0.1),)}, 4),
  ],
)
def test_those_of_poses_print_their_tables(
  name, constants, rows, load, samples, capsys
):
  load(name, SAMPLES=samples, **constants).main()
  printed = _rows(capsys.readouterr().out)
  assert len(printed) == rows
  assert not any('nan' in cell for row in printed for cell in row)


@pytest.mark.slow
def test_limits_that_ship_are_measured(load, capsys, test_data):
  if not (test_data / 'data' / 'detections').is_dir():
    pytest.skip('no real samples: there are no poses and detections')
  load(
    'preset_limits',
    EVERY=200,
    PAIRS=((5, 6), (7, 8)),
    make=lambda name, _: limits.open_limits(name),
    read_sets=lambda left_out: {},
  ).main([])
  rows = _rows(capsys.readouterr().out)
  assert len(rows) == 16 and {row[1] for row in rows} == {'mano', 'surface', 'clinical'}


def test_lifting_is_measured(load, monkeypatch, capsys):
  found = lifted_hands(0, np.ones(8, bool))
  truth = found.joints_3d
  from_wrist = (truth - truth[:, :1]) * [0, 0, 1]
  off = 1e3 * np.abs(2 * from_wrist[..., 2]).mean()
  for joints, depth in ((1.7 * truth, 0), (truth - 2 * from_wrist, off)):  # mirrored
    lifted = found._replace(joints_3d=joints)
    benchmark = load('lifting', FOCAL_ERRORS=(1.0,))
    every, sure = np.ones(8, bool), np.ones((8, 21))
    hands = benchmark.Hands(truth, None, found.intrinsics, every, sure, truth)
    for name, value in {
      'all_hands': {'DexYCB': hands},
      'photos': (hands, hands),
      'poses': hands,
      'lift': lifted,
    }.items():
      monkeypatch.setattr(benchmark, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(
      benchmark, 'KeypointLifter', types.SimpleNamespace(pretrained=lambda: None)
    )
    monkeypatch.setattr(sys, 'argv', ['lifting', '--cameras'])
    benchmark.main()
    _, measured, own, *focal = _rows(capsys.readouterr().out)
    assert measured[:2] == ['DexYCB', '8'] and own[2:5] == ['0.0', '0.0', '0.0']
    told = [measured[2], *(cell for row in focal for cell in row[1:3])]
    np.testing.assert_allclose([float(cell) for cell in told], [depth] * 5, atol=0.051)
    assert (measured[5] == '100') == (depth == 0)


def test_every_benchmark_is_run_by_a_test():
  text = pathlib.Path(__file__).read_text()
  text += (ROOT / 'tests' / 'experiments' / 'test_runs.py').read_text()
  text += (ROOT / 'tests' / 'benchmarks' / 'test_drawing.py').read_text()
  text += (ROOT / 'Makefile').read_text()
  names = {path.stem for path in FOLDER.glob('*.py')}
  # Parts of others: the first needs a clone that is not ours to pass on.
  names -= {'public_port', 'torch_train_step'}
  run = {name for name in names if f"'{name}'" in text or f'/{name}.py' in text}
  assert run == names


def _tiny(monkeypatch, data):
  config = tiny_config.get_config(data)
  monkeypatch.setattr(defaults, 'get_config', config.copy_and_resolve_references)


@pytest.mark.slow
def test_waiting_for_data_is_measured(load, monkeypatch, capsys):
  few = {'SIDE': 40, 'EXAMPLES': 32, 'BATCH': 8, 'RATES': (4000,), 'SECONDS': 0.1}
  benchmark = load('data_wait', **few)
  _tiny(monkeypatch, 'images')
  benchmark.main()
  pretended, network = _rows(capsys.readouterr().out)
  assert 'pretended' in pretended[0] and float(network[1]) > 0


@pytest.mark.slow
def test_scaling_is_predicted(load, monkeypatch, capsys):
  benchmark = load('scaling', DEVICES=1, IMAGES_PER_CHIP=8)
  _tiny(monkeypatch, 'poses.npy')
  benchmark.main()
  rows = _rows(capsys.readouterr().out)
  assert [int(row[0]) for row in rows] == list(benchmark.COUNTS)
  assert rows[0][2] == '100%'


@pytest.mark.slow
def test_exported_formats_are_measured(load, tmp_path):
  benchmark = load('export_latency', CALLS=1, WARM_UP=1, SIZE=32)
  benchmark.MODELS['tiny'] = (10, 'regression')
  assert benchmark.measure('stablehlo', 'tiny', tmp_path / 'tiny') > 0


@pytest.mark.slow
def test_the_first_step_is_waited_for(load, monkeypatch, capsys):
  benchmark = load('first_step')

  class Run:
    """Reads its flags and writes its first row at once."""

    def __init__(self, command, **_):
      flags = [one for one in command if one.startswith('--config')]
      assert '+ BMC' in config_from_flags(flags).run_rows
      (workdir,) = (one for one in command if one.startswith('--workdir='))
      log = pathlib.Path(workdir.partition('=')[2], 'rows', 'plus_bmc', 'metrics.csv')
      log.parent.mkdir(parents=True)
      log.write_text('step')

    def poll(self):
      return None

    kill = wait = poll

  monkeypatch.setattr(benchmark.subprocess, 'Popen', Run)
  monkeypatch.chdir(ROOT)
  benchmark.main()
  table = capsys.readouterr().out
  assert '| lifter | 0.' in table and '| ResNet-50 | 0.' in table


@pytest.mark.slow
def test_preparing_and_reading_is_measured(load, monkeypatch, capsys, test_data):
  if not (test_data / 'data' / 'hand_graph_cnn_real').is_dir():
    pytest.skip('no real samples: there are no photos of hand_graph_cnn_real')
  few = {'REPEATS': 1, 'COPIES': 1, 'NUM_BATCHES': 1, 'BATCH': 8}
  benchmark = load('input_pipeline', **few)
  read, prepare = benchmark.hand_graph_cnn_real.read_records, benchmark.prepare
  # Processes that load TensorFlow: tests/data_prep has them.
  monkeypatch.setattr(
    benchmark,
    'decode_in_processes',
    lambda paths, _: benchmark.decode_and_append(paths),
  )
  monkeypatch.setattr(
    benchmark, 'prepare', lambda records, _, *shape: prepare(records, 1, *shape)
  )
  monkeypatch.setattr(
    benchmark.hand_graph_cnn_real,
    'read_records',
    lambda folder: {'test': next(iter(read(folder).values()))[:8]},
  )
  benchmark.main()
  assert capsys.readouterr().out.count('examples/s') == 12


def test_the_constraints_are_timed(load):
  benchmark = load('constraints')
  hands, hand_limits = benchmark.noisy_hands(2)
  assert constraints.bmc_loss(hands, hand_limits)[0].min() > 0.1
  calls = []
  times = benchmark.medians_ms([lambda: calls.append(0)], 1, in_a_row=2, warm_up=1)
  assert len(times) == 1 and len(calls) == 6


@pytest.mark.extra('torch')
@pytest.mark.slow
def test_torch_costs_hands_as_we_do(load):
  import torch

  theirs = load('torch_constraints')
  hands, hand_limits = wild_hands(7, 8), limits.clinical_limits()
  leaves = [
    torch.tensor(np.asarray(getattr(hand_limits, name)))
    for name in ('bone_lengths', 'curvatures', 'root_angles', 'hulls')
  ]
  wanted = constraints.bmc_loss(hands.astype(np.float32), hand_limits)[0].mean()
  found = theirs.bmc_loss(torch.tensor(hands), leaves)
  np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.extra('torch')
@pytest.mark.slow
def test_the_comparison_with_torch_ends_in_its_table(load, capsys):
  benchmark = load('constraints', BATCHES=(64,))
  benchmark.compare_with_torch(1, None)
  ((hands, *_),) = _rows(capsys.readouterr().out)
  assert hands == '64'


def test_lifting_over_time_is_measured(load, capsys):
  benchmark = load('lifting_over_time', TRACKS=1, SECONDS=3, NOISE=(0.02,))
  benchmark.main()
  alone, smooth, missing = _rows(capsys.readouterr().out)
  assert alone[2] == smooth[2] and int(alone[2]) + int(missing[2]) == 90
  assert float(smooth[4]) < float(alone[4]) / 2


def test_trembling_and_distance_are_those_that_were_added(load):
  benchmark = load('lifting_over_time', SECONDS=3)
  truth = benchmark.moving_hand(0)[None]
  lengths = np.linalg.norm(truth[0, :, 10] - truth[0, :, 9], axis=-1)
  np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)  # one person's bones
  moves = 1e3 * np.linalg.norm(np.diff(truth[0], axis=0), axis=-1)
  assert 1 < moves.mean() and moves.max() < 60  # mm a picture, as hands do
  off = np.where(np.arange(90) % 2, 2e-3, -2e-3)[:, None, None] * [0, 0, 1]
  off = off * (np.arange(21) > 0)[:, None]  # of all joints but the wrist
  there = np.arange(90)[None] != 40
  told = benchmark.score(
    np.where(there[..., None, None], truth + off, np.nan), truth, there
  )
  assert told == ['89', f'{2 * 20 / 21:.1f}', f'{8 * 20 / 21:.1f}']


def test_refined_predictions_are_measured(load, monkeypatch):
  benchmark = load('refined_predictions')
  joints, _ = seen_hands(0, 8)
  cameras = np.broadcast_to(INTRINSICS, (8, 3, 3))
  behind = np.arange(8)[:, None, None] == 3  # a hand that no camera sees is left out
  found = 30 * np.where(behind, -joints, joints), cameras, joints
  monkeypatch.setattr(benchmark, 'predict', lambda row, source: found)
  framing = types.SimpleNamespace(
    of=lambda row: types.SimpleNamespace(depth_error=1e-6)
  )
  monkeypatch.setattr(benchmark, 'Framing', framing)
  _, network, lifter, both = benchmark.table(None, None, random_lifter())
  assert network[1:] == ['7', '0.0', '0.0', '0.0'] and float(lifter[2]) > 1
  assert both[2] == '0.0'  # a network that is never wrong is believed
