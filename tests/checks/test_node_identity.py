import pytest

from tests.support import check, mended_by


def test_an_installed_service_that_never_ran(image):
    assert check("node-identity", image({
        "/etc/docker": {}, "/var/lib/tailscale": {}, "/etc/salt/minion": "master: x\n",
        "/var/lib/docker/swarm/state.json": "null\n",
        "/etc/datadog-agent/datadog.yaml": "api_key:\n"})) == []


@pytest.mark.parametrize(("path", "status", "code"), [
    ("/etc/docker/key.json", "fail", "docker-key"),
    ("/var/lib/docker/engine-id", "warn", "docker-engine-id"),
    ("/var/lib/docker/swarm/certificates/swarm-node.key", "warn", "node-identity"),
    ("/etc/ssl/private/ssl-cert-snakeoil.key", "warn", "tls-key"),
    ("/etc/pki/tls/private/localhost.key", "warn", "tls-key"),
    ("/etc/salt/pki/minion/minion.pem", "warn", "node-identity"),
    ("/etc/salt/minion_id", "warn", "node-identity"),
    ("/etc/puppetlabs/puppet/ssl/private_keys/x.pem", "warn", "node-identity"),
    ("/var/lib/tailscale/tailscaled.state", "warn", "node-identity"),
    ("/var/lib/zerotier-one/identity.secret", "warn", "node-identity"),
    ("/etc/netbird/config.json", "warn", "node-identity"),
    ("/var/lib/teleport/host_uuid", "warn", "node-identity"),
    ("/var/lib/rabbitmq/.erlang.cookie", "warn", "node-identity"),
    ("/var/lib/kubelet/pki/kubelet-client-current.pem", "warn", "node-identity"),
    ("/var/lib/rancher/k3s/server/node-token", "warn", "node-identity"),
    ("/var/lib/rancher/rke2/server/tls/server-ca.key", "warn", "node-identity"),
    ("/etc/rancher/node/password", "warn", "node-identity"),
    ("/var/lib/etcd/member/snap/db", "warn", "node-identity"),
    ("/var/lib/consul/node-id", "warn", "node-identity"),
    ("/opt/nomad/data/client/client-id", "warn", "node-identity"),
    ("/var/lib/netdata/registry/netdata.public.unique.id", "warn", "node-identity"),
    ("/etc/bind/rndc.key", "warn", "control-key"),
])
def test_each_is_found_once_and_not_shown(image, path, status, code):
    """Defect 23: upstream looks at none of these."""
    (finding,) = check("node-identity", image({path: "s3cret"}))
    assert (finding.status, finding.code, finding.path) == (status, code, path)
    assert "s3cret" not in repr(finding)
    assert finding.remediation


def test_the_key_of_an_account_at_a_monitoring_service(image):
    key = "0f" * 16
    (finding,) = check("node-identity", image({
        "/etc/datadog-agent/datadog.yaml": f"# x\napi_key: {key}\n"}))
    assert (finding.status, finding.code) == ("fail", "agent-key")
    assert key not in repr(finding)


def test_docker_s_are_mended_by_the_cleaner_and_others_are_not(image):
    docker, tailscale = sorted(check("node-identity", image({
        "/etc/docker/key.json": "{}", "/var/lib/tailscale/tailscaled.state": "x"})),
        key=lambda finding: finding.path)
    assert mended_by(docker) == "node-identity"
    assert tailscale.remediation.startswith("tailscale logout")
