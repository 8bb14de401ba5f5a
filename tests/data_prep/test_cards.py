"""The card of a dataset claims no check that did not run."""

import pytest

from bmc_jax.data import example as example_lib
from bmc_jax.data import prepared
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import cards, registry
from tests.fixtures import coco_exports, toy_dataset


def _claims(path) -> dict[str, str]:
  """The checks in a card and the number of examples of each."""
  lines = (path / 'README.md').read_text().splitlines()
  start = lines.index('| check | examples |') + 2
  rows = [
    line.strip('| ').split(' | ') for line in lines[start : lines.index('', start)]
  ]
  return dict(rows)


def test_without_3d_labels_no_check_of_them_is_claimed(tmp_path):
  source = tmp_path / 'source'
  coco_exports.write_images(source / 'images')
  coco_exports.write_export(source)
  path = build_lib.build('coco_hands', tmp_path / 'out', source=source)
  claims = _claims(path)
  assert list(claims.values()) == ['3', '3']
  assert not any(
    '3D' in claim or 'palm' in claim or 'bone' in claim for claim in claims
  )


@pytest.mark.parametrize('right', [9, 10])
def test_each_check_has_the_number_of_examples_that_it_judged(
  tmp_path, monkeypatch, right
):
  datasets = {**registry.DATASETS, 'toy_hands': toy_dataset.ENTRY}
  monkeypatch.setattr(build_lib, 'DATASETS', datasets)
  source = tmp_path / 'source'
  for index in range(right + 2):
    example = toy_dataset.make_right_hand(index)
    if index >= right:  # two without 3D labels
      example = example_lib.drop_joints_3d(example)
    toy_dataset.write_example(source / 'train' / f'{index:03d}', example)
  path = build_lib.build('toy_hands', tmp_path / 'out', source=source)
  claims = _claims(path)
  assert claims.pop(
    'the image is whole, the labels have the form of `bmc_jax.data.example`'
  ) == str(right + 2)
  assert claims.pop('labelled 3D joints lie in front of the camera') == str(right)
  palms = {check: count for check, count in claims.items() if 'palm' in check}
  expected = {'the fingers of most right hands bend to the palm': '10'}
  assert palms == (expected if right == 10 else {})


@pytest.mark.slow
def test_a_folder_without_checks_claims_none(tmp_path):
  options = {'image_size': 32, 'examples': {'studio_test': 1}}
  path = build_lib.build('procedural_hands', tmp_path, **options)
  cards.write(tmp_path / 'card.md', prepared.read_builder(path))
  assert 'check' not in (tmp_path / 'card.md').read_text().lower()
