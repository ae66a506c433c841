"""Fetch what the runtime is built from, as sources.toml pins it, and verify it. For runtime.py."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

PINNED = tomllib.loads(Path(__file__).with_name("sources.toml").read_text("utf-8"))
DEBIAN, PYPI = PINNED["debian"], PINNED["pypi"]
ZIG = PINNED["zig"]  # of PyPI as well; it brings musl and the headers of the kernel
SUITE = "deb-src [signed-by={key}] http://deb.debian.org/debian trixie main\n"
KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"


def fetch(place: Path, pypi: dict[str, list[str]]) -> None:
    """Bring what is missing of DEBIAN and PYPI to PLACE, and verify all of it."""
    place.mkdir(parents=True, exist_ok=True)
    fetch_debian(place, [package for package, (name, _) in DEBIAN.items()
                         if not (place / name).exists()])
    for package, (name, digest) in pypi.items():
        if not (place / name).exists():
            fetch_pypi(place, package, name, digest)
    for name, digest in [*DEBIAN.values(), *pypi.values()]:
        path = place / name
        if not path.exists():
            sys.exit(f"{name}: not in the registry any more; pin another in sources.toml")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            path.rename(path.with_name(path.name + ".wrong"))
            sys.exit(f"{name}: wrong checksum")


def fetch_debian(place: Path, packages: list[str]) -> None:
    """Upstream tarballs, with indexes of our own: the build machine's apt is not touched."""
    if not packages:
        return
    state = place / "apt"
    for directory in ("lists/partial", "cache/archives/partial"):
        (state / directory).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(SUITE.format(key=KEY))
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root",
           "-o", f"Dir::Etc::SourceList={state}/sources.list", "-o", "Dir::Etc::SourceParts=-",
           "-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
    retry(*apt, "update", cwd=place)
    retry(*apt, "source", "--download-only", "--tar-only", *packages, cwd=place)
    shutil.rmtree(state)


def fetch_pypi(place: Path, package: str, name: str, digest: str) -> None:
    """A wheel, or psutil's sources."""
    version = name.split("-")[1].removesuffix(".tar.gz")
    (place / "pin.txt").write_text(f"{package}=={version} --hash=sha256:{digest}\n")
    kind = (["--no-binary", package] if name.endswith(".tar.gz") else
            ["--only-binary", ":all:", "--python-version", "3.13",
             "--platform", "manylinux2014_x86_64"])
    retry(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes",
          *kind, "-d", place, "-r", place / "pin.txt", cwd=place)


def retry(*command: str | Path, cwd: Path) -> None:
    """Run COMMAND in the builder's environment (proxies, pip's configuration), twice if need be."""
    for _ in range(2):
        done = subprocess.run([*map(str, command)], cwd=cwd, stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return
    sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}")
