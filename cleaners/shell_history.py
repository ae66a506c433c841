"""Remove shell and client histories of every account

The shell that you type in keeps its history in memory and writes it when it ends: power off with
`--poweroff`, which ends such shells before they can, or leave it with `kill -9 $$`. A file that
HISTFILE names in a startup file is only reported by `img-check`.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.TRACES


def plan(host: Host) -> Iterator[Action]:
    """Yield every history."""
    yield from residue.actions(host, "shell-history")
