"""The .rpm in trees that look like each release of the RHEL family, with dnf 4, yum and dnf 5."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from img_tools import __version__
from tests.packaging.support import content, inside, naming, run, succeed
from tests.rootfs import running
from tests.rootfs.el import IDS, El
from tests.support import validated

MB = 1_000_000
DATABASE = ("/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite-shm",
            "/var/lib/rpm/rpmdb.sqlite-wal", "/var/lib/rpm/.rpm.lock")  # compared by what is in it
# What dnf writes when it installs anything; none of it may name us. The state of dnf 5 has a
# checksum of rpm's database, and the histories are compared by what is in them.
DNF = ("/var/log/dnf.log", "/var/log/dnf.rpm.log", "/var/log/dnf.librepo.log", "/run/dnf",
       "/var/log/hawkey.log", "/var/log/dnf5.log", "/var/lib/dnf", "/var/lib/dnf/history.sqlite*",
       "/var/cache/dnf/tempfiles.json", "/var/cache/dnf/.gpgkeyschecked.yum",
       "/var/cache/libdnf5/@commandline-*", "/usr/lib/sysimage/libdnf5/system.toml",
       "/usr/lib/sysimage/libdnf5/transaction_history.sqlite*")


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


def packages(system: El) -> list[str]:
    return sorted(inside(system.tree, "rpm", "-qa").splitlines())


def test_it_works_and_leaves_nothing(el, rpm):
    top, before, others = el.tree, content(el.tree, *DATABASE), packages(el)
    shutil.copy(rpm, top / "img-tools.rpm")
    inside(top, "rpm", "-i", "/img-tools.rpm")
    (top / "img-tools.rpm").unlink()
    for command in ("img-check", "img-clean"):
        assert inside(top, command, "--list").splitlines()
    assert inside(top, "rpm", "-V", "img-tools") == ""
    assert (top / "usr/share/licenses/img-tools/LICENSE").exists()
    found = run("chroot", top, "img-check", "--no-refresh", "--only", "shell-history,os-release")
    assert found.returncode == 0, found.stdout + found.stderr
    inside(top, "rpm", "-e", "img-tools")
    assert packages(el) == others
    assert content(top, *DATABASE) == before


def test_it_reads_the_databases_of_rpm_and_dnf_as_the_one_from_source_does(rocky, rpm, single):
    """From outside as the single file; and from inside, where the package is one more."""
    told = rocky.check().found()
    assert ("security-updates", "security-update-pending", "fail") in told
    packed = running.checked([str(single), "img-check", "--root", str(rocky.tree), "--only", IDS,
                              "--format", "json"])
    assert packed.found() == told
    shutil.copy(rpm, rocky.tree / "srv/img-tools.rpm")
    inside(rocky.tree, "rpm", "-i", "/srv/img-tools.rpm")
    within = run("unshare", "--net", "chroot", rocky.tree, "img-check", "--only", IDS,
                 "--format", "json", "--quiet")
    assert within.stderr == ""
    report = running.Checked(within.returncode, validated(within.stdout))
    assert ("security-updates", "security-update-pending", "fail") in report.found()
    assert [result["id"] for result in report.report["checks"] if result["status"] == "error"] == []


def test_dnf_installs_and_upgrades_it_and_keeps_what_was_set(rocky, rpm):
    top = rocky.tree
    older = rebuilt(rpm, top / "srv/older", "0.0.1")
    rocky.chroot("dnf", "-y", "install", f"/srv/older/{older.name}")
    (top / "etc/img-tools/policy.toml").write_text('disabled = ["boot"]\n')
    (top / "etc/img-tools/checks/vendor.py").write_text('"""One"""\ndef check(host): ...\n')
    shutil.copy(rpm, top / "srv/newer.rpm")
    rocky.chroot("dnf", "-y", "install", "/srv/newer.rpm")
    assert f"img-tools-{__version__}-1" in inside(top, "rpm", "-q", "img-tools")
    assert inside(top, "img-check", "--version") == f"img-check {__version__}\n"
    assert (top / "etc/img-tools/policy.toml").read_text() == 'disabled = ["boot"]\n'
    assert "vendor " in inside(top, "img-check", "--list")
    assert list(top.glob("etc/img-tools/*.rpm*")) == []


def rebuilt(rpm: Path, place: Path, version: str) -> Path:
    """The package once more, as if it were VERSION."""
    stage = place / "stage"
    stage.mkdir(parents=True)
    succeed("sh", "-c", 'rpm2cpio "$0" | cpio --quiet -idm', rpm, cwd=stage)
    spec = place / "older.spec"
    files = [f"/{path.relative_to(stage)}" for path in stage.rglob("*")
             if not path.is_dir() and path.name != "policy.toml"]
    spec.write_text("\n".join([
        "Name: img-tools", f"Version: {version}", "Release: 1", "Summary: older", "License: x",
        "AutoReqProv: no", "%global __os_install_post %{nil}", "%global debug_package %{nil}",
        "%description", "older", "%install", f"mkdir -p %{{buildroot}} && cp -a {stage}/. "
        "%{buildroot}/", "%files", "%config(noreplace) /etc/img-tools/policy.toml",
        "%dir /etc/img-tools/checks", "%dir /etc/img-tools/cleaners", *files, ""]))
    succeed("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {place}", spec)
    (built,) = place.glob("RPMS/*/*.rpm")
    return built.rename(place / built.name)


@pytest.mark.parametrize("installer", ["rpm", "dnf", "yum"])
def test_self_remove_leaves_no_trace(managed, rpm, installer):
    top = managed.tree
    for name in ("dnf", "yum"):
        if not (top / "usr/bin" / name).exists():
            (top / "usr/bin" / name).symlink_to("dnf5")  # as Fedora has it
    managed.chroot("dnf", "-y", "upgrade", "toyssl")
    others, history = packages(managed), recorded(top)
    before = content(top, *DATABASE, *DNF)
    shutil.copy(rpm, top / "srv/img-tools.rpm")
    managed.chroot(installer, *(["-i"] if installer == "rpm" else ["-y", "install"]),
                   "/srv/img-tools.rpm")
    (top / "srv/img-tools.rpm").unlink()
    (top / "etc/img-tools/checks/vendor.py").write_text('"""One"""\ndef check(host): ...\n')
    inside(top, "img-clean", "--yes", "--only", "mail-and-spools", "--self-remove")
    assert packages(managed) == others
    assert naming(top, b"img-tools") == []
    assert content(top, *DATABASE, *DNF) == before
    assert recorded(top) == history != []


def recorded(top: Path) -> list[tuple[int, ...]]:
    """What dnf's history says was done to which package, by number."""
    (path,) = [*top.glob("var/lib/dnf/history.sqlite"),
               *top.glob("usr/lib/sysimage/libdnf5/transaction_history.sqlite")]
    with contextlib.closing(sqlite3.connect(path)) as base:
        return base.execute("SELECT * FROM trans_item JOIN rpm USING (item_id)").fetchall()
