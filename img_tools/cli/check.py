"""img-check: may this machine be snapshotted into an image?"""

from __future__ import annotations

import os
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
    return tuple(part for value in values for part in value.split(",") if part)


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
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=120.0,
              metavar="SECONDS", show_default=True, help="Longest time for one check.")
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
    sys.dont_write_bytecode = True
    if schema:
        from img_tools.report.json import schema as text

        return _print(text())
    plugins = _plugins(plugin_dir)
    if list_them:
        return _print("".join(f"{plugin.id:20} {plugin.title}\n" for plugin in plugins))
    if explain:
        return _print(_explain(plugins, explain))
    profile, disabled = _policy(profile, policy_file)
    chosen = _choose(plugins, only, (*skip, *disabled))
    _demand(root, outputs)
    report = _report(root, chosen, profile, not no_refresh, jobs, timeout, fail_on, quiet)
    return _deliver(report, form, outputs, color, quiet, verbose)


def _print(text: str) -> int:
    """Write TEXT to standard output. Raises ClickException when nobody takes it."""
    try:
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141  # what a shell shows for a program that SIGPIPE ended
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise shared.Undelivered(f"cannot write to standard output: {error.strerror or error}"
                                 ) from None
    return 0


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
        raise click.UsageError("no check is left to run: --only and --skip exclude each other")
    return chosen


def _explain(plugins: list[Plugin], wanted: str) -> str:
    (plugin,) = _choose(plugins, (wanted,), ())
    references = "".join(f"  {reference}\n" for reference in plugin.references)
    return (f"{plugin.id}: {plugin.title}\n\n{plugin.explanation}\n"
            + (f"\nReferences:\n{references}" if references else ""))


def _policy(profile: str | None, path: str | None) -> tuple[str, tuple[str, ...]]:
    """Name of the profile and the disabled checks; the command line outranks the file."""
    from img_tools import policy
    from img_tools.plugins import SYSTEM_DIR

    standard = os.path.join(SYSTEM_DIR, "policy.toml")
    if path is None and os.path.exists(standard):
        path = standard
    try:
        loaded = policy.load(path) if path else policy.Policy()
        name = profile or loaded.profile or policy.DEFAULT
        policy.profile(name)
    except policy.PolicyError as error:
        raise click.UsageError(str(error)) from None
    return name, loaded.disabled


def _demand(root: str, outputs: tuple[str, ...]) -> None:
    """Refuse before anything is done what would fail at the end."""
    for path in outputs:
        suffix = os.path.splitext(path)[1]
        if suffix not in SUFFIXES:
            raise click.UsageError(f"-o {path}: name it {' or '.join(SUFFIXES)}, "
                                   "the ending tells the format")
        if not os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK):
            raise click.UsageError(f"-o {path}: no such directory, or not writable")
        if os.path.isdir(path):
            raise click.UsageError(f"-o {path}: is a directory")
    if not os.path.isdir(os.path.join(root, "etc")):
        raise click.UsageError(f"--root {root}: not the root of an image (it has no etc/)")
    if os.geteuid() != 0:
        raise click.UsageError("must run as root, or it would not see what others may not "
                               f"read: sudo {' '.join(['img-check', *sys.argv[1:]])}")


def _report(
    root: str, chosen: list[Plugin], profile: str, refresh: bool, jobs: int | None,
    timeout: float, fail_on: str, quiet: bool,
) -> Report:
    from img_tools import checking, policy
    from img_tools.host import Host
    from img_tools.rootfs import RootFS
    from img_tools.runner import Runner

    tree = RootFS(root)
    host = Host(tree, Runner(tree.top, timeout), profile=policy.profile(profile), refresh=refresh)
    progress = _Progress(not quiet and sys.stderr is not None and sys.stderr.isatty())
    try:
        return checking.report(host, chosen, jobs=jobs or min(8, (os.cpu_count() or 1) + 4),
                               timeout=timeout, fail_on_warn=fail_on == "warn",
                               progress=progress)
    finally:
        progress.clear()
        host.close()


class _Progress:
    """A line on stderr that counts the checks; it is gone when the report comes."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown

    def __call__(self, result: Result, done: int, total: int) -> None:
        if self._shown:
            click.echo(f"\r{done}/{total} checks done", err=True, nl=False)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            click.echo("\r" + " " * 30 + "\r", err=True, nl=False)


def _deliver(
    report: Report, form: str, outputs: tuple[str, ...], color: str, quiet: bool, verbose: bool
) -> int:
    from img_tools.report import json, text

    def rendered(kind: str, *, terminal: bool) -> str:
        if kind == "json":
            return json.render(report)
        return text.render(
            report, colour=terminal and _coloured(color),
            width=shutil.get_terminal_size().columns if terminal else 100,
            quiet=quiet, verbose=verbose,
        )

    for path in outputs:
        shared.write_atomically(path, rendered(SUFFIXES[os.path.splitext(path)[1]],
                                               terminal=False))
    return _print(rendered(form, terminal=True)) or report.exit_code


def _coloured(color: str) -> bool:
    if color == "auto":
        return sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return color == "always"


def main() -> NoReturn:
    """Entry point of `img-check`."""
    shared.run(command)
