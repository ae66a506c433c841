"""Remove copies of password files that still hold a hash

`shadow-` and the like keep the hash of a password that was locked or changed. Passwords themselves
are not touched: which account may have one is for people to say, and `img-check` names them.
"""

from collections.abc import Iterator

from img_tools.actions import Action, Phase, Remove
from img_tools.host import Host

PHASE = Phase.ACCOUNTS


def plan(host: Host) -> Iterator[Action]:
    """Yield every copy."""
    for path, names in host.password_files.copies():
        if names:
            yield Remove(path, "a copy that holds the hash of a password")
