"""Depth from an encoder's feature maps."""
