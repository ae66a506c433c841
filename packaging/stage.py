"""Lay out what both packages install, as a tree: commands, man pages, completions, /etc, licences.

    stage.py PROGRAM RUNTIME STAGE

Runs in the environment of the project, since the man pages are written from the commands and from
what the plugins say of themselves. Every file gets the time SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import gzip
import inspect
import os
import shutil
import sys
from collections.abc import Iterator
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
#disabled = []
"""


# -- man pages ---------------------------------------------------------------------------------


def roff(text: str) -> str:
    """TEXT so that troff prints it as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line
                     for line in text.splitlines())


def paragraphs(text: str) -> Iterator[str]:
    """TEXT of a docstring; what is indented keeps its lines."""
    for part in text.strip().split("\n\n"):
        if all(line.startswith(" ") for line in part.splitlines()):
            yield f".PP\n.RS\n.nf\n{roff(part)}\n.fi\n.RE"
        else:
            yield f".PP\n{roff(part)}"


def options(command: click.Command) -> Iterator[str]:
    """The options of COMMAND, as --help has them."""
    context = click.Context(command, info_name=command.name)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            yield f".TP\n\\fB{roff(record[0])}\\fR\n{roff(' '.join(record[1].split()))}"


def manual(command: click.Command, kind: str, verb: str, other: str) -> str:
    """The man page of COMMAND."""
    name = command.name or ""
    title, _, rest = inspect.cleandoc(command.help or "").partition("\n")
    day = datetime.fromtimestamp(EPOCH, UTC)
    found = plugins.load(f"img_tools.{kind}", verb)
    found.sort(key=lambda plugin: (plugin.phase, plugin.id))
    files = [("/etc/img\\-tools/policy.toml", "Which checks run and by which profile they judge."),
             (f"/etc/img\\-tools/{kind}/*.py", f"More {kind}. The files must belong to root.")]
    return "\n".join([
        f'.TH {name.upper()} 1 "{day:%Y-%m-%d}" "img\\-tools {__version__}"',
        ".SH NAME", f"{roff(name)} \\- {roff(title[0].lower() + title[1:].rstrip('.'))}",
        ".SH SYNOPSIS", f"\\fB{roff(name)}\\fR [\\fIOPTION\\fR]...",
        ".SH DESCRIPTION", *paragraphs(title + "\n" + rest),
        ".SH OPTIONS", *options(command),
        ".SH EXIT STATUS", roff((command.epilog or "").removeprefix("Exit codes: ")),
        f".SH {kind.upper()}",
        *(f".SS {roff(plugin.id)}\n\\fB{roff(plugin.title)}\\fR\n"
          + "\n".join(paragraphs(plugin.explanation)) for plugin in found),
        ".SH FILES", *(f".TP\n{path}\n{meaning}" for path, meaning in files),
        ".SH NOTES", "The program brings its own Python: it needs none in the image, and a file in "
        f"/etc/img\\-tools/{kind} may import most of the standard library, click, distro, "
        "packaging, psutil and yaml. \"img\\-check licences\" is not an option of the command: the "
        "licences of these parts are in the documentation of the package.",
        ".SH SEE ALSO", f"\\fB{roff(other)}\\fR(1)", ""])


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
