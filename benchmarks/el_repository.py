"""An EL-like tree with a repository as large as EL 9's, and packages of it that are installed.

The packages themselves are not made: what dnf reads of a repository is its metadata.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.rootfs.el import El, run

PACKAGES = 6_000  # BaseOS and AppStream of EL 9
FILES = 60  # of each, all in one directory
INSTALLED = 400
ADVISORIES = 500
PENDING = 40  # installed packages that the repository has a newer release of; half of them advised

_PRIMARY = """<package type="rpm"><name>{name}</name><arch>noarch</arch>
<version epoch="0" ver="{version}" rel="1.el9"/>
<checksum type="sha256" pkgid="YES">{id}</checksum>
<summary>The {name} library, its tools and what they need at run time</summary>
<description>{name} is a library and a set of tools. This package contains what is needed to run
programs that use it, its configuration and the documentation of its tools.</description>
<packager>toy</packager><url>https://example.org/{name}</url>
<time file="1760000000" build="1760000000"/>
<size package="250000" installed="900000" archive="910000"/>
<location href="Packages/{name}-{version}-1.el9.noarch.rpm"/>
<format><rpm:license>MIT</rpm:license><rpm:vendor>toy</rpm:vendor><rpm:group>Unspecified</rpm:group>
<rpm:buildhost>toy</rpm:buildhost><rpm:sourcerpm>{name}-{version}-1.el9.src.rpm</rpm:sourcerpm>
<rpm:header-range start="4504" end="80000"/>
<rpm:provides><rpm:entry name="{name}" flags="EQ" epoch="0" ver="{version}" rel="1.el9"/>
<rpm:entry name="lib{name}.so.1()(64bit)"/><rpm:entry name="config({name})" flags="EQ" epoch="0"
 ver="{version}" rel="1.el9"/></rpm:provides>
<rpm:requires><rpm:entry name="libc.so.6(GLIBC_2.34)(64bit)"/><rpm:entry name="/bin/sh"/>
<rpm:entry name="{other}" flags="GE" epoch="0" ver="1.0" rel="1.el9"/></rpm:requires>
<file>/usr/bin/{name}</file></format></package>
"""
_UPDATE = """<update from="t@example.org" status="final" type="{kind}" version="2.0">
<id>TOYSA-2026:{number:04}</id><title>{kind} update of {name}</title><severity>Important</severity>
<release>EL 9</release><issued date="2026-01-02 00:00:00"/><updated date="2026-01-02 00:00:00"/>
<description>{words}</description>
<references><reference href="https://example.org/{number}" id="CVE-2026-{number}" type="cve"
 title="CVE-2026-{number}"/></references>
<pkglist><collection short="el9"><name>EL 9</name>{packages}</collection></pkglist></update>
"""
_PART = """<package name="{name}" version="{version}" release="1.el9" epoch="0" arch="noarch"
 src="{name}-{version}-1.el9.src.rpm"><filename>{name}-{version}-1.el9.noarch.rpm</filename></package>
"""


def fill(system: El) -> None:
    """Install INSTALLED packages in SYSTEM, and let its base repository offer PACKAGES."""
    names = [f"toypackage{number}" for number in range(PACKAGES)]
    versions = {name: "1.1" if number < PENDING else "1.0" for number, name in enumerate(names)}
    _install(system, names[:INSTALLED])
    top = system.base.top
    top.mkdir(parents=True)
    run("createrepo_c", "--quiet", "--no-database", str(top))
    ids = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    space = "http://linux.duke.edu/metadata"
    primary = "".join(
        _PRIMARY.format(name=name, version=versions[name], id=ids[name], other=names[number // 2])
        for number, name in enumerate(names))
    _put(top, "primary", f'<metadata xmlns="{space}/common" xmlns:rpm="{space}/rpm" '
         f'packages="{PACKAGES}">{primary}</metadata>')
    for kind, inside in (("filelists", _files), ("other", lambda name: "")):
        items = "".join(
            f'<package pkgid="{ids[name]}" name="{name}" arch="noarch"><version epoch="0" '
            f'ver="{versions[name]}" rel="1.el9"/>{inside(name)}</package>\n' for name in names)
        _put(top, kind, f'<{"otherdata" if kind == "other" else kind} xmlns="{space}/{kind}" '
             f'packages="{PACKAGES}">{items}</{"otherdata" if kind == "other" else kind}>')
    _put(top, "updateinfo", f"<updates>{''.join(map(_advisory, range(ADVISORIES)))}</updates>")
    system.configure()


def _files(name: str) -> str:
    names = (f"/usr/share/{name}/part-{number}.dat" for number in range(FILES))
    return "".join(f"<file>{path}</file>" for path in (f"/usr/bin/{name}", *names))


def _advisory(number: int) -> str:
    """Of ten packages, as those of EL; security and bugfix in turn."""
    kind = "bugfix" if number % 2 else "security"
    packages = "".join(_PART.format(name=f"toypackage{number + part * ADVISORIES}",
                                    version="1.1" if part == 0 else "1.0") for part in range(10))
    return _UPDATE.format(kind=kind, number=number, name=f"toypackage{number}", packages=packages,
                          words="It corrects several defects. " * 40)


def _put(top: Path, kind: str, text: str) -> None:
    place = top / f"{kind}.xml"
    place.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}')
    run("modifyrepo_c", f"--mdtype={kind}", str(place), str(top / "repodata"))
    place.unlink()


def _install(system: El, names: list[str]) -> None:
    """With one spec, which takes seconds and not minutes."""
    work = system.tree / "srv/build"
    work.mkdir(parents=True)
    parts = "\n".join(f"%package -n {name}\nSummary: toy\n%description -n {name}\ntoy\n"
                      f"%files -n {name}\n/usr/share/{name}" for name in names)
    made = "\n".join(f"mkdir -p %{{buildroot}}/usr/share/{name}\n"
                     f"touch %{{buildroot}}/usr/share/{name}/part-{{0..9}}.dat" for name in names)
    spec = work / "toys.spec"
    spec.write_text("Name: toys\nVersion: 1.0\nRelease: 1.el9\nSummary: toy\nLicense: MIT\n"
                    f"BuildArch: noarch\n%description\ntoy\n{parts}\n%install\n{made}\n")
    run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}", str(spec))
    built = sorted(f"/srv/build/RPMS/noarch/{path.name}" for path in work.glob("RPMS/noarch/*.rpm"))
    system.chroot("rpm", "-i", "--nosignature", "--nodeps", *built)
    run("rm", "-rf", str(work))
