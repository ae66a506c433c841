"""A message of the day introduces the image

DigitalOcean asks for a script /etc/update-motd.d/99-*, whose output users see when they log in. Its
documentation speaks of a text file, but run-parts passes over a file that is not executable or has
a dot in its name, and cannot start one without a `#!` line. A /etc/motd of one's own, or a file in
/etc/motd.d, does as well. The script is read and not run: it is the image's code, it may act, and
that it runs on the build machine says little about a clone.

Write a script that prints the text, make it executable, and name it like 99-image-readme.
"""

import re
from collections.abc import Iterator
from posixpath import basename

from img_tools.host import Host
from img_tools.model import Finding, fail, warn

CATEGORY = "provider"
CODES = (
    "crlf", "dangling-link", "empty", "missing", "name", "no-interpreter", "no-shebang",
    "not-a-file", "not-executable", "writable-by-others",
)
REFERENCES = ("build-an-image: add a message of the day (MOTD)",)

DIRECTORY = "/etc/update-motd.d"
STOCK = b"ABSOLUTELY NO WARRANTY"  # Debian's own /etc/motd
PACKAGED = ("cockpit", "insights-client")  # what packages of the RHEL family put into /etc/motd.d
# What `run-parts --lsbsysinit`, which pam_motd starts, takes (run-parts(8)).
NAME = re.compile(r"[a-z0-9]+|_?([a-z0-9_.]+-)+[a-z0-9]+|[a-zA-Z0-9_-]+")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding when no message of the image's own would be shown."""
    names = [basename(entry.path) for entry in host.root.glob(f"{DIRECTORY}/99-*")
             if not entry.is_dir]
    for name in names:
        yield from _script(host, name)
    if not names and not _static(host):
        path, fix = "/etc/motd", "write it to /etc/motd"
        if host.root.is_dir(DIRECTORY):
            path = f"{DIRECTORY}/99-image-readme"
            fix = f"write a script {path} that prints it, mode 755"
        yield warn("missing", f"there is no message of the day: no {DIRECTORY}/99-*, and no "
                   "/etc/motd of the image's own", path=path, fix=fix)


def _script(host: Host, name: str) -> Iterator[Finding]:
    path = f"{DIRECTORY}/{name}"
    script = host.script(path)
    if script is None:
        return
    for flaw in script.flaws:
        report = fail if flaw == "writable-by-others" else warn
        yield report(flaw, f"{path} {script.why(flaw)}", path=path, fix=script.fix(flaw))
    if not NAME.fullmatch(name) or name.endswith((".dpkg-old", ".dpkg-dist", ".dpkg-new")):
        yield warn("name", f"{path} is passed over: run-parts takes no name like that", path=path,
                   fix=f"mv {path} {DIRECTORY}/99-image-readme")


def _static(host: Host) -> bool:
    for path in ("/etc/motd", *(entry.path for entry in host.root.glob("/etc/motd.d/*"))):
        if basename(path) not in PACKAGED and host.root.is_file(path):
            text = host.root.read_bytes(path, 1 << 16, head=True)
            if text.strip() and STOCK not in text:
                return True
    return False
