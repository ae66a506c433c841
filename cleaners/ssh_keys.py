"""Remove SSH keys and everything else in ~/.ssh of every account

Found by content, as `img-check` finds them, in ~/.ssh and wherever AuthorizedKeysFile points. Two
things are left to people: private keys in a home but outside of ~/.ssh, which an application may
need, and what a link in a home leads to elsewhere.

The open connection survives it, the next login does not: where no account has a password, the plan
says that nobody will get in again. Only what erases free space, where these files would be found,
and the last look at the logs come after it.
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
