"""The lines of the README that install, as they stand there, each where it is meant for."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from img_tools import __version__
from tests.packaging.support import content, inside, succeed

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
INSTALL = README.partition("## Install it")[2].partition("\n## ")[0]


def line(start: str) -> str:
    """The one that begins with START, without its comment."""
    (found,) = re.findall(rf"^{re.escape(start)}.*$", INSTALL, re.M)
    return str(found).partition("  #")[0].strip()


def in_root(top: Path, *lines: str) -> str:
    """What the shell LINES print in TOP, in root's home."""
    return inside(top, "sh", "-euc", "\n".join(["cd /root", *lines]))


@pytest.fixture
def bookworm(tree, dist) -> Path:
    """A Debian that fetched everything."""
    return fetched(tree("bookworm"), dist)


def fetched(top: Path, dist: Path) -> Path:
    for path in dist.iterdir():
        shutil.copy(path, top / "root")
    return top


def test_it_names_files_that_are_built(dist):
    names = set(re.findall(r"\bimg[-_]tools[-_]\d[\w.-]*\w", INSTALL))
    assert len(names) >= 4
    assert names <= {path.name for path in dist.iterdir()}


def test_the_checksums_are_verified_of_what_was_fetched(dist, tmp_path, rpm):
    for name in ("SHA256SUMS", rpm.name):
        shutil.copy(dist / name, tmp_path)
    assert succeed("sh", "-c", line("sha256sum"), cwd=tmp_path) == f"{rpm.name}: OK\n"


def test_debian_and_ubuntu(bookworm):
    for _ in ("install", "upgrade"):
        in_root(bookworm, line("apt-get install"))
    assert inside(bookworm, "img-check", "--version") == f"img-check {__version__}\n"


@pytest.mark.parametrize("start", ["rpm -U", "dnf install"])
def test_the_rhel_family(rocky, dist, start):
    fetched(rocky.tree, dist)
    in_root(rocky.tree, line(start))
    assert inside(rocky.tree, "img-clean", "--version") == f"img-clean {__version__}\n"


def test_the_single_file(bookworm):
    in_root(bookworm, line("install -m"), line("ln -s"))
    for name in ("img-check", "img-clean"):
        assert inside(bookworm, f"/usr/local/bin/{name}", "--version") == f"{name} {__version__}\n"


def test_the_provisioner_of_packer_leaves_a_clean_machine(tree, deb):
    """But for what the machine itself fails: there --check ends the build, as it shall."""
    top = tree("bookworm")
    before = content(top / "usr")
    (script,) = re.findall(r"inline = \[\n(.*?)\n\s*\]", INSTALL, re.S)
    install, clean = re.findall(r'"(.*?)",?$', script, re.M)
    (target,) = re.findall(r'destination = "(.*?)"', INSTALL)
    shutil.copy(deb, top / target.lstrip("/"))
    in_root(top, install)
    assert not (top / target.lstrip("/")).exists()
    wanted = "img-clean --yes --check --self-remove"
    assert clean == wanted
    in_root(top, f"{clean} --only mail-and-spools".replace("--check ", ""))
    assert content(top / "usr") == before
