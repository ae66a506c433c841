import pytest

from img_tools.actions import Phase, Run
from img_tools.model import Undecided
from img_tools.packages import Update, apt_actions
from img_tools.plugins import load
from tests.checks.packages import with_packages
from tests.support import FakeRunner, check, mended_by, plan

PENDING = Update("openssl", "1", "2", "Debian-Security bookworm-security", security=True)


def argv(action):
    assert isinstance(action, Run)
    return action.argv


def test_the_indexes_are_fetched_and_all_is_upgraded():
    """Cleanup defect 19: `upgrade` leaves updates that need a new package, kernels above all."""
    update, upgrade = apt_actions.upgrade(FakeRunner({}), 3)
    assert [argv(action)[-1] for action in (update, upgrade)] == ["update", "dist-upgrade"]


def test_nothing_asks_a_question_or_waits_forever():
    """Cleanup defects 20, 21: upstream waits for no lock, and needrestart asks."""
    run = FakeRunner({})
    for action in (*apt_actions.upgrade(run, 3), apt_actions.purge(run, "toy")):
        assert {"-y", "Dpkg::Options::=--force-confold", "Dpkg::Options::=--force-confdef"} <= set(
            argv(action))
        assert f"DPkg::Lock::Timeout={apt_actions.LOCK_WAIT}" in argv(action)
        assert dict(action.env)["NEEDRESTART_SUSPEND"] == "1"
        assert dict(action.env)["DEBIAN_FRONTEND"] == "noninteractive"
        assert 0 < action.timeout < 7200


def test_no_update_is_forced():
    """Cleanup defect 22: upstream says --force-yes, which installs what no key has signed."""
    for action in apt_actions.upgrade(FakeRunner({}), 3):
        assert not [word for word in argv(action) if "force-yes" in word or "unauth" in word]


def test_services_started_in_a_mounted_image_end_with_the_command():
    run = FakeRunner({})
    run.top = "/mnt/image"
    assert argv(apt_actions.purge(run, "toy"))[:2] == ("unshare", "--pid")


def test_the_check_names_it(image):
    (finding,) = check("security-updates", with_packages(image(), pending=[PENDING]))
    assert mended_by(finding) == "package-upgrade"


def test_a_release_whose_package_manager_is_unknown_is_not_upgraded(image):
    with pytest.raises(Undecided):
        plan("package-upgrade", image({"/etc/os-release": "ID=plan9\n"}))


def test_it_comes_before_all_that_cleans():
    """Pitfall 5: what packages write, machine-id among it, must be cleaned afterwards."""
    phases = {plugin.id: plugin.phase for plugin in load("img_tools.cleaners", "plan")}
    assert phases.pop("quiet") < phases.pop("package-upgrade") == Phase.UPGRADE
    assert min(phases.values()) > Phase.UPGRADE
