"""What apt's complaints mean: which source failed, why, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from img_tools.model import Undecided, printable
from img_tools.packages.apt_sources import redact
from img_tools.runner import CommandError, CommandMissing, Completed, Runner

# (pattern, why, cure): the first that matches is the one. Texts of apt 1.2 (Ubuntu 16.04) to 3.0.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (r"resolv(e|ing) ", "the name of the server cannot be resolved",
     "check the network and the image's /etc/resolv.conf"),
    (r"apt-cdrom", "it is a CD-ROM", "take its line out of the sources"),
    (r"NO_PUBKEY|Missing key", "it is signed by a key that is not installed",
     "install the archive's key (Signed-By)"),
    (r"EXPKEYSIG|KEYEXPIRED|[Ee]xpired key|key.* expired", "the key that signs it has expired",
     "install the archive's current key"),
    (r"BADSIG|GPG error|signature|OpenPGP|clearsigned",
     "its signature is not valid", "use another mirror"),
    (r"is expired|Valid-Until", "its Release file has expired, so the mirror is no longer updated",
     "use another mirror; for an archived release, [check-valid-until=no]"),
    (r"not valid yet", "its Release file is from the future", "set the clock"),
    (r"doesn't have the component", "it does not have the component that is configured",
     "correct the component in the sources"),
    (r"\b40[137]\b|[Uu]nauthorized|Forbidden", "the server refuses access",
     "check the credentials in /etc/apt/auth.conf.d"),
    (r"[Cc]ertificate|\bTLS\b|\bSSL\b|handshake", "its TLS certificate is not accepted",
     "install ca-certificates, check the clock"),
    (r"unexpected size|Hash Sum mismatch|sync in progress", "the mirror is being updated or broken",
     "try again later or use another mirror"),
    (r"[Cc]ould not connect|[Uu]nable to connect|[Cc]onnection|timed out|unreachable",
     "the server cannot be reached", "check the network"),
    (r"\b404\b|not found|(no longer|not) have a Release file",
     "the server does not have it",
     "correct the source (archives of end-of-life releases move to archive.debian.org or "
     "old-releases.ubuntu.com)"),
    (r"No space left", "there is no space left for the index", "free some space or memory"),
    (r"is not signed", "it is not signed", "use a signed archive"),
    (r"[Mm]alformed|Conflicting values", "apt cannot read this source",
     "correct it and try apt-get update"),
    (r"dpkg was interrupted", "dpkg was interrupted", "run dpkg --configure -a"),
)

# What keeps an index old, even where apt ends with 0 (before 2.1.8, which has Error-Mode).
_FAILED = re.compile(
    r"E: |W: (Failed to fetch|GPG error|OpenPGP signature|An error occurred during the signature"
    r"|The repository .* have a Release file|Release file for .* is expired|Skipping acquire of "
    r".* doesn't have the component)")
_SOURCE = re.compile(
    r"'([^' ]+ [^' ]+) (?:In)?Release'|(?:GPG error|verification failed): (\S+ \S+) (?:In)?Release"
    r"|(?:fetch|file for) (\S+)")


def demand_updated(done: Completed) -> None:
    """Raise Undecided when the `apt-get update` in DONE left any index old."""
    said = redact(f"{done.stderr}\n{done.stdout}")
    lines = [line for line in said.splitlines() if _FAILED.match(line)]
    if not lines and done.code == 0:
        return
    if "/dev/null" in said:
        raise Undecided("apt cannot use /dev/null in the image: mount --bind /dev DIR/dev, and do "
                        "not mount the image with nodev")
    details = dict(re.findall(r"^Err:\d+ (\S+ \S+) .*\n +(.*)$", said, re.M))
    causes: dict[str, tuple[str, str]] = {}
    for line in lines:
        found = _SOURCE.search(line)
        source = next(filter(None, found.groups()), "") if found else ""
        source = re.sub(r"/(In)?Release(\.gpg)?$", "", source)
        cause = _cause(f"{line} {details.get(source, '')}")
        if cause:
            causes.setdefault(source or line[3:], cause)
    raise Undecided(f"package indexes could not be refreshed: {_told(causes, lines)}")


def _told(causes: dict[str, tuple[str, str]], lines: Sequence[str]) -> str:
    if not causes:
        return printable("; ".join(lines[:3])) or "apt-get update failed and does not say why"
    reasons = [f"{source}: {why}" for source, (why, _) in causes.items()]
    more = f" (and {len(reasons) - 2} more)" if len(reasons) > 2 else ""
    return printable("; ".join(reasons[:2]) + more + f"; {next(iter(causes.values()))[1]}")


def _cause(text: str) -> tuple[str, str] | None:
    return next(((why, cure) for pattern, why, cure in _CAUSES if re.search(pattern, text)), None)


def ask(run: Runner, *argv: str, ok: Sequence[int] = (0,), tmp: str | None = None) -> Completed:
    """RUN an apt command. Raises Undecided, in words that hold no password, when it failed."""
    try:
        return run(*argv, ok=ok, env={"TMPDIR": tmp} if tmp else {})
    except CommandMissing:
        raise Undecided(f"{argv[0]} is not in the image: updates cannot be judged") from None
    except CommandError as error:
        cause = _cause(error.stderr)
        raise Undecided(redact(f"{error}; {cause[1]}" if cause else str(error))) from None
