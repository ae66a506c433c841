"""The .deb in Debian 11, 12 and 13 without a Python: it comes, works, and leaves nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.packaging.support import content, inside, naming, run, succeed
from tests.rootfs import trees

MB = 1_000_000
# dpkg's own diary and backup, which a purge writes and nobody can keep it from.
BOOKS = ("/var/log/dpkg.log", "/var/lib/dpkg/status-old")


@pytest.fixture(params=trees.SUITES)
def debian(request, tree, deb) -> Path:
    """A tree of each release, with the package in /run/in, which is not part of it."""
    return tree(request.param)


def install(top: Path, deb: Path) -> None:
    shutil.copy(deb, top / "srv/img-tools.deb")
    inside(top, "dpkg", "-i", "/srv/img-tools.deb")
    (top / "srv/img-tools.deb").unlink()


def test_it_depends_on_nothing_and_is_small(deb):
    fields = succeed("dpkg-deb", "--field", deb)
    assert not any(line.startswith(("Depends:", "Pre-Depends:", "Recommends:", "Suggests:"))
                   for line in fields.splitlines())
    assert "Built-Using: musl (" in fields
    assert deb.stat().st_size < 4 * MB
    (size,) = [line for line in fields.splitlines() if line.startswith("Installed-Size:")]
    assert int(size.split()[1]) * 1024 < 12 * MB
    files = succeed("dpkg-deb", "--contents", deb)
    assert "/usr/lib/" not in files


def test_lintian_finds_nothing(deb):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    done = run("lintian", "--allow-root", "--fail-on", "warning", "--info", deb)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_works_and_a_purge_leaves_nothing(debian, deb):
    before, packages = content(debian, *BOOKS), inside(debian, "dpkg-query", "-W")
    install(debian, deb)
    for command in ("img-check", "img-clean"):
        assert inside(debian, command, "--list").splitlines()
        assert (debian / f"usr/share/man/man1/{command}.1.gz").exists() or (
            debian / "etc/dpkg/dpkg.cfg.d").exists()
    assert inside(debian, "dpkg", "--verify", "img-tools") == ""
    (debian / "etc/img-tools/checks/vendor.py").write_text(
        '"""A vendor\'s own rule"""\n\ndef check(host):\n    yield from ()\n')
    assert "vendor " in inside(debian, "img-check", "--list")
    found = run("unshare", "--net", "chroot", debian, "img-check", "--no-refresh", "--only",
                "shell-history,os-release,vendor")
    assert found.returncode == 0, found.stdout + found.stderr
    inside(debian, "dpkg", "--purge", "img-tools")
    assert inside(debian, "dpkg-query", "-W") == packages
    assert content(debian, *BOOKS) == before


# What apt has when it installs anything, and makes anew as it likes; none of it may name us.
APT = ("/var/lib/dpkg/status-old", "/var/cache/apt/pkgcache.bin", "/var/cache/apt/srcpkgcache.bin",
       "/var/cache/debconf/tmp.ci", "/var/lib/apt/lists/auxfiles", "/var/log/apt/eipp.log.xz",
       "/var/log/apt/history.log", "/var/log/apt/term.log", "/var/log/dpkg.log")


def test_self_remove_leaves_no_trace_of_what_apt_installed(debian, deb):
    before, logs = content(debian, *APT), diaries(debian)
    shutil.copy(deb, debian / "srv/img-tools_0_amd64.deb")
    inside(debian, "apt-get", "-y", "-o", "APT::Sandbox::User=root", "install",
           "/srv/img-tools_0_amd64.deb")
    (debian / "srv/img-tools_0_amd64.deb").unlink()
    assert len(naming(debian, b"img-tools")) > 10
    said = inside(debian, "img-clean", "--yes", "--only", "mail-and-spools", "--self-remove")
    assert "self-remove" in said
    assert naming(debian, b"img-tools") == []
    assert content(debian, *APT) == before
    assert diaries(debian) == logs


def diaries(top: Path) -> dict[str, tuple[int, list[str]]]:
    """Owner's group and lines of what dpkg and apt log, less lines that name no package."""
    found = {}
    for name in ("dpkg.log", "apt/history.log", "apt/term.log"):
        path = top / "var/log" / name
        lines = path.read_text().splitlines() if path.exists() else []
        lines = [line for line in lines
                 if line and " startup " not in line and not line.startswith("Log ")]
        if lines:
            found[name] = (path.stat().st_gid, lines)
    return found


def test_self_remove_stays_when_something_failed(tree, deb):
    top = tree("bookworm")
    install(top, deb)
    (top / "etc/img-tools/cleaners/vendor.py").write_text(
        '"""Something fails"""\n\nfrom img_tools.model import Undecided\n\n'
        'def plan(host):\n    raise Undecided("no")\n    yield\n')
    done = run("unshare", "--pid", "--fork", "--kill-child", "chroot", top,
               "img-clean", "--yes", "--only", "vendor", "--self-remove")
    assert done.returncode == 1
    assert "not removed, since not all went well" in done.stderr
    assert (top / "usr/bin/img-check").exists()
