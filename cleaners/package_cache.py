"""Remove packages that nothing needs any more, and downloaded ones

Runs autoremove when it would remove something, and empties the download cache. apt's package
indexes stay: without them the first `apt-get install` on a clone fails. dnf and yum fetch theirs by
themselves, so that their caches go.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.CACHES


def plan(host: Host) -> Iterator[Action]:
    """Yield autoremove and the files of the cache."""
    yield from host.packages.autoremove()
    yield from residue.actions(host, "package-cache")
