"""The pose network that ships: trained on drawn hands (domain `everyday`) alone."""

from bmc_jax.configs import pretrain  # pyright: ignore
from bmc_jax.models import create_model
from bmc_jax.predict.framing import Framing
from bmc_jax.training.initial_values import init_variables
from bmc_jax.training.loop import model_options
from bmc_jax.training.trained_row import TrainedRow
from bmc_jax.training.weights import PACKAGED

LIMITS = 'mano'
"""The limits that its hands are compared with."""

# Drawn hands fill 45 to 90 % of their crops. The bone is that of an adult's hand
# labelled at MANO's joints. The depth error is that on 1,024 drawn hands: 30.1 mm.
FRAMING = Framing(crop_scale=1.48, bone_length=0.031, count=0, depth_error=0.89)


def open_pretrained() -> TrainedRow:
  """Reads the network that ships, which `configs/pretrain.py` made."""
  config = pretrain.get_config()
  model = create_model(model_options(config))
  variables = init_variables(
    model, config.image_size, init_from=f'package:{pretrain.NAME}'
  )
  return TrainedRow(PACKAGED / pretrain.NAME, config, model, dict(variables))


def is_pretrained(row: TrainedRow) -> bool:
  """Whether a row is that network."""
  return row.folder == PACKAGED / pretrain.NAME
