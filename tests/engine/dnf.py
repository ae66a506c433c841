"""A dnf or yum over a tree from a dict, whose programs only talk; real ones: tests/rootfs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from img_tools.packages.dnf import Dnf
from img_tools.rootfs import RootFS
from img_tools.runner import CommandError, Completed, Runner
from img_tools.scratch import Scratch
from tests.support import Link, build

ROCKY = 'ID="rocky"\nVERSION_ID="9.6"\nID_LIKE="rhel centos fedora"\n'
CENTOS7 = 'ID="centos"\nVERSION_ID="7"\nID_LIKE="rhel fedora"\n'
GPG = "gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-"
BASEOS = ("[baseos]\nname=Rocky Linux $releasever - BaseOS\nmirrorlist=https://mirrors.rockylinux."
          f"org/mirrorlist?repo=BaseOS-$releasever\n{GPG}Rocky-9\n")
UPDATES = ("[updates]\nmirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch"
           f"&repo=updates\n{GPG}CentOS-7\n")
PROGRAMS: Mapping[str, Mapping[str, object]] = {
    "dnf": {"/usr/bin/dnf-3": "", "/usr/bin/dnf": Link("dnf-3"), "/usr/bin/yum": Link("dnf-3")},
    "dnf5": {"/usr/bin/dnf5": "", "/usr/bin/dnf": Link("dnf5"), "/usr/bin/yum": Link("dnf5")},
    "yum": {"/usr/bin/yum": "#!/usr/bin/python\n"},
}
REPOMD = ('<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
          '<data type="primary"><timestamp>1760000000</timestamp></data>{}</repomd>\n')
UPDATEINFO = '<data type="updateinfo"><open-size>4711</open-size></data>'
RPM = "toyssl\t(none)\t1.0-1.el9\tx86_64\ntoytool\t1\t2.0-1.el9\tnoarch\n"
PENDING = ("\ntoyssl.x86_64          1.0-2.el9            baseos\n"
           "toytool.noarch         1:2.1-1.el9          baseos\n")


class Talking(Runner):
    """Answers for rpm, dnf and yum; leaves the metadata of `repos` where dnf would."""

    def __init__(self, top: str, answers: Mapping[str, object], repos: Mapping[str, str]) -> None:
        super().__init__(top)
        self.answers = {"-qa": RPM, "-Va": "", **answers}
        self.repos = repos
        self.calls: list[tuple[str, ...]] = []
        self.asked: list[str] = []  # in a shell
        self.env: dict[str, str] = {}

    def __call__(
        self, *argv: str, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        self.calls.append(argv)
        self.env = dict(env or {})
        self._fetch(argv)
        code, out, err = self._shell(argv[-1]) if "shell" in argv else self._answer(argv)
        if code not in ok:
            raise CommandError(argv, f"exited with {code}", out, err)
        return Completed(tuple(argv), code, out, err)

    def _answer(self, argv: Sequence[str]) -> tuple[int, str, str]:
        answer = self.answers.get(next((word for word in argv if word in self.answers), ""), "")
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, tuple) else (0, str(answer), "")

    def _shell(self, script: str) -> tuple[int, str, str]:
        """As dnf 4: metadata that cannot be had ends it, a command that fails does not."""
        printed, complaints = "", ""
        for line in (Path(self.top) / script.lstrip("/")).read_text().splitlines():
            self.asked.append(line)
            code, out, err = self._answer(shlex.split(line))
            if code == 1 and line == "check-update":
                return code, out, err
            printed += "assumeno: False\n" if line == "config assumeno" else out
            complaints += err
        return 0, printed, complaints

    def _fetch(self, argv: Sequence[str]) -> None:
        cache = next((word.partition("cachedir=")[2] for word in argv
                      if word.startswith("--setopt=cachedir=")), None)
        if cache is None:
            return
        for name, index in self.repos.items():
            own = f"{name}-0123456789abcdef/repodata" if argv[0] != "yum" else name
            path = cache.replace("$basearch", "x86_64").replace("$releasever", "7")
            place = Path(self.top) / path.lstrip("/") / own
            place.mkdir(parents=True, exist_ok=True)
            (place / "repomd.xml").write_text(index)
            if argv[0] == "dnf" and "updateinfo" in index:
                (Path(self.top) / path.lstrip("/") / f"{name}-updateinfo.solvx").touch()


def system(
    top: Path, files: Mapping[str, object] | None = None, *, program: str = "dnf",
    repos: Mapping[str, str] | None = None, refresh: bool = True, **answers: object,
) -> tuple[Dnf, Talking]:
    """A Rocky 9 at TOP with PROGRAM, which gives ANSWERS; see the fixture make_dnf."""
    build(top, {
        "/etc/os-release": ROCKY, "/etc/yum.repos.d/rocky.repo": BASEOS,
        "/etc/dnf/dnf.conf": "[main]\ngpgcheck=1\n", "/var/lib/rpm/rpmdb.sqlite": "db",
        "/tmp": {}, "/dev/shm": {}, **PROGRAMS[program], **(files or {})})
    words = {"check": {"dnf5": "check-upgrade"}.get(program, "check-update"),
             "advisories": {"dnf5": "advisory"}.get(program, "updateinfo"),
             "unmet": "-Va", "packages": "-qa"}
    root = RootFS(str(top))
    run = Talking(str(top), {words.get(name, name): answer for name, answer in answers.items()},
                  repos or {"baseos": REPOMD.format(UPDATEINFO)})
    return Dnf(root, run, Scratch(root), refresh=refresh), run
