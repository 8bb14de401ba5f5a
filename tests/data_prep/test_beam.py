"""Preparation by a Beam pipeline: the files are those of a build without Beam."""

import sys

import pytest

from bmc_jax.console.installation import how_to_add
from bmc_jax.data_prep import build as build_lib
from bmc_jax.data_prep import registry
from tests.fixtures import toy_dataset

NAME = 'toy_hands'


@pytest.fixture
def source(tmp_path, monkeypatch):
  datasets = {**registry.DATASETS, NAME: toy_dataset.ENTRY}
  monkeypatch.setattr(build_lib, 'DATASETS', datasets)
  return toy_dataset.write(tmp_path / 'source')


pytestmark = pytest.mark.extra('beam')


def _build(source, out, *arguments) -> int:
  fixed = ['--source', str(source), '--out', str(out), '--num-shards', '3']
  return build_lib.main([NAME, *fixed, *arguments])


def test_a_pipeline_writes_the_same_files(source, tmp_path):
  assert _build(source, tmp_path / 'plain') == 0
  assert _build(source, tmp_path / 'beam', '--beam', '--runner=DirectRunner') == 0
  plain, beam = (
    {
      file.name: file.read_bytes()
      for file in (tmp_path / out / NAME / '1.0.0').iterdir()
    }
    for out in ('plain', 'beam')
  )
  assert len([name for name in plain if 'array_record' in name]) == 6
  assert plain == beam


def test_what_a_pipeline_finds_wrong_is_one_sentence(source, tmp_path, capsys):
  (source / 'train' / '003.png').write_bytes(b'')
  assert _build(source, tmp_path / 'out', '--beam') == 2
  message = capsys.readouterr().err.strip().splitlines()[-1]
  assert message.startswith(f'error: {source / "train" / "003.png"} cannot be decoded')
  assert not (tmp_path / 'out').exists()
  assert _build(source, tmp_path / 'out', '--beam', '--max-bad', '1') == 0


def test_without_beam_the_remedy_is_named(source, tmp_path, monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  assert _build(source, tmp_path / 'out', '--beam') == 2
  assert how_to_add('beam') in capsys.readouterr().err


def test_flags_of_beam_are_refused_without_it(source, tmp_path, capsys):
  with pytest.raises(SystemExit) as error:
    _build(source, tmp_path / 'out', '--runner=DirectRunner')
  assert error.value.code == 2
  assert 'unrecognized arguments: --runner=DirectRunner' in capsys.readouterr().err
