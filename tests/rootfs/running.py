"""The real img-check, as a process, on a tree: from outside with --root and from inside it."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.rootfs import trees
from tests.support import validated

SOURCE = Path(__file__).parents[2]
RUNTIME = "run/img-tools-test"  # in the tree: below a tmpfs, so that the tree gets no name
LENT = ("python", "site", "img-tools", "lib")
BOOTED_WITH = "BOOT_IMAGE=/boot/vmlinuz root=LABEL=root ro console=ttyS0\n"
PATIENCE = 300  # seconds; a run takes one, and a hang must not eat the night


class Checked(NamedTuple):
    """What a run said; `report` has passed the schema."""

    code: int
    report: dict[str, Any]

    def of(self, check_id: str) -> dict[str, Any]:
        """The result of one check."""
        (result,) = (item for item in self.report["checks"] if item["id"] == check_id)
        return dict(result)

    def found(self) -> set[tuple[str, str, str]]:
        """(check, code, status) of every finding."""
        return {(result["id"], finding["code"], finding["status"])
                for result in self.report["checks"] for finding in result["findings"]}


def program() -> str:
    """The installed img-check."""
    path = Path(sys.executable).with_name("img-check")
    assert path.exists(), f"{path} is missing: pip install -e ."
    return str(path)


def check(tree: Path, *args: str) -> Checked:
    """What img-check says of TREE, which it is given with --root."""
    return checked(outside(tree, "--format", "json", *args))


def check_inside(tree: Path, *args: str, network: bool = True) -> Checked:
    """What img-check says when TREE is the running system, as far as a chroot goes."""
    with inside(tree, "--format", "json", *args, network=network) as command:
        return checked(command)


def checked(command: list[str]) -> Checked:
    """Run COMMAND and demand what holds for every run that has a verdict."""
    done = subprocess.run([*command, "--quiet"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE, check=False)
    assert done.returncode in (0, 1, 3), f"exit code {done.returncode}: {done.stderr}"
    assert done.stderr == "", done.stderr  # nothing to complain of
    report = validated(done.stdout)
    assert report["exit_code"] == done.returncode
    for result in report["checks"]:
        assert "the check itself failed" not in result["message"], result
    return Checked(done.returncode, report)


def output(command: list[str]) -> str:
    """All that COMMAND writes, whatever its verdict."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
    assert done.returncode in (0, 1, 3), done.stdout
    return done.stdout


def outside(tree: Path, *args: str) -> list[str]:
    """The command that checks TREE through --root."""
    return [program(), "--root", str(tree), *args]


@contextlib.contextmanager
def booted(tree: Path) -> Iterator[Path]:
    """TREE with the file systems that a running system has over its directories.

    /proc comes with each command that is run inside.
    """
    with contextlib.ExitStack() as stack:
        for name, mode in (("run", "0755"), ("dev/shm", "1777"), ("tmp", "1777")):
            trees.mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", str(tree / name))
            stack.callback(trees.unmount, tree / name)
        (tree / "run/lock").mkdir()
        for name in LENT:
            (tree / RUNTIME / name).mkdir(parents=True)
        (tree / RUNTIME / "cmdline").write_text(BOOTED_WITH)
        yield tree


@contextlib.contextmanager
def inside(tree: Path, *args: str, network: bool = True) -> Iterator[list[str]]:
    """The command that checks TREE from inside it, where `/` is TREE.

    It sees its own /proc, with a kernel command line of its own, and no process but its own; TREE
    must be `booted`. The image has no Python: the one that runs the tests is lent, with its
    libraries, read-only below /run.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    libraries = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}"
    sources = (sys.base_prefix, sysconfig.get_path("purelib"), str(built()), libraries)
    with contextlib.ExitStack() as stack:
        for name, source in zip(LENT, sources, strict=True):
            trees.mount("--bind", "-o", "ro", source, str(tree / RUNTIME / name))
            stack.callback(trees.unmount, tree / RUNTIME / name)
        yield [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={tree}/proc",
            *([] if network else ["--net"]),
            "sh", "-euc", f'mount --bind "$0/{RUNTIME}/cmdline" "$0/proc/cmdline"; exec "$@"',
            str(tree), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            f"PYTHONHOME=/{RUNTIME}/python", f"PYTHONPATH=/{RUNTIME}/img-tools:/{RUNTIME}/site",
            "chroot", str(tree), f"/{RUNTIME}/lib/{loader()}", "--library-path",
            f"/{RUNTIME}/lib:/{RUNTIME}/python/lib", f"/{RUNTIME}/python/bin/python{version}",
            "-c", "from img_tools.cli.check import main; main()", *args,
        ]


@cache
def built() -> Path:
    """img_tools as setup.py lays it out, checks included, for this run of the tests."""
    base = Path(tempfile.mkdtemp(prefix="img-tools-built-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    subprocess.run([sys.executable, "setup.py", "-q", "build", "--build-base", str(base)],
                   cwd=SOURCE, check=True, capture_output=True)
    return base / "lib"


@cache
def loader() -> str:
    """File name of the dynamic loader that the running Python asks for."""
    with open(os.path.realpath(sys.executable), "rb") as file:
        found = re.search(rb"/lib[^\0]*/(ld-[^\0/]+)\0", file.read(4096))
    assert found, "no dynamic loader named in the first page of the interpreter"
    return found[1].decode()


_MEASURED = """
import os
from img_tools.cli.check import main

def leave(code, leave=os._exit):
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    os.write({channel}, peak.encode())
    leave(code)

os._exit = leave
main()
"""


def peak_memory(tree: Path, *args: str) -> int:
    """Most memory in bytes that the process of img-check itself held at once (VmHWM).

    Not getrusage: its figure survives exec, and would be that of the tests.
    """
    receive, send = os.pipe()
    script = _MEASURED.format(channel=send)
    try:
        subprocess.run([sys.executable, "-c", script, *outside(tree, *args)[1:]],
                       pass_fds=[send], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       timeout=PATIENCE, check=False)
        return int(os.read(receive, 20)) << 10
    finally:
        os.close(receive)
        os.close(send)
