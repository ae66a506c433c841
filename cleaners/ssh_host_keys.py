"""Remove the SSH host keys, so that every clone makes its own

Only if something will make them at the first boot: sshd without host keys refuses every connection.
Without cloud-init and without another way the keys stay, and the run fails with what to do.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host
from img_tools.model import Undecided

PHASE = Phase.ACCESS


def plan(host: Host) -> Iterator[Action]:
    """Yield every key. Raises Undecided when a clone would have none."""
    found = list(residue.actions(host, "ssh-host-keys"))
    why = host.no_host_keys if found else None
    if why:
        raise Undecided(f"the host keys stay, since nothing makes new ones on a clone: {why}; have "
                        "cloud-init run its module ssh, or run `ssh-keygen -A` at first boot")
    yield from found
