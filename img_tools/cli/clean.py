"""img-clean: make this machine fit to be snapshotted into an image."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from img_tools import __version__
from img_tools.cli import common
from img_tools.cli import main as shared

if TYPE_CHECKING:
    from img_tools.actions import CleanReport
    from img_tools.model import Report
    from img_tools.plugins import Plugin

REFUSED = 3
TIMEOUT = 120.0  # seconds for a command that says no other time


class Refused(click.ClickException):
    """The image cannot be cleaned now."""

    exit_code = REFUSED


@click.command(
    "img-clean",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all done, 1 an action (or with --check a check) failed, 2 bad usage or "
           "not root, 3 refused or not completed, 128+n stopped by signal n.",
)
@click.option("--root", default="/", metavar="DIR",
              help="Clean the image mounted at DIR instead of the running system.")
@click.option("--only", multiple=True, metavar="ID", callback=common.ids,
              help="Run these cleaners alone (repeat, or separate by commas).")
@click.option("--skip", multiple=True, metavar="ID", callback=common.ids,
              help="Leave these cleaners out.")
@click.option("--policy", "policy_file", metavar="FILE",
              help="Policy file for --check (default: /etc/img-tools/policy.toml, if there).")
@click.option("--plugin-dir", multiple=True, metavar="DIR", help="Load more cleaners from DIR.")
@click.option("--format", "form", type=click.Choice(common.FORMATS), default="text",
              show_default=True, help="Format of the report on standard output.")
@click.option("-o", "outputs", multiple=True, metavar="FILE",
              help="Write one more report; .txt or .json tells its format.")
@click.option("--yes", is_flag=True, help="Clean without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--check", "check_after", is_flag=True, help="Run img-check when all is done.")
@click.option("--poweroff", is_flag=True, help="Power off at the end, if nothing failed.")
@click.option("--list", "list_them", is_flag=True, help="List the cleaners in order and exit.")
@click.option("--explain", metavar="ID", help="Say what a cleaner does and why, and exit.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@click.option("-v", "--verbose", is_flag=True, help="Every action.")
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
def command(
    root: str, only: tuple[str, ...], skip: tuple[str, ...], policy_file: str | None,
    plugin_dir: tuple[str, ...], form: str, outputs: tuple[str, ...], yes: bool, dry_run: bool,
    check_after: bool, poweroff: bool, list_them: bool, explain: str | None, quiet: bool,
    verbose: bool,
) -> int:
    """Make this machine fit to be snapshotted into an image.

    Removes what must not be in an image: histories, keys, logs, temporary files, the identity of
    this machine. Without --yes it shows what it would do, and asks on a terminal.
    """
    plugins = common.load_plugins("cleaners", "plan", plugin_dir)
    plugins.sort(key=lambda plugin: (plugin.phase, plugin.id))
    if list_them:
        return shared.write_stdout(common.listing(plugins))
    if explain:
        return shared.write_stdout(common.explanation(plugins, explain, "img-clean"))
    chosen = common.choose_plugins(plugins, only, skip, "img-clean")
    if yes and dry_run:
        raise click.UsageError("--yes and --dry-run exclude each other")
    if poweroff and os.path.realpath(root) != "/":
        raise click.UsageError("--poweroff is for the running system, not for --root")
    common.demand("img-clean", root, outputs)
    with _Session(root, policy_file, quiet) as session:
        if not yes:
            code = session.deliver(session.clean(chosen, dry_run=True), form, outputs, verbose)
            if dry_run:
                return code
            if not _agreed():
                return REFUSED
        report = session.clean(chosen, dry_run=False, check_after=check_after)
        code = session.deliver(report, form, outputs, verbose)
        return session.power_off(code) if poweroff else code


def _agreed() -> bool:
    """Ask on a terminal; elsewhere nobody can answer, and the answer is no."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        shared.say("img-clean: nothing was changed; --yes carries the plan out")
        return False
    if click.confirm("Carry this out?", default=False, err=True):
        return True
    shared.say("img-clean: nothing was changed")
    return False


class _Stopper:
    """Notes the first signal, so that the action under way can end and a report be written."""

    def __init__(self) -> None:
        self.number: int | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.number is None:
            shared.say("img-clean: stopping after the action under way")
        self.number = self.number or number

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals as a wish to stop while the block runs."""
        before = {number: signal.signal(number, self.note) for number in shared.SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Session:
    """One run over one image; no second one can start on it meanwhile."""

    def __init__(self, root: str, policy_file: str | None, quiet: bool) -> None:
        self._checks = common.load_plugins("checks", "check", ())
        profile, self._disabled = common.read_policy(None, policy_file, self._checks)
        self._host = common.open_host(root, profile, TIMEOUT, refresh=True)
        self._quiet = quiet
        self._lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self) -> _Session:
        """Lock the image by its root directory itself, so that no lock file stays behind."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused("another img-clean is at work on this image; wait for it") from None
        return self

    def __exit__(self, *raised: object) -> None:
        with shared.undisturbed():
            self._host.close()
        os.close(self._lock)

    def clean(
        self, plugins: list[Plugin], *, dry_run: bool, check_after: bool = False
    ) -> CleanReport:
        """Carry PLUGINS out, or plan them; then check, unless it was stopped."""
        from img_tools import cleaning

        stopper = _Stopper()
        with stopper.listening():
            report = cleaning.report(self._host, plugins, dry_run=dry_run,
                                     stop=lambda: stopper.number, progress=self._progress)
        if check_after and report.stopped_by is None:
            report = replace(report, check=self._check())
        return report

    def _check(self) -> Report:
        from img_tools import checking

        self._host.forget()
        if not self._quiet:
            shared.say("img-clean: now img-check")
        chosen = common.choose_plugins(self._checks, (), tuple(self._disabled), "img-check")
        return checking.report(self._host, chosen, jobs=common.default_jobs(), timeout=TIMEOUT)

    def _progress(self, plugin: Plugin) -> None:
        if not self._quiet:
            shared.say(f"img-clean: {plugin.id}: {plugin.title}")

    def deliver(
        self, report: CleanReport, form: str, outputs: tuple[str, ...], verbose: bool
    ) -> int:
        """Write REPORT everywhere it is wanted; returns its exit code."""
        from img_tools.report import clean

        plain = {"json": lambda: clean.render_json(report),
                 "text": lambda: clean.render_text(report, verbose=verbose)}
        return common.deliver(plain, outputs, plain[form]()) or report.exit_code

    def power_off(self, code: int) -> int:
        """Power off when CODE says that all is well; a machine that is not clean stays on."""
        if code:
            shared.say("img-clean: not powered off, since not all went well")
            return code
        from img_tools import session

        session.power_off(self._host.run)
        return 0


def main() -> NoReturn:
    """Entry point of `img-clean`."""
    shared.run(command)
