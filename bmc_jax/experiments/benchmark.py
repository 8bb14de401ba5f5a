"""Scores trained rows on public test sets, and writes files for their challenges."""

from pathlib import Path
from typing import Any

import numpy as np

from bmc_jax.console.files import read_json, write_json
from bmc_jax.data import prepared
from bmc_jax.evaluate import submission
from bmc_jax.evaluate.ground_truth import GroundTruth, read_prepared
from bmc_jax.evaluate.protocols import PROTOCOLS
from bmc_jax.evaluate.scoring import score_subsets, tables
from bmc_jax.evaluate.subsets import ALL
from bmc_jax.experiments.catalogue import Benchmark
from bmc_jax.experiments.inputs import fingerprint
from bmc_jax.submit.predictions import predict_hands, to_metres
from bmc_jax.training.config import Config
from bmc_jax.training.trained_row import open_row


def check(benchmark: Benchmark, folder: Path) -> None:
  """Raises an error unless the test set is prepared as its benchmark needs it.

  Args:
    benchmark: the test set.
    folder: that holds its prepared dataset.

  Raises:
    FileNotFoundError: it is not prepared.
    ValueError: it was built in another way, or has no such split.
  """
  directory = str(folder / benchmark.dataset)
  prepared.open_split(directory, benchmark.split, benchmark.built)


def score(row_dir: Path, benchmark: Benchmark, folder: Path) -> dict[str, Any]:
  """Predicts a test set with a trained row, once: what was found is kept.

  Args:
    row_dir: of the row.
    benchmark: the test set.
    folder: that holds its prepared dataset.

  Returns:
    `metrics`, those of the table, and `text`, all that was measured as rows of cells
    (both empty where the test set has no public labels); `submission`, the path of the
    file for the challenge, or ''; `scale`, how the size of the hands was known;
    `test_set`, which changes with the files of the test set.

  Raises:
    FileNotFoundError: the dataset is not prepared.
    ValueError: the row is not trained to its end.
  """
  out = row_dir / 'benchmarks'
  path = out / f'{benchmark.dataset}.json'
  data = str(folder / benchmark.dataset)
  test_set = fingerprint(Path(data))
  if path.exists() and (kept := read_json(path)).get('test_set') == test_set:
    return kept
  row = open_row(row_dir)
  truth = read_prepared(data, benchmark.split)
  scale, how = _sizes(truth, row.config)
  joints = to_metres(
    predict_hands(row, data, benchmark.split),
    truth,
    tuple(row.config.reference),
    scale,
  )
  found: dict[str, Any] = {'metrics': {}, 'text': [], 'submission': '', 'scale': how}
  found['test_set'] = test_set
  protocol = PROTOCOLS[benchmark.protocol]
  if benchmark.submission:
    archive = out / f'{benchmark.dataset}.zip'
    submission.write_submission(archive, joints, submission.FORMS[protocol.form])
    found['submission'] = str(archive)
  labelled = truth.visibility > 0
  if labelled[:, list(protocol.labels)].all() and labelled[:, 1:].any(axis=1).all():
    results = score_subsets(joints, truth, protocol, {ALL: np.arange(len(joints))})
    found['text'] = tables(results, protocol)[0]
    aligned = results[ALL]['alignments']
    found['metrics'] = {
      name: aligned[alignment][figure]
      for name, (alignment, figure) in benchmark.metrics.items()
    }
  write_json(path, found)
  return found


def _sizes(truth: GroundTruth, config: Config) -> tuple[np.ndarray | None, str]:
  """Lengths (N,) of the reference bones in metres, or None, and how they are known."""
  has_bone = (truth.visibility[:, list(config.reference)] > 0).all(axis=1)
  has_wrist = truth.joints_3d[:, 0, 2] > 0
  if (has_bone | has_wrist).all():
    return None, 'from the labels'
  spec = config.limits.source
  if 'path' not in spec:
    raise ValueError(
      'The size of some hands of the test set is not known: name a source with 3D '
      'labels in limits.source, whose median bone they get.'
    )
  known = read_prepared(spec.path, spec.split)
  sizes = known.scale[(known.visibility[:, list(config.reference)] > 0).all(axis=1)]
  if not len(sizes):
    raise ValueError(f'limits.source, {spec.path} {spec.split}, has no 3D labels.')
  median = float(np.median(sizes))
  return (
    np.full(len(truth.names), median),
    f'all hands have the median bone of {Path(spec.path).name}, {1e3 * median:.1f} mm',
  )
