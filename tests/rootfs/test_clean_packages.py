"""What img-clean does with packages, on real trees: upgrades, the agent, signals meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootfs import debrepo
from tests.rootfs.clean import chroot
from tests.rootfs.conftest import Tree
from tests.rootfs.dirt import PROGRAM, failures, img_clean, planned
from tests.rootfs.planting import plant

PACKAGES = "package-upgrade,package-cache"
CONFIG = "/etc/toy/toy.conf"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[debrepo.Archive, str]]:
    """An archive of this machine, and its line in sources.list."""
    made = debrepo.Archive(tmp_path / "archive", "toy")
    with debrepo.served(made.top) as url:
        yield made, f"deb [trusted=yes] {url} toy main\n"


def install(top: Path, package: Path) -> None:
    plant(top, {"/root/toy.deb": package.read_bytes()})
    chroot(top, "dpkg", "-i", "/root/toy.deb")
    plant(top, {"/root/toy.deb": None})


def test_an_upgrade_asks_nothing_and_keeps_what_was_changed(
    tree: Tree, suite: str, archive: tuple[debrepo.Archive, str], tmp_path: Path
) -> None:
    """Cleanup defects 19, 21, 22: no new dependencies, needrestart may ask, --force-yes."""
    made, line = archive
    top = tree(suite)
    install(top, debrepo.build_deb(tmp_path, "toy", "1", conffile=CONFIG))
    made.add("toy", "2", conffile=CONFIG, Depends="toy-lib")
    made.add("toy-lib", "1")
    made.publish()
    plant(top, {CONFIG: "of the vendor\n", "/etc/apt/sources.list": line,
                "/etc/needrestart/conf.d/ask.conf": "$nrconf{restart} = 'i';\n"})

    report = img_clean(top, "--yes", "--only", PACKAGES)
    (upgrade,) = (result for result in report["cleaners"] if result["id"] == "package-upgrade")
    assert [action["argv"][-1] for action in upgrade["actions"]] == ["update", "dist-upgrade"]
    assert (top / CONFIG[1:]).read_text() == "of the vendor\n"
    assert (top / f"{CONFIG[1:]}.dpkg-dist").read_text() == "2\n"
    assert (top / "usr/share/toy/version").read_text() == "2"
    assert (top / "usr/share/toy-lib/version").exists()
    assert chroot(top, "dpkg", "--audit") == ""
    assert planned(top, "--only", PACKAGES) == []
    assert processes(top) == []


def processes(top: Path) -> list[str]:
    """Processes whose root is TOP: a package's service would be one."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/root") == str(top):
                found.append(pid)
        except OSError:
            continue
    return found


def test_an_upgrade_that_fails_is_told_and_the_rest_is_cleaned(
    tree: Tree, archive: tuple[debrepo.Archive, str], tmp_path: Path
) -> None:
    made, line = archive
    top = tree("bookworm")
    install(top, debrepo.build_deb(tmp_path, "toy", "1"))
    deb = made.add("toy", "2")
    made.publish()
    deb.write_bytes(b"no package")
    plant(top, {"/etc/apt/sources.list": line, "/tmp/x": "x"})
    report = img_clean(top, "--yes", "--only", "package-upgrade,temp-files", codes=(1,))
    assert [*failures(report)] == ["package-upgrade"]
    assert not (top / "tmp/x").exists()
    assert chroot(top, "dpkg", "--audit") == ""


def test_packages_that_nothing_needs_go(tree: Tree, tmp_path: Path) -> None:
    """Cleanup defect 15: autoclean leaves archives of what can still be downloaded."""
    top = tree("bookworm")
    install(top, debrepo.build_deb(tmp_path, "toy", "1"))
    chroot(top, "apt-mark", "auto", "toy")
    plant(top, {"/var/cache/apt/archives/bash_5_amd64.deb": "x"})
    img_clean(top, "--yes", "--only", "package-cache")
    assert not (top / "usr/share/toy").exists()
    assert (top / "usr/sbin/sshd").exists()
    assert not any((top / "var/cache/apt/archives").glob("*.deb"))


SLOW = "#!/bin/sh\nset -e\ntouch /run/begun\nwhile ! [ -e /run/go ]; do sleep 0.05; done\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_package_manager_finish(
    tree: Tree, archive: tuple[debrepo.Archive, str], tmp_path: Path, number: int
) -> None:
    """apt is not cut off; the report tells the upgrade as done, and the rest as left out."""
    made, line = archive
    top = tree("bookworm")
    process = _upgrading(top, made, line, tmp_path)
    process.send_signal(number)
    _says(process, "stopping after the action under way")
    assert process.poll() is None
    (top / "run/go").touch()
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    report = json.loads(stdout)
    assert report["run"]["complete"] is False
    upgrade, temp = report["cleaners"]
    assert [action["outcome"] for action in upgrade["actions"]] == ["done", "done"]
    assert (temp["status"], temp["actions"]) == ("stopped", [])
    assert (top / "usr/share/toy/version").read_text() == "2"
    assert (top / "tmp/x").exists()
    assert chroot(top, "dpkg", "--audit") == ""

def test_killed_while_apt_works_the_next_run_waits_for_it_and_goes_on(
    tree: Tree, archive: tuple[debrepo.Archive, str], tmp_path: Path
) -> None:
    """Cleanup defect 20: no lock wait. And dpkg, which dies of a broken pipe, has none here."""
    made, line = archive
    top = tree("bookworm")
    process = _upgrading(top, made, line, tmp_path)
    process.kill()
    process.communicate(timeout=60)
    again = _start(top)
    _says(again, "waiting")
    assert again.poll() is None
    (top / "run/go").touch()
    stdout, _ = again.communicate(timeout=120)
    assert json.loads(stdout)["exit_code"] == 0
    assert (top / "usr/share/toy/version").read_text() == "2"
    assert not (top / "tmp/x").exists()
    assert chroot(top, "dpkg", "--audit") == ""
    assert planned(top, "--only", "package-upgrade,temp-files") == []


def _says(process: subprocess.Popen[str], what: str) -> None:
    """Wait until PROCESS says WHAT on its standard error."""
    assert process.stderr is not None
    for line in process.stderr:
        if what in line:
            return
    raise AssertionError(f"it never says: {what}")


def _start(top: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, "--root", top, "--yes", "--format", "json", "--only",
         "package-upgrade,temp-files"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _upgrading(
    top: Path, made: debrepo.Archive, line: str, tmp_path: Path
) -> subprocess.Popen[str]:
    """img-clean in the middle of an upgrade of TOP; /run/go in it lets it go on."""
    install(top, debrepo.build_deb(tmp_path, "toy", "1"))
    made.add("toy", "2", preinst=SLOW)
    made.publish()
    plant(top, {"/etc/apt/sources.list": line, "/tmp/x": "x"})
    process = _start(top)
    deadline = time.monotonic() + 60
    while not (top / "run/begun").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process
