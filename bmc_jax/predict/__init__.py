"""Hands predicted on any image, folder or video: `bmc-jax predict`."""

from bmc_jax.predict.predictor import HandPosePredictor
from bmc_jax.predict.views import HandPrediction, View

__all__ = ['HandPosePredictor', 'HandPrediction', 'View']
