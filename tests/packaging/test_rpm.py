"""The .rpm in a tree that looks like Rocky Linux 9."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.packaging.support import content, inside, naming, run, succeed

MB = 1_000_000
DATABASE = ("/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite-shm",
            "/var/lib/rpm/rpmdb.sqlite-wal", "/var/lib/rpm/.rpm.lock")  # compared by what is in it


@pytest.fixture
def rocky(tree, rpm) -> Path:
    top = tree("el")
    shutil.copy(rpm, top / "srv/img-tools.rpm")
    database = top / "var/lib/rpm"  # an overlay cannot rename what lies below it, as rpm does
    shutil.copytree(database, top / "srv/rpm")
    shutil.rmtree(database)
    shutil.copytree(top / "srv/rpm", database)
    shutil.rmtree(top / "srv/rpm")
    return top


def test_it_requires_rpm_alone_and_is_small(rpm):
    requires = succeed("rpm", "-qp", "--requires", rpm).split("\n")
    assert not [line for line in requires if line and not line.startswith("rpmlib(")]
    assert rpm.stat().st_size < 4 * MB
    assert int(succeed("rpm", "-qp", "--qf", "%{SIZE}", rpm)) < 12 * MB
    assert "/usr/lib" not in succeed("rpm", "-qlp", rpm)


def test_rpmlint_finds_nothing(rpm):
    if not shutil.which("rpmlint"):
        pytest.skip("rpmlint is not installed")
    top = Path(__file__).parents[2]
    done = run("rpmlint", "-c", top / "rpm/rpmlint.toml", rpm, top / "rpm/img-tools.spec")
    assert "0 errors, 0 warnings" in done.stdout, done.stdout


def test_it_works_and_leaves_nothing(rocky):
    (rocky / "srv/img-tools.rpm").rename(rocky / "img-tools.rpm")
    before, packages = content(rocky, *DATABASE), inside(rocky, "rpm", "-qa")
    inside(rocky, "rpm", "-i", "/img-tools.rpm")
    for command in ("img-check", "img-clean"):
        assert inside(rocky, command, "--list").splitlines()
    assert inside(rocky, "rpm", "-V", "img-tools") == ""
    assert (rocky / "usr/share/licenses/img-tools/LICENSE").exists()
    found = run("chroot", rocky, "img-check", "--no-refresh", "--only", "shell-history,os-release")
    assert found.returncode == 0, found.stdout + found.stderr
    inside(rocky, "rpm", "-e", "img-tools")
    assert inside(rocky, "rpm", "-qa") == packages
    assert content(rocky, *DATABASE) == before


def test_self_remove_leaves_no_trace(rocky):
    package = rocky / "srv/img-tools.rpm"
    before, packages = content(rocky, *DATABASE, "/srv/img-tools.rpm"), inside(rocky, "rpm", "-qa")
    inside(rocky, "rpm", "-i", "/srv/img-tools.rpm")
    package.unlink()
    (rocky / "etc/img-tools/checks/vendor.py").write_text('"""One"""\ndef check(host): ...\n')
    inside(rocky, "img-clean", "--yes", "--only", "mail-and-spools", "--self-remove")
    assert inside(rocky, "rpm", "-qa") == packages
    assert naming(rocky, b"img-tools") == []
    assert content(rocky, *DATABASE) == {
        name: facts for name, facts in before.items() if name != b"/srv/img-tools.rpm"}
