"""A training run: its configuration, checkpoints, devices, and what watches it."""
