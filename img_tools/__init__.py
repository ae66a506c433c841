"""img-tools: may this machine be snapshotted into an image, and make it so."""

__version__ = "0.1.0"
