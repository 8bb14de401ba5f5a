"""Files for the challenges of FreiHAND and HO-3D: `bmc-jax submit`."""

from bmc_jax.submit.predictions import predict_hands, to_metres

__all__ = ['predict_hands', 'to_metres']
