"""What cloud-init and the provider's agent leave: topics cloud-init-state and do-agent."""

from img_tools.catalogue.model import Residue

ROWS: tuple[Residue, ...] = ()
