import pytest

from tests.support import check, codes


def test_what_apt_always_has(image):
    assert check("package-cache", image({
        "/var/cache/apt/archives/lock": "", "/var/cache/apt/archives/partial": {},
        "/var/cache/apt/pkgcache.bin": "x", "/var/lib/apt/lists/deb_Release": "x",
        "/var/cache/debconf/config.dat": "x",
    })) == []


@pytest.mark.parametrize("name", ["curl_8_amd64.deb", "partial/curl_8_amd64.deb"])
def test_kept_packages(image, name):
    host = image({f"/var/cache/apt/archives/{name}": "x"})
    assert codes(check("package-cache", host)) == [("warn", "package-archive")]


@pytest.mark.parametrize(("path", "code"), [
    ("/var/cache/dnf/baseos-0123456789abcdef/packages/bash.rpm", "package-metadata"),
    ("/var/cache/yum/x86_64/7/base/repomd.xml", "package-metadata"),
    ("/var/lib/yum/history/history-2026-01-01.sqlite", "package-history"),
])
def test_what_dnf_and_yum_keep(image, path, code):
    assert codes(check("package-cache", image({path: "x"}))) == [("warn", code)]


def test_the_history_that_dnf_4_needs_stays(image):
    assert check("package-cache", image({"/var/lib/dnf/history.sqlite": "x"})) == []
