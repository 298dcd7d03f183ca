"""Small commands beside the main path."""
