"""Options and steps that img-check and img-clean share."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from img_tools.cli import main as shared

if TYPE_CHECKING:
    from img_tools.host import Host
    from img_tools.plugins import Plugin
    from img_tools.policy import Policy

FORMATS = ("text", "json")
SUFFIXES = {".txt": "text", ".json": "json"}


def ids(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Callback of an option that takes ids, repeated or separated by commas."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def load_plugins(kind: str, verb: str, directories: tuple[str, ...]) -> list[Plugin]:
    """Every plugin of KIND ("checks"), those of /etc/img-tools and of DIRECTORIES too."""
    from img_tools import plugins

    standard = os.path.join(plugins.SYSTEM_DIR, kind)
    found = [standard] if os.path.isdir(standard) else []
    try:
        return plugins.load(f"img_tools.{kind}", verb, [*found, *directories])
    except plugins.PluginError as error:
        raise click.UsageError(str(error)) from None


def choose_plugins(
    plugins: list[Plugin], only: tuple[str, ...], skip: tuple[str, ...], command: str
) -> list[Plugin]:
    """The plugins to run; an id that none has is a usage error."""
    from img_tools.plugins import UnknownId, choose

    noun = "cleaner" if command == "img-clean" else "check"
    try:
        chosen = choose(plugins, only, skip, noun)
    except UnknownId as error:
        raise click.UsageError(f"{error} ({command} --list shows them)") from None
    if not chosen:
        raise click.UsageError(f"no {noun} is left to run: --only, --skip and the policy file "
                               "exclude each other")
    return chosen


def listing(plugins: list[Plugin]) -> str:
    """A line for each plugin."""
    width = max(len(plugin.id) for plugin in plugins)
    return "".join(f"{plugin.id:{width}}  {plugin.title}\n" for plugin in plugins)


def explanation(plugins: list[Plugin], wanted: str, command: str) -> str:
    """All that the plugin WANTED says of itself."""
    (plugin,) = choose_plugins(plugins, (wanted,), (), command)
    references = "".join(f"  {reference}\n" for reference in plugin.references)
    return (f"{plugin.id}: {plugin.title}\n\n{plugin.explanation}\n"
            + (f"\nReferences:\n{references}" if references else ""))


def read_policy(profile: str | None, path: str | None, checks: list[Plugin]) -> Policy:
    """The policy in the file PATH, its profile filled in; the command line outranks the file."""
    from img_tools import policy
    from img_tools.plugins import SYSTEM_DIR, UnknownId, choose

    standard = os.path.join(SYSTEM_DIR, "policy.toml")
    if path is None and os.path.lexists(standard):
        path = standard
    where = "--profile" if profile else f"{path}"
    try:
        loaded = policy.load(path) if path else policy.Policy()
        name = policy.profile(profile or loaded.profile or policy.DEFAULT).name
        choose(checks, (), loaded.disabled)
    except policy.UnknownProfile as error:
        raise click.UsageError(f"{where}: {error}") from None
    except UnknownId as error:
        raise click.UsageError(f"{path}: disabled: {error}") from None
    except policy.PolicyError as error:
        raise click.UsageError(str(error)) from None
    return replace(loaded, profile=name)


def demand(command: str, root: str, outputs: tuple[str, ...]) -> None:
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
        again = shlex.join([command, *sys.argv[1:]])
        raise click.UsageError("must run as root, or it would not see what others may not read: "
                               f"sudo {again}")


def open_host(
    root: str, policy: Policy, timeout: float, *, refresh: bool, erase_mode: str = "off"
) -> Host:
    """The image at ROOT, judged by POLICY; a command in it may take 0.9 of TIMEOUT seconds."""
    from img_tools import policy as policies
    from img_tools.host import Host
    from img_tools.rootfs import RootFS
    from img_tools.runner import Runner

    tree = RootFS(root)
    runner = Runner(tree.top, 0.9 * timeout)  # ends first, since it can name the command
    profile = policies.profile(policy.profile or policies.DEFAULT)
    return Host(tree, runner, profile=profile, refresh=refresh, lock_root=policy.lock_root,
                erase_mode=erase_mode)


def default_jobs() -> int:
    """Checks that run at once: most wait for something, so more than there are processors."""
    return min(8, (os.cpu_count() or 1) + 2)


def deliver(
    plain: Mapping[str, Callable[[], str]], outputs: tuple[str, ...], shown: str
) -> int:
    """Write SHOWN to standard output and a report of PLAIN to each of OUTPUTS.

    Every place gets its report, even if another fails: somebody still waits there. Returns 0 or
    BROKEN_PIPE, or raises Undelivered.
    """
    failed: list[shared.Undelivered] = []
    for path in outputs:
        try:
            shared.write_atomically(path, plain[SUFFIXES[os.path.splitext(path)[1]]]())
        except shared.Undelivered as error:
            failed.append(error)
    code = shared.write_stdout(shown)
    if failed:
        raise failed[0]
    return code
