"""The runner: what it starts knows nothing of the caller and does not outlive the run."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from img_tools import runner
from img_tools.model import Undecided
from img_tools.runner import CommandError, CommandMissing, Runner
from tests.support import build, needs


@pytest.fixture
def run() -> Runner:
    return Runner("/", timeout=20)


def gone(pid: int, patience: float = 5.0) -> bool:
    """Whether the process PID ended; a zombie that nobody reaps (no init here) has."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        threading.Event().wait(0.01)
    return False


def test_output_code_and_arguments_arrive_as_they_are(run):
    done = run("sh", "-c", 'printf "%s|" "$@"; echo err >&2; exit 3', "sh", "a b", "*", "$HOME", "",
               ok=(0, 3))
    assert (done.stdout, done.stderr, done.code) == ("a b|*|$HOME||", "err\n", 3)
    assert done.argv[0] == "sh"


def test_the_environment_is_made_from_scratch(run, monkeypatch):
    for name in ("SECRET_TOKEN", "LD_PRELOAD", "LANG", "DEBIAN_FRONTEND", "http_proxy"):
        monkeypatch.setenv(name, "leak" if name != "LD_PRELOAD" else "")
    monkeypatch.setenv("PATH", "/leak:" + os.environ["PATH"])
    done = run("env", env={"LIMIT": "1"})
    names = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert names == {"PATH": runner.PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "LIMIT": "1"}


def test_standard_input_is_empty_and_the_place_is_the_top(run):
    assert run("sh", "-c", "cat; pwd").stdout == "/\n"


def test_no_descriptor_of_ours_is_inherited(run, tmp_path):
    with open(tmp_path / "open", "w") as file:
        os.set_inheritable(file.fileno(), True)
        assert run("sh", "-c", f"test -e /proc/self/fd/{file.fileno()}", ok=(0, 1)).code == 1


def test_output_that_is_not_utf8_is_kept(run):
    done = run("printf", r"\377\r\n")
    assert done.stdout == "\udcff\r\n"


def test_much_output_on_both_streams_does_not_block(run):
    done = run("sh", "-c", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2")
    assert (len(done.stdout), len(done.stderr)) == (300000, 300000)


def test_output_without_end_is_cut_off(run, monkeypatch):
    monkeypatch.setattr(runner, "OUTPUT_LIMIT", 1 << 20)
    with pytest.raises(CommandError, match="`yes` printed more than 1 MB"):
        run("yes")


def test_a_command_can_print_when_its_reader_is_gone(tmp_path):
    """dpkg dies of a broken pipe, in the middle of an upgrade, when img-clean is killed."""
    script = (f"while [ ! -e {tmp_path}/killed ]; do :; done; echo one && echo two >&2 "
              f"&& echo whole > {tmp_path}/draft && mv {tmp_path}/draft {tmp_path}/end")
    reader = subprocess.Popen(
        [sys.executable, "-c", "import sys; from img_tools.runner import Runner\n"
         f"Runner('/', 20)('sh', '-c', 'echo > {tmp_path}/begun; ' + sys.argv[1])", script])
    appears(tmp_path / "begun")
    reader.kill()
    reader.wait()
    (tmp_path / "killed").touch()
    appears(tmp_path / "end")


def appears(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        threading.Event().wait(0.01)


def test_old_kernels_have_no_files_in_memory(run, monkeypatch):
    monkeypatch.setattr(os, "memfd_create", Mock(side_effect=OSError(errno.ENOSYS, "")))
    assert run("echo", "hello").stdout == "hello\n"


# -- errors ----------------------------------------------------------------------------------------


def test_a_failure_shows_command_code_and_last_lines_made_printable(run):
    with pytest.raises(CommandError) as raised:
        run("sh", "-c", r"printf 'one\ntwo\nthree\n\033[31mfour\n' >&2; exit 4")
    text = str(raised.value)
    assert "exited with 4: two; three; \\x1b[31mfour" in text
    assert text.startswith("`sh -c ")
    assert "one;" not in text
    assert raised.value.stderr == "one\ntwo\nthree\n\x1b[31mfour\n"
    assert raised.value.stdout == ""
    assert isinstance(raised.value, Undecided)


def test_a_failure_without_stderr_shows_stdout(run):
    with pytest.raises(CommandError, match=r"exited with 1: said on stdout$"):
        run("sh", "-c", "echo said on stdout; exit 1")


def test_a_signal_is_named(run):
    with pytest.raises(CommandError, match="was killed by SIGSEGV"):
        run("sh", "-c", "kill -SEGV $$")


def test_a_missing_program_is_told_apart(run):
    with pytest.raises(CommandMissing, match="`no-such-program --flag` is not in the image"):
        run("no-such-program", "--flag")


def test_a_program_that_cannot_be_run_is_not_missing(run, tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(CommandError, match="cannot be run: Permission denied") as raised:
        run(str(tmp_path / "x"))
    assert not isinstance(raised.value, CommandMissing)


def test_an_argument_no_command_can_have(run):
    with pytest.raises(CommandError, match="cannot be run: embedded null byte"):
        run("true", "a\0b")


def test_127_of_the_program_itself_is_not_a_missing_program(run):
    with pytest.raises(CommandError, match="exited with 127") as raised:
        run("sh", "-c", "echo 'x: No such file or directory' >&2; exit 127")
    assert not isinstance(raised.value, CommandMissing)


# -- time and processes ----------------------------------------------------------------------------


FAMILY = """
sh -c 'echo $$ > {0}/grandchild; exec sleep 1000' &
echo $$ > {0}/child
{1}
"""


def pids(place: Path) -> list[int]:
    deadline = time.monotonic() + 10
    names = ("child", "grandchild")
    while time.monotonic() < deadline:
        texts = [(place / name).read_text() if (place / name).exists() else "" for name in names]
        if all(text.endswith("\n") for text in texts):
            return [int(text) for text in texts]
        threading.Event().wait(0.01)
    raise AssertionError("the command did not start")


def test_a_timeout_kills_the_whole_family(run, tmp_path):
    started = time.monotonic()
    with pytest.raises(CommandError, match=r"took longer than 0\.5 s"):
        run("sh", "-c", FAMILY.format(tmp_path, "sleep 1000"), timeout=0.5)
    assert time.monotonic() - started < 5
    assert all(gone(pid) for pid in pids(tmp_path))


def test_a_command_that_closes_its_output_still_has_a_timeout(run):
    with pytest.raises(CommandError, match=r"took longer than 0\.2 s"):
        run("sh", "-c", "exec >&- 2>&-; sleep 1000", timeout=0.2)


def test_what_a_command_leaves_behind_is_neither_waited_for_nor_left(run, tmp_path):
    started = time.monotonic()
    done = run("sh", "-c", FAMILY.format(tmp_path, f"until [ -s {tmp_path}/grandchild ]; do :; done"
                                                   "; echo done"))
    assert done.stdout == "done\n"
    assert time.monotonic() - started < 5
    assert all(gone(pid) for pid in pids(tmp_path))


def test_close_kills_what_runs_and_starts_nothing_more(run, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, "sh", "-c", FAMILY.format(tmp_path, "sleep 1000"))
        family = pids(tmp_path)
        run.close()
        assert all(gone(pid) for pid in family)
        with pytest.raises(CommandError, match="was killed by SIGKILL"):
            running.result(10)
    with pytest.raises(CommandError, match="was not started: the run is being stopped"):
        run("true")
    run.close()


def test_no_descriptor_and_no_child_is_left(run):
    run("true")  # what is opened once and for all is open now
    before, children = len(os.listdir("/proc/self/fd")), psutil.Process().children()
    for _ in range(5):
        run("true")
        with pytest.raises(CommandError):
            run("false")
        with pytest.raises(CommandError):
            run("sleep", "1000", timeout=0.05)
    assert len(os.listdir("/proc/self/fd")) == before
    assert psutil.Process().children() == children


def test_many_threads_run_at_once(run):
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda n: run("sh", "-c", f"echo {n}; exit {n % 2}", ok=(0, 1)),
                             range(64)))
    assert [(one.stdout, one.code) for one in done] == [(f"{n}\n", n % 2) for n in range(64)]


def test_close_while_many_start_and_end_leaves_nothing(run):
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(run, "sleep", "1000") for _ in range(4)]
        running += [pool.submit(run, "true") for _ in range(50)]
        while not run._children:
            threading.Event().wait(0.001)
        run.close()
        for one in running:
            assert isinstance(one.exception(20), CommandError | None)
    assert run._children == set()


# -- inside an image -------------------------------------------------------------------------------


@pytest.fixture
def chrooted(tmp_path) -> Runner:
    """A runner in an image that has a shell and ls, with their libraries, and nothing else."""
    needs(os.geteuid() == 0, "root to chroot")
    files = [shutil.which(name) or "" for name in ("sh", "ls")]
    libraries = subprocess.run(["ldd", *files], capture_output=True, text=True, check=True).stdout
    for path in {*files, *re.findall(r"(/\S+) \(0x", libraries)}:
        os.makedirs(tmp_path / os.path.dirname(path)[1:], exist_ok=True)
        shutil.copy(path, tmp_path / path[1:])
    build(tmp_path, {"/etc/only-here": ""})
    return Runner(str(tmp_path), timeout=20)


def test_a_command_runs_inside_the_image(chrooted):
    assert chrooted("ls", "/etc").stdout == "only-here\n"
    assert chrooted("sh", "-c", "pwd").stdout == "/\n"


def test_a_program_missing_in_the_image_is_missing(chrooted):
    with pytest.raises(CommandMissing, match="`apt-get -s` is not in the image"):
        chrooted("apt-get", "-s")


def test_127_inside_the_image_is_not_a_missing_program(chrooted):
    with pytest.raises(CommandError, match="exited with 127") as raised:
        chrooted("sh", "-c", "echo 'x: No such file or directory' >&2; exit 127")
    assert not isinstance(raised.value, CommandMissing)


def test_a_signal_inside_the_image_is_named(chrooted):
    with pytest.raises(CommandError, match="was killed by SIGTERM"):
        chrooted("sh", "-c", "kill -TERM $$")


def test_a_file_in_the_image_that_is_no_program(chrooted):
    with pytest.raises(CommandError, match="exited with 126") as raised:
        chrooted("/etc/only-here")
    assert not isinstance(raised.value, CommandMissing)


def test_a_machine_without_chroot_is_no_missing_program(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "PATH", "/nonexistent")
    with pytest.raises(CommandError, match=r"`true` cannot be run: .*'chroot'") as raised:
        Runner(str(tmp_path))("true")
    assert not isinstance(raised.value, CommandMissing)


def test_a_signal_without_a_name_is_numbered():
    assert runner._ending(-40) == "was killed by signal 40"
    assert runner._ending(-int(signal.SIGKILL)) == "was killed by SIGKILL"


def test_a_message_shows_the_beginning_of_a_long_command(run):
    with pytest.raises(CommandError) as raised:
        run("false", *(f"package{n}" for n in range(400)))
    assert str(raised.value).startswith("`false package0 package1 ")
    assert str(raised.value).endswith(" ...` exited with 1")
    assert len(str(raised.value)) < 400
