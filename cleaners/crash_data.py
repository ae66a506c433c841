"""Remove core dumps and crash reports

They are memory of processes and of the kernel, with whatever secrets it held.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.TEMP


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "crash-data")
