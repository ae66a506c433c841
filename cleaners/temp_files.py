"""Empty /tmp and /var/tmp, dot files too

What running services hold under systemd-private-* stays: systemd removes it when they stop. Files
of editors and superseded configuration files go as well.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.TEMP


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "temp-files")
