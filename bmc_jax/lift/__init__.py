"""From the 2D keypoints of any detector to metric 3D hands: `bmc-jax lift`."""

from bmc_jax.console.lazy import hand_on

__getattr__, __all__ = hand_on(  # pyright: ignore[reportUnsupportedDunderAll]
  __name__, {'lifter': ('KeypointLifter', 'LiftedHands')}
)
