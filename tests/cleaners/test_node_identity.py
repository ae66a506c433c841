from tests.support import Link, carried_out, check, plan


def test_docker_makes_another_one(image):
    host = image({"/etc/docker/key.json": "{}", "/var/lib/docker/engine-id": "x",
                  "/etc/docker/daemon.json": "{}"})
    assert carried_out("node-identity", host) == ["/etc/docker/key.json",
                                                  "/var/lib/docker/engine-id"]
    assert check("node-identity", host) == []
    assert host.root.exists("/etc/docker/daemon.json")


def test_identities_that_may_be_registered_somewhere_stay(image):
    host = image({"/etc/ssl/private/ssl-cert-snakeoil.key": "x",
                  "/var/lib/rabbitmq/.erlang.cookie": "x", "/etc/salt/minion_id": "x",
                  "/var/lib/tailscale/tailscaled.state": "x"})
    assert plan("node-identity", host) == []


def test_a_link_of_that_name_leads_nowhere(image):
    assert plan("node-identity", image({"/etc/docker/key.json": Link("/etc/passwd")})) == []
