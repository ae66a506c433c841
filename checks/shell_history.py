"""No account has a shell or client history

A history holds the commands of the build: host names, paths, and often passwords typed as
arguments. Every account with a home is looked at, for shells (bash, zsh, fish, ...), for clients
that keep one of their own (mysql, psql, redis-cli, python, ...) and for what viewers remember
(less, vim, wget: a warning only). Files that HISTFILE names in the shells' startup files count too.
Any size above zero counts; a link to /dev/null holds nothing.

`img-clean --yes --only shell-history` removes them, but for files that HISTFILE names. The shell
that you type in writes its history again when it ends: leave it with `kill -9 $$`, or run `unset
HISTFILE` in it first.
"""

import itertools
import re
from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Home, Host
from img_tools.model import Finding, Status

CATEGORY = "traces"
CODES = residue.codes("shell-history")
REFERENCES = ("build-an-image: doesn't have populated bash_history",)

OF_ALL = ("/etc/environment", "/etc/profile", "/etc/profile.d/*.sh", "/etc/bash.bashrc",
          "/etc/bashrc", "/etc/zshrc", "/etc/zshenv", "/etc/zsh/zshrc", "/etc/zsh/zshenv",
          "/etc/ksh.kshrc", "/etc/mkshrc")
OF_ONE = (".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zshenv", ".zprofile",
          ".kshrc", ".mkshrc")
HISTFILE = re.compile(rb"""^[^#\n]*\bHISTFILE=["']?([^\s"';#]+)""", re.MULTILINE)
LARGEST = 1 << 20  # bytes of a startup file that are looked at
ELSEWHERE = residue.Residue(
    "shell-history", "shell-history", "$HISTFILE", residue.Treat.REPORT, Status.FAIL,
    "the history of commands that HISTFILE names in a startup file", advice="rm {path}",
)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every history that is not empty."""
    known = residue.matches(host, "shell-history")
    return residue.listed(host, itertools.chain(known, _elsewhere(host)))


def _elsewhere(host: Host) -> Iterator[residue.Match]:
    """Histories in places that the startup files of shells name."""
    shared = {entry.path for pattern in OF_ALL for entry in host.root.glob(pattern)}
    everywhere = {name for path in sorted(shared) for name in _named(host, path)}
    seen = set()
    for home in host.homes:
        present = set(host.root.listdir(home.path)) & set(OF_ONE)
        own = {name for file in present for name in _named(host, f"{home.path}/{file}")}
        for path in sorted({_expanded(name, home) for name in everywhere | own}):
            inside = path.removeprefix(home.path.rstrip("/") + "/")
            if path in seen or not path.startswith("/") or residue.describes(
                    "shell-history", inside):
                continue
            entry = host.root.stat(host.root.resolve(path))
            if entry and entry.is_file and entry.size and entry.dev not in host.volatile:
                seen.add(path)
                yield residue.Match(ELSEWHERE, entry, home.account)


def _named(host: Host, path: str) -> set[str]:
    """What the startup file PATH sets HISTFILE to; nothing where it is not a file."""
    if not host.root.is_file(path):
        return set()
    found = HISTFILE.findall(host.root.read_bytes(path, LARGEST, head=True))
    return {name.decode("utf-8", "surrogateescape") for name in found}


def _expanded(name: str, home: Home) -> str:
    """NAME with the home in it filled in; with any other variable in it no file has it."""
    return re.sub(r"^~(?=/)|\$HOME\b|\$\{HOME\}", lambda _: home.path.rstrip("/"), name)
