"""The pose network that ships."""

import numpy as np
import pytest

from bmc_jax.data import drawn_images
from bmc_jax.predict import HandPosePredictor, View, pretrained
from bmc_jax.predict.__main__ import main


@pytest.fixture(scope='module')
def drawn(few_backgrounds):
  """Twelve drawn hands that the network was not trained on."""
  return drawn_images.ProceduralImagesSource(image_size=80, seed=7).batch(range(12))


def test_its_crops_are_those_that_it_was_trained_on():
  low, high = drawn_images.Everyday().fill
  assert pretrained.FRAMING.crop_scale == pytest.approx(2 / (low + high), rel=0.01)


@pytest.mark.slow
def test_it_finds_drawn_hands(drawn):
  predictor = HandPosePredictor.pretrained()
  views = [
    View(image, camera, None, True)
    for image, camera in zip(drawn['image'], drawn['intrinsics'], strict=True)
  ]
  hands = predictor.predict(views, passes=1)
  found = np.stack([hand.keypoints_2d for hand in hands])
  error = np.linalg.norm(found - drawn['keypoints_2d'], axis=-1).mean()
  constant = drawn['keypoints_2d'].mean(axis=0)
  chance = np.linalg.norm(constant[None] - drawn['keypoints_2d'], axis=-1).mean()
  assert error < 0.75 * chance
  assert all(hand.bone_length == pretrained.FRAMING.bone_length for hand in hands)
  assert HandPosePredictor.pretrained(bone_length=0.04).bone_length == 0.04


@pytest.mark.slow
def test_the_command_needs_no_run(drawn, tmp_path, capsys):
  import cv2

  cv2.imwrite(str(tmp_path / 'hand.png'), drawn['image'][0][..., ::-1])
  out = tmp_path / 'out'
  main([str(tmp_path / 'hand.png'), '--out', str(out)])
  printed = capsys.readouterr().out
  assert 'mano' in printed
  assert (out / 'predictions.json').is_file()
  with pytest.raises(SystemExit):
    main([str(tmp_path / 'hand.png'), '--row', 'mine', '--out', str(out)])
  assert '--row names a row of an experiment' in capsys.readouterr().err
