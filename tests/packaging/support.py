"""Runs what was built, and compares trees by content."""

from __future__ import annotations

import ctypes
import fnmatch
import os
import re
import stat
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.rootfs import trees

PATIENCE = 300  # seconds
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND":
               "noninteractive", "HOME": "/root"}


def run(
    *command: str | Path, env: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None, cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """COMMAND, however it ends."""
    return subprocess.run(
        [*map(str, command)], env=ENVIRONMENT if env is None else dict(env), preexec_fn=before,
        cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        check=False)


def succeed(*command: str | Path, **options: object) -> str:
    """What COMMAND printed; it must succeed."""
    done = run(*command, **options)  # type: ignore[arg-type]
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def inside(top: Path, *command: str) -> str:
    """What COMMAND prints in TOP, as if booted: processes, mounts and network of its own."""
    script = ('mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/run" && '
              'exec chroot "$0" "$@"')
    return succeed("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child",
                   "sh", "-c", script, str(top), *command)


# -- trees by content ----------------------------------------------------------------------------


def content(top: Path, *unlike: str) -> dict[bytes, trees.Facts]:
    """What is in TOP: owners, modes, content, no times; nothing that matches one of UNLIKE."""
    listed, left_out = {}, re.compile("|".join(map(fnmatch.translate, unlike)) or "(?!)")
    for name, facts in trees.manifest(top).items():
        if left_out.match(os.fsdecode(name)):
            continue
        mode, uid, gid, size, _, device, links, attributes, data = facts
        listed[name] = (mode, uid, gid, size, device, links, attributes, data)
    return listed


def naming(top: Path, word: bytes) -> list[str]:
    """Every path below TOP whose name or content holds WORD."""
    found = []
    for path in top.rglob("*"):
        held = word in os.fsencode(path.name)
        if not held and stat.S_ISREG(path.lstat().st_mode):
            held = word in path.read_bytes()
        if held:
            found.append(str(path.relative_to(top)))
    return found


# -- old kernels ---------------------------------------------------------------------------------

LAST_OF_2_6_32 = 298  # perf_event_open on x86-64
ENOSYS = 38


def like_linux_2_6_32() -> None:
    """Refuse every system call that came after, in this process and its children."""
    load, jump_if_greater, answer = 0x20, 0x25, 0x06
    allow, error = 0x7FFF0000, 0x00050000
    program = b"".join(struct.pack("HBBI", *step) for step in (
        (load, 0, 0, 0),  # the number of the call
        (jump_if_greater, 0, 1, LAST_OF_2_6_32),
        (answer, 0, 0, error | ENOSYS),
        (answer, 0, 0, allow),
    ))
    held = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HxxxxxxP", 4, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    set_seccomp, filter_mode = 22, 2
    if libc.prctl(set_seccomp, filter_mode, ctypes.create_string_buffer(filters), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
