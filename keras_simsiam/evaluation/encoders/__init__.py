"""What `--encoder` may name, and the encoders that are compared."""
