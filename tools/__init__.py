"""Small commands off the main path."""
