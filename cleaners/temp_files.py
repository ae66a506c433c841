"""Empty /tmp and /var/tmp, dot files too

What a running process uses stays, this program included, and so does what systemd keeps for
services under systemd-private-*: it removes that itself when they stop. Editors' swap files and
what package managers left beside configuration files go as well. Other copies, such as `x.bak`, may
be somebody's only one: `img-check` names them.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.TEMP


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "temp-files", spared=host.in_use)
