"""Checkpoints of PyTorch, read without it: their files, their names, and encoders made of them."""
