"""Folders of ground truth as the benchmarks have them."""

import numpy as np
import pytest

from bmc_jax.evaluate import submission
from bmc_jax.evaluate.submission import FORMS
from tests.fixtures import examples
from tests.fixtures.benchmark_files import CAMERA, COUNT, FRAMES, TRUTH, dump


@pytest.fixture
def freihand(tmp_path):
  folder = tmp_path / 'FreiHAND_pub_v2'
  folder.mkdir()
  dump(folder / 'evaluation_xyz.json', TRUTH)
  dump(folder / 'evaluation_K.json', [CAMERA] * COUNT)
  scale = np.linalg.norm(TRUTH[:, 10] - TRUTH[:, 9], axis=-1)
  dump(folder / 'evaluation_scale.json', scale)
  return folder


@pytest.fixture
def ho3d(tmp_path):
  folder = tmp_path / 'HO3D_v2'
  folder.mkdir()
  made = submission.to_form(TRUTH, FORMS['ho3d'])
  dump(folder / 'evaluation_xyz.json', made)
  (folder / 'evaluation.txt').write_text('\n'.join(FRAMES) + '\n')
  return folder


@pytest.fixture
def prepared(tmp_path):
  """Left and right hands; the ring fingertip of the first is not labelled."""
  rows = []
  for index in range(COUNT):
    row = examples.make_example(index, size=40, is_right=index % 3 > 0)
    row['joints_3d'] = TRUTH[index].astype(np.float32)
    row['keypoints_2d'] = np.zeros((21, 2), np.float32)
    rows.append(row)
  rows[0]['visibility'][16] = 0
  return examples.prepare(tmp_path / 'data', {'evaluation': rows, 'train': rows})
