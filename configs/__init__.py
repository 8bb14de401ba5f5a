"""Experiments: each file is the lab note of one table."""
