from tests.cleaners.apt import AUTOREMOVE, NOTHING_UNNEEDED
from tests.support import Link, carried_out, check, dpkg, plan

DPKG = {"/var/lib/dpkg/status": dpkg(bash="5.2")}


def test_archives_go_and_nothing_is_run_for_nothing(image):
    """Cleanup defect 15: `autoclean` keeps every archive that can still be downloaded."""
    archives = ["/var/cache/apt/archives/partial/y.deb", "/var/cache/apt/archives/x.deb"]
    host = image({**DPKG, **dict.fromkeys(archives, "x"), "/var/cache/apt/archives/lock": ""},
                 NOTHING_UNNEEDED)
    assert carried_out("package-cache", host) == sorted(archives)
    assert check("package-cache", host) == []


def test_answers_to_debconf_and_indexes_stay(image):
    """Pitfall 19: wiping /var/cache loses the answers that packages were installed with."""
    host = image({**DPKG, "/var/cache/debconf/config.dat": "x", "/var/cache/man/index.db": "x",
                  "/var/lib/apt/lists/deb.debian.org_Packages": "x"}, NOTHING_UNNEEDED)
    assert plan("package-cache", host) == []


def test_what_nothing_needs_is_named(image):
    (action,) = plan("package-cache", image(DPKG, {AUTOREMOVE: "Remv toy [1]\n"}))
    assert action.argv[-2:] == ("autoremove", "--purge")
    assert "toy" in action.why


def test_a_cache_that_is_a_link_is_followed_only_where_root_led(image):
    host = image({**DPKG, "/var/cache/apt/archives": Link("/srv/cache"), "/srv/cache/x.deb": "x",
                  "/srv/cache/acme.tar": "x"}, NOTHING_UNNEEDED)
    assert carried_out("package-cache", host) == ["/srv/cache/x.deb"]
