"""A Droplet: a machine of QEMU that boots a disk, and what its owner does with it from outside.

It listens on 127.0.0.1 alone, reaches nothing outside itself, and is killed with the tests, however
they end. What goes wrong is told with the end of its console.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rootfs import trees
from tests.vm.provider import Instance

TOOLS = ("qemu-system-x86_64", "qemu-img", "genisoimage", "sfdisk", "mke2fs", "debugfs",
         "setpriv", "ssh", "ssh-keygen")
MEMORY = 1024  # MiB, as the smallest Droplet
BOOT_TIME = 1800  # seconds under emulation on a busy machine; an idle one takes 60
PATIENCE = 900  # seconds for a command
OFF_TIME = 300  # seconds to shut down
PROBE_TIME = 8  # seconds; a kernel that runs under KVM needs two
_BOOTED = re.compile(rb"Cloud-init v\. .* finished at")
TAIL = 4000  # characters of the console in an error message


def demand() -> None:
    """Raise trees.Unavailable unless machines can be made and booted here."""
    trees.demand()
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise trees.Unavailable(f"{tool} is not installed")


@dataclass(frozen=True)
class Rack:
    """Where Droplets run: PLACE is a directory for their parts, ACCELERATOR what QEMU takes."""

    place: Path
    accelerator: str

    @contextlib.contextmanager
    def droplet(
        self, instance: Instance, disk: Path, memory: Path | None = None
    ) -> Iterator[Droplet]:
        """The Droplet of INSTANCE, switched on; it has no power left at the end.

        With the DISK and the MEMORY that Droplet.save() has written it goes on from there.
        """
        made = Droplet(instance, disk, self, memory)
        try:
            made.power_on()
            yield made
        finally:
            made.pull_the_plug()


class Droplet:
    """The machine of INSTANCE in RACK, whose disk is the file DISK."""

    def __init__(
        self, instance: Instance, disk: Path, rack: Rack, memory: Path | None = None
    ) -> None:
        self.instance = instance
        self.disk = disk
        self.place = rack.place
        self.packets = rack.place / f"{instance.id}.pcap"
        self._accelerator = rack.accelerator
        self._resumed = ["-incoming", f"exec:cat {shlex.quote(str(memory))}"] if memory else []
        self._console = rack.place / f"{instance.id}.console"
        self._errors = rack.place / f"{instance.id}.errors"
        self._known_hosts = rack.place / f"{instance.id}.known_hosts"
        self._ports: dict[int, int] = {}
        self._qemu: subprocess.Popen[str] | None = None

    # -- power ---------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Switch it on; returns when QEMU runs, not when Debian does: see wait_up().

        What goes on from a memory runs at once.
        """
        form = "qcow2" if self.disk.suffix == ".qcow2" else "raw"
        drive = self.instance.config_drive(self.place)
        with open(self._errors, "w") as errors:
            self._qemu = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "pc",
                 "-accel", self._accelerator, "-cpu", "max", "-smp", "2", "-m", str(MEMORY),
                 "-nodefaults", "-display", "none", "-serial", f"file:{self._console}",
                 "-qmp", "stdio", "-device", "virtio-rng-pci",
                 "-drive", f"file={self.disk},if=virtio,format={form},cache=unsafe",
                 "-drive", f"file={drive},if=virtio,format=raw,readonly=on",
                 "-netdev", "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22,"
                            "hostfwd=tcp:127.0.0.1:0-:80",
                 "-object", f"filter-dump,id=dump,netdev=net,file={self.packets}",
                 "-device", f"virtio-net-pci,netdev=net,mac={self.instance.mac},romfile=",
                 *self._resumed],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self._qmp("qmp_capabilities")
        listing = self._qmp("human-monitor-command", {"command-line": "info usernet"})
        self._until_status("query-status", "running")
        self._ports = {int(inside): int(outside) for outside, inside in re.findall(
            r"TCP\[HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+) +\S+ +(\d+)", listing)}

    def save(self, memory: Path, disk: Path) -> None:
        """Write what it is at this moment to MEMORY and DISK, as if it were cut in two, and go on.

        Connections that are open go on here alone.
        """
        self._qmp("migrate", {"uri": f"exec:cat > {shlex.quote(str(memory))}"})
        self._until_status("query-migrate", "completed")  # and it stands still
        subprocess.run(["cp", "--sparse=always", self.disk, disk], check=True)
        self._qmp("cont")

    def _until_status(self, query: str, status: str) -> None:
        self.until(lambda: self._qmp(query).get("status") == status, OFF_TIME, f"not {status}")

    def _qmp(self, command: str, arguments: dict[str, str] | None = None) -> Any:
        assert self._qemu
        assert self._qemu.stdin
        assert self._qemu.stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended, and said why
            self._qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments or {}}))
            self._qemu.stdin.flush()
        for line in self._qemu.stdout:
            answer = json.loads(line)
            if "error" in answer:
                raise AssertionError(f"QEMU: {answer}")
            if "return" in answer:
                return answer["return"]
        raise AssertionError(f"QEMU ended: {self._errors.read_text()}")

    def wait_up(self) -> None:
        """Wait until its owner can log in and all that starts at boot has, cloud-init too.

        Nobody logs in before cloud-init is done: under emulation each attempt costs seconds.
        """
        self.until(lambda: _BOOTED.search(self._console.read_bytes()), BOOT_TIME, "no boot")
        self.until(lambda: self.attempt("echo", "in").stdout == "in\n", BOOT_TIME, "no login")
        self.ask(state="systemctl is-system-running --wait")

    def wait_off(self) -> None:
        """Wait until the power is off."""
        self.until(lambda: self.is_off, OFF_TIME, "the power is still on")

    @property
    def is_off(self) -> bool:
        """True before power_on() and once the power is off."""
        return self._qemu is None or self._qemu.poll() is not None

    def pull_the_plug(self) -> None:
        """End it now, if it runs."""
        if self._qemu:
            self._qemu.kill()
            self._qemu.communicate()

    @property
    def console(self) -> str:
        """The end of what came over the serial console, for a message."""
        text = self._console.read_text(errors="replace") if self._console.exists() else ""
        return f"\n--- end of the console of {self.instance.id} ---\n{text[-TAIL:]}"

    def until(self, happened: Callable[[], object], seconds: float, otherwise: str) -> None:
        """Wait till HAPPENED() is true; a machine that is off meanwhile has failed."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert not self.is_off, f"the power went off: {otherwise}{self.console}"
            assert time.monotonic() < deadline, f"{otherwise} for {seconds} s{self.console}"
            time.sleep(1)

    # -- from outside --------------------------------------------------------------------------

    def url(self, path: str) -> str:
        """The address of PATH on its web server."""
        return f"http://127.0.0.1:{self._ports[80]}{path}"

    def ssh(self, *options: str, user: str = "root", key: Path | None = None) -> list[str]:
        """The command that logs in to it as USER with KEY (its owner's) and nothing else."""
        return ["ssh", "-F", "none", "-p", str(self._ports[22]),
                "-i", str(key or self.instance.key), "-o", "IdentitiesOnly=yes",
                "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
                "-o", "ConnectTimeout=60", "-o", "StrictHostKeyChecking=accept-new",
                "-o", f"UserKnownHostsFile={self._known_hosts}", *options, f"{user}@127.0.0.1"]

    def attempt(
        self, *command: str, stdin: bytes = b"", options: Sequence[str] = (), user: str = "root",
        key: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """COMMAND in it, or what STDIN says at a terminal, if sshd lets USER in; see ssh()."""
        login = self.ssh(*options, user=user, key=key)
        done = subprocess.run([*login, *([shlex.join(command)] if command else [])], input=stdin,
                              capture_output=True, timeout=PATIENCE, check=False)
        return subprocess.CompletedProcess(done.args, done.returncode,
                                           done.stdout.decode(errors="replace"),
                                           done.stderr.decode(errors="replace"))

    def run(self, *command: str, stdin: bytes = b"", codes: Sequence[int] = (0,)) -> str:
        """The output of COMMAND in it, whose exit code must be one of CODES."""
        done = self.attempt(*command, stdin=stdin)
        assert done.returncode in codes, (
            f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}{self.console}")
        return done.stdout

    def ask(self, **questions: str) -> dict[str, str]:
        """What shell commands say, whatever their exit codes; a login for all, as it is dear."""
        script = "".join(f"{command}\nprintf '\\0'\n" for command in questions.values())
        answers = self.run("sh", "-c", script).split("\0")
        return dict(zip(questions, answers[:-1], strict=True))

    def session(self, *lines: str) -> str:
        """What a terminal shows when its owner logs in and types LINES; the last ends it."""
        done = self.attempt(stdin="".join(f"{line}\n" for line in lines).encode(),
                            options=["-tt"])
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.console}"
        return done.stdout


def accelerator(kernel: Path) -> str:
    """What QEMU is to run guests with: KVM where KERNEL is seen to boot under it, else emulation.

    /dev/kvm proves nothing: where virtualisation is emulated itself, guests hang or are aborted.
    Without a root file system KERNEL gives up as soon as it is up, and QEMU ends.
    """
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "pc",
                 "-accel", "kvm", "-cpu", "max", "-smp", "2", "-m", "512", "-nodefaults",
                 "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel),
                 "-append", "console=ttyS0 panic=-1"],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_TIME, check=False)
            if done.returncode == 0 and b"Kernel panic - not syncing: VFS" in done.stdout:
                return "kvm"
    return "tcg,thread=multi,tb-size=512"
