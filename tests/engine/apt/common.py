"""An apt that only talks, and what it talks of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from img_tools.packages.apt import Apt
from img_tools.runner import CommandError, Completed, Runner
from tests.support import build

LISTS = "/var/lib/apt/lists"
MAIN = "deb http://deb.debian.org/debian bookworm main\n"
SECURITY = "deb http://deb.debian.org/debian-security bookworm-security main\n"


def release(origin: str, label: str, suite: str, codename: str, size: int = 8,
            date: str = "Sat, 01 Nov 2025 10:00:00 UTC") -> str:
    """A Release file that lists one index of SIZE bytes."""
    return (f"Origin: {origin}\nLabel: {label}\nSuite: {suite}\nCodename: {codename}\n"
            f"Date: {date}\nSHA256:\n {'0' * 64} {size} main/binary-amd64/Packages\n"
            "-----BEGIN PGP SIGNATURE-----\n")


DEBIAN = release("Debian", "Debian", "oldstable", "bookworm")
DEBIAN_SECURITY = release("Debian", "Debian-Security", "oldstable-security", "bookworm-security",
                          date="Sun, 02 Nov 2025 09:30:00 UTC")
MAIN_STEM = f"{LISTS}/deb.debian.org_debian_dists_bookworm_"
SECURITY_STEM = f"{LISTS}/deb.debian.org_debian-security_dists_bookworm-security_"
INDEX = "main_binary-amd64_Packages"
LISTED: Mapping[str, object] = {
    f"{MAIN_STEM}InRelease": DEBIAN, f"{MAIN_STEM}{INDEX}": "12345678",
    f"{SECURITY_STEM}InRelease": DEBIAN_SECURITY, f"{SECURITY_STEM}{INDEX}": "12345678",
}
AT_MAIN = "http://deb.debian.org/debian bookworm/main amd64 Packages"
AT_SECURITY = "http://deb.debian.org/debian-security bookworm-security/main amd64 Packages"


def stanza(name: str, version: str, status: str = "install ok installed",
           arch: str = "amd64") -> str:
    """An entry of dpkg's status file."""
    return f"Package: {name}\nStatus: {status}\nArchitecture: {arch}\nVersion: {version}\n\n"


def table(name: str, installed: str, candidate: str, *versions: tuple[str, str]) -> str:
    """What `apt-cache policy` prints; VERSIONS are (version, place or "") from the newest on."""
    text = f"{name}:\n  Installed: {installed}\n  Candidate: {candidate}\n  Version table:\n"
    for version, place in versions:
        mine = version == installed
        text += f"{' *** ' if mine else '     '}{version} 500\n"
        text += f"        500 {place}\n" if place else ""
        text += "        100 /var/lib/dpkg/status\n" if mine else ""
    return text


CURRENT = table("toy", "1.0", "1.0", ("1.0", AT_MAIN))


class TalkingApt(Runner):
    """Answers for apt-get and apt-cache; `fetched` is what an update puts into its lists."""

    def __init__(
        self, top: str, policy: str = "", *, simulation: str = "", update: object = (0, "", ""),
        check: object = (0, "", ""), fetched: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(top)
        self.answers = {"update": update, "policy": (0, policy, ""), "check": check,
                        "dist-upgrade": (0, simulation, "")}
        self.fetched = fetched or {}
        self.calls: list[str] = []
        self.configuration: dict[str, str] = {}
        self.tmp: list[str | None] = []

    def __call__(
        self, *argv: str, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        verb = next(word for word in argv if word in self.answers)
        self.calls.append(verb)
        self.tmp.append((env or {}).get("TMPDIR"))
        if "-c" in argv:
            path = argv[argv.index("-c") + 1]
            self.configuration[verb] = (Path(self.top) / path.lstrip("/")).read_text()
            if verb == "update":
                lists = Path(self.top) / os.path.dirname(path).lstrip("/") / "lists"
                for name, content in self.fetched.items():
                    (lists / name).unlink(missing_ok=True)
                    build(lists, {f"/{name}": content})
        answer = self.answers[verb]
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, tuple)
        code, out, err = answer
        if code not in ok:
            raise CommandError(argv, f"exited with {code}", out, err)
        return Completed(tuple(argv), code, out, err)


Make = Callable[..., tuple[Apt, TalkingApt]]
