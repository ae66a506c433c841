"""A first-login script runs once, from /opt, and puts the standard .bashrc back

Setup that needs answers runs from a line in /root/.bashrc that calls a script in /opt/<vendor>,
which ends with `cp -f /etc/skel/.bashrc /root/.bashrc` so that it does not run again. Looked at are
the lines of /root/.bashrc that start a program by its full path and are not in /etc/skel/.bashrc:
the program must exist and be executable, and a script must change .bashrc in some way. Files that
are only sourced (`. "$HOME/.cargo/env"`) count when they put .bashrc back. Nothing is run.

Correct the script, or remove the line from /root/.bashrc.
"""

import re
import shlex
from collections.abc import Iterator
from posixpath import basename

from img_tools.host import Host
from img_tools.model import Finding, Skip, Undecided, fail, warn

CATEGORY = "cloud-init"
REFERENCES = ("build-an-image: to run a script on the user's first login",)

BASHRC, SKEL = "/root/.bashrc", "/etc/skel/.bashrc"
STOCK = (SKEL, "/usr/share/base-files/dot.bashrc")  # the latter is Debian's for root
SHELLS = frozenset({"bash", "sh", "dash", "zsh", "python3", "perl"})
COMMANDS = re.compile(r"/(usr/)?(s?bin|games|lib)/")  # the distribution's, at every login
PREFIXES = frozenset({"exec", "sudo", "then", "else", "do", "nohup", "time", "if", "!", "eval"})
BREAKS = re.compile(r"&&|\|\||;|\|")
RESTORES = re.compile(r"^(?!\s*#).*\.bashrc", re.M)
COPIES_SKEL = re.compile(r"^(?!\s*#)(?=.*\bcp\b).*/etc/skel/\.bashrc", re.M)
LONGEST = 10_000  # characters of a line; the time that shlex takes grows with their square
FATAL = frozenset({"dangling-link", "not-a-file", "not-executable", "writable-by-others",
                   "no-interpreter", "crlf"})


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every script that the first login would run wrongly."""
    hooks = dict(_hooks(host))
    if not hooks:
        raise Skip("/root/.bashrc starts no first-login script")
    for path, (line, direct) in hooks.items():
        yield from _hook(host, path, line, direct)


def _hooks(host: Host) -> Iterator[tuple[str, tuple[int, bool]]]:
    """(path, (line, whether the kernel starts it)) for every program that .bashrc runs."""
    stock = {line.strip() for path in STOCK for line in host.root.read_lines(path)}
    chmodded: set[str] = set()
    tested: set[str] = set()
    for number, line in enumerate(host.root.read_lines(BASHRC), 1):
        if line.strip() in stock:
            continue
        if len(line) > LONGEST:
            raise Undecided(f"line {number} of {BASHRC} has over {LONGEST} characters")
        for command in BREAKS.split(line):
            try:
                words = shlex.split(command, comments=True)
            except ValueError:  # a quote that spans lines or commands
                continue
            while words and (words[0] in PREFIXES or re.match(r"\w+=", words[0])):
                del words[0]
            if words[:1] == ["chmod"]:
                chmodded.update(words[1:])
            elif words[:1] and words[0] in ("[", "[[", "test"):
                tested.update(words[1:])
            elif found := _program(host, words):
                path, direct = found
                if path not in tested or host.root.stat(path):
                    yield path, (number, direct and path not in chmodded)


def _program(host: Host, words: list[str]) -> tuple[str, bool] | None:
    """The file that a command runs, and whether its mode and `#!` line matter."""
    if not words:
        return None
    if words[0] in (".", "source"):
        path = _absolute(words[1:2])
        return (path, False) if path and COPIES_SKEL.search(_text(host, path)) else None
    if basename(words[0]) in SHELLS:
        path = _absolute([word for word in words[1:] if not word.startswith("-")])
        return (path, False) if path and "-c" not in words else None
    path = _absolute(words[:1])
    return (path, True) if path and not COMMANDS.match(path) else None


def _absolute(words: list[str]) -> str | None:
    """The first of WORDS as a path from the root on, None when it is none."""
    path = re.sub(r"^(~|\$HOME|\$\{HOME\})(?=/)", "/root", words[0]) if words else ""
    return path if path.startswith("/") and not set(path) & set("$*?`(){}<>") else None


def _text(host: Host, path: str) -> str:
    script = host.script(path)
    return (script.text or "") if script else ""


def _hook(host: Host, path: str, line: int, direct: bool) -> Iterator[Finding]:
    script = host.script(path)
    where = f"line {line} of {BASHRC} runs {path}"
    if script is None:
        yield fail("missing", f"{where}, which is not there: every login shows an error",
                   path=BASHRC, line=line, fix=f"add {path}, or remove line {line} of {BASHRC}")
        return
    for flaw in script.flaws:
        if flaw in FATAL and (direct or flaw not in ("not-executable", "no-interpreter")):
            yield fail(flaw, f"{where}, which {script.why(flaw)}", path=path,
                       fix=script.fix(flaw))
    if not re.match(r"/opt/[^/]+/", path):
        yield warn("not-in-opt", f"{where}: keep first-login scripts in /opt/<vendor>",
                   path=path, fix=f"move it to /opt/<vendor> and correct {BASHRC}")
    if script.text is None:
        return  # a program, or unreadable: what it does to .bashrc cannot be told
    if not RESTORES.search(script.text):
        yield warn("runs-again", f"{where}, which does not put {BASHRC} back: it runs at every "
                   "login", path=path, fix=f"end it with: cp -f {SKEL} {BASHRC}")
    elif COPIES_SKEL.search(script.text) and not host.root.is_file(SKEL):
        yield fail("no-skel", f"{path} copies {SKEL}, which is not there", path=path,
                   fix=host.advice("install", "bash"))
