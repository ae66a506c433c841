"""x
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.ACCESS


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "ssh-keys")
