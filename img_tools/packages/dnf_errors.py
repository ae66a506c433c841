"""What complaints of dnf and yum mean: which repository failed, why, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from img_tools.model import Undecided, printable
from img_tools.packages.apt_sources import redact
from img_tools.runner import CommandError, CommandMissing, Completed, Runner

# (pattern, why, cure): the first that matches is the one. Texts of yum 3.2 to dnf 5.4.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (r"There are no enabled repos", "no repository is enabled",
     "enable the distribution's in /etc/yum.repos.d"),
    (r"Cache-only enabled but no cache|[Cc]ache.*disabled|not in cache|"
     r"Cannot find a valid baseurl.*cache", "its metadata is not on the disk",
     "run `dnf makecache` (`yum makecache`), or leave --no-refresh away"),
    (r"[Rr]esolve|[Nn]ame or service not known", "the name of its server cannot be resolved",
     "check the network and the image's /etc/resolv.conf"),
    (r"\b(401|403|407)\b|Unauthorized|Forbidden", "its server refuses access",
     "check the credentials of the repository"),
    (r"\b404\b|Not Found|No more mirrors", "its server does not have it",
     "correct the repository (those of end-of-life releases move to a vault)"),
    (r"[Cc]ertificate|\bSSL\b|\bTLS\b|handshake", "its TLS certificate is not accepted",
     "install ca-certificates, check the clock"),
    (r"GPG|PGP|signature", "its signature is not valid", "import its key, or use another mirror"),
    (r"updateinfo", "its advisories cannot be read: updateinfo is damaged", "use another mirror"),
    (r"[Pp]arse|[Cc]hecksum|corrupt|not.* xml|mismatch|all mirrors were already tried",
     "its metadata is damaged or being updated", "try again later or use another mirror"),
    (r"timed? ?out|[Cc]onnect|unreachable|refused", "its server cannot be reached",
     "check the network"),
    (r"[Nn]o space left", "there is no space left for its metadata", "free some space or memory"),
    (r"All mirrors were tried|Usable URL not found|Cannot (download|retrieve|find)",
     "its server cannot be reached or does not have it", "check the network and its baseurl"),
)
_REPO = re.compile(r"(?:for repo|for repository:?|no cache for(?: repository)?|repomd\.xml from|"
                   r"valid baseurl for repo:|extension for repo)\s+['\"]?([\w.:/+-]+?)['\"]?"
                   r"(?=[:\s,.]|$)")


class NoSuchCommand(Undecided):
    """The yum of the image does not know the command."""


def ask(
    run: Runner, *argv: str, env: Mapping[str, str], ok: Sequence[int] = (0,)
) -> Completed:
    """RUN dnf or yum. Raises Undecided, in words that hold no password, when it failed."""
    try:
        return run(*argv, ok=ok, env=env)
    except CommandMissing:
        raise Undecided(f"{argv[0]} is not in the image: updates cannot be judged") from None
    except CommandError as error:
        raise understood(error) from None


def understood(error: CommandError) -> Undecided:
    """What ERROR of dnf or yum means, in words that hold no password."""
    said = redact(f"{error.stderr}\n{error.stdout}")
    if "No such command" in said:
        return NoSuchCommand(redact(_short(error)))
    cause = next(((why, cure) for pattern, why, cure in _CAUSES if re.search(pattern, said)), None)
    if cause is None:
        return Undecided(redact(_short(error)))
    repo = _REPO.search(said)
    where = f"repository {repo[1]}: " if repo else ""
    return Undecided(printable(f"updates could not be looked up: {where}{cause[0]}; {cause[1]}"))


def _short(error: CommandError) -> str:
    """The error without our options, which are longer than all else."""
    command = " ".join(word for word in error.argv if not word.startswith("-"))
    return f"`{command}` {str(error).rpartition('` ')[2]}"
