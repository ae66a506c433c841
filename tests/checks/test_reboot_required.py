from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from img_tools.host import Host
from img_tools.model import Skip
from tests.conftest import Image
from tests.support import Fifo, Link, check

MAPPED = "7f00-7f01 r-xp 00000000 fe:00 1234                     "


def test_nothing_asks_for_a_reboot(live: Callable[..., Host]) -> None:
    assert check("reboot-required", live({})) == []


def test_a_mounted_image_without_the_mark_proves_nothing(image: Image) -> None:
    """Its /run was in the memory of the machine that it was: the mark went with it."""
    with pytest.raises(Skip, match="running system's to tell, and --root is not"):
        check("reboot-required", image())


def test_mark_of_an_upgrade(image: Image) -> None:
    (finding,) = check("reboot-required", image({
        "/run/reboot-required": "*** System restart required ***\n",
        "/run/reboot-required.pkgs": "linux-image-6.1.0-30-amd64\ndbus\ndbus\n"}))
    assert (finding.status, finding.code) == ("warn", "reboot-required")
    assert "(dbus, linux-image-6.1.0-30-amd64)" in finding.message
    assert finding.path == "/run/reboot-required"


def test_mark_where_var_run_is_no_link(image: Image) -> None:
    (finding,) = check("reboot-required", image({"/var/run/reboot-required": ""}))
    assert finding.path == "/var/run/reboot-required"


@pytest.mark.parametrize("odd", [Fifo(), {}])
def test_odd_mark_is_a_mark(image: Image, odd: object) -> None:
    assert len(check("reboot-required", image({"/run/reboot-required": odd}))) == 1


def test_dangling_link_is_none(image: Image) -> None:
    with pytest.raises(Skip):
        check("reboot-required", image({"/run/reboot-required": Link("/nowhere")}))


@dataclass
class Process:
    pid: int
    info: Mapping[str, Any]


@pytest.fixture
def live(image: Image, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Host]:
    """live({(pid, name): maps, ...}) -> a running system with these processes."""
    def make(processes: Mapping[tuple[int, str], object]) -> Host:
        host = image({f"/proc/{pid}/maps": maps for (pid, _), maps in processes.items()})
        monkeypatch.setattr(Host, "live", True)
        monkeypatch.setattr(psutil, "process_iter", lambda attrs: [
            Process(pid, {"name": name}) for pid, name in processes])
        return host

    return make


def test_program_that_runs_a_replaced_library(live: Callable[..., Host]) -> None:
    host = live({
        (1, "systemd"): f"{MAPPED}/usr/lib/systemd/systemd\n",
        (7, "sshd"): f"{MAPPED}/usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n",
        (9, "sshd"): f"{MAPPED}/usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n",
    })
    (finding,) = check("reboot-required", host)
    assert (finding.status, finding.code) == ("warn", "deleted-code")
    assert "sshd (pid 7)" in finding.message
    assert "libssl.so.3" in finding.message
    assert finding.evidence == {"processes": 2}


@pytest.mark.parametrize("maps", [
    f"{MAPPED}/memfd:jit (deleted)\n",
    f"{MAPPED}/tmp/ffi123 (deleted)\n",
    f"{MAPPED}/dev/zero (deleted)\n",
    "7f00-7f01 r--p 00000000 fe:00 1234   /usr/lib/locale/locale-archive (deleted)\n",
    "7f00-7f01 rw-s 00000000 00:01 1234   /SYSV00000000 (deleted)\n",
    "",
    None,  # it has ended since
    Fifo(),
])
def test_mappings_that_mean_nothing(live: Callable[..., Host], maps: object) -> None:
    assert check("reboot-required", live({(5, "python3"): maps})) == []


def test_processes_of_this_machine_are_none_of_a_mounted_image(
    image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: pytest.fail("asked for processes"))
    assert len(check("reboot-required", image({"/run/reboot-required": ""}))) == 1
