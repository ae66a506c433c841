"""img-clean: make this machine fit to be snapshotted into an image."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from img_tools.cli import common, options
from img_tools.cli import main as shared
from img_tools.cli.gauge import Gauge
from img_tools.model import printable

if TYPE_CHECKING:
    from img_tools.actions import CleanReport
    from img_tools.model import Report
    from img_tools.plugins import Plugin

IDS = common.completing("cleaners", "plan")
FORMATS = ("text", "json")
REFUSED = 3
TIMEOUT = 120.0  # seconds for a command that says no other time
LOCK_WAIT = 300.0  # seconds for another process to finish with the packages


class Refused(click.ClickException):
    """The image cannot be cleaned now."""

    exit_code = REFUSED


@click.command(
    "img-clean",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all done, 1 an action (or with --check a check) failed, 2 bad usage or "
           "not root, 3 refused or not completed, 128+n stopped by signal n.",
)
@options.work("Clean", "cleaner", IDS, FORMATS, when=", with --check")
@click.option("--yes", is_flag=True, help="Clean without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--erase", type=click.Choice(["auto", "full", "trim", "off"]), default="auto",
              show_default=True, help="What the cleaner free-space does: overwrite what is not "
              "zero, overwrite all, discard alone, nothing.")
@click.option("--check", "check_after", is_flag=True,
              help="Run img-check when all is done; its exit code counts.")
@click.option("--poweroff", is_flag=True, help="Power off at the end, if nothing failed.")
@click.option("--self-remove", is_flag=True,
              help="Remove this program last of all, if nothing failed.")
@options.words("cleaner", IDS, quiet="No progress on standard error.",
               verbose="Show every action, not ten of each cleaner, and why.")
def command(
    root: str, only: tuple[str, ...], skip: tuple[str, ...], profile: str | None,
    policy_file: str | None, plugin_dir: tuple[str, ...], form: str, outputs: tuple[str, ...],
    fail_on: str, yes: bool, dry_run: bool, erase: str, check_after: bool, poweroff: bool,
    self_remove: bool, list_them: bool, explain: str | None, schema: bool, quiet: bool,
    verbose: bool,
) -> int:
    """Make this machine fit to be snapshotted into an image.

    Removes what must not be in an image: histories, keys, logs, temporary files, the identity of
    this machine. Without --yes it shows what it would do, and asks on a terminal.
    """
    if schema:
        from img_tools.report.clean import schema as text

        return shared.write_stdout(text())
    plugins = common.load_plugins("cleaners", "plan", plugin_dir)
    plugins.sort(key=lambda plugin: (plugin.phase, plugin.id))
    if list_them:
        return shared.write_stdout(common.listing(plugins))
    if explain:
        return shared.write_stdout(common.explanation(plugins, explain, "img-clean"))
    chosen = common.choose_plugins(plugins, only, skip, "img-clean")
    if yes and dry_run:
        raise click.UsageError("--yes and --dry-run exclude each other")
    if dry_run and check_after:
        raise click.UsageError("--dry-run changes nothing that --check could judge: run img-check")
    if not check_after and (profile or fail_on == "warn"):
        raise click.UsageError("--profile and --fail-on are for --check: nothing else judges")
    for name, wanted in (("--poweroff", poweroff), ("--self-remove", self_remove)):
        if wanted and os.path.realpath(root) != "/":
            raise click.UsageError(f"{name} is for the running system, not for --root")
    last = _self_removal() if self_remove else []
    common.demand("img-clean", root, outputs, FORMATS)
    view = _View(form, outputs, quiet, verbose)
    judged = _Judged(profile, policy_file, plugin_dir, fail_on_warn=fail_on == "warn")
    with _Session(root, judged, erase, view) as session:
        if not yes:
            plan = session.plan([*chosen, *last])
            if dry_run or not _can_ask():
                code = view.deliver(plan)
                return code if dry_run else _refuse("; --yes carries the plan out")
            shared.say(view.text(plan), newline=False)
            if not _agreed():
                return _refuse()
        session.await_packages()
        return session.clean(chosen, last, check_after, poweroff)


def _self_removal() -> list[Plugin]:
    """What --self-remove adds. Refuses before anything is changed where it could not be done."""
    from img_tools import removal

    refusal = removal.refusal()
    if refusal:
        raise click.UsageError(refusal)
    return [removal.cleaner()]


def _refuse(more: str = "") -> int:
    shared.say(f"img-clean: nothing was changed{more}")
    return REFUSED


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _agreed() -> bool:
    """Ask on a terminal; not with click, which would write to standard output too."""
    shared.say("Carry this out? [y/N] ", newline=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@dataclass(frozen=True)
class _View:
    """How and where to the report goes, and whether progress is told."""

    form: str
    outputs: tuple[str, ...]
    quiet: bool
    verbose: bool

    def say(self, text: str) -> None:
        """Tell how far it is."""
        if not self.quiet:
            shared.say(f"img-clean: {text}")

    def text(self, report: CleanReport) -> str:
        """REPORT for people."""
        from img_tools.report import clean

        return clean.render_text(report, verbose=self.verbose)

    def deliver(self, report: CleanReport) -> int:
        """Write REPORT everywhere it is wanted; returns its exit code."""
        from img_tools.report import clean

        def render(form: str) -> str:
            return clean.render_json(report) if form == "json" else self.text(report)

        return common.deliver(render, self.outputs, render(self.form)) or report.exit_code


@dataclass(frozen=True)
class _Judged:
    """How the image is judged at the end, as img-check would with the same options."""

    profile: str | None
    policy_file: str | None
    plugin_dir: tuple[str, ...]
    fail_on_warn: bool


class _Stopper:
    """Notes the first signal, so that the action under way can end and a report be written."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._at_once = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.number is not None:
            return
        self.number = number
        if self._at_once:
            raise shared.Stop(number)
        shared.say("img-clean: stopping after the action under way")

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals as a wish to stop while the block runs; those ignored stay ignored.

        After it none counts: the report is out, and "nothing was changed" would be a lie.
        """
        for number in shared.SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.note)
        try:
            yield
        finally:
            shared.ignore_signals()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end the block, which changes nothing."""
        self._at_once = True
        try:
            yield
        except shared.Stop as stop:
            self.number = stop.number
        finally:
            self._at_once = False


class _Session:
    """One run over one image; no second one can start on it meanwhile."""

    def __init__(self, root: str, judged: _Judged, erase: str, view: _View) -> None:
        self._checks = common.load_plugins("checks", "check", judged.plugin_dir)
        policy = common.read_policy(judged.profile, judged.policy_file, self._checks)
        self._checks = common.enable(self._checks, policy.enabled)
        self._disabled = policy.disabled
        self._fail_on_warn = judged.fail_on_warn
        self._host = common.open_host(root, policy, TIMEOUT, refresh=True, erase_mode=erase)
        self._view = view
        self._lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

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

    def plan(self, plugins: list[Plugin]) -> CleanReport:
        """What PLUGINS would do. A signal ends it at once, since nothing is changed."""
        from img_tools import cleaning

        return cleaning.report(self._host, plugins, dry_run=True, progress=self._progress)

    def await_packages(self) -> None:
        """Wait until nobody changes packages, before anything is done to the image.

        A new machine upgrades itself in its first minutes. Raises Refused after LOCK_WAIT, and at
        once when an upgrade was cut short: temp-files would remove what is needed to finish it.
        """
        from img_tools.model import Undecided
        from img_tools.packages import Busy

        try:
            packages = self._host.packages
        except Undecided:
            return  # package-upgrade will say so
        deadline, told = time.monotonic() + LOCK_WAIT, False
        while True:
            try:
                return packages.require_settled()
            except Busy as busy:
                if time.monotonic() > deadline:
                    raise Refused(f"{busy}; nothing was changed") from None
                if not told:
                    self._view.say(f"waiting at most {LOCK_WAIT:g} s, since {busy}")
                told = True
                time.sleep(0.5)
            except Undecided as undecided:
                raise Refused(f"{undecided}; nothing was changed") from None

    def clean(
        self, plugins: list[Plugin], last: list[Plugin], check_after: bool, poweroff: bool
    ) -> int:
        """Carry PLUGINS out, check, carry LAST out if all is well, report and power off.

        Returns the exit code.

        From the first change on a signal no longer ends the process: whoever sent it, and who
        reads the report, must hear what was done.
        """
        from img_tools import cleaning

        stopper = _Stopper()
        with stopper.listening():
            gauge = Gauge(self._view.say, quiet=self._view.quiet)
            report = cleaning.report(
                self._host, plugins, dry_run=False, stop=lambda: stopper.number,
                progress=self._progress, gauge=gauge)
            gauge.clear()
            if check_after and report.stopped_by is None:
                with stopper.at_once():
                    report = replace(report, check=self._check())
                report = replace(report, stopped_by=stopper.number)
            if last:
                report = self._finish(report, last)
            code = self._view.deliver(report)
            self._name_outputs()
            if poweroff:
                code = code or (128 + stopper.number if stopper.number else 0)
                return self._power_off(code)
            return code

    def _check(self) -> Report:
        from img_tools import checking

        self._host.forget()
        self._view.say("now img-check")
        chosen = common.choose_plugins(self._checks, (), self._disabled, "img-check")
        return checking.report(self._host, chosen, jobs=common.default_jobs(), timeout=TIMEOUT,
                               fail_on_warn=self._fail_on_warn, left_out=self._disabled)

    def _name_outputs(self) -> None:
        """Say which of the reports just written are part of the image now."""
        top = self._host.root.top.rstrip("/")
        for path in map(os.path.realpath, self._view.outputs):
            with contextlib.suppress(OSError):
                if path.startswith(f"{top}/") and os.stat(path).st_dev not in self._host.volatile:
                    shared.say(f"img-clean: {printable(path)} is part of the image: fetch it, "
                               "and remove it")

    def _finish(self, report: CleanReport, last: list[Plugin]) -> CleanReport:
        """REPORT with what became of LAST: the program stays where it is still needed."""
        from img_tools import cleaning

        if report.exit_code:
            shared.say("img-clean: not removed, since not all went well")
            return report
        done = cleaning.report(self._host, last, dry_run=False, progress=self._progress)
        return replace(report, results=report.results + done.results)

    def _progress(self, plugin: Plugin) -> None:
        self._view.say(f"{plugin.id}: {plugin.title}")

    def _power_off(self, code: int) -> int:
        """Power off when CODE says that all is well; a machine that is not clean stays on."""
        if code:
            shared.say("img-clean: not powered off, since not all went well")
            return code
        from img_tools import session
        from img_tools.model import Undecided

        try:
            session.power_off(self._host.run)
        except Undecided as undecided:
            return shared.complain("img-clean", f"not powered off: {undecided}", REFUSED)
        return 0


def main() -> NoReturn:
    """Entry point of `img-clean`."""
    shared.run(command)
