import time

import pytest

from tests.support import Fifo, Link, check, codes, dpkg

SECRET = "s3cr3tT0ken"


PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
# Every kind in its usual place; S stands for the secret.
AT_HOME = [
    (".config/doctl/config.yaml", "access-token: %S\ncontext: default\n", "cloud-token"),
    ("snap/doctl/7/.config/doctl/config.yaml", "access-token: %S\n", "cloud-token"),
    (".aws/credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = %S\n",
     "cloud-token"),
    (".aws/config", "[default]\naws_secret_access_key=%S\n", "cloud-token"),
    (".aws/sso/cache/0a.json", '{"accessToken": "%S"}', "cloud-token"),
    (".aws/cli/cache/0a.json", '{"Credentials": "%S"}', "cloud-token"),
    (".s3cfg", "[default]\nsecret_key = %S\n", "cloud-token"),
    (".boto", "[Credentials]\ngs_oauth2_refresh_token = %S\n", "cloud-token"),
    (".mc/config.json", '{"aliases": {"x": {"secretKey": "%S"}}}', "cloud-token"),
    (".config/gcloud/credentials.db", "%S", "cloud-token"),
    (".config/gcloud/access_tokens.db", "%S", "cloud-token"),
    (".config/gcloud/application_default_credentials.json", '{"refresh_token": "%S"}',
     "cloud-token"),
    (".config/gcloud/legacy_credentials/a@b/adc.json", '{"refresh_token": "%S"}', "cloud-token"),
    (".azure/accessTokens.json", '[{"accessToken": "%S"}]', "cloud-token"),
    (".azure/msal_token_cache.json", '{"AccessToken": "%S"}', "cloud-token"),
    (".azure/msal_token_cache.bin", "%S", "cloud-token"),
    (".azure/service_principal_entries.json", '[{"client_secret": "%S"}]', "cloud-token"),
    (".oci/oci_api_key.pem", PEM, "cloud-token"),
    (".config/hcloud/cli.toml", '[[contexts]]\n  name = "x"\n  token = "%S"\n', "cloud-token"),
    (".vultr-cli.yaml", "api-key: %S\n", "cloud-token"),
    (".config/linode-cli", "[DEFAULT]\ntoken = %S\n", "cloud-token"),
    (".config/rclone/rclone.conf", "[x]\ntype = s3\nsecret_access_key = %S\n", "cloud-token"),
    (".rclone.conf", "[x]\ntype = b2\nkey = %S\n", "cloud-token"),
    (".vault-token", "%S", "cloud-token"), (".vault_pass", "%S", "cloud-token"),
    (".terraformrc", 'credentials "app.terraform.io" {\n  token = "%S"\n}\n', "cloud-token"),
    (".terraform.d/credentials.tfrc.json", '{"credentials": {"x": {"token": "%S"}}}',
     "cloud-token"),
    (".ansible/galaxy_token", "token: %S\n", "cloud-token"),
    (".claude/.credentials.json", '{"claudeAiOauth": {"accessToken": "%S"}}', "assistant-login"),
    (".codex/auth.json", '{"OPENAI_API_KEY": "%S"}', "assistant-login"),
    (".config/op/config", '{"accounts": [{"userUUID": "x", "secretKey": "%S"}]}',
     "assistant-login"),
    (".docker/config.json", '{"auths": {"x": {"auth": "%S"}}}', "registry-login"),
    (".config/containers/auth.json", '{"auths": {"x": {"auth": "%S"}}}', "registry-login"),
    (".npmrc", "//registry.npmjs.org/:_authToken=%S\n", "registry-login"),
    (".yarnrc.yml", 'npmAuthToken: "%S"\n', "registry-login"),
    (".pypirc", "[pypi]\nusername = __token__\npassword = %S\n", "registry-login"),
    (".config/pip/pip.conf", "[global]\nindex-url = https://u:%S@pypi.example/\n",
     "registry-login"),
    (".pip/pip.conf", "[global]\nindex-url = https://u:%S@pypi.example/\n", "registry-login"),
    (".cargo/credentials.toml", '[registry]\ntoken = "%S"\n', "registry-login"),
    (".gem/credentials", "---\n:rubygems_api_key: %S\n", "registry-login"),
    (".m2/settings.xml", "<server><password>%S</password></server>", "registry-login"),
    (".gradle/gradle.properties", "org.gradle.daemon=true\nnexusPassword=%S\n", "registry-login"),
    (".composer/auth.json", '{"github-oauth": {"github.com": "%S"}}', "registry-login"),
    (".config/composer/auth.json", '{"http-basic": {"x": {"password": "%S"}}}', "registry-login"),
    (".nuget/NuGet/NuGet.Config", '<add key="ClearTextPassword" value="%S" />', "registry-login"),
    (".git-credentials", "https://build:%S@git.example\n", "git-login"),
    (".config/git/credentials", "https://build:%S@git.example\n", "git-login"),
    (".gitconfig", '[url "https://build:%S@git.example/"]\n\tinsteadOf = x\n', "git-login"),
    (".gitconfig", "[http]\n\textraheader = AUTHORIZATION: basic %S\n", "git-login"),
    (".config/gh/hosts.yml", "github.com:\n    oauth_token: %S\n", "git-login"),
    (".config/glab-cli/config.yml", "hosts:\n  gitlab.com:\n    token: %S\n", "git-login"),
    (".netrc", "machine x\nlogin y\npassword %S\n", "password-file"),
    (".kube/config", "users:\n- user:\n    client-key-data: %S\n", "cluster-login"),
    (".kube/config", "users:\n- user:\n    token: %S\n", "cluster-login"),
    (".gnupg/private-keys-v1.d/0A.key", "(private-key %S)", "gpg-key"),
]
OF_THE_SYSTEM = [
    ("/etc/pip.conf", "[global]\nindex-url = https://u:%S@pypi.example/\n", "registry-login"),
    ("/etc/npmrc", "//registry.npmjs.org/:_authToken=%S\n", "registry-login"),
    ("/var/lib/kubelet/config.json", '{"auths": {"x": {"auth": "%S"}}}', "registry-login"),
    ("/etc/kubernetes/admin.conf", "users:\n- user:\n    client-key-data: %S\n", "cluster-login"),
    ("/etc/rancher/k3s/k3s.yaml", "users:\n- user:\n    client-key-data: %S\n", "cluster-login"),
    ("/etc/letsencrypt/archive/x.example/privkey1.pem", PEM, "certificate-key"),
    ("/etc/letsencrypt/live/x.example/privkey.pem", PEM, "certificate-key"),
    ("/etc/letsencrypt/accounts/acme/directory/0a/private_key.json", '{"d": "%S"}',
     "certificate-key"),
    ("/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = %S\n", "vpn-key"),
    ("/etc/openvpn/client/x.conf", f"<key>\n{PEM}</key>\n", "vpn-key"),
    ("/etc/openvpn/static.key", "-----BEGIN OpenVPN Static key V1-----\n%S\n", "vpn-key"),
    ("/etc/NetworkManager/system-connections/x.nmconnection", "[wifi-security]\npsk=%S\n",
     "network-password"),
    ("/etc/netplan/60-x.yaml", "network: {wifis: {w: {access-points: {x: {password: %S}}}}}\n",
     "network-password"),
    ("/var/www/app/config/master.key", "0123456789abcdef" * 2, "application-secret"),
    ("/opt/infra/terraform.tfstate", '{"resources": [{"attributes": {"password": "%S"}}]}',
     "terraform-state"),
]
FAILS = [*((f"/root/{name}", content, code) for name, content, code in AT_HOME), *OF_THE_SYSTEM]


@pytest.mark.parametrize(("path", "content", "code"), FAILS, ids=lambda text: text[:40])
def test_a_secret_fails_and_is_not_shown(image, path, content, code):
    (finding,) = check("credentials", image({path: content.replace("%S", SECRET)}))
    assert (finding.status, finding.code, finding.path) == ("fail", code, path)
    assert finding.remediation is not None
    assert path in finding.remediation
    assert SECRET not in repr(finding)


def test_what_cloud_init_gives_to_every_clone_is_told_by_its_own_check(image):
    host = image({"/etc/cloud/cloud.cfg.d/99-x.cfg": f"password: {SECRET}\n"
                  f"ssh_authorized_keys: [ssh-rsa {SECRET}]\n", "/usr/bin/cloud-init": "",
                  "/var/lib/dpkg/status": dpkg(cloud_init="22.4.2-1")})
    assert {"password", "key"} <= {finding.code for finding in check("cloud-init", host)}
    assert check("credentials", host) == []


@pytest.mark.parametrize(("path", "content", "code"), [
    ("/root/.azure/azureProfile.json", '{"subscriptions": [{"id": "%S"}]}', "cloud-account"),
    ("/root/.oci/config", "[DEFAULT]\nuser=ocid1.user.%S\n", "cloud-account"),
    ("/root/.mylogin.cnf", "\0%S", "database-login"),
    ("/root/.mongorc.js", 'db.getSiblingDB("admin").auth("u", "%S")', "database-login"),
    ("/var/www/html/wp-config.php", "define( 'DB_PASSWORD', '%S' );\n", "application-secret"),
    ("/srv/blog/wp-config.php", 'define("DB_PASSWORD", "%S");\n', "application-secret"),
    ("/opt/app/.env", "DEBUG=0\nDB_PASSWORD=%S\n", "application-secret"),
    ("/var/www/app/.env.production", 'export API_KEY="%S"\n', "application-secret"),
    ("/home/ann/app/.env", "JWT_SECRET=%S\n", "application-secret"),
    ("/opt/app/.env", "\ufeffDB_PASSWORD=%S\r\n", "application-secret"),
    ("/srv/app/.env", "DB_PASSWORD='x$y#%S'\n", "application-secret"),
    ("/data/app/.env", "DB_PASSWORD=%S\n", "application-secret"),
    ("/etc/environment", "A=b\nDB_PASSWORD=%S\n", "application-secret"),
    ("/etc/default/acme", 'API_TOKEN="%S"\n', "application-secret"),
    ("/etc/systemd/system/x.service", "[Service]\nEnvironment=A=b DB_PASSWORD=%S\n",
     "application-secret"),
    ("/etc/systemd/system/x.service.d/override.conf", 'Environment="A=b" "DB_PASSWORD=%S"\n',
     "application-secret"),
    ("/root/.bashrc", "export GH_TOKEN=%S\n", "application-secret"),
    ("/opt/app/docker-compose.yml", "environment:\n  - POSTGRES_PASSWORD=%S\n",
     "application-secret"),
    ("/srv/app/compose.yaml", 'environment:\n  DB_PASSWORD: "%S"\n', "application-secret"),
    ("/var/www/html/.htpasswd", "ann:$apr1$%S\n", "application-secret"),
    ("/etc/nginx/.htpasswd", "ann:$apr1$%S\n", "application-secret"),
])
def test_what_may_be_the_image_s_own_is_a_warning(image, path, content, code):
    (finding,) = check("credentials", image({path: content.replace("%S", SECRET)}))
    assert (finding.status, finding.code, finding.path) == ("warn", code, path)
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
    (".oci/config", "[DEFAULT]\nregion=x\n"), (".oci/x.pem", "-----BEGIN PUBLIC KEY-----\n"),
    (".azure/azureProfile.json", '{"subscriptions": []}'), (".vultr-cli.yaml", "output: json\n"),
    (".config/hcloud/cli.toml", 'active_context = "x"\n'), (".boto", "[Boto]\n#secret_key =\n"),
    (".cargo/credentials.toml", "[registry]\n"), (".gem/credentials", "---\n"),
    (".m2/settings.xml", "<password>${env.PASSWORD}</password>"),
    (".gradle/gradle.properties", "org.gradle.daemon=true\nnexusPassword=\n"),
    (".composer/auth.json", '{"http-basic": {}}'), (".nuget/NuGet/NuGet.Config", "<config/>"),
    (".gitconfig", "[user]\n\temail = a@b.example\n[url \"https://x/\"]\n\tinsteadOf = y:\n"),
    (".gitconfig", '[url "ssh://git@github.com/"]\n\tinsteadOf = x\n'),
    (".config/glab-cli/config.yml", "hosts:\n  gitlab.com:\n    token:\n"),
    (".terraformrc", 'plugin_cache_dir = "x"\n'), (".codex/auth.json", "{}"),
    (".mongorc.js", "DBQuery.shellBatchSize = 10\n"),
])
def test_without_a_secret_it_is_no_credential(image, name, content):
    assert check("credentials", image({f"/root/{name}": content})) == []


@pytest.mark.parametrize(("path", "content"), [
    ("/opt/app/.env", "DB_PASSWORD= # the password of the database\nA_TOKEN=ab${TOKEN}\n"),
    ("/opt/app/.env", "TOKEN" * 60_000), ("/etc/environment", "TOKEN" * 60_000),
    ("/etc/systemd/system/x.service", "Environment=" + "a=b " * 60_000),
    ("/etc/systemd/system/x.service", "Environment=TOKEN_FILE=/run/secrets/x A_TOKEN=%i\n"),
    ("/etc/systemd/system/x.service", "#Environment=TOKEN=s3cr3ts3cr3t\n"),
    ("/root/.bashrc", "export TOKEN=$(cat /run/token)\nTOKEN=`cat /run/token`\n"),
    ("/opt/app/compose.yml", "DB_PASSWORD: ${DB_PASSWORD}\nDB_PASSWORD_FILE: /run/secrets/x\n"
                             "secrets:\n  db_password:\n    file: ./x\n")])
def test_what_names_no_secret(image, path, content):
    start = time.process_time()
    assert check("credentials", image({path: content})) == []
    assert time.process_time() - start < 10


def test_every_home_is_looked_at(image):
    host = image({"/etc/passwd": "app:x:9:9::/srv/app:/bin/sh\n", "/etc/skel/.vault-token": "x",
                  "/srv/app/.vault-token": "x", "/opt/acme/.vault-token": "x"})
    assert {finding.path for finding in check("credentials", host)} == {
        "/etc/skel/.vault-token", "/srv/app/.vault-token"}


@pytest.mark.parametrize("what", [Fifo(), {}, Link(".vault-token"), Link("/nowhere")])
def test_pipes_directories_and_loops_hold_nothing(image, what):
    assert check("credentials", image({"/root/.vault-token": what})) == []


@pytest.mark.parametrize(("path", "content"), [
    ("/etc/pip.conf", "[global]\nindex-url = https://pypi.example/\n"),
    ("/etc/kubernetes/kubelet.conf", "users:\n- user:\n    client-key: /var/lib/x.pem\n"),
    ("/var/lib/kubelet/config.json", '{"auths": {}}'),
    ("/etc/letsencrypt/cli.ini", "max-log-backups = 0\n"),
    ("/etc/letsencrypt/accounts/acme/directory/0a/meta.json", '{"creation_host": "x"}'),
    ("/etc/wireguard/wg0.conf", "[Interface]\nAddress = 10.0.0.1/24\n"),
    ("/etc/openvpn/server.conf", "key server.key\n"),
    ("/etc/NetworkManager/system-connections/x", "[wifi-security]\npsk-flags=1\n"),
    ("/etc/netplan/60-x.yaml", "network:\n  version: 2\n"),
    ("/var/www/html/wp-config.php", "define( 'DB_PASSWORD', 'password_here' );\n"),
    ("/var/www/html/wp-config.php", "define( 'DB_PASSWORD', getenv('X') );\n"),
    ("/opt/app/.env", "APP_KEY=\nDB_PASSWORD=null\nTOKEN=${X}\nAPI_KEY=your-key-here\nA=1\n"),
    ("/opt/app/.env.example", "DB_PASSWORD=s3cr3tw0rd\n"),
    ("/opt/app/node_modules/x/.env", "DB_PASSWORD=s3cr3tw0rd\n"),
    ("/opt/app/config/master.key", "not a key\n"),
    ("/opt/infra/terraform.tfstate", '{"version": 4, "resources": []}'),
])
def test_a_place_of_secrets_without_one(image, path, content):
    assert check("credentials", image({path: content})) == []
