"""What hands contradict stands in the files of their verdicts, too."""

import json

import numpy as np

from bmc_jax.plausibility.__main__ import main
from tests.fixtures.hands import random_hands


def test_wrong_sides_are_told_in_the_verdicts_and_on_the_page(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  hands = random_hands(1, 30, spread=10).joints
  np.savez('joints.npz', joints_canonical=hands, is_right=np.zeros(30))
  main('joints.npz --limits mano --out all.json --out page.html'.split())
  told = 'give --handedness swapped'
  assert told in capsys.readouterr().err
  assert told in json.loads((tmp_path / 'all.json').read_text())['doubts'][0]
  assert told in (tmp_path / 'page.html').read_text()
