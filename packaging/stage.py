"""Lay out what both packages install, as a tree: commands, man pages, completions, /etc, licences.

    stage.py PROGRAM RUNTIME STAGE

Runs in the environment of the project, since the man pages are written from the commands and from
what the plugins say of themselves. Every file gets the time SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import gzip
import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from img_tools import __version__, plugins
from img_tools.cli.check import command as check
from img_tools.cli.clean import command as clean

ROOT = Path(__file__).resolve().parent.parent
EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
COMPLETIONS = {"bash": "bash-completion/completions/{}", "zsh": "zsh/vendor-completions/_{}",
               "fish": "fish/vendor_completions.d/{}.fish"}
POLICY = """\
# How img-check and img-clean judge this image: see "man img-check" and docs/policy.md.
# What is set here holds for every run, unless an option of the command says otherwise.

#profile = "marketplace"
#disabled = ["disk-size"]

#[severity]
#package-updates = "fail"

#[[waivers]]
#check = "logs"
#path = "/var/log/app/README"
#justification = "part of the product (who answers for it)"
#expires = 2027-01-31
"""
DOCS = ("erase", "from-droplet-to-submission", "parity", "policy", "report", "residues", "secrets",
        "writing-a-check")
EXAMPLES = {
    "img-check": (
        ("img-check -o /run/report.html", "Check the running system; a page for reviewers, too."),
        ("img-check --root /mnt/image --only ssh-keys,passwords",
         "Two checks, on a mounted image."),
        ("img-check --format junit -o report.md --fail-on warn",
         "For a pipeline: warnings fail it, too."),
        ("img-check --explain firewall", "What a check looks at, why, and where to read on."),
    ),
    "img-clean": (
        ("img-clean --dry-run -v", "The whole plan, with the reasons; nothing is changed."),
        ("img-clean --yes --check --poweroff",
         "Clean, check, and power off if nothing failed: then take the snapshot."),
        ("img-clean --root /mnt/image --yes", "Clean a mounted image, and nothing outside of it."),
    ),
}


# -- man pages ---------------------------------------------------------------------------------


def roff(text: str) -> str:
    """TEXT so that troff prints it as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line
                     for line in text.splitlines())


def paragraphs(text: str) -> Iterator[str]:
    """TEXT of a docstring; what is indented keeps its lines."""
    for number, part in enumerate(text.strip().split("\n\n")):
        start = ".PP\n" if number else ""
        if all(line.startswith(" ") for line in part.splitlines()):
            yield f"{start}.RS\n.nf\n{roff(part)}\n.fi\n.RE"
        else:
            yield start + roff(filled(part))


def filled(text: str) -> str:
    """TEXT in lines as roff sources have them."""
    return textwrap.fill(" ".join(text.split()), 76, break_long_words=False,
                         break_on_hyphens=False)


def entries(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A list of words in bold and what they mean."""
    for word, meaning in pairs:
        yield f".TP\n\\fB{roff(word)}\\fR\n{roff(filled(meaning))}"


def topic(plugin: plugins.Plugin) -> Iterator[str]:
    """What a check or cleaner says of itself."""
    yield f".SS {roff(plugin.id)}\n\\fB{roff(plugin.title)}\\fR\n.PP"
    yield from paragraphs(plugin.explanation)
    if plugin.codes:
        yield f".PP\nCodes: {roff(filled(', '.join(plugin.codes)))}"
    if plugin.references:
        yield f".PP\nSee: {roff('; '.join(plugin.references))}"


def options(command: click.Command) -> Iterator[str]:
    """The options of COMMAND, as --help has them."""
    context = click.Context(command, info_name=command.name, **command.context_settings)
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    yield from entries(filter(None, records))


def manual(command: click.Command, kind: str, verb: str, other: str) -> str:
    """The man page of COMMAND."""
    name = command.name or ""
    title, _, rest = inspect.cleandoc(command.help or "").partition("\n")
    found = plugins.load(f"img_tools.{kind}", verb)
    found.sort(key=lambda plugin: (plugin.phase, plugin.id))
    return "\n".join([
        f'.TH {name.upper()} 1 "{datetime.fromtimestamp(EPOCH, UTC):%Y-%m-%d}" '
        f'"img\\-tools {__version__}"',
        ".ad l",  # long addresses would tear the other words of their lines apart
        ".SH NAME", f"{roff(name)} \\- {roff(title[0].lower() + title[1:].rstrip('.'))}",
        ".SH SYNOPSIS", f"\\fB{roff(name)}\\fR [\\fIOPTION\\fR]...",
        ".SH DESCRIPTION", *paragraphs(title + "\n" + rest),
        ".SH OPTIONS", *options(command),
        ".SH EXIT STATUS", *entries(codes(command)),
        ".SH EXAMPLES", *entries(EXAMPLES[name]),
        f".SH {kind.upper()}", *(line for plugin in found for line in topic(plugin)),
        ".SH ENVIRONMENT", *entries([("NO_COLOR", "If set and not empty: no colour."),
                                     ("COLUMNS", "How wide the terminal is.")]),
        ".SH FILES", *entries([
            ("/etc/img-tools/policy.toml", "What is judged how, and what is waived: policy.md in "
             "the documentation of the package. Must belong to root, as must the others."),
            (f"/etc/img-tools/{kind}/*.py", f"More {kind}: writing-a-check.md there.")]),
        ".SH NOTES", roff(filled(
            "The program brings its own Python: it needs none in the image, and a file in "
            f"/etc/img-tools/{kind} may import most of the standard library, click, distro, "
            "packaging, psutil and yaml. The licences of these parts are in the documentation of "
            "the package.")),
        ".SH SEE ALSO", f"\\fB{roff(other)}\\fR(1)", ""])


def codes(command: click.Command) -> Iterator[tuple[str, str]]:
    """The exit codes of COMMAND and their meaning, as --help has them."""
    for part in re.split(r", (?=\d)", (command.epilog or "").removeprefix("Exit codes: ")):
        code, _, meaning = part.partition(" ")
        yield code, meaning.rstrip(".")


# -- the tree ----------------------------------------------------------------------------------


def completion(command: click.Command, shell: str) -> str:
    """The script that click writes for SHELL."""
    name = command.name or ""
    variable = f"_{name.upper().replace('-', '_')}_COMPLETE"
    found = get_completion_class(shell)
    if found is None:
        sys.exit(f"click has no completion for {shell}")
    return found(command, {}, name, variable).source()


def lay_out(program: Path, runtime: Path, stage: Path) -> None:
    """Fill STAGE."""
    shutil.rmtree(stage, ignore_errors=True)
    (stage / "usr/bin").mkdir(parents=True)
    shutil.copy(program, stage / "usr/bin/img-check")
    (stage / "usr/bin/img-check").chmod(0o755)
    (stage / "usr/bin/img-clean").symlink_to("img-check")
    files = {"etc/img-tools/policy.toml": POLICY.encode()}
    for command, kind, verb, other in ((check, "checks", "check", "img-clean"),
                                       (clean, "cleaners", "plan", "img-check")):
        (stage / "etc/img-tools" / kind).mkdir(parents=True)
        text = manual(command, kind, verb, other).encode()
        files[f"usr/share/man/man1/{command.name}.1.gz"] = gzip.compress(text, 9, mtime=0)
        for shell, place in COMPLETIONS.items():
            files["usr/share/" + place.format(command.name)] = completion(command, shell).encode()
    for path in sorted((runtime / "licences").iterdir()):
        files[f"usr/share/doc/img-tools/parts/{path.name}"] = path.read_bytes()
    files["usr/share/doc/img-tools/README.md"] = (ROOT / "README.md").read_bytes()
    for name in DOCS:
        files[f"usr/share/doc/img-tools/docs/{name}.md"] = (ROOT / f"docs/{name}.md").read_bytes()
    for name, content in files.items():
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    for path in [stage, *stage.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


if __name__ == "__main__":
    lay_out(*(Path(argument).resolve() for argument in sys.argv[1:4]))
