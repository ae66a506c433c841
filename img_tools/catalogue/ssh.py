"""What OpenSSH leaves: topic ssh-host-keys."""

from img_tools.catalogue.model import Residue

ROWS: tuple[Residue, ...] = ()
