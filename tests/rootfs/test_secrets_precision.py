"""No false alarm: Debian 12 with two dozen servers, as it was installed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from img_tools.packages import dpkg
from img_tools.rootfs import RootFS
from img_tools.secrets import places, scan
from tests.rootfs import running
from tests.rootfs.conftest import Tree
from tests.rootfs.planting import plant
from tests.rootfs.trees import PACKAGES, SERVERS

CHECKS = ("credentials", "tokens", "private-keys", "first-boot-secrets", "node-identity")
# Made when the packages were installed, and the same on every clone: named by design.
MADE = {"/etc/bind/rndc.key", "/etc/ssl/private/ssl-cert-snakeoil.key",
        "/var/lib/rabbitmq/.erlang.cookie"}
# As other vendors ship them: values that everybody knows, switched off or empty.
SHIPPED = {
    "/etc/grafana/grafana.ini": ";admin_password = admin\n;secret_key = SW2YcwTIb9zpOOhoPsMm\n"
                                ";url = postgres://user:password@host/db\n",
    "/etc/gitlab/gitlab.rb": "# gitlab_rails['initial_root_password'] = \"password\"\n"
                             "# 'aws_access_key_id' => 'AKIAIOSFODNN7EXAMPLE',\n",
    "/etc/telegraf/telegraf.conf": '# urls = ["http://user:pass@example.com:8086"]\n# token = ""\n',
    "/etc/datadog-agent/datadog.yaml": "api_key:\n# site: datadoghq.com\n",
    "/opt/app/.env.example": "APP_KEY=base64:abcdefghijkl\nDB_PASSWORD=secret-of-nobody\n",
    "/opt/app/.env": "APP_KEY=\nDB_PASSWORD=null\nMAIL_PASSWORD=\"${MAIL}\"\n",
    "/var/www/html/wp-config-sample.php": "define( 'DB_PASSWORD', 'password_here' );\n",
    "/var/www/html/wp-config.php": "define( 'DB_PASSWORD', 'password_here' );\n",
    "/root/.docker/config.json": '{"auths": {}}\n', "/root/.npmrc": "fund=false\n",
    "/root/.gitconfig": "[user]\n\tname = A\n[url \"git@github.com:\"]\n\tinsteadOf = gh:\n",
    "/root/.kube/config": "apiVersion: v1\nclusters: []\nusers: []\n",
    "/srv/app/.git/config": "[remote \"origin\"]\n\turl = https://github.com/acme/app.git\n",
}


def test_two_dozen_servers_and_no_false_alarm(tree: Tree) -> None:
    top = tree("bookworm", "servers")
    plant(top, SHIPPED)
    outcome = running.check(top, "--no-refresh", "--only", ",".join(CHECKS))
    found = [finding for result in outcome.report["checks"] for finding in result["findings"]]
    assert {finding["path"] for finding in found} == MADE
    assert {finding["status"] for finding in found} == {"warn"}
    assert len(set(SERVERS) - set(PACKAGES)) >= 20


def test_what_packages_ship_is_public_wherever_it_lies(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of /usr and /var searched too, documents, tests and examples with it."""
    root = RootFS(str(tree("bookworm", "servers")))
    monkeypatch.setattr(places, "TOPS", ("/etc", "/usr", "/var"))
    with_secrets: set[str] = set()

    def owned(paths: Collection[str]) -> frozenset[str]:
        with_secrets.update(paths)
        return dpkg.unmodified(root, paths)

    found = scan.read(root, (), (), owned)
    assert {Path(secret.path).parent.name for secret in found.secrets} == {"private", "ssh"}
    assert found.unread == []
    assert any("examples" in path for path in with_secrets), "openvpn and cloud-init ship keys"
