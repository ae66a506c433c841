"""Remove cloud-init's data of this machine, so that it runs again on every clone

Instance data, semaphores and cached user-data go. /var/lib/cloud/scripts and /etc/cloud stay: the
first are the vendor's first-boot scripts, which `cloud-init clean` would remove.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.CLOUD


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "cloud-init-state")
