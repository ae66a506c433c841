"""img-check: may this machine be snapshotted into an image?"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from img_tools import __version__
from img_tools.cli import main as shared

if TYPE_CHECKING:
    from img_tools.model import Report, Result
    from img_tools.plugins import Plugin

FORMATS = ("text", "json")
SUFFIXES = {".txt": "text", ".json": "json"}


def _ids(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


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
@click.option("--root", default="/", metavar="DIR",
              help="Check the image mounted at DIR instead of the running system.")
@click.option("--only", multiple=True, metavar="ID", callback=_ids,
              help="Run these checks alone (repeat, or separate by commas).")
@click.option("--skip", multiple=True, metavar="ID", callback=_ids, help="Leave these checks out.")
@click.option("--profile", metavar="NAME", help="Judge by this profile (default: marketplace).")
@click.option("--policy", "policy_file", metavar="FILE",
              help="Read profile and disabled checks from FILE (default: "
                   "/etc/img-tools/policy.toml, if there).")
@click.option("--plugin-dir", multiple=True, metavar="DIR", help="Load more checks from DIR.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True,
              help="Format of the report on standard output.")
@click.option("-o", "outputs", multiple=True, metavar="FILE",
              help="Write one more report; .txt or .json tells its format.")
@click.option("--fail-on", type=click.Choice(["fail", "warn"]), default="fail", show_default=True,
              help="What makes the exit code 1.")
@click.option("--no-refresh", is_flag=True, help="Judge updates by the indexes on the disk.")
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N",
              help="Checks that run at once (default: by the number of processors).")
@click.option("--timeout", type=click.FloatRange(0, 86400, min_open=True), default=120.0,
              callback=_seconds, metavar="SECONDS", show_default=True,
              help="Longest time for one check.")
@click.option("--list", "list_them", is_flag=True, help="List the checks and exit.")
@click.option("--explain", metavar="ID", help="Say what a check looks at and why, and exit.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the report and exit.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto",
              show_default=True, help="Colour in the text report.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and only what did not pass.")
@click.option("-v", "--verbose", is_flag=True, help="Every finding, with evidence.")
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
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
    plugins = _plugins(plugin_dir)
    if list_them:
        width = max(len(plugin.id) for plugin in plugins)
        return shared.write_stdout(
            "".join(f"{plugin.id:{width}}  {plugin.title}\n" for plugin in plugins))
    if explain:
        return shared.write_stdout(_explain(plugins, explain))
    profile, disabled = _policy(profile, policy_file, plugins)
    chosen = _choose(plugins, only, (*skip, *(disabled - {*only})))
    _demand(root, outputs)
    report = _report(root, plugins, chosen, profile, not no_refresh, jobs, timeout, fail_on, quiet)
    return _deliver(report, form, outputs, color, quiet, verbose)


def _plugins(directories: tuple[str, ...]) -> list[Plugin]:
    from img_tools import plugins

    standard = os.path.join(plugins.SYSTEM_DIR, "checks")
    found = [standard] if os.path.isdir(standard) else []
    try:
        return plugins.load("img_tools.checks", "check", [*found, *directories])
    except plugins.PluginError as error:
        raise click.UsageError(str(error)) from None


def _choose(plugins: list[Plugin], only: tuple[str, ...], skip: tuple[str, ...]) -> list[Plugin]:
    from img_tools.plugins import UnknownId, choose

    try:
        chosen = choose(plugins, only, skip)
    except UnknownId as error:
        raise click.UsageError(f"{error} (img-check --list shows them)") from None
    if not chosen:
        raise click.UsageError("no check is left to run: --only, --skip and the policy file "
                               "exclude each other")
    return chosen


def _explain(plugins: list[Plugin], wanted: str) -> str:
    (plugin,) = _choose(plugins, (wanted,), ())
    references = "".join(f"  {reference}\n" for reference in plugin.references)
    return (f"{plugin.id}: {plugin.title}\n\n{plugin.explanation}\n"
            + (f"\nReferences:\n{references}" if references else ""))


def _policy(
    profile: str | None, path: str | None, plugins: list[Plugin]
) -> tuple[str, frozenset[str]]:
    """Name of the profile and the disabled checks; the command line outranks the file."""
    from img_tools import policy
    from img_tools.plugins import SYSTEM_DIR, UnknownId, choose

    standard = os.path.join(SYSTEM_DIR, "policy.toml")
    if path is None and os.path.lexists(standard):
        path = standard
    where = "--profile" if profile else f"{path}"
    try:
        loaded = policy.load(path) if path else policy.Policy()
        name = policy.profile(profile or loaded.profile or policy.DEFAULT).name
        choose(plugins, (), loaded.disabled)
    except policy.UnknownProfile as error:
        raise click.UsageError(f"{where}: {error}") from None
    except UnknownId as error:
        raise click.UsageError(f"{path}: disabled: {error}") from None
    except policy.PolicyError as error:
        raise click.UsageError(str(error)) from None
    return name, frozenset(loaded.disabled)


def _demand(root: str, outputs: tuple[str, ...]) -> None:
    """Refuse before anything is done what would fail at the end."""
    for path in outputs:
        if os.path.splitext(path)[1] not in SUFFIXES:
            raise click.UsageError(f"-o {path}: name it {' or '.join(SUFFIXES)}, "
                                   "the ending tells the format")
        if not os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK):
            raise click.UsageError(f"-o {path}: no such directory, or not writable")
        if os.path.isdir(path):
            raise click.UsageError(f"-o {path}: is a directory")
    if not root or not os.path.isdir(os.path.join(root, "etc")):
        raise click.UsageError(f"--root {root}: not the root of an image (it has no etc/)")
    if os.geteuid() != 0:
        again = shlex.join(sys.argv)
        raise click.UsageError(f"must run as root, or it would not see what others may not read: "
                               f"sudo {again}")


def _report(
    root: str, plugins: list[Plugin], chosen: list[Plugin], profile: str, refresh: bool,
    jobs: int | None, timeout: float, fail_on: str, quiet: bool,
) -> Report:
    from img_tools import checking, policy
    from img_tools.host import Host
    from img_tools.rootfs import RootFS
    from img_tools.runner import Runner

    tree = RootFS(root)
    runner = Runner(tree.top, 0.9 * timeout)  # ends first, since it can name the command
    host = Host(tree, runner, profile=policy.profile(profile), refresh=refresh)
    progress = _Progress(not quiet and sys.stderr is not None and sys.stderr.isatty())
    try:
        return checking.report(
            host, chosen, jobs=jobs or min(8, (os.cpu_count() or 1) + 2), timeout=timeout,
            fail_on_warn=fail_on == "warn", progress=progress,
            left_out=[plugin.id for plugin in plugins if plugin not in chosen],
        )
    finally:
        with shared.undisturbed():
            progress.clear()
            host.close()


class _Progress:
    """A line on stderr that counts the checks; it is gone when the report comes."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown

    def __call__(self, result: Result, done: int, total: int) -> None:
        if self._shown:
            shared.say(f"\r{done}/{total} checks done", newline=False)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            shared.say("\r" + " " * 30 + "\r", newline=False)


def _deliver(
    report: Report, form: str, outputs: tuple[str, ...], color: str, quiet: bool, verbose: bool
) -> int:
    """Write the report everywhere, even if one place fails: the others still wait for it."""
    from img_tools.report import json, text

    plain = {"json": lambda: json.render(report),
             "text": lambda: text.render(report, quiet=quiet, verbose=verbose)}
    failed: list[shared.Undelivered] = []
    for path in outputs:
        try:
            shared.write_atomically(path, plain[SUFFIXES[os.path.splitext(path)[1]]]())
        except shared.Undelivered as error:
            failed.append(error)
    shown = plain["json"]() if form == "json" else text.render(
        report, colour=_coloured(color), width=_width(), quiet=quiet, verbose=verbose)
    code = shared.write_stdout(shown) or report.exit_code
    if failed:
        raise failed[0]
    return code


def _terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns if _terminal() else 100


def _coloured(color: str) -> bool:
    if color == "auto":
        return (_terminal() and not os.environ.get("NO_COLOR")
                and os.environ.get("TERM", "dumb") != "dumb")
    return color == "always"


def main() -> NoReturn:
    """Entry point of `img-check`."""
    shared.run(command)
