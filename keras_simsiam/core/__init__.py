"""What every room stands on: errors, files and hashes, settings and commands."""
