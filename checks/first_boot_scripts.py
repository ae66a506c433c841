"""First-boot scripts will run, in the intended order

cloud-init runs the files in /var/lib/cloud/scripts/per-instance (and per-boot, per-once) sorted by
name. One without execute permission it passes over in silence; one without a `#!` line, with DOS
line ends or with an interpreter that is not in the image fails, and the clone is left half set up.
Any name runs, copies and editor backups too. The scripts are read and never run, not even by
`sh -n`: that is a program of the image, and it cannot tell whether the commands exist either.

Correct the script. Begin names with a number of fixed width (001_onboot), since 10 sorts before 9.
"""

import re
import shlex
from collections.abc import Iterator
from itertools import groupby, pairwise
from posixpath import basename, dirname

from img_tools.host import Host
from img_tools.model import Finding, Skip, fail, warn

CATEGORY = "cloud-init"
CODES = (
    "copy", "crlf", "dangling-link", "empty", "module-missing", "no-interpreter", "no-number",
    "no-shebang", "not-a-file", "not-executable", "order", "writable-by-others",
)
REFERENCES = (
    "build-an-image: scripts in /var/lib/cloud/scripts/per-instance",
    "https://docs.cloud-init.io/en/latest/reference/modules.html#scripts-per-instance",
)

MODULES = {"per-instance": "scripts_per_instance", "per-boot": "scripts_per_boot",
           "per-once": "scripts_per_once"}
WARNINGS = ("empty", "not-a-file")
COPY = re.compile(r".*(~|\.(bak|old|orig|save|swp|dpkg-\w+|rpm\w+))$")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every script that will not run, or not when it should."""
    scripts = host.cloud.first_boot_scripts
    if not scripts:
        raise Skip("there are no first-boot scripts in /var/lib/cloud/scripts")
    for script in scripts:
        evidence = {"mode": f"{script.entry.mode & 0o7777:04o}"} if script.entry.is_file else {}
        for flaw in script.flaws:
            report = warn if flaw in WARNINGS else fail
            so = "" if flaw == "writable-by-others" else ": cloud-init cannot run it"
            yield report(flaw, f"{script.path} {script.why(flaw)}{so}", path=script.path,
                         evidence=evidence, fix=script.fix(flaw))
        if script.entry.executable and COPY.match(script.path):
            yield warn("copy", f"{script.path} looks like a copy, and cloud-init runs it too",
                       path=script.path, fix=f"rm {shlex.quote(script.path)}")
    files = [script.path for script in scripts if script.entry.is_file]
    directories = {directory: [basename(path) for path in group]
                   for directory, group in groupby(files, key=dirname)}
    for directory, names in directories.items():
        yield from _names(directory, names)
    for directory, names in directories.items():
        yield from _module(host, directory, names)


def _names(directory: str, names: list[str]) -> Iterator[Finding]:
    order = ", ".join(names[:50])
    for name in names:
        if not name[0].isdigit():
            path, better = f"{directory}/{name}", f"{directory}/NN-{name}"
            yield warn("no-number", f"{path} does not begin with a number, so that the alphabet "
                       "alone puts it among the others",
                       path=path, evidence={"order": order},
                       fix=f"mv {shlex.quote(path)} {shlex.quote(better)}")
    for first, second in pairwise(names):
        numbers = [re.match(r"[0-9]{1,9}", name) for name in (first, second)]
        if numbers[0] and numbers[1] and int(numbers[0][0]) > int(numbers[1][0]):
            yield warn("order", f"{first} runs before {second}: names are compared as text",
                       path=f"{directory}/{second}", evidence={"order": order},
                       fix="give all numbers the same width: 01, 02, ... 10")


def _module(host: Host, directory: str, names: list[str]) -> Iterator[Finding]:
    """cloud.cfg lists what cloud-init does; a list without the module runs no script."""
    module = MODULES[basename(directory)]
    found = host.cloud.setting("cloud_final_modules")
    if found is not None and module not in found.modules:
        yield fail("module-missing", f"{found.path} leaves {module} out of cloud_final_modules, so "
                   f"that {names[0]} and all others in {directory} never run",
                   path=found.path, line=found.line,
                   fix=f"add {module.replace('_', '-')} to cloud_final_modules in {found.path}")
