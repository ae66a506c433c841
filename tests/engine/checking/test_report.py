"""What a run says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from img_tools import checking
from img_tools.checking import evaluate, report, run
from img_tools.model import Finding, Skip, Status, Undecided
from img_tools.runner import Runner
from tests.engine.checking.common import FAIL, WARN, plugin, yields
from tests.support import FakeRunner


@pytest.mark.parametrize(("ends", "expected", "code"), [
    ([[], [Skip("x")]], "pass", 0),
    ([[], [WARN]], "warn", 0),
    ([[WARN], [Undecided("x")]], "error", 3),
    ([[WARN], [Undecided("x")], [FAIL]], "fail", 1),
    ([[ValueError("x")]], "error", 3),
])
def test_verdict_counts_and_exit_code_follow_from_the_results(image, ends, expected, code):
    plugins = [plugin(yields(*what), f"c{n}") for n, what in enumerate(ends)]
    made = report(image(), plugins, jobs=2, timeout=20)
    assert (made.verdict.value, made.exit_code) == (expected, code)
    assert made.counts["total"] == len(ends) == sum(
        made.counts[status.value] for status in Status)


def test_fail_on_warn_changes_the_exit_code_alone(image):
    made = report(image(), [plugin(yields(WARN))], jobs=1, timeout=20, fail_on_warn=True)
    assert (made.verdict, made.exit_code) == (Status.WARN, 1)
    calm = report(image(), [plugin(yields())], jobs=1, timeout=20, fail_on_warn=True)
    assert calm.exit_code == 0


def test_the_platform_is_described(image):
    made = report(image(), [plugin(yields())], jobs=1, timeout=20, left_out=["x"])
    assert made.platform.os_id == "debian"
    assert made.platform.version_id == "12"
    assert made.platform.pretty_name == "Debian GNU/Linux 12 (bookworm)"
    assert made.platform.package_manager == "apt"
    assert made.platform.kernel is None
    assert made.run.mode == "rootfs"
    assert made.run.left_out == ("x",)


@pytest.mark.parametrize("files", [{"/etc/os-release": None}, {"/etc/os-release": b"ID=\xff\xfe"},
                                   {"/etc/os-release": "NAME='unclosed"},
                                   {"/etc/os-release": "ID=no-such-distribution\n"}])
def test_an_unknown_platform_does_not_end_the_run(image, files):
    """Defect 38: upstream exits on an unsupported system before any other check."""
    made = report(image(files), [plugin(yields(), "a"), plugin(yields(FAIL), "b")], jobs=1,
                  timeout=20)
    assert [result.status for result in made.results] == [Status.PASS, Status.FAIL]
    assert made.platform.package_manager is None


def test_a_platform_that_hangs_does_not_hang_the_report(image, gate, monkeypatch):
    """A check that was given up may still hold what the head of the report asks for."""
    host = image()
    monkeypatch.setattr(checking, "_ask", lambda host, facts: gate.opened.wait(30))
    made = report(host, [plugin(yields())], jobs=1, timeout=0.2)
    assert made.platform.os_id is None
    assert made.verdict is Status.PASS


def test_a_command_outlived_by_its_check_names_itself(image):
    """The runner gives up a little before the check does: its message names the command."""
    host = image()
    host.run = Runner("/", timeout=0.2)

    def check(host: Any) -> Iterator[Finding]:
        host.run("sleep", "1000")
        yield from ()

    (result,) = run(host, [plugin(check)], jobs=1, timeout=20)
    assert result.status is Status.ERROR
    assert "`sleep 1000` took longer than 0.2 s" in result.message


def test_an_unexpected_command_in_a_test_is_not_taken_for_an_error(image):
    """FakeRunner's exception passes through evaluate(): a forgotten command fails its test."""
    from tests.support import Unexpected

    def check(host: Any) -> Iterator[Finding]:
        host.run("forgotten")
        yield from ()

    host = image()
    assert isinstance(host.run, FakeRunner)
    with pytest.raises(Unexpected):
        evaluate(host, plugin(check))
