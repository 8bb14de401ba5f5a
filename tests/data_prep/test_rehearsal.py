"""Drawn datasets in the original layouts, read by the builders of the real ones."""

import numpy as np
import pytest

from bmc_jax.data import crops, images, sources
from bmc_jax.data_prep import build, dexter_object, rhd
from bmc_jax.data_prep.rehearsal import command
from tests.fixtures import readers


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
  """All four datasets, as small as they can be."""
  out = tmp_path_factory.mktemp('rehearsal')
  command.write(out, 1e-4, tile=32)
  return out


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'folder', 'options', 'counts'),
  [
    ('rhd', 'RHD_published_v2', {'hands': 'dominant'}, {'train': 4, 'evaluation': 2}),
    (
      'freihand',
      'FreiHAND_pub_v2',
      {'validation_share': 0.4},
      {'train': 8, 'validation': 4, 'evaluation': 2},
    ),
    ('ho3d_v3', 'HO3D_v3', {}, {'train': 8, 'evaluation': 2}),
    ('dexter_object', 'dexter+object', {}, {'test': 12}),
  ],
)
def test_builders_read_them_as_the_real_ones(
  drawn, tmp_path, name, folder, options, counts
):
  path = build.build(name, tmp_path, source=drawn / folder, crop_size=224, **options)
  for split, count in counts.items():
    source = sources.TfdsSource(str(path), split, built={'crop_size': 224, **options})
    assert len(source) == count
    example = source[0]
    known = example['visibility'] > 0
    if known.sum() > 5:
      pixels = readers.slow_projection(example['joints_3d'], example['intrinsics'])
      np.testing.assert_allclose(pixels, example['keypoints_2d'], atol=0.5)
      part = np.ptp(example['keypoints_2d'], axis=0).max() / 224
      assert part == pytest.approx(1 / crops.SCALE, abs=0.05)


@pytest.mark.slow
def test_hands_lie_where_their_labels_are(drawn):
  """Skin is redder than blue at the palm's joints, in most hands."""
  records = rhd.read_records(drawn / 'RHD_published_v2')['train']
  differences = []
  for record in records:
    photo = images.decode(record['image'].read_bytes(), 'photo').astype(float)
    u, v = np.rint(record['keypoints_2d'][[5, 9, 13]].mean(axis=0)).astype(int)
    if 0 <= u < 320 and 0 <= v < 320:
      differences.append(photo[v, u, 0] - photo[v, u, 2])
  assert np.mean(np.array(differences) > 5) > 0.6


def test_fingertips_go_to_the_depth_camera_and_back():
  tips = np.random.default_rng(0).normal(0, 100, (4, 5, 3)) + [0, 0, 500]
  there = dexter_object.from_color_camera(tips)
  np.testing.assert_allclose(dexter_object.to_color_camera(there), tips, atol=1e-9)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--scale', '0'], '--scale is 0.0; it must be above 0'),
    (['--scale', '1.5'], '--scale is 1.5; it must be above 0'),
    (['--scale', '0.1', '--tile', '8'], '--tile is 8; it must be from 16'),
  ],
)
def test_numbers_without_a_meaning_are_refused(tmp_path, capsys, arguments, message):
  assert build.main(['rehearsal', '--out', str(tmp_path), *arguments]) == 2
  assert message in capsys.readouterr().err
