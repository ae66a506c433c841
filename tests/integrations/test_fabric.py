"""The fabfile, run against machines with sshd: one table, one exit code, nothing mixed up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.server import HASH
from tests.container.test_life import residues
from tests.integrations.cloud import ENDPOINT
from tests.integrations.conftest import ROOT, Site, secrets_of
from tests.rootfs import running
from tests.rootfs.planting import plant

FABFILE = ROOT / "integrations/fabric/fabfile.py"
CROWD = 8
FAB = Path(sys.executable).with_name("fab")


def fab(site: Site, task: str, *args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return site.run(FAB, "--search-root", FABFILE.parent, "-i", site.key, task, *args, env=env)


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The table: what is said of each address."""
    return {line.split()[0]: " ".join(line.split()[1:]) for line in done.stdout.splitlines()
            if line.startswith("10.77.0.")}


def on(*addresses: str) -> tuple[str, str]:
    return "--on", ",".join(f"root@{address}" for address in addresses)


@pytest.mark.parametrize(("arguments", "said"), [
    (("check",), "did not receive required"),
    (("check", "--on", "root@a,root@a", "--program", __file__), "each machine once"),
    (("check", "--on", "root@a,", "--program", __file__), "each machine once"),
    (("check", "--on", "root@a:x", "--program", __file__), "each machine once"),
    (("check", "--on", "root@a", "--program", "nowhere"), "no such file: nowhere"),
    (("image", "--on", "root@a", "--program", __file__, "--name", "x"), "DIGITALOCEAN_ACCESS"),
])
def test_bad_usage_reaches_no_machine(tmp_path, arguments, said):
    done = subprocess.run([FAB, "--search-root", FABFILE.parent, *arguments], cwd=tmp_path,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                          capture_output=True, text=True, check=False)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 2)


def test_a_machine_that_is_not_there_is_lost(site, single):
    host = site.host("bookworm")
    done = fab(site, "check", *on(host.address, "10.77.0.99"), "--program", single,
               "--options", "--only motd")
    assert done.returncode == 3, done.stdout
    assert rows(done)[host.address] == "PASS"
    assert rows(done)["10.77.0.99"].startswith("LOST NoValidConnectionsError")


def test_check_then_clean(site, single):
    """Of two machines one is soiled with what only people can mend."""
    good, bad = site.host("bookworm"), site.host("trixie")
    for host in (good, bad):
        plant(host.box.tree, {"/root/.bash_history": "canary-of-the-build\n"})
    bad.box.run("usermod", "--password", HASH, "root")
    machines = on(good.address, bad.address)

    done = fab(site, "check", *machines, "--program", single)
    assert done.returncode == 1, done.stdout
    assert "shell-history" in rows(done)[good.address]
    assert "passwords" not in rows(done)[good.address]
    assert "passwords" in rows(done)[bad.address]

    done = fab(site, "clean", *machines, "--program", single)
    assert done.returncode == 1, done.stdout
    assert rows(done)[good.address].startswith(("PASS", "WARN"))
    assert rows(done)[bad.address].startswith("FAIL fail: passwords")
    for host in (good, bad):
        report = json.loads((site.home / f"reports/{host.address}.json").read_text())
        assert report["schema"] == "img-clean-report"
        assert secrets_of(host.box, [b"canary-of-the-build"]) == []
        assert not (host.box.tree / "root/.ssh/authorized_keys").exists()
        assert host.box.run("ls", "/dev/shm").split() == []


# -- many at once --------------------------------------------------------------------------------

# Everyone says who it is, waits until all have come, and goes on: only what is done at the same
# time comes to an end.
MEET = """
echo "I am $(hostname -I)"
exec 3<>/dev/tcp/10.77.0.1/7000
read -r word <&3
echo "$word from $(hostname -I)"
"""
HALL = f"""
import socket
hall = socket.create_server(("10.77.0.1", 7000))
guests = [hall.accept()[0] for _ in range({CROWD})]
print("all here", flush=True)
input()
for guest in guests:
    guest.sendall(b"goodbye\\n")
"""


@pytest.fixture
def hall(site: Site) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(site.network.argv(sys.executable, "-c", HALL), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_eight_at_once_one_of_which_dies(site, hall):
    hosts = [site.host("bookworm") for _ in range(CROWD)]
    (site.home / "meet.sh").write_text(f"exec bash -c '{MEET}'")
    with site.start(FAB, "--search-root", FABFILE.parent, "-i", site.key, "build",
                    *on(*(host.address for host in hosts)), "--script", "meet.sh") as build:
        assert hall.stdout.readline() == "all here\n"
        hosts[3].box.pull_the_plug()
        hall.communicate("\n", timeout=60)
        shown, _ = build.communicate(timeout=120)
    done = subprocess.CompletedProcess((), build.returncode, shown)
    assert done.returncode == 3, shown
    dead = hosts.pop(3).address
    assert rows(done).pop(dead).startswith("LOST")
    assert not (site.home / f"reports/{dead}.log").exists()
    assert rows(done) == {dead: rows(done)[dead], **{one.address: "BUILT" for one in hosts}}
    for host in hosts:
        log = (site.home / f"reports/{host.address}.log").read_text().split("\n")
        assert log == [f"I am {host.address} ", f"goodbye from {host.address} ", ""]


# -- snapshots -----------------------------------------------------------------------------------


def test_what_passed_is_snapshotted(site, cloud, single):
    good, bad = site.host("bookworm"), site.host("bookworm")
    bad.box.run("usermod", "--password", HASH, "root")
    cloud.open({"debian-12-x64": good, "debian-13-x64": bad})
    done = fab(site, "image", *on(good.address, bad.address), "--program", single,
               "--name", "my-app", **ENDPOINT)
    assert done.returncode == 1, done.stdout
    assert rows(done)[good.address] == "WARN snapshot my-app-packer-1, id 100"
    assert rows(done)[bad.address].startswith("FAIL fail: passwords")
    assert [sent for _, path, _, sent in cloud.close() if path.endswith("/actions")] == [
        {"type": "shutdown"}, {"type": "snapshot", "name": "my-app-packer-1"}]
    good.box.wait_off()
    assert residues(running.check(good.box.tree, "--no-refresh").report) == []
    assert not bad.box.is_off


@pytest.mark.parametrize(("change", "said"), [
    ({}, "no Droplet of this account has the address 10.77.0.99"),
    ({"DIGITALOCEAN_ACCESS_TOKEN": "wrong"}, "401 Unauthorized"),
    ({"DIGITALOCEAN_API_URL": "http://10.77.0.1:9/"}, "Connection refused"),
])
def test_what_cannot_be_snapshotted_is_not_cleaned_either(site, cloud, change, said):
    cloud.open({})
    done = fab(site, "image", *on("10.77.0.99"), "--program", __file__, "--name", "x",
               **{**ENDPOINT, **change})
    assert (done.returncode, rows(done)) == (2, {})
    assert said in done.stdout
    assert "wrong" not in done.stdout
