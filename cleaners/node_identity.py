"""Remove the identity of services that make a new one by themselves

That is Docker's: its engine-id, and the key.json of versions before 23.0. dockerd makes an
engine-id when it starts without one (loadOrCreateID in moby's daemon/id.go), as it made the key
before (https://github.com/moby/moby/issues/41443); a running one writes neither. What other
services are known by, `img-check` reports.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.IDENTITY


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "node-identity")
