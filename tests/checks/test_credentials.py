import pytest

from tests.support import Fifo, Link, check, codes

SECRET = "s3cr3tT0ken"


@pytest.mark.parametrize(("name", "content", "code"), [
    (".config/doctl/config.yaml", "access-token: {}\ncontext: default\n", "cloud-token"),
    (".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = {}\n",
     "cloud-token"),
    (".s3cfg", "[default]\nsecret_key = {}\n", "cloud-token"),
    (".mc/config.json", '{{"aliases": {{"x": {{"secretKey": "{}"}}}}}}', "cloud-token"),
    (".config/gcloud/credentials.db", "{}", "cloud-token"),
    (".config/rclone/rclone.conf", "[x]\ntype = s3\nsecret_access_key = {}\n", "cloud-token"),
    (".vault-token", "{}", "cloud-token"),
    (".docker/config.json", '{{"auths": {{"x": {{"auth": "{}"}}}}}}', "registry-login"),
    (".npmrc", "//registry.npmjs.org/:_authToken={}\n", "registry-login"),
    (".pypirc", "[pypi]\nusername = __token__\npassword = {}\n", "registry-login"),
    (".config/pip/pip.conf", "[global]\nindex-url = https://u:{}@pypi.example/\n",
     "registry-login"),
    (".git-credentials", "https://build:{}@git.example\n", "git-login"),
    (".config/gh/hosts.yml", "github.com:\n    oauth_token: {}\n", "git-login"),
    (".netrc", "machine x\nlogin y\npassword {}\n", "password-file"),
    (".kube/config", "users:\n- user:\n    client-key-data: {}\n", "cluster-login"),
    (".gnupg/private-keys-v1.d/0A.key", "(private-key {})", "gpg-key"),
])
def test_a_secret_fails_and_is_not_shown(image, name, content, code):
    (finding,) = check("credentials", image({f"/root/{name}": content.format(SECRET)}))
    assert (finding.status, finding.code, finding.path) == ("fail", code, f"/root/{name}")
    assert finding.remediation is not None
    assert finding.remediation.endswith(f"rm /root/{name}")
    assert SECRET not in repr(finding)


@pytest.mark.parametrize(("name", "content"), [
    (".my.cnf", "[client]\nuser = root\npassword = x\n"), (".pgpass", "*:*:*:app:x\n")])
def test_a_database_may_be_the_image_s_own(image, name, content):
    assert codes(check("credentials", image({f"/root/{name}": content}))) == [
        ("warn", "database-login")]


@pytest.mark.parametrize(("name", "content"), [
    (".config/doctl/config.yaml", 'access-token: ""\ncontext: default\n'),
    (".aws/credentials", "[default]\nregion = x\n"), (".aws/config", "[default]\nregion = x\n"),
    (".docker/config.json", '{"auths": {}, "credsStore": "pass"}'),
    (".docker/config.json", '{"auths": {"x": {"auth": ""}}}'),
    (".npmrc", "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\nfund=false\n"),
    (".npmrc", "always-auth=true\n"), (".s3cfg", "secret_key = \naccess_key = x\n"),
    (".pypirc", "[pypi]\nrepository = https://x/\n"),
    (".config/pip/pip.conf", "[global]\nindex-url = https://pypi.example/\n"),
    (".git-credentials", ""), (".netrc", "# password\n"), (".netrc", "machine x login y\n"),
    (".kube/config", "apiVersion: v1\nclusters: []\n"), (".my.cnf", "[client]\nuser = root\n"),
    (".my.cnf", "[client]\n#password = x\n"), (".pgpass", "# host:port:db:user:password\n"),
    (".gnupg/pubring.kbx", "x"), (".vault-token", ""),
])
def test_without_a_secret_it_is_no_credential(image, name, content):
    assert check("credentials", image({f"/root/{name}": content})) == []


def test_every_home_is_looked_at(image):
    host = image({"/etc/passwd": "app:x:9:9::/srv/app:/bin/sh\n", "/etc/skel/.vault-token": "x",
                  "/srv/app/.vault-token": "x", "/opt/acme/.vault-token": "x"})
    assert {finding.path for finding in check("credentials", host)} == {
        "/etc/skel/.vault-token", "/srv/app/.vault-token"}


@pytest.mark.parametrize("what", [Fifo(), {}, Link(".vault-token"), Link("/nowhere")])
def test_pipes_directories_and_loops_hold_nothing(image, what):
    assert check("credentials", image({"/root/.vault-token": what})) == []
