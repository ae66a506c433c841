"""Cleaners quiet, package-upgrade and package-cache: what they run, and when they do not."""

import pytest

from img_tools.model import Skip
from img_tools.packages import apt_actions
from tests.cleaners.apt import AUTOREMOVE, NOTHING_UNNEEDED
from tests.support import FakeRunner, carried_out, dpkg, plan

DPKG = {"/var/lib/dpkg/status": dpkg(bash="5.2")}


def test_only_a_running_system_is_quieted(image):
    with pytest.raises(Skip):
        plan("quiet", image())


def test_archives_go_and_nothing_is_run_for_nothing(image):
    host = image({**DPKG, "/var/cache/apt/archives/x.deb": "x", "/var/cache/apt/archives/lock": ""},
                 NOTHING_UNNEEDED)
    assert carried_out("package-cache", host) == ["/var/cache/apt/archives/x.deb"]


def test_what_nothing_needs_is_named(image):
    (action,) = plan("package-cache", image(DPKG, {AUTOREMOVE: "Remv toy [1]\n"}))
    assert action.argv[-2:] == ("autoremove", "--purge")
    assert "toy" in action.why


def test_nothing_asks_a_question_or_waits_forever():
    run = FakeRunner({})
    for action in (*apt_actions.upgrade(run, 3), apt_actions.purge(run, "toy")):
        assert {"-y", "Dpkg::Options::=--force-confold"} <= set(action.argv)
        assert dict(action.env)["NEEDRESTART_SUSPEND"] == "1"
        assert dict(action.env)["DEBIAN_FRONTEND"] == "noninteractive"


def test_services_started_in_a_mounted_image_end_with_the_command():
    run = FakeRunner({})
    run.top = "/mnt/image"
    assert apt_actions.purge(run, "toy").argv[:2] == ("unshare", "--pid")
