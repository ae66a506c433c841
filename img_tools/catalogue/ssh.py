"""What OpenSSH leaves: topic ssh-host-keys."""

from img_tools.catalogue.model import Residue, Treat
from img_tools.model import Status

_SHARED = "a host key that every clone would share; who has one clone can pose as all others"

ROWS: tuple[Residue, ...] = (
    Residue("ssh-host-keys", "host-key", "/etc/ssh/ssh_host_*_key*", Treat.REMOVE, Status.FAIL,
            _SHARED, keep=("*.pub",)),
    Residue("ssh-host-keys", "host-key-public", "/etc/ssh/ssh_host_*_key*.pub", Treat.REMOVE,
            Status.WARN, "the public half of a host key of the build machine"),
    Residue("ssh-host-keys", "host-key", "/etc/dropbear/*_host_key", Treat.REMOVE, Status.FAIL,
            _SHARED),
)
