"""Experiments: each file is the lab note of one table."""

import os
import pathlib

SAMPLES = pathlib.Path(os.environ.get('BMC_JAX_TEST_DATA', '../shared')) / 'data'
"""Where the real samples are: pose files and the photos of Ge et al. 2019."""
