"""The single file: one static program that needs nothing of the machine it runs on."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from img_tools import __version__
from img_tools.policy import PROFILES, RELEASES
from tests.packaging.layouts import layout
from tests.packaging.support import like_linux_2_6_32, run, succeed
from tests.support import build, validated

ROOT = Path(__file__).parents[2]
MB = 1_000_000


def segments(program: Path) -> dict[int, tuple[int, int]]:
    """Flags and size in memory of each kind of segment of an ELF file for x86-64."""
    data = program.read_bytes()
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    found = {}
    for place in range(start, start + size * count, size):
        kind, flags = struct.unpack_from("<II", data, place)
        found[kind] = (flags, struct.unpack_from("<Q", data, place + 40)[0])
    return found


def test_it_is_static_with_a_stack_that_deep_recursion_fits_in(single):
    interp, dynamic, stack = 3, 2, 0x6474E551
    found = segments(single)
    assert interp not in found
    assert dynamic not in found
    writable_only = 6
    assert found[stack] == (writable_only, 0x800000)
    assert single.stat().st_size < 11.2 * MB


@pytest.fixture
def alone(single: Path, tmp_path: Path, root: None) -> Path:
    """A directory to chroot into that holds img-check, img-clean and nothing else."""
    top = tmp_path / "empty"
    top.mkdir()
    shutil.copy(single, top / "img-check")
    (top / "img-clean").symlink_to("img-check")
    return top


@pytest.mark.parametrize("name", ["img-check", "img-clean"])
def test_it_runs_where_nothing_else_is(alone, name):
    assert succeed("chroot", alone, f"/{name}", "--version") == f"{name} {__version__}\n"
    listed = succeed("chroot", alone, f"/{name}", "--list")
    plugin = listed.split()[0]
    assert plugin in succeed("chroot", alone, f"/{name}", "--explain", plugin)
    assert json.loads(succeed("chroot", alone, f"/{name}", "--schema"))["$schema"]
    assert sorted(path.name for path in alone.iterdir()) == ["img-check", "img-clean"]


def test_it_is_the_command_that_its_first_argument_says(single):
    assert succeed(single, "img-clean", "--version") == f"img-clean {__version__}\n"
    assert succeed(single, "img-check", "--version") == f"img-check {__version__}\n"
    lost = run(single)
    assert (lost.returncode, lost.stdout) == (2, "")
    assert "img-check|img-clean" in lost.stderr


def test_it_lists_what_the_installed_commands_list(single):
    from click.testing import CliRunner

    from img_tools.cli import check, clean

    for command in (check.command, clean.command):
        listed = CliRunner().invoke(command, ["--list"], standalone_mode=False).output
        assert succeed(single, command.name, "--list") == listed


def test_it_shows_the_licence_of_every_part(single):
    text = succeed(single, "licences")
    for part in ("click", "distro", "packaging", "psutil", "python", "pyyaml", "zlib", "musl"):
        assert re.search(rf"^=+{part}[.A-Z]*=+$", text, re.M), part


@pytest.mark.parametrize("language", ["C", "tr_TR.UTF-8", "ja_JP.eucJP", "no such locale"])
def test_neither_the_environment_nor_files_beside_it_change_it(single, tmp_path, language):
    program = tmp_path / "img-check"
    shutil.copy(single, program)
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tmp_path / "img-check._pth").write_text(f"{tmp_path}\n")
    for name in ("click", "psutil", "encodings", "os", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')\n")
    hostile = {
        "PYTHONHOME": str(tmp_path), "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": "/etc/passwd",
        "PYTHONINSPECT": "1", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-16", "LC_ALL": language,
        "LD_PRELOAD": "/nonexistent.so", "LD_LIBRARY_PATH": str(tmp_path), "TZ": ":/etc/passwd",
    }
    done = run(program, "--list", env=hostile, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == succeed(program, "--list")


def test_a_report_that_cannot_be_written_is_no_success(single):
    with open("/dev/full", "w") as full:
        done = subprocess.run([single, "img-check", "--list"], stdout=full, check=False)
    assert done.returncode == 3


# -- plugins -------------------------------------------------------------------------------------

CHECK = '"""Nothing is wrong"""\nfrom img_tools.model import warn\n{imports}\n' \
        "def check(host):\n{body}\n"
ALL = """
    import _imp, importlib
    lacking = []
    for name in _imp._frozen_module_names():
        if name in ("__main__", "licences") or name.startswith(("__hello", "__phello", "frozen_")):
            continue
        try:
            importlib.import_module(name)
        except Exception as error:
            lacking.append(f"{name}: {error!r}")
    yield warn("lacking", "; ".join(lacking) or "none")
"""
PARTS = """
    import json, os, psutil, threading, yaml
    import click, distro, packaging.version
    found = [psutil.Process().pid == os.getpid(), psutil.virtual_memory().total > 0,
             len(psutil.disk_partitions(all=True)) > 0, len(psutil.net_if_addrs()) > 0,
             yaml.safe_load("a: [1, {b: c}]") == {"a": [1, {"b": "c"}]}]
    def deep():
        try:
            json.loads("[" * 100_000)
        except RecursionError:
            found.append(True)
    thread = threading.Thread(target=deep)
    thread.start()
    thread.join()
    yield warn("parts", repr(found))
"""


@pytest.fixture
def plugin(single: Path, tmp_path: Path, root: None):
    """plugin(imports, body) -> what img-check says of a tree with that one check."""

    def check(imports: str = "", body: str = "    yield from ()") -> tuple[int, str, str]:
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins/vendor.py").write_text(CHECK.format(imports=imports, body=body))
        build(tmp_path / "tree", {"/etc/os-release": 'ID=debian\nVERSION_ID="12"\n'})
        done = run(single, "img-check", "--root", tmp_path / "tree", "--only", "vendor",
                   "--plugin-dir", tmp_path / "plugins", "--format", "json")
        message = ""
        if done.stdout:
            (found,) = validated(done.stdout)["checks"][0]["findings"] or [{"message": ""}]
            message = str(found["message"])
        return done.returncode, message, done.stderr

    return check


def test_every_module_that_it_brings_can_be_imported(plugin):
    assert plugin(body=ALL) == (0, "none", "")


IMPORT = """
    import importlib
    for name in {names}:
        importlib.import_module(name)
    yield warn("imported", "all")
"""


def test_whatever_the_program_imports_it_brings(plugin):
    """Also what is imported only when it is needed, which --list and --help do not show."""
    names = set()
    for path in (ROOT / "img_tools", ROOT / "checks", ROOT / "cleaners"):
        for source in path.rglob("*.py"):
            for node in ast.walk(ast.parse(source.read_bytes())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module)
    assert plugin(body=IMPORT.format(names=sorted(names))) == (0, "all", "")


def test_a_plugin_has_psutil_and_yaml_and_deep_recursion_in_threads(plugin):
    assert plugin(body=PARTS) == (0, repr([True] * 6), "")


def test_a_plugin_that_needs_another_module_hears_which_and_what_to_do(plugin):
    code, _, said = plugin(imports="import requests")
    assert code == 2
    assert "vendor.py: imports requests, which the packaged program does not bring" in said
    assert "pipx inject img-tools" in said


# -- old kernels and old images ------------------------------------------------------------------

def judged(*command: str | Path, old: bool) -> dict[str, str]:
    """Status of every check by COMMAND, on this kernel or on one like 2.6.32."""
    done = run(*command, "--no-refresh", "--format", "json", "--quiet",
               before=like_linux_2_6_32 if old else None)
    assert done.returncode in (0, 1, 3), done.stderr
    assert done.stderr == ""
    checks = validated(done.stdout)["checks"]
    assert not [check for check in checks if "the check itself failed" in check["message"]]
    return {check["id"]: check["status"] for check in checks}


@pytest.mark.parametrize("release", RELEASES, ids=lambda row: f"{row.id}-{row.version}")
def test_it_judges_an_image_of_every_release_alone_on_a_kernel_of_2009_as_it_does_here(
    single, alone, release
):
    """There are but the program, the image and what Linux had before getrandom(2): no library,
    no /proc, no /tmp.
    """
    (alone / "dev").mkdir()
    os.mknod(alone / "dev/urandom", 0o444 | stat.S_IFCHR, os.makedev(1, 9))
    build(alone / "image", layout(release))
    found = judged(single, "img-check", "--root", alone / "image", old=False)
    assert found["shell-history"] == "fail"
    accepted = PROFILES["marketplace"].accepts(release)
    assert found["os-release"] == ("pass" if accepted else "fail")
    assert judged("chroot", alone, "/img-check", "--root", "/image", old=True) == found


def test_the_old_kernel_of_these_tests_refuses_what_it_did_not_have():
    probe = "import os; os.memfd_create('x')"
    assert run("/usr/bin/python3", "-c", probe).returncode == 0
    assert "Function not implemented" in run("/usr/bin/python3", "-c", probe,
                                             before=like_linux_2_6_32).stderr


# -- how fast ------------------------------------------------------------------------------------

PYTHON_PASS = 8.0  # ms of `python3 -c pass` on the machine that the limits are meant for


def milliseconds(*commands: tuple[str | Path, ...]) -> list[float]:
    """Least processor time of each of COMMANDS, which is also its time where nothing else runs.

    Taken in turn, so that whatever slows the machine falls on all alike.
    """
    best = [float("inf")] * len(commands)
    for _ in range(25):
        for index, command in enumerate(commands):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            best[index] = min(best[index], (used.ru_utime + used.ru_stime) * 1000)
    return best


def test_it_starts_fast(single):
    python, version, listed = milliseconds(
        ("/usr/bin/python3", "-I", "-c", "pass"), (single, "img-check", "--version"),
        (single, "img-check", "--list"))
    print(f"python3 -c pass {python:.1f} ms, --version {version:.1f}, --list {listed:.1f}")
    slower = max(1.0, python / PYTHON_PASS)
    assert version <= 45 * slower
    assert listed <= 75 * slower


def test_it_opens_no_files_to_start(single):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    done = run("strace", "-f", "-e", "trace=open,openat", single, "img-check", "--version",
               env=os.environ)
    opened = [line for line in done.stderr.splitlines() if re.search(r"open(at)?\(", line)]
    assert f"img-check {__version__}" in done.stdout
    assert len(opened) <= 5, opened
