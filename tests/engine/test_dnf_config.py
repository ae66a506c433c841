"""How dnf and yum are configured, whose repositories those are, and which program it is."""

from __future__ import annotations

import pytest

from img_tools.model import Undecided
from img_tools.packages import dnf_config, dnf_dialect, select
from img_tools.packages.dnf import Dnf
from img_tools.packages.dnf_config import Repo
from img_tools.packages.dnf_dialect import DNF4, DNF5, YUM3
from img_tools.packages.dnf_repos import System
from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch
from tests.engine.dnf import PROGRAMS
from tests.support import build

# -- configuration -------------------------------------------------------------------------------


def test_sections_and_their_lines(make_dnf, tmp_path):
    make_dnf({"/etc/yum.repos.d/a.repo":
              "# comment\n[one]\nbaseurl = http://me:pw@host/one\n   http://other/one\n"
              "enabled=True\n\n[two]\nmirrorlist=http://x\nenabled = 0\n; more\n"
              "[three]\ngpgcheck=0\nrepo_gpgcheck=1\nmetalink=https://y\nexcludepkgs=a,b c\n",
              "/etc/yum.repos.d/b.repo.rpmsave": "[four]\n", "/etc/yum.repos.d/rocky.repo": ""})
    repos = {repo.id: repo for repo in dnf_config.read(RootFS(str(tmp_path / "0"))).repos}
    assert list(repos) == ["one", "three"]
    assert repos["one"] == Repo("one", "/etc/yum.repos.d/a.repo", 2,
                                ("http://host/one", "http://other/one"), True, ())
    assert (repos["three"].line, repos["three"].checked) == (11, True)
    assert repos["three"].excludes == ("a", "b", "c")


def test_overrides_of_dnf5(make_dnf, tmp_path):
    make_dnf({"/etc/dnf/repos.override.d/99-config.repo": "[base*]\nenabled=0\n"})
    assert dnf_config.read(RootFS(str(tmp_path / "0"))).repos == ()


def test_yum_conf_of_old_and_a_directory_of_its_own(make_dnf, tmp_path):
    make_dnf({"/etc/dnf/dnf.conf": None, "/etc/yum.conf":
              "[main]\nreposdir=/etc/my.repos\nexclude=kernel*\n\n[inline]\nbaseurl=file:///x\n",
              "/etc/my.repos/x.repo": "[mine]\nbaseurl=file:///y\ngpgcheck=1\n"})
    config = dnf_config.read(RootFS(str(tmp_path / "0")))
    assert [(repo.id, repo.checked) for repo in config.repos] == [
        ("inline", False), ("mine", True)]
    assert config.excluded("kernel-core", "x86_64", "mine")
    assert not config.excluded("bash", "x86_64", "mine")


@pytest.mark.parametrize("text", ["garbage\n", "key=value\n", "[a]\nno equals sign\n"])
def test_a_file_that_is_not_understood_is_an_error(make_dnf, text):
    dnf, _ = make_dnf({"/etc/yum.repos.d/bad.repo": text})
    with pytest.raises(Undecided, match=r"bad\.repo line \d is not understood"):
        _ = dnf.repositories


@pytest.mark.parametrize(("system", "repo_id", "uri", "keys", "official", "security"), [
    ("rocky 9", "baseos", "https://mirrors.rockylinux.org/x", (), True, True),
    ("rocky 9", "appstream", "https://mirrors.rockylinux.org/x", (), True, False),
    ("rocky 9", "all", "http://mirror.example.org/x",
     ("file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9",), True, True),
    ("rocky 9", "baseos", "http://mirror.example.org/x", ("http://x/RPM-GPG-KEY-Rocky-9",),
     False, False),
    ("rocky 9", "epel", "https://mirrors.fedoraproject.org/x", (), False, False),
    ("centos 7", "base", "http://mirrorlist.centos.org/?repo=os", (), True, False),
    ("centos 7", "updates", "http://mirrorlist.centos.org/?repo=updates", (), True, True),
    ("centos 7", "vault", "http://vault.centos.org/7.9.2009/updates/x86_64", (), True, True),
    ("centos 9", "baseos", "https://mirrors.centos.org/metalink?repo=x", (), True, True),
    ("almalinux 10", "baseos", "https://mirrors.almalinux.org/x", (), True, True),
    ("cloudlinux 9", "cloudlinux-baseos", "https://repo.cloudlinux.com/x", (), True, True),
    ("fedora 41", "updates", "https://mirrors.fedoraproject.org/x", (), True, True),
    ("fedora 41", "updates-testing", "https://mirrors.fedoraproject.org/x", (), True, False),
    ("rocky 9", "baseos", "https://rockylinux.org.evil.example/x", (), False, False),
    ("alpine 3", "x", "https://x/", (), False, False),
])
def test_whose_repository_it_is(system, repo_id, uri, keys, official, security):
    os_id, _, major = system.partition(" ")
    own = System(os_id, int(major))
    repo = Repo(repo_id, "/x", 1, (uri,), True, keys)
    assert (own.official(repo), own.security(repo)) == (official, security)


def test_repositories_as_the_checks_see_them(make_dnf):
    dnf, _ = make_dnf({"/etc/yum.repos.d/more.repo": "[third]\nbaseurl=http://me:pw@x/y\ngpgcheck=0\n"})
    base, third = sorted(dnf.repositories, key=lambda item: item.suite)
    assert (base.official, base.security, base.unsigned, base.line) == (True, True, None, 1)
    assert (third.official, third.unsigned, third.uri) == (False, "gpgcheck=0", "http://x/y")


# -- programs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("files", "found"), [
    (PROGRAMS["dnf"], DNF4), (PROGRAMS["dnf5"], DNF5), (PROGRAMS["yum"], YUM3),
    ({**PROGRAMS["yum"], "/usr/bin/dnf": ""}, YUM3), ({"/usr/bin/dnf5": ""}, DNF5)])
def test_which_program_it_is(tmp_path, files, found):
    build(tmp_path, {"/usr": {}, **files})
    assert dnf_dialect.find(RootFS(str(tmp_path))) is found


def test_no_program(tmp_path):
    with pytest.raises(Undecided, match="neither dnf nor yum"):
        dnf_dialect.find(RootFS(str(tmp_path)))


@pytest.mark.parametrize("os_id", ["rocky", "almalinux", "cloudlinux", "centos", "fedora", "rhel"])
def test_the_family_is_known(tmp_path, os_id):
    root = RootFS(str(tmp_path))
    assert isinstance(select([os_id], root, Runner(str(tmp_path)), Scratch(root)), Dnf)
