"""Builders of prepared datasets: from original files to ArrayRecord, through TFDS."""
