"""`python -m tools.doctor` and `python -m tools.depth2hha`, whose code is in keras_simsiam/commands/."""
