"""Data: the example format, sources, the host pipeline, device augmentation."""
