"""What makes one machine itself, and caches: topics machine-id, identity and package-cache."""

from img_tools.catalogue.model import Residue

ROWS: tuple[Residue, ...] = ()
