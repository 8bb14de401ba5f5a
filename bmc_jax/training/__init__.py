"""Training: configs, objective, step, loop, validation, checkpoints, several hosts.

`bmc-jax train` trains the rows of a config. `losses` needs no Flax, and
`ConfigDict` stops here: what stands below takes plain arguments.
"""

from bmc_jax.console.lazy import hand_on

__getattr__, __all__ = hand_on(
  __name__,
  {
    'config': ('Config',),
    'loop': ('train',),
    'step': ('TrainState', 'create_train_state', 'make_train_step'),
    'trained_row': ('TrainedRow', 'open_row'),
    'validation': ('evaluate',),
    'weights': ('load_weights', 'save_weights'),
  },
)
