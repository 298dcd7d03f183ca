"""Self-supervised learning on RGB-D images: SimSiam, with depth as an HHA image computed by graph operations."""

__version__ = "0.1.0"
