"""A test that is skipped in CI tests nothing, and nobody notices: there it fails (CI=true).

What cannot run there says so with `@pytest.mark.may_skip("reason")`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from typing import Any

import pytest

CI = os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """Turn a skipped test into a failed one."""
    report: pytest.TestReport = yield
    if item.get_closest_marker("may_skip") is None:
        _refuse_skip(report)
    return report


@pytest.fixture(autouse=True)
def _machine_stays() -> Generator[None, None, None]:
    """Root's tests plant links to /dev/null and set modes: never that of the machine."""
    yield
    if os.stat("/dev/null").st_mode != stat.S_IFCHR | 0o666:
        pytest.fail("a test, this one or one beside it, changed /dev/null of this machine")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    """Turn a skipped module into a failed one."""
    report: pytest.CollectReport = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"not allowed in CI: {reason}"
