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
