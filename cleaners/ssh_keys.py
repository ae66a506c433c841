"""Remove SSH keys and everything else in ~/.ssh of every account

Found by content, as `img-check` finds them. The open connection survives; the next login does not,
unless the clone's owner gives a key. What a link in a home leads to elsewhere is left to people.
"""

from collections.abc import Iterator

from img_tools.actions import Action, Phase, Remove
from img_tools.host import Host

PHASE = Phase.ACCESS


def plan(host: Host) -> Iterator[Action]:
    """Yield every file once that SSH keeps for an account."""
    seen = set()
    for item in host.ssh_store:
        in_place = "/.ssh/" in item.path or item.kind.value != "private-key"
        if in_place and not item.outside and item.target not in seen:
            seen.add(item.target)
            yield Remove(item.target, f"{item.kind.value} of the build")
