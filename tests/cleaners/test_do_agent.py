import pytest

from img_tools.actions import Remove, Run
from tests.support import Link, carried_out, check, dpkg, mended_by, plan

PASSWD = "root:x:0:0::/root:/bin/sh\n"
ACCOUNT = "do-agent:x:9:9::/nonexistent:/bin/false\n"
STATUS = {"/var/lib/dpkg/status": dpkg(bash="5")}


def test_it_is_purged_with_its_files_and_its_account(image):
    """Cleanup defect 16: upstream leaves the agent, for which its own check fails the image."""
    host = image({"/var/lib/dpkg/status": dpkg(droplet_agent="1.3"), "/opt/digitalocean/x": "x",
                  "/etc/passwd": PASSWD + ACCOUNT})
    purge, remove, userdel = plan("do-agent", host)
    assert isinstance(purge, Run)
    assert purge.argv[-2:] == ("purge", "droplet-agent")
    assert isinstance(remove, Remove)
    assert remove.path == "/opt/digitalocean"
    assert userdel.argv == ("userdel", "do-agent")
    found = check("do-agent", host)
    assert {finding.code for finding in found} == {
        "agent-account", "agent-directory", "agent-package"}
    assert {mended_by(finding) for finding in found} == {"do-agent"}


def test_files_of_an_agent_that_was_removed_by_hand(image):
    files = ["/etc/apt/sources.list.d/droplet-agent.list", "/etc/cron.d/droplet-agent",
             "/etc/systemd/system/multi-user.target.wants/do-agent.service"]
    host = image({**STATUS, **dict.fromkeys(files, "x"), "/opt/digitalocean": {}})
    assert carried_out("do-agent", host) == [*files, "/opt/digitalocean"]
    assert check("do-agent", host) == []


@pytest.mark.parametrize("path", ["/opt/digitalocean_clickhouse/x", "/opt/acme/do-agent",
                                  "/var/lib/digitalocean/application.info",
                                  "/etc/apt/sources.list.d/acme.list"])
def test_a_vendor_of_a_similar_name_is_left_alone(image, path):
    assert plan("do-agent", image({**STATUS, path: "x"})) == []


def test_a_link_goes_and_what_it_leads_to_stays(image):
    host = image({**STATUS, "/etc/cron.d/droplet-agent": Link("/opt/acme/job"),
                  "/opt/acme/job": "x"})
    assert carried_out("do-agent", host) == ["/etc/cron.d/droplet-agent"]
    assert host.root.read_text("/opt/acme/job") == "x"
