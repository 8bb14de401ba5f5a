"""Hands predicted on any image: the Python side of `python -m bmc_jax.predict`."""

from bmc_jax.prediction.predictor import (
  HandPosePredictor,
  HandPrediction,
  View,
)

__all__ = ['HandPosePredictor', 'HandPrediction', 'View']
