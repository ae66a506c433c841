"""No account has a shell or client history

A history holds the commands of the build: host names, paths, and often passwords typed as
arguments. Every account with a home is looked at, for shells (bash, zsh, fish, ...) and for clients
that keep one of their own (mysql, psql, python, less, ...). Any size above zero counts.

`img-clean --yes --only shell-history` removes them. The shell that you type in writes its history
again when it ends: leave it with `kill -9 $$`, or run `unset HISTFILE` in it first.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "traces"
REFERENCES = ("build-an-image: doesn't have populated bash_history",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every history that is not empty."""
    yield from residue.findings(host, "shell-history")
