"""The pose network that ships: trained on drawn hands of the domain `everyday` alone.

`configs/pretrain.py` made its weights and is its lab note.
"""

import ml_collections

from bmc_jax.models import create_model
from bmc_jax.predict.framing import Framing
from bmc_jax.training import defaults
from bmc_jax.training.initial_values import init_variables
from bmc_jax.training.loop import model_options
from bmc_jax.training.trained_row import TrainedRow
from bmc_jax.training.weights import PACKAGED

NAME = 'everyday_64'
LIMITS = 'mano'
"""The limits that its hands are compared with."""

NETWORK = {
  'depth': 18,
  'width': 32,
  'stem': 'strided',
  'output_stride': 16,
  'head': 'heatmap',
}
IMAGE_SIZE = 64

# Drawn hands fill 45 to 90 % of their crops. The bone is that of an adult's hand
# labelled at MANO's joints.
FRAMING = Framing(crop_scale=1.48, bone_length=0.031, count=0, depth_error=0.5)


def open_pretrained() -> TrainedRow:
  """Reads the network that ships."""
  config = defaults.get_config()
  config.image_size = IMAGE_SIZE
  config.model.pose_network.update(NETWORK)
  model = create_model(model_options(config))
  variables = init_variables(model, IMAGE_SIZE, init_from=f'package:{NAME}')
  return TrainedRow(
    PACKAGED / NAME, ml_collections.ConfigDict(config), model, dict(variables)
  )
