"""The role, run by ansible-core against machines with sshd."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

import pytest

from tests.container.server import HASH
from tests.integrations.conftest import ROOT, Host, Site, secrets_of
from tests.rootfs.planting import plant

PLAYBOOK = ROOT / "integrations/ansible/image.yml"
BIN = Path(sys.executable).parent
Recap = dict[str, dict[str, int]]


class Controller:
    """Where ansible-playbook runs; connections are kept, since nobody can log in again."""

    def __init__(self, site: Site, program: Path, place: str) -> None:
        self._site, self._program, self._place = site, program, place

    def play(self, hosts: dict[str, Host], *args: str) -> tuple[int, Recap, str]:
        """Exit code, recap of each host and output of a run on HOSTS."""
        lines = [f"{name} ansible_host={host.address} ansible_user=root" for name, host
                 in hosts.items()]
        (self._site.home / "inventory").write_text("\n".join([*lines, ""]))
        done = self._site.run(
            BIN / "ansible-playbook", "-i", "inventory", "--private-key", self._site.key,
            "-e", f"img_tools_program={self._program}", PLAYBOOK, "-e",
            f"img_tools_reports={self._site.home}/reports", *args,
            env={"PATH": f"{BIN}:/usr/bin:/bin", "ANSIBLE_HOST_KEY_CHECKING": "False",
                 "ANSIBLE_SSH_CONTROL_PATH_DIR": self._place, "ANSIBLE_NOCOLOR": "1",
                 "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=600s",
                 "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"})
        recap = {line.split()[0]: {word: int(count) for word, count
                                   in re.findall(r"(\w+)=(\d+)", line)}
                 for line in done.stdout.splitlines() if re.match(r"\w+ +: ok=", line)}
        return done.returncode, recap, done.stdout

    def report(self, name: str) -> dict[str, object]:
        """What the role kept of the host NAME."""
        return dict(json.loads((self._site.home / f"reports/{name}.json").read_text()))


@pytest.fixture
def controller(site, single):
    (site.home / "reports").mkdir()
    with tempfile.TemporaryDirectory(prefix="mux-") as place:  # a socket's name must be short
        yield Controller(site, single, place)


def test_check_mode_then_clean_then_again(site, controller):
    good, bad = site.host("bookworm"), site.host("trixie")
    hosts = {"good": good, "bad": bad}
    for host in hosts.values():
        plant(host.box.tree, {"/root/.bash_history": "canary-of-the-build\n"})
    bad.box.run("usermod", "--password", HASH, "root")

    code, recap, shown = controller.play(hosts, "--check")
    assert (code, {one["changed"] for one in recap.values()}) == (0, {1}), shown
    assert controller.report("good")["run"]["mode_of_run"] == "dry-run"
    assert all((host.box.tree / "root/.bash_history").exists() for host in hosts.values())

    code, recap, shown = controller.play(hosts)
    assert code == 2, shown
    assert (recap["good"]["changed"], recap["good"]["failed"]) == (1, 0), shown
    assert (recap["bad"]["changed"], recap["bad"]["failed"]) == (1, 1), shown
    assert "FAIL: do not publish: passwords; see " in shown
    for host in hosts.values():
        assert not (host.box.tree / "root/.ssh/authorized_keys").exists()
        assert not (host.box.tree / "root/.ansible").exists()
        assert secrets_of(host.box, [b"canary-of-the-build"]) == []
    assert controller.report("good")["check"]["exit_code"] == 0

    code, recap, shown = controller.play({"good": good})
    assert (code, recap["good"]["changed"]) == (0, 0), shown
    code, recap, shown = controller.play({"good": good}, "-e", "img_tools_clean=false")
    assert (code, recap["good"]["changed"]) == (0, 0), shown
    assert controller.report("good")["schema"] == "img-check-report"
