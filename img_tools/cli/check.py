"""img-check: may this machine be snapshotted into an image?"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from img_tools.cli import common, options
from img_tools.cli import main as shared

if TYPE_CHECKING:
    from img_tools.model import Report
    from img_tools.plugins import Plugin
    from img_tools.policyfile import Policy

IDS = common.completing("checks", "check")
FORMATS = tuple(common.SUFFIXES.values())
QUICK, PATIENCE = 1.0, 5.0  # seconds until it is told what is waited for: on a terminal, elsewhere


def _seconds(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if value != value:  # click's range lets "nan" pass
        raise click.BadParameter("not a number of seconds")
    return value


@click.command(
    "img-check",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 passed, 1 a check failed, 2 bad usage or not root, "
           "3 could not decide, 128+n stopped by signal n.",
)
@options.work("Check", "check", IDS, FORMATS)
@click.option("--no-refresh", is_flag=True, help="Judge updates by the indexes on the disk.")
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N",
              help="Checks that run at once (default: by the number of processors).")
@click.option("--timeout", type=click.FloatRange(0, 86400, min_open=True), default=120.0,
              callback=_seconds, metavar="SECONDS", show_default=True,
              help="Longest time for one check.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto",
              show_default=True, help="Colour in the text report.")
@options.words("check", IDS, quiet="No progress, and only what did not pass.",
               verbose="Every check and finding, with evidence.")
def command(
    root: str, only: tuple[str, ...], skip: tuple[str, ...], profile: str | None,
    policy_file: str | None, plugin_dir: tuple[str, ...], form: str, outputs: tuple[str, ...],
    fail_on: str, no_refresh: bool, jobs: int | None, timeout: float, list_them: bool,
    explain: str | None, schema: bool, color: str, quiet: bool, verbose: bool,
) -> int:
    """Say whether this machine may be snapshotted into an image.

    Looks for what must not be in an image (keys, passwords, histories, logs, stale packages) and
    for what must be (a firewall, cloud-init, a way in). Changes nothing on the disk.
    """
    if schema:
        from img_tools.report.json import schema as text

        return shared.write_stdout(text())
    plugins = common.load_plugins("checks", "check", plugin_dir)
    if list_them:
        return shared.write_stdout(common.listing(plugins))
    if explain:
        return shared.write_stdout(common.explanation(plugins, explain, "img-check"))
    policy = common.read_policy(profile, policy_file, plugins)
    plugins = common.enable(plugins, policy.enabled)
    left_out = (*skip, *({*policy.disabled} - {*only}))
    chosen = common.choose_plugins(plugins, only, left_out, "img-check")
    common.demand("img-check", root, outputs, FORMATS)
    report = _report(root, plugins, chosen, policy, not no_refresh, jobs, timeout, fail_on, quiet)
    return _deliver(report, form, outputs, color, quiet, verbose)


def _report(
    root: str, plugins: list[Plugin], chosen: list[Plugin], policy: Policy, refresh: bool,
    jobs: int | None, timeout: float, fail_on: str, quiet: bool,
) -> Report:
    from img_tools import checking

    host = common.open_host(root, policy, timeout, refresh=refresh)
    progress = _Progress(quiet)
    try:
        return checking.report(
            host, chosen, jobs=jobs or common.default_jobs(), timeout=timeout,
            fail_on_warn=fail_on == "warn", progress=progress,
            left_out=[plugin.id for plugin in plugins if plugin.default and plugin not in chosen],
        )
    finally:
        with shared.undisturbed():
            progress.clear()
            host.close()


class _Progress:
    """Tells on stderr what is waited for.

    On a terminal in a line that is gone when the report comes; elsewhere once, if it takes long.
    """

    def __init__(self, quiet: bool) -> None:
        self._line = not quiet and common.smart(sys.stderr)
        self._told = quiet or self._line
        self._shown = ""
        self._start = time.monotonic()

    def __call__(self, done: int, total: int, running: Sequence[str]) -> None:
        seconds = time.monotonic() - self._start
        names = f", waiting for {', '.join(running)}" if running and seconds > QUICK else ""
        if self._line:
            self._show(f"{done}/{total} checks done{names} ({seconds:.0f} s)")
        elif names and seconds > PATIENCE and not self._told:
            self._told = True
            shared.say(f"img-check: {done} of {total} checks are done{names}")

    def _show(self, text: str) -> None:
        text = text[:common.columns(sys.stderr) - 1]  # a longer one could not be taken away
        if text != self._shown:
            shared.say("\r" + text.ljust(len(self._shown)), newline=False)
            self._shown = text

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            shared.say("\r" + " " * len(self._shown) + "\r", newline=False)


def _deliver(
    report: Report, form: str, outputs: tuple[str, ...], color: str, quiet: bool, verbose: bool
) -> int:
    """Write the report everywhere, even if one place fails: the others still wait for it."""

    def render(form: str, **options: object) -> str:
        if form == "text":
            options |= {"quiet": quiet, "verbose": verbose}
        return str(import_module(f"img_tools.report.{form}").render(report, **options))

    shown = render(form) if form != "text" else render(
        form, colour=_coloured(color), width=common.columns(sys.stdout))
    return common.deliver(render, outputs, shown) or report.exit_code


def _coloured(color: str) -> bool:
    if color == "auto":
        return common.smart(sys.stdout) and not os.environ.get("NO_COLOR")
    return color == "always"


def main() -> NoReturn:
    """Entry point of `img-check`."""
    shared.run(command)
