"""`python -m tools.doctor`, `tools.depth2hha` and `tools.depth_completion`, whose code is in keras_simsiam/commands/."""
