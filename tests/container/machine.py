"""A Debian tree that runs: booted by systemd-nspawn, with a kernel view and network of its own.

Everything happens in namespaces of its own, down to the loopback interface, and goes with them.
img-tools, what its "provider" says (cloud-init's seed) and plugins of the tests are lent read-only
below /run, so that the tree gets no name by them. img-tools is the working tree, run by the Python
of the machine, or the single file that `make dist` built.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.rootfs import running, trees

LENT = "/run/lent"
BOOT_TIME = 180  # seconds; it takes two
PATIENCE = 300  # seconds for a command
ENVIRONMENT = ("HOME=/root", "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")

# It ends with the tests, however they end, and finds a cgroup2 where systemd wants to have one,
# whatever this machine has mounted there.
_NAMESPACES = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--cgroup",
               "--propagation", "private", "sh", "-euc",
               'umount --recursive --lazy /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; '
               'mkdir -p /run/systemd/nspawn; mount -t tmpfs none /run/systemd/nspawn; '
               'exec "$@"', "sh")
_SETTINGS = ("env", "-i", *ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
             "SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_TMPFS_TMP=0")
_COMMAND = f"""#!/bin/sh
export PYTHONPATH={LENT}/lib:{LENT}/site
exec python3 -c 'from img_tools.cli.NAME import main; main()' "$@"
"""


def demand() -> None:
    """Raise trees.Unavailable unless containers can be booted here."""
    trees.demand()
    for tool in ("systemd-nspawn", "nsenter", "setpriv", "ssh", "ssh-keygen"):
        if shutil.which(tool) is None:
            raise trees.Unavailable(f"{tool} is not installed")


class Machine:
    """The machine whose disk is TREE; PLACE is a directory for what is lent to it.

    Its img-tools is the single file PROGRAM if given, else what its own Python makes of ours.
    """

    def __init__(self, tree: Path, place: Path, program: Path | None = None) -> None:
        self.tree = tree
        self.place = place
        self._leader = 0
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._lent = {name: place / name for name in ("bin", "seed", "plugins")}
        for directory in self._lent.values():
            directory.mkdir()
        if program:
            shutil.copy(program, place / "bin/img-check")
            (place / "bin/img-clean").symlink_to("img-check")
            return
        self._lent |= {"lib": running.built(), "site": Path(sysconfig.get_path("purelib"))}
        for name in ("check", "clean"):
            script = place / "bin" / f"img-{name}"
            script.write_text(_COMMAND.replace("NAME", name))
            script.chmod(0o755)

    # -- power ---------------------------------------------------------------------------------

    def boot(self, instance: str, user_data: str = "") -> None:
        """Boot it as the INSTANCE (an id) of its provider; returns when it is up."""
        (self.place / "seed/meta-data").write_text(f"instance-id: {instance}\n")
        (self.place / "seed/user-data").write_text(f"#cloud-config\n{user_data}\n")
        with open(self.place / "console", "ab") as console:
            self._nspawn = subprocess.Popen(
                [*_NAMESPACES, *_SETTINGS, "systemd-nspawn", "--quiet", "--keep-unit",
                 "--register=no", "--directory", str(self.tree), "--machine", "machine",
                 "--private-network", "--console=pipe",
                 *(f"--bind-ro={source}:{LENT}/{name}" for name, source in self._lent.items()),
                 "--boot", f"ds=nocloud;s={LENT}/seed/"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        until(lambda: self._find_leader() or self.is_off, BOOT_TIME)
        assert not self.is_off, self.console
        until(lambda: self.run("systemctl", "is-system-running", "--wait", check=False)
              in ("running\n", "degraded\n"), BOOT_TIME)

    def _find_leader(self) -> bool:
        """Whether the first process of the machine is there."""
        assert self._nspawn
        pid = self._nspawn.pid
        with contextlib.suppress(OSError, ValueError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if len(children) == 1 and Path(f"/proc/{children[0]}/comm").read_text() == "systemd\n":
                self._leader = int(children[0])
        return self._leader != 0

    @property
    def leader(self) -> int:
        """The process that is its init, by the number it has here."""
        assert self._leader, "it is off"
        return self._leader

    @property
    def is_off(self) -> bool:
        """True once the power is off."""
        if self._nspawn is not None and self._nspawn.poll() is not None:
            self._nspawn, self._leader = None, 0
        return self._nspawn is None

    @property
    def console(self) -> str:
        """What came over the console, for an assertion's message."""
        return (self.place / "console").read_text(errors="replace")[-3000:]

    def power_off(self) -> None:
        """Shut it down in good order."""
        self.run("systemctl", "poweroff", check=False)
        self.wait_off()

    def wait_off(self) -> None:
        """Wait until the power is off."""
        until(lambda: self.is_off, BOOT_TIME)

    def pull_the_plug(self) -> None:
        """End it now, if it runs."""
        if not self.is_off and self._nspawn:
            if self._leader:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._leader, signal.SIGKILL)  # the whole PID namespace goes with it
            self._nspawn.terminate()
            self._nspawn.wait(timeout=30)
            self._nspawn = None
        self._leader = 0

    # -- commands ------------------------------------------------------------------------------

    def argv(self, *command: str) -> list[str]:
        """What runs COMMAND in the machine."""
        return ["nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--net",
                "--pid", "--cgroup", "--root", "--wd", "env", "-i", *ENVIRONMENT, *command]

    def beside(self, *command: str) -> list[str]:
        """What runs COMMAND of this machine in the network of that one."""
        return ["nsenter", "--target", str(self._leader), "--net", *command]

    def run(self, *command: str, check: bool = True, codes: Sequence[int] = (0,)) -> str:
        """The output of COMMAND, whose exit code must be one of CODES unless CHECK is False."""
        done = self.finished(*command)
        assert not check or done.returncode in codes, (
            f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def finished(self, *command: str) -> subprocess.CompletedProcess[str]:
        """COMMAND, run to its end."""
        return subprocess.run(self.argv(*command), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """COMMAND, under way."""
        return subprocess.Popen(self.argv(*command), stdin=subprocess.PIPE, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def tool(self, name: str) -> str:
        """The path of a command of img-tools in the machine."""
        return f"{LENT}/bin/{name}"

    def img_clean(self, *args: str, codes: Sequence[int] = (0,)) -> dict[str, Any]:
        """The report of img-clean on the running system."""
        text = self.run(self.tool("img-clean"), "--format", "json", *args, codes=codes)
        report: dict[str, Any] = json.loads(text)
        return report

    def active(self, *units: str) -> dict[str, str]:
        """The state of each of UNITS just now."""
        states = self.run("systemctl", "is-active", *units, check=False).split()
        return dict(zip(units, states, strict=True))


def until(happened: Callable[[], object], seconds: float) -> None:
    """Wait till HAPPENED() is true; SECONDS are what a broken machine may cost."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.05)


@contextlib.contextmanager
def machine(tree: Path, place: Path, program: Path | None = None) -> Iterator[Machine]:
    """A machine on TREE, without power yet; it has none left at the end. See Machine."""
    made = Machine(tree, place, program)
    try:
        yield made
    finally:
        made.pull_the_plug()
