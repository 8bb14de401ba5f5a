"""The page of an experiment, made from synthetic results."""

import base64
import csv
import html.parser
import io
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from bmc_jax import kinematics, limits
from bmc_jax.report import hands, load, write_report
from bmc_jax.report.__main__ import main

HOSTILE = 'weak <script>alert("1")</script> & $x^2'
METRICS = ('keypoints_2d_px', 'depth_mm', 'epe_mm', 'epe_pa_mm', 'auc_0_50')
NUM_TEST, NUM_IMAGES, SIDE = 24, 10, 64


def _hands(rng: np.random.Generator, count: int, noise: float) -> np.ndarray:
  """Plausible right hands in millimetres, wrist at the origin, (count, 21, 3)."""
  median = np.array([[25, -11], [-6, -14], [26, 7]] + 4 * [[20, 2], [44, -4], [3, 6]])
  angles = np.deg2rad(median.reshape(5, 3, 2) + rng.normal(0, 8, (count, 5, 3, 2)))
  lengths = np.array(
    [[1.2, 0.97, 0.86, 1.1], [2.87, 1.04, 0.7, 0.73], [2.99, 1, 0.73, 0.8]]
    + [[2.72, 0.91, 0.78, 0.75], [2.57, 0.67, 0.6, 0.64]]
  )
  spread = np.deg2rad([-52, -14, 0, 15, 30])
  roots = np.stack([np.sin(spread), -np.cos(spread), [0.3, 0, -0.05, 0, 0.1]], axis=-1)
  roots /= np.linalg.norm(roots, axis=-1, keepdims=True)
  joints = kinematics.forward_kinematics(
    jnp.asarray(angles),
    jnp.asarray(np.broadcast_to(lengths, (count, 5, 4))),
    jnp.asarray(np.broadcast_to(roots, (count, 5, 3))),
  )
  return 30 * np.asarray(joints) + rng.normal(0, noise, (count, 21, 3))


def _write_row(directory, rng, noise, true, with_images):
  """Predictions, images and a log as an experiment leaves them."""
  directory.mkdir(parents=True)
  scale = np.ones((NUM_TEST, 1, 1))
  scale[-3:] = 3.0
  joints = true + scale * rng.normal(0, noise, true.shape)
  joints -= joints[:, :1]
  camera = joints + [0, 60, 250], true + [0, 60, 250]
  pixels = [90 * points[..., :2] / points[..., 2:] + [31.5, 42] for points in camera]
  np.savez(
    directory / 'predictions.npz',
    joints_3d=joints.astype(np.float32),
    joints_3d_true=true.astype(np.float32),
    keypoints_2d=pixels[0],
    keypoints_2d_true=pixels[1],
    joints_3d_normalized=(joints / 30).astype(np.float32),
    visibility=np.ones((NUM_TEST, 21), np.float32),
    sample_id=np.array([f'test/{i:05d}' for i in range(NUM_TEST)]),
  )
  if with_images:
    shade = np.random.default_rng(7).integers(30, 200, (NUM_IMAGES, 8, 8, 3))
    images = np.kron(shade, np.ones((1, SIDE // 8, SIDE // 8, 1))).astype(np.uint8)
    np.savez(directory / 'samples.npz', image=images)
  with (directory / 'metrics.csv').open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(['step', 'train/loss', 'train/bmc_angles', 'eval/depth_mm'])
    for step in range(0, 2000, 10):
      value = 9 * np.exp(-step / 400) + 0.05 * noise
      evaluation = f'{12 + 20 * value}' if step % 500 == 0 else ''
      writer.writerow([step, value * rng.uniform(0.9, 1.1), value / 9, evaluation])


def make_workdir(directory):
  """An experiment of seven rows, one of which has not run."""
  rng = np.random.default_rng(0)
  true = _hands(rng, NUM_TEST, 0.0)
  true -= true[:, :1]
  noises = {
    'source only': 14,
    '+ 2D': 11,
    HOSTILE: 7,
    'full 3D': 4,
    'lifter, source only': 9,
    'lifter, + BMC': 3,
  }
  results = {}
  for name, noise in noises.items():
    lifter = name.startswith('lifter')
    _write_row(directory / 'rows' / load.slug_of(name), rng, noise, true, not lifter)
    values = noise * rng.uniform(0.8, 1.6, 5)
    results[name] = dict(zip(METRICS, values.tolist(), strict=True))
    results[name] |= {'auc_0_50': 1 - noise / 20, 'discriminant_share': 0.125 + noise}
  (directory / 'results.json').write_text(json.dumps(results))
  rows = [*noises, 'lifter, unfinished']
  about = {
    'title': 'Procedural hands, studio to wild',
    'description': 'Weak supervision on <wild> images.\n\nSecond paragraph.',
    'command': 'bmc-jax train --config=configs/demo.py --workdir=out',
    'rows': rows,
    'groups': {
      name: 'lifter' if name.startswith('lifter') else 'network' for name in rows
    },
    'chance': {'network': {'depth_mm': 35.8, 'epe_mm': 61.0}},
    'test_set': 'procedural_hands/wild_test',
    'num_test': NUM_TEST,
    'device': 'cpu',
    'seed': 0,
  }
  (directory / 'experiment.json').write_text(json.dumps(about))
  fitted = limits.fit_limits(jnp.asarray(_hands(rng, 400, 0.3)), num_vertices=8)
  limits.save_limits(directory / 'limits.json', fitted)
  return results


class _Page(html.parser.HTMLParser):
  """Checks that elements close in order; collects what the tests look at."""

  VOID = {'meta', 'br', 'img', 'input', 'link', 'hr'}

  def __init__(self):
    super().__init__()
    self.open, self.ids, self.tags = [], [], []
    self.attributes, self.cells, self.texts = [], [], []

  def handle_starttag(self, tag, attrs):
    if tag not in self.VOID:
      self.open.append(tag)
    self.handle_startendtag(tag, attrs)

  def handle_startendtag(self, tag, attrs):
    values = dict(attrs)
    self.tags.append(tag)
    self.attributes.append(values)
    if 'id' in values:
      self.ids.append(values['id'])
    if 'data-value' in values:
      self.cells.append([float(values['data-value']), ''])

  def handle_endtag(self, tag):
    assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
    self.open.pop()

  def handle_data(self, data):
    if self.open and self.open[-1] not in ('script', 'style'):
      self.texts.append(data)
    if self.cells and self.cells[-1][1] == '' and data.strip():
      self.cells[-1][1] = data


def _parse(text):
  page = _Page()
  page.feed(text)
  page.close()
  assert not page.open
  return page


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
  """Results, and the text of the page made from them."""
  directory = tmp_path_factory.mktemp('experiment')
  results = make_workdir(directory)
  path = write_report(directory)
  assert path == directory / 'report.html'
  return results, path.read_text(encoding='utf-8')


def test_page_is_valid_html_with_unique_ids(experiment):
  page = _parse(experiment[1])
  assert len(page.ids) == len(set(page.ids))
  references = [
    value[1:]
    for attributes in page.attributes
    for name, value in attributes.items()
    if name == 'href' and value.startswith('#')
  ]
  assert references and set(references) <= set(page.ids)


def test_page_is_self_contained_and_small(experiment):
  text = experiment[1]
  assert len(text.encode()) < 5e6
  assert not re.search(r'https?:', re.sub(r'xmlns(:\w+)?="[^"]*"', '', text))
  page = _parse(text)
  assert not {'link', 'iframe', 'object', 'embed', 'base'} & set(page.tags)
  for attributes in page.attributes:
    assert attributes.get('src', 'data:').startswith('data:')
    assert re.match(r'#|data:', attributes.get('href', '#'))


def test_page_shows_every_row_and_what_was_run(experiment):
  texts = ' '.join(_parse(experiment[1]).texts)
  for name in [*experiment[0], 'lifter, unfinished']:
    assert name in texts
  for words in (
    'procedural_hands/wild_test',
    '--config=configs/demo.py',
    'not run yet',
  ):
    assert words in texts


def test_table_shows_the_numbers_of_the_results(experiment):
  results, text = experiment
  cells = _parse(text).cells
  shown = {value for value, _ in cells}
  for values in results.values():
    assert set(values.values()) <= shown
  for value, digits in cells:
    assert float(digits) == pytest.approx(value, rel=2e-3, abs=5.1e-3)


def test_best_value_of_each_known_metric_is_marked(experiment):
  results, text = experiment
  marked = re.findall(r'<td class="best" data-value="([^"]*)"', text)
  network = [value for name, value in results.items() if 'lifter' not in name]
  expected = [
    (max if name == 'auc_0_50' else min)(row[name] for row in network)
    for name in METRICS
  ]
  assert set(expected) <= {float(value) for value in marked}
  assert len(marked) == 2 * len(METRICS)


def test_hostile_names_are_escaped(experiment):
  assert HOSTILE not in experiment[1]
  assert '<script>alert' not in experiment[1]
  assert '<wild>' not in experiment[1]


def test_images_are_embedded_once(experiment):
  images = re.findall(r'href="data:image/jpeg;base64,([^"]*)"', experiment[1])
  assert 2 <= len(images) == len(set(images)) <= NUM_IMAGES
  assert Image.open(io.BytesIO(base64.b64decode(images[0]))).size == (SIDE, SIDE)


def test_drawings_have_no_infinite_coordinates_and_no_markup(experiment):
  assert 'mathdefault' not in experiment[1]
  drawings = ' '.join(re.findall(r' d="([^"]*)"', experiment[1]))
  assert 'nan' not in drawings and 'inf' not in drawings


def test_share_inside_the_hulls_counts_exact_hands_as_inside(tmp_path):
  rng = np.random.default_rng(1)
  true = _hands(rng, NUM_TEST, 0.0)
  _write_row(tmp_path / 'rows' / 'exact', rng, 0.0, true, with_images=False)
  (tmp_path / 'results.json').write_text('{"exact": {"epe_mm": 0.0}}')
  fitted = limits.fit_limits(jnp.asarray(true), num_vertices=12, coverage=1.0)
  limits.save_limits(tmp_path / 'limits.json', fitted)
  text = write_report(tmp_path).read_text(encoding='utf-8')
  assert re.search(r'exact<span class="value">100 % inside', text)


def test_joints_without_a_label_do_not_count_and_are_not_drawn(tmp_path):
  rng = np.random.default_rng(3)
  true = _hands(rng, NUM_TEST, 0.0)
  _write_row(tmp_path / 'rows' / 'five', rng, 0.0, true, with_images=False)
  (tmp_path / 'results.json').write_text('{"five": {"epe_mm": 0.0}}')
  path = tmp_path / 'rows' / 'five' / 'predictions.npz'
  arrays = dict(np.load(path))
  arrays['visibility'][:, 5] = 0
  arrays['joints_3d_true'][:, 5] = 7777
  arrays['keypoints_2d_true'][:, 5] = 7777
  np.savez(path, **arrays)
  text = write_report(tmp_path).read_text(encoding='utf-8')
  # Rounding leaves aligned joints at 1e-6 mm, which the threshold 0 does not admit.
  assert re.search(r'AUC 1.000, aligned (1.000|0.99\d)', text)
  assert '7777' not in text


def test_a_choice_among_the_samples_with_pictures_is_called_so(experiment):
  texts = ' '.join(_parse(experiment[1]).texts)
  assert f'largest error among the first {NUM_IMAGES} samples' in texts
  assert re.search(r'largest error(?! among)', texts)  # the lifters' group


def test_a_wrong_prediction_is_drawn_within_its_view():
  true = np.zeros((1, 21, 3))
  true[0, 1:] = np.eye(3)[0] * 30
  wrong = true + [0, 400, 0]
  keys = ('joints_3d', 'joints_3d_true', 'keypoints_2d', 'keypoints_2d_true')
  arrays = (wrong, true, true[..., :2], true[..., :2])
  row = load.Row('a', 0, None, {}, dict(zip(keys, arrays, strict=True)), None)
  boxes = re.findall(r'viewBox="([^"]*)"', hands.depth_views(row, 0))
  for box in boxes:
    _, top, _, side = map(float, box.split())
    assert top <= 0 and 400 <= top + side


def test_page_without_anything_but_results_says_not_run_yet(tmp_path):
  (tmp_path / 'results.json').write_text('{"a": {"epe_mm": 7.25}, "b": {}}')
  text = write_report(tmp_path).read_text(encoding='utf-8')
  _parse(text)
  assert '7.25' in text and 'not run yet' in text


def test_broken_rows_do_not_stop_the_page(tmp_path):
  rng = np.random.default_rng(2)
  names = ('short', 'infinite', 'good')
  for name in names:
    true = _hands(rng, NUM_TEST, 0.0)
    _write_row(tmp_path / 'rows' / name, rng, 3.0, true, with_images=False)
  results = {name: {'epe_mm': float('nan')} for name in names}
  (tmp_path / 'results.json').write_text(json.dumps(results))
  path = tmp_path / 'rows' / 'short' / 'predictions.npz'
  path.write_bytes(path.read_bytes()[:5000])
  path = tmp_path / 'rows' / 'infinite' / 'predictions.npz'
  arrays = dict(np.load(path))
  arrays['joints_3d'][0] = np.nan
  arrays['keypoints_2d'][:] = np.inf
  np.savez(path, **arrays)
  log = 'step,train/loss\n0,1.5\n10,\n20,na'
  (tmp_path / 'rows' / 'short' / 'metrics.csv').write_text(log)
  text = write_report(tmp_path).read_text(encoding='utf-8')
  _parse(text)
  drawings = ' '.join(re.findall(r' d="([^"]*)"', text))
  assert 'nan' not in drawings and 'inf' not in drawings


def test_files_that_do_not_belong_together_are_told(tmp_path, caplog):
  make_workdir(tmp_path)
  results = json.loads((tmp_path / 'results.json').read_text())
  paths = sorted(tmp_path.glob('rows/*/predictions.npz'))
  rows = {
    row.name: row
    for group in load.load_experiment(tmp_path).groups
    for row in group.predicted
  }
  for name, row in rows.items():
    results[name]['epe_mm'] = float(row.errors.mean())
  (tmp_path / 'results.json').write_text(json.dumps(results))
  write_report(tmp_path)
  assert caplog.messages == []
  results[next(iter(rows))]['epe_mm'] *= 1.1
  (tmp_path / 'results.json').write_text(json.dumps(results))
  write_report(tmp_path)
  (told,) = caplog.messages
  assert 'but its predictions have one of' in told
  caplog.clear()
  arrays = dict(np.load(paths[0]))
  np.savez(paths[0], **arrays | {'keypoints_2d_true': arrays['keypoints_2d'] + 5})
  write_report(tmp_path)
  assert any('were tested on other hands' in told for told in caplog.messages)


@pytest.mark.parametrize('exists', [False, True])
def test_missing_workdir_or_results_gives_one_sentence(tmp_path, exists):
  directory = tmp_path / 'out'
  if exists:
    directory.mkdir()
  words = 'no results.json' if exists else 'no directory'
  with pytest.raises(FileNotFoundError, match=words) as caught:
    write_report(directory)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'file, text, message',
  [
    ('results', '{"a": ', 'results.json is not valid JSON'),
    ('results', '[]', 'results.json must hold a JSON object, not a list'),
    ('results', '{"a": 3}', "results.json: 'a' must hold an object, not 3"),
    ('experiment', '{"rows": 3}', "experiment.json: 'rows' must hold a list, not 3"),
    ('experiment', '{"rows": [["a"]]}', "'rows' must hold names"),
    ('experiment', '{"groups": []}', r"'groups' must hold an object, not \[\]"),
    ('experiment', '{"chance": {"rows": 3}}', "'rows' must hold an object, not 3"),
  ],
)
def test_malformed_results_are_told_with_their_file(tmp_path, file, text, message):
  (tmp_path / 'results.json').write_text('{"a": {"epe_mm": 7.25}}')
  (tmp_path / f'{file}.json').write_text(text)
  with pytest.raises(ValueError, match=message) as caught:
    load.load_experiment(tmp_path)
  assert f'{file}.json' in str(caught.value) and '\n' not in str(caught.value)


def test_command_prints_the_path_or_one_sentence(tmp_path, capsys):
  with pytest.raises(SystemExit) as end:
    main([f'--workdir={tmp_path}'])
  assert end.value.code == 2
  error = capsys.readouterr().err
  assert error.startswith('error: there is no results.json') and error.count('\n') == 1
  (tmp_path / 'results.json').write_text('{"a": {"epe_mm": 7.25}}')
  for arguments in ([f'--workdir={tmp_path}'], [str(tmp_path)]):
    main(arguments)
    assert capsys.readouterr().out.strip() == str(tmp_path / 'report.html')
  for arguments in ([], [str(tmp_path), f'--workdir={tmp_path}']):
    with pytest.raises(SystemExit):
      main(arguments)
    assert "name one experiment's directory" in capsys.readouterr().err
