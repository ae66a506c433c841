import pytest

from tests.support import check, codes, dpkg, mended_by

STATUS = {"/var/lib/dpkg/status": dpkg(bash="5.2")}


def test_none(image):
    assert check("do-agent", image({**STATUS, "/opt/acme/x": "x"})) == []


def test_packages_are_removed_together(image):
    host = image({"/var/lib/dpkg/status": dpkg(bash="5", droplet_agent="1.2.8",
                                               droplet_agent_keyring="1")})
    first, second = check("do-agent", host)
    assert (first.code, first.package.name, second.package.name) == (
        "agent-package", "droplet-agent", "droplet-agent-keyring")
    assert mended_by(first) == "do-agent"


@pytest.mark.parametrize("path", [
    "/opt/digitalocean/bin/agent",
    "/var/opt/digitalocean/do-agent/x",
    "/etc/apt/sources.list.d/droplet-agent.list",
    "/etc/apt/sources.list.d/digitalocean-agent.sources",
    "/etc/yum.repos.d/droplet-agent.repo",
    "/usr/share/keyrings/droplet-agent-keyring.gpg",
    "/etc/systemd/system/do-agent.service",
    "/etc/systemd/system/multi-user.target.wants/droplet-agent.service",
])
def test_what_an_agent_leaves(image, path):
    """Defect 24: upstream looks at the directory /opt/digitalocean alone."""
    (found,) = check("do-agent", image({**STATUS, path: "x"}))
    assert found.status == "fail"
    assert path.startswith(found.path)
    assert mended_by(found) == "do-agent"


@pytest.mark.parametrize("path", ["/opt/digitalocean", "/var/opt/digitalocean"])
def test_an_empty_directory_is_a_warning(image, path):
    """Defect 24: upstream fails the image for an empty directory."""
    assert codes(check("do-agent", image({**STATUS, path: {}}))) == [
        ("warn", "agent-directory-empty")]


def test_a_vendor_of_a_similar_name_is_left_alone(image):
    assert check("do-agent", image({**STATUS, "/opt/digitalocean_clickhouse/x": "x"})) == []


def test_the_account(image):
    host = image({**STATUS, "/etc/passwd": "root:x:0:0::/root:/bin/sh\n"
                                           "do-agent:x:999:999::/nonexistent:/bin/false\n"})
    (found,) = check("do-agent", host)
    assert (found.status, found.account, found.line) == ("fail", "do-agent", 2)
