"""Remove mail, print jobs and jobs of at(1)

Mailboxes are emptied and stay, since their users could not make them again. Crontabs are only
reported by `img-check`: a product may need them.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.TEMP


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "mail-and-spools")
