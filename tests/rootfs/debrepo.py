"""Toy package archives with real .deb files, signed or not, of any origin and date."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ARCH = "amd64"


@dataclass(frozen=True)
class Key:
    """A signing key in a gpg home of its own; `public` is what Signed-By takes."""

    home: Path
    public: Path

    @classmethod
    def make(cls, home: Path, expires: str = "never") -> Key:
        """A new key; EXPIRES as gpg's --quick-gen-key takes it ("seconds=1")."""
        home.mkdir(mode=0o700)
        key = cls(home, home / "archive.gpg")
        key.gpg("--quick-gen-key", "toy archive <toy@example.org>", "rsa2048", "sign", expires)
        key.public.write_bytes(key.gpg("--export"))
        return key

    def gpg(self, *args: str, stdin: bytes = b"") -> bytes:
        """Output of gpg with this home, never asking."""
        return subprocess.run(
            ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode",
             "loopback", "--passphrase", "", *args],
            input=stdin, check=True, capture_output=True,
        ).stdout


class Archive:
    """One archive below TOP; add() packages, then publish() its index as often as you like."""

    def __init__(self, top: Path, suite: str, **release: str) -> None:
        self.top = top
        self.suite = suite
        self.release = {"Origin": "Toy", "Label": "Toy", "Suite": suite, "Codename": suite,
                        **release}
        self._stanzas: list[str] = []
        (top / "pool").mkdir(parents=True)

    def add(self, name: str, version: str, **fields: str) -> Path:
        """Build a package and put it into the index; FIELDS go into its control file."""
        deb = build_deb(self.top / "pool", name, version, **fields)
        control = subprocess.run(["dpkg-deb", "--field", deb], check=True, capture_output=True,
                                 text=True).stdout
        data = deb.read_bytes()
        self._stanzas.append(f"{control}Filename: pool/{deb.name}\nSize: {len(data)}\n"
                             f"SHA256: {hashlib.sha256(data).hexdigest()}\n")
        return deb

    def publish(self, key: Key | None = None, *, age: timedelta = timedelta(),
                valid: timedelta | None = None) -> None:
        """Write the indexes, dated AGE ago, signed by KEY; they expire VALID after their date.

        The files get that date too: two of one second look unchanged to who asks by HTTP.
        """
        dist = self.top / "dists" / self.suite
        index = dist / "main" / f"binary-{ARCH}"
        index.mkdir(parents=True, exist_ok=True)
        packages = "\n".join(self._stanzas).encode()
        (index / "Packages").write_bytes(packages)
        (index / "Packages.gz").write_bytes(gzip.compress(packages, mtime=0))
        date = datetime.now(UTC) - age
        head = {**self.release, "Date": format_datetime(date, usegmt=True),
                "Architectures": ARCH, "Components": "main"}
        if valid is not None:
            head["Valid-Until"] = format_datetime(date + valid, usegmt=True)
        text = "".join(f"{name}: {value}\n" for name, value in head.items()) + "SHA256:\n"
        for path in sorted(index.iterdir()):
            data = path.read_bytes()
            text += (f" {hashlib.sha256(data).hexdigest()} {len(data):>8} "
                     f"{path.relative_to(dist)}\n")
        for name in ("Release", "InRelease"):
            (dist / name).unlink(missing_ok=True)
        if key:
            (dist / "InRelease").write_bytes(key.gpg("--clearsign", stdin=text.encode()))
        else:
            (dist / "Release").write_text(text)
        for path in (*index.iterdir(), *dist.glob("*Release")):
            os.utime(path, (date.timestamp(), date.timestamp()))


def build_deb(
    where: Path, name: str, version: str, *, conffile: str = "", preinst: str = "", **fields: str
) -> Path:
    """A package with one file; FIELDS are more of its control file (Depends="x").

    CONFFILE is a configuration file that it brings besides; its content is the version. PREINST is
    the text of a script that dpkg runs before it unpacks it.
    """
    deb = where / f"{name}_{version.replace(':', '%3a')}_all.deb"
    tree = where / f".{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share" / name).mkdir(parents=True)
    (tree / "usr/share" / name / "version").write_text(version)
    if conffile:
        (tree / conffile[1:]).parent.mkdir(parents=True)
        (tree / conffile[1:]).write_text(f"{version}\n")
        (tree / "DEBIAN/conffiles").write_text(f"{conffile}\n")
    if preinst:
        (tree / "DEBIAN/preinst").write_text(preinst)
        (tree / "DEBIAN/preinst").chmod(0o755)
    control: Mapping[str, str] = {
        "Package": name, "Version": version, "Architecture": "all",
        "Maintainer": "Toy <toy@example.org>", "Description": "toy",
        **{field.replace("_", "-"): value for field, value in fields.items()},
    }
    (tree / "DEBIAN/control").write_text("".join(f"{k}: {v}\n" for k, v in control.items()))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, deb],
                   check=True, capture_output=True)
    subprocess.run(["rm", "-r", tree], check=True)
    return deb


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """DIRECTORY served on the loopback interface; gives the URL, without a final slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=directory)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
