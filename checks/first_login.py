"""A first-login script runs once, from /opt, and puts the standard .bashrc back

Setup that needs answers runs from a line in /root/.bashrc that calls a script in /opt/<vendor>,
which ends with `cp -f /etc/skel/.bashrc /root/.bashrc` so that it does not run again. Looked at are
the lines of /root/.bashrc that start a program by its full path and are not in /etc/skel/.bashrc:
the program must exist and be executable, and a script must change .bashrc in some way. Files that
are only sourced (`. "$HOME/.cargo/env"`) count when they put .bashrc back. Nothing is run.

Correct the script, or remove the line from /root/.bashrc.
"""

import re
from collections.abc import Iterator

from img_tools.host import Hook, Host
from img_tools.model import Finding, Skip, fail, warn

CATEGORY = "cloud-init"
CODES = (
    "crlf", "dangling-link", "missing", "no-interpreter", "no-skel",
    "not-a-file", "not-executable", "not-in-opt", "runs-again", "writable-by-others",
)
REFERENCES = ("build-an-image: to run a script on the user's first login",)

BASHRC, SKEL = "/root/.bashrc", "/etc/skel/.bashrc"
FATAL = frozenset({"dangling-link", "not-a-file", "not-executable", "writable-by-others",
                   "no-interpreter", "crlf"})


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every script that the first login would run wrongly."""
    if not host.first_login:
        raise Skip("/root/.bashrc starts no first-login script")
    for hook in host.first_login:
        yield from _hook(host, hook)


def _hook(host: Host, hook: Hook) -> Iterator[Finding]:
    path, line, script = hook.path, hook.line, host.script(hook.path)
    where = f"line {line} of {BASHRC} runs {path}"
    if script is None:
        yield fail("missing", f"{where}, which is not there: every login shows an error",
                   path=BASHRC, line=line,
                   fix=f"add {path}, or comment out line {line} of {BASHRC}")
        return
    for flaw in script.flaws:
        if flaw in FATAL and (hook.direct or flaw not in ("not-executable", "no-interpreter")):
            yield fail(flaw, f"{where}, which {script.why(flaw)}", path=path,
                       fix=script.fix(flaw))
    if not re.match(r"/opt/[^/]+/", path):
        yield warn("not-in-opt", f"{where}: keep first-login scripts in /opt/<vendor>",
                   path=path, fix=f"move it to /opt/<vendor> and correct {BASHRC}")
    if script.text is None:
        return  # a program, or unreadable: what it does to .bashrc cannot be told
    if not hook.restores(script.text):
        yield warn("runs-again", f"{where}, which does not put {BASHRC} back: it runs at every "
                   "login", path=path, fix=f"end it with: cp -f {SKEL} {BASHRC}")
    elif hook.copies_skel(script.text) and not host.root.is_file(SKEL):
        yield fail("no-skel", f"{path} copies {SKEL}, which is not there", path=path,
                   fix=host.advice("install", "bash"))
