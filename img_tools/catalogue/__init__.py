"""The catalogue: what a build leaves behind, every residue described once, as data.

The checks report its rows and the cleaners remove them, so that what is flagged is what goes (row
B1). One module an area; a topic is the id of the check and of the cleaner that read it.
"""

from img_tools.catalogue import cloud, credentials, nodes, ssh, system, traces
from img_tools.catalogue.model import Residue, Treat

__all__ = ["CATALOGUE", "Residue", "Treat"]

CATALOGUE: tuple[Residue, ...] = (
    *traces.ROWS, *system.ROWS, *cloud.ROWS, *ssh.ROWS, *credentials.ROWS,
    *nodes.ROWS)
