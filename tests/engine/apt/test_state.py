"""The state of packages, and which repositories they are from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from img_tools.model import Undecided
from img_tools.packages import dpkg
from tests.engine.apt.common import (
    CURRENT,
    LISTED,
    LISTS,
    MAIN,
    SECURITY,
    Make,
    stanza,
)

# -- state -----------------------------------------------------------------------------------------


def test_states_of_packages(apt: Make) -> None:
    backend, _ = apt({"/var/lib/dpkg/status": "".join([
        stanza("whole", "1"), stanza("gone", "1", "deinstall ok config-files"),
        stanza("never", "1", "unknown ok not-installed"), stanza("kept", "1", "hold ok installed"),
        stanza("half", "1", "install ok half-configured"),
        stanza("damaged", "1", "install reinstreq half-installed"),
    ])})
    assert {name: (package.state, package.held) for name, package in backend.installed.items()} == {
        "whole": ("installed", False), "kept": ("installed", True),
        "half": ("half-configured", False), "damaged": ("reinst-required", False),
    }


def test_journal_of_an_interrupted_dpkg_outranks_the_status_file(apt: Make) -> None:
    backend, _ = apt({"/var/lib/dpkg/updates/0001": stanza("toy", "2.0", "install ok unpacked")})
    assert backend.installed["toy"].state == "unpacked"
    assert [problem.code for problem in backend.problems] == ["dpkg-interrupted"]


@pytest.mark.parametrize("status", [
    "", None, "garbage\n", "Package: toy\nVersion: 1\n\n", "Package: ../x\nStatus: a b c\n\n",
    "Package: -o\nStatus: install ok installed\n\n", b"Package: \xff\nStatus: install ok installed",
])
def test_damaged_database_is_undecided(apt: Make, status: object) -> None:
    backend, _ = apt({"/var/lib/dpkg/status": status})
    with pytest.raises(Undecided):
        _ = backend.installed


def test_unmet_dependencies(apt: Make) -> None:
    out = ("You might want to run 'apt --fix-broken install' to correct these.\n"
           "The following packages have unmet dependencies:\n"
           " toy : Depends: libtoy (>= 2) but 1 is installed\n"
           "       Depends: other but it is not installed\n"
           " toys : Depends: toy (= 3) but 1.0 is installed\n")
    backend, _ = apt({}, check=(100, out, "E: Unmet dependencies. Try 'apt --fix-broken install'"))
    assert [(problem.package, problem.message) for problem in backend.problems] == [
        ("toy", "toy: Depends: libtoy (>= 2) but 1 is installed Depends: other but it is not "
                "installed"),
        ("toys", "toys: Depends: toy (= 3) but 1.0 is installed"),
    ]


def test_check_that_fails_for_another_reason_is_undecided(apt: Make) -> None:
    backend, _ = apt({}, check=(100, "", "E: Could not open file /var/lib/dpkg/status"))
    with pytest.raises(Undecided, match="Could not open"):
        _ = backend.problems


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("lock", dpkg.LOCKS)
def test_running_package_manager_is_named(apt: Make, tmp_path: Path, lock: str) -> None:
    backend, runner = apt(dict.fromkeys(dpkg.LOCKS, ""), CURRENT)
    backend.require_idle()
    with subprocess.Popen([sys.executable, "-c", HOLDER, f"{tmp_path}/image{lock}"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Undecided, match=rf"python\S* \(pid {other.pid}\) is changing"):
            backend.require_idle()
        with pytest.raises(Undecided, match="holds dpkg's lock"):
            _ = backend.updates
        other.communicate()
    assert runner.calls == []


# -- repositories ----------------------------------------------------------------------------------


def test_repositories(apt: Make) -> None:
    docker = "deb [arch=amd64] https://me:pw@download.docker.com/linux/debian bookworm stable\n"
    local = "deb [trusted=yes] file:/srv/repo ./\n"
    stem = f"{LISTS}/download.docker.com_linux_debian_dists_bookworm_"
    backend, _ = apt({
        "/etc/apt/sources.list": MAIN + SECURITY, "/etc/apt/sources.list.d/x.list": docker + local,
        f"{stem}InRelease": "Origin: Docker\nSuite: bookworm\n",
    })
    assert [(source.line, source.uri, source.origin, source.official, source.security,
             source.unsigned) for source in backend.repositories] == [
        (1, "http://deb.debian.org/debian", "Debian", True, False, None),
        (2, "http://deb.debian.org/debian-security", "Debian", True, True, None),
        (1, "https://download.docker.com/linux/debian", "Docker", False, False, None),
        (2, "file:/srv/repo", None, False, False, "trusted=yes"),
    ]


def test_sources_are_judged_by_name_without_indexes(apt: Make) -> None:
    backend, _ = apt({**dict.fromkeys(LISTED), "/etc/apt/sources.list": (
        MAIN + SECURITY + "deb https://debian.org.evil.example/debian bookworm main\n"
        "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\n"
        "deb mirror+file:/etc/apt/mirrors/none.list bookworm main\n"),
        "/etc/apt/mirrors/debian.list": "https://deb.debian.org/debian\n"})
    assert [(source.official, source.security) for source in backend.repositories] == [
        (True, False), (True, True), (False, False), (True, False), (False, False)]
