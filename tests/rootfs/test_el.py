"""All checks and cleaners on an EL-like tree: nothing to say, no trace, and the closed loop."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.rootfs import dirt, el, running, trees
from tests.rootfs.el import El
from tests.rootfs.test_no_trace import silent_mirror, still_inside, stop

# What img-check says of these trees when they are clean: there is no kernel in them.
EXPLAINED = {"boot": ["no-kernel"]}
PACKAGES = "package-upgrade,do-agent,package-cache"


@pytest.fixture(params=["rocky-9", "almalinux-10"])
def clean_system(make: Callable[..., El], request: pytest.FixtureRequest) -> El:
    """A system that img-check has nothing to say against."""
    return el.publishable(make("dnf4", request.param))


def outdated(system: El) -> None:
    """A security update, a configuration file of one's own, the agent, and an orphan."""
    system.install("toyssl", "1.0-1.el9", files={"/etc/toy.conf": "a=1"})
    system.install("toydep", "1.0-1.el9")
    repo = system.repo("updates")
    repo.add("toyssl", "1.0-2.el9", files={"/etc/toy.conf": "a=2"})
    repo.advise("TOYSA-2026:1", "security", "toyssl", "1.0-2.el9")
    system.publish()
    (system.tree / "etc/toy.conf").write_text("of the vendor\n")
    system.install("do-agent", "3.16-1.el9")


def verify(system: El) -> list[str]:
    """What `rpm -Va` says; of times it says that a changed file is older than its package."""
    done = subprocess.run(["chroot", system.tree, "rpm", "-Va"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    return [line.replace("T.", "..") for line in done.stdout.splitlines()]


def test_a_clean_system_passes(clean_system: El) -> None:
    report = running.check(clean_system.tree).report
    left = {result["id"]: [finding["code"] for finding in result["findings"]]
            for result in report["checks"] if result["status"] not in ("pass", "skip")}
    assert left == EXPLAINED


def test_all_that_is_planted_goes_and_img_check_passes(clean_system: El) -> None:
    """Defects 14 and 24: the closed loop, with the agent and updates as rpm packages."""
    system = clean_system
    outdated(system)
    system.chroot("dnf", "-q", "mark", "remove", "toydep")
    before = verify(system)
    dirt.soil(system.tree)
    report = dirt.img_clean(system.tree, "--yes", "--check", codes=(0, 1, 3))
    assert dirt.failures(report) == {}
    assert dirt.remarks(report) == {"accounts": ["person"], **EXPLAINED}
    assert report["exit_code"] == 0
    assert dirt.planned(system.tree) == []
    assert verify(system) == before
    names = system.chroot("rpm", "-qa")
    assert "toyssl-1.0-2" in names
    assert "toydep" not in names
    assert "do-agent" not in names
    assert (system.tree / "etc/toy.conf").read_text() == "of the vendor\n"
    planted = {**dirt.residue_files(), **dirt.TRACES}
    assert [path for path in planted if os.path.lexists(f"{system.tree}{path}")
            and os.lstat(f"{system.tree}{path}").st_size] == []


def test_packages_with_dnf5(make: Callable[..., El]) -> None:
    system = make("dnf5")
    system.stock(["rpm", "dnf5", "toytool"])
    outdated(system)
    report = dirt.img_clean(system.tree, "--yes", "--only", PACKAGES)
    assert dirt.failures(report) == {}
    names = system.chroot("rpm", "-qa")
    assert "toyssl-1.0-2" in names
    assert "do-agent" not in names
    assert "toytool" in names
    assert list(system.tree.glob("var/cache/libdnf5/*")) == []
    assert dirt.planned(system.tree, "--only", PACKAGES) == []


@pytest.mark.parametrize("args", [(), ("--no-refresh",)], ids=["refresh", "no-refresh"])
def test_a_run_changes_nothing(clean_system: El, args: tuple[str, ...]) -> None:
    """Defect 34: upstream leaves 13 new files on such a tree."""
    system = clean_system
    outdated(system)
    before = trees.manifest(system.tree)
    running.check(system.tree, *args)
    assert trees.differences(before, trees.manifest(system.tree)) == []
    with running.booted(system.tree) as tree:
        before = trees.manifest(tree)
        checked = running.check_inside(tree, *args)
        assert trees.differences(before, trees.manifest(tree)) == []
    if not args:
        assert ("security-updates", "security-update-pending", "fail") in checked.found()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
@pytest.mark.parametrize("tool", el.SUITES)
def test_stopped_while_it_fetches(
    make: Callable[..., El], tool: str, number: signal.Signals
) -> None:
    """With a cache, which dnf 4 compares with the server's in /tmp."""
    system = make(tool)
    system.stock(["rpm"])
    system.publish()
    with silent_mirror() as (address, called):
        system.chroot("dnf" if tool == "dnf4" else "dnf5", "-q", "makecache")
        system.configure(system.section("silent", address))
        before = trees.manifest(system.tree)
        command = running.outside(system.tree, "--only", "security-updates")
        assert stop(command, number, called, child=False) == 128 + number
    assert still_inside(system.tree) == []
    assert trees.differences(before, trees.manifest(system.tree)) == []


def test_labels_of_selinux_stay(clean_system: El) -> None:
    """Nothing relabels a mounted image, and /.autorelabel would make the first boot two."""
    tree, label = clean_system.tree, "security.selinux"
    identity, log = tree / "etc/machine-id", tree / "var/log/messages"
    identity.write_text("uninitialised\n")
    log.write_text("x")
    for path, value in ((identity, b"system_u:object_r:machineid_t:s0\0"),
                        (log, b"system_u:object_r:var_log_t:s0\0"),
                        (tree / "etc", b"system_u:object_r:etc_t:s0\0")):
        os.setxattr(path, label, value)
    dirt.img_clean(tree, "--yes", "--only", "machine-id,logs")
    assert (identity.read_text(), log.read_text()) == ("", "")
    assert os.getxattr(identity, label) == b"system_u:object_r:machineid_t:s0\0"
    assert os.getxattr(log, label) == b"system_u:object_r:var_log_t:s0\0"
    identity.unlink()
    dirt.img_clean(tree, "--yes", "--only", "machine-id")
    assert os.getxattr(identity, label) == b"system_u:object_r:etc_t:s0\0"
    assert not (tree / ".autorelabel").exists()


def test_what_rpm_brought_unchanged_is_public(make: Callable[..., El]) -> None:
    """By its digests; one that was changed is not."""
    system = make("dnf4")
    line = f"token=ghp_{'aB3dE5' * 6}"
    system.install("toytoken", "1.0-1.el9", files={"/etc/toy.conf": line})
    asked = ("--no-refresh", "--only", "tokens")
    assert running.check(system.tree, *asked).of("tokens")["status"] == "pass"
    (system.tree / "etc/toy.conf").write_text(f"{line}\n")
    assert running.check(system.tree, *asked).found() == {("tokens", "github-token", "fail")}
