"""Where clients keep what they log in with, and what a first boot has to make.

Topics credentials and first-boot-secrets. Only reported: what an account needs at run time a
first-boot script has to ask for, and only the vendor knows which of it the build alone needed.
"""

from img_tools.catalogue.model import Residue, Treat
from img_tools.model import Status


def _client(code: str, what: str, *names: str, holds: bytes = b"", logout: str = "",
            severity: Status = Status.FAIL) -> list[Residue]:
    """Files in homes; without HOLDS they hold a secret whenever they hold anything."""
    advice = f"{logout}, or: rm {{path}}" if logout else "rm {path}"
    return [Residue("credentials", code, f"~/{name}", Treat.REPORT, severity,
                    f"{what} of the build, which every customer could use", holds=holds,
                    advice=advice) for name in names]


def _system(code: str, what: str, *patterns: str, holds: bytes = b"", keep: tuple[str, ...] = (),
            severity: Status = Status.FAIL, advice: str = "rm {path}") -> list[Residue]:
    """Files of the system, and of sites and applications."""
    return [Residue("credentials", code, pattern, Treat.REPORT, severity,
                    f"{what} of the build, which every customer could use", holds=holds, keep=keep,
                    advice=advice) for pattern in patterns]


_VALUE = rb"[ \t]*[=:][ \t]*[\"']?[^\s\"'$]"  # and not a variable that is filled in elsewhere
_LOGIN = rb"://[^/\s:@\"]*:[^/\s@\"]+@"  # in an address
_DOCKER = rb"\"(auth|identitytoken|registrytoken|password)\"\s*:\s*\"[^\"]"
_KUBE = rb"\b(token|password|client-key-data)\"?" + _VALUE
_NPM = rb"(?i)(_authToken|_auth|_password|npmAuthToken)" + _VALUE
_PEM = rb"PRIVATE KEY(?: BLOCK)?-----"

_CLOUDS = (
    *_client("cloud-token", "the access token for DigitalOcean", ".config/doctl/config.yaml",
             "snap/doctl/*/.config/doctl/config.yaml", holds=rb"access-token" + _VALUE,
             logout="doctl auth remove --context default"),
    *_client("cloud-token", "the access keys for S3 or Spaces", ".s3cfg", ".aws/credentials",
             ".aws/config", ".config/s3cmd/config", ".mc/config.json", ".boto",
             holds=rb"(?i)(secret_?(access_?)?key|refresh_token)\"?" + _VALUE),
    *_client("cloud-token", "the session with a cloud", ".aws/sso/cache/*.json",
             ".aws/cli/cache/*.json", ".azure/msal_token_cache.json",
             ".azure/msal_token_cache.bin", ".azure/accessTokens.json",
             ".azure/service_principal_entries.*",
             ".config/gcloud/credentials.db", ".config/gcloud/access_tokens.db",
             ".config/gcloud/application_default_credentials.json",
             ".config/gcloud/legacy_credentials/*/*"),
    *_client("cloud-account", "the account at a cloud", ".azure/azureProfile.json",
             holds=rb"\"subscriptions\"\s*:\s*\[\s*\{", severity=Status.WARN),
    *_client("cloud-account", "the account at Oracle's cloud", ".oci/config",
             holds=rb"(?m)^[ \t]*(user|pass_phrase)[ \t]*=[ \t]*\S", severity=Status.WARN),
    *_client("cloud-token", "the key for Oracle's cloud", ".oci/*.pem", ".oci/*/*.pem",
             holds=_PEM),
    *_client("cloud-token", "the token for Hetzner's or Linode's cloud", ".config/hcloud/cli.toml",
             ".config/linode-cli", ".config/linode-cli.toml", holds=rb"(?m)^\s*token" + _VALUE),
    *_client("cloud-token", "the key for Vultr's cloud", ".vultr-cli.yaml",
             holds=rb"(?m)^\s*api-?key" + _VALUE),
    *_client("cloud-token", "the token of a tool for deployment", ".vault-token",
             ".terraform.d/credentials.tfrc.json", ".vault_pass", ".vault_pass.txt",
             ".vault_password"),
    *_client("cloud-token", "the token for a Terraform registry", ".terraformrc",
             holds=rb"(?m)^\s*token" + _VALUE),
    *_client("cloud-token", "the token for Ansible Galaxy", ".ansible/galaxy_token",
             holds=rb"(?m)^token" + _VALUE),
    *_client("cloud-token", "the access keys of rclone", ".config/rclone/rclone.conf",
             ".rclone.conf", holds=rb"(?m)^(pass|password|token|secret_access_key|key)" + _VALUE),
    *_client("assistant-login", "the login to an assistant", ".claude/.credentials.json",
             ".codex/auth.json", ".gemini/oauth_creds.json", ".config/op/config",
             holds=rb"(?i)(token|api_?key|secret|deviceuuid)\w*\"?\s*:\s*\"[^\"]"),
)
_REGISTRIES = (
    *_client("registry-login", "the login to a container registry", ".docker/config.json",
             ".config/containers/auth.json", holds=_DOCKER, logout="docker logout"),
    *_system("registry-login", "the login to a container registry", "/var/lib/kubelet/config.json",
             "/etc/containers/auth.json", holds=_DOCKER),
    *_client("registry-login", "the login to a package registry", ".npmrc", ".yarnrc.yml",
             holds=_NPM, logout="npm logout"),
    *_system("registry-login", "the login to a package registry", "/etc/npmrc", "/usr/etc/npmrc",
             "/usr/local/etc/npmrc", holds=_NPM),
    *_client("registry-login", "the login to a package index", ".pypirc",
             holds=rb"(?m)^[ \t]*password" + _VALUE),
    *_client("registry-login", "the login to a package index", ".pip/pip.conf",
             ".config/pip/pip.conf", holds=_LOGIN),
    *_system("registry-login", "the login to a package index", "/etc/pip.conf",
             "/etc/xdg/pip/pip.conf", holds=_LOGIN),
    *_client("registry-login", "the token for a registry of Rust", ".cargo/credentials",
             ".cargo/credentials.toml", holds=rb"(?m)^[ \t]*token" + _VALUE),
    *_client("registry-login", "the key for RubyGems", ".gem/credentials",
             ".local/share/gem/credentials", holds=rb"(?m)^:?[\w-]+:[ \t]*\S"),
    *_client("registry-login", "the login to a Maven repository", ".m2/settings.xml",
             ".m2/settings-security.xml",
             holds=rb"<(password|passphrase|privateKey|master)>\s*[^$<\s]"),
    *_client("registry-login", "the login to a Gradle repository", ".gradle/gradle.properties",
             holds=rb"(?im)^[ \t]*[\w.]*(password|token|secret|api_?key)[\w.]*[ \t]*[=:][ \t]*"
                   rb"[^\s$]"),
    *_client("registry-login", "the login to a Composer repository", ".composer/auth.json",
             ".config/composer/auth.json",
             holds=rb"\"(http-basic|bearer|[\w-]+-(oauth|token))\"\s*:\s*\{\s*\"[^\"]"),
    *_client("registry-login", "the login to a NuGet feed", ".nuget/NuGet/NuGet.Config",
             ".config/NuGet/NuGet.Config", ".nuget/NuGet.Config",
             holds=rb"(?i)key=\"(ClearText)?Password\"\s+value=\"[^\"%]"),
)
_SERVERS = (
    *_client("git-login", "the login to a git server", ".git-credentials",
             ".config/git/credentials", holds=rb"://[^/\s:@]*:[^/\s@]+@"),
    *_client("git-login", "the login to a git server", ".gitconfig", ".config/git/config",
             holds=_LOGIN + rb"|[Aa][Uu][Tt][Hh][A-Za-z]*:\s*\w+\s+\S|^\s*(?:oauth-?)?token"
                   rb"\s*=\s*\S"),
    *_system("git-login", "the login to a git server", "/etc/gitconfig", holds=_LOGIN),
    *_client("git-login", "the token for GitHub", ".config/gh/hosts.yml",
             holds=rb"oauth_token" + _VALUE, logout="gh auth logout"),
    *_client("git-login", "the token for GitLab", ".config/glab-cli/config.yml",
             holds=rb"(?m)^\s*(job_)?token" + _VALUE),
    *_client("password-file", "a password for another machine", ".netrc", ".authinfo",
             holds=rb"\bpassword\s+\S"),
    *_client("cluster-login", "the login to a Kubernetes cluster", ".kube/config", holds=_KUBE),
    *_system("cluster-login", "the login to a Kubernetes cluster", "/etc/kubernetes/*.conf",
             "/etc/rancher/k3s/k3s.yaml", "/etc/rancher/rke2/rke2.yaml", holds=_KUBE),
    *_client("gpg-key", "a private GPG key", ".gnupg/private-keys-v1.d/*.key",
             ".gnupg/secring.gpg"),
    *_system("vpn-key", "the private key for a VPN", "/etc/wireguard/*.conf",
             holds=rb"(?m)^[ \t]*(PrivateKey|PresharedKey)[ \t]*=[ \t]*\S"),
    *_system("vpn-key", "the key or login for a VPN", "/etc/openvpn/**",
             holds=_PEM + rb"|-----BEGIN OpenVPN Static key|<auth-user-pass>\s*[^\s<]"),
    *_system("certificate-key", "the key of a certificate, or of the account that gets them,",
             "/etc/letsencrypt/archive/*/privkey*.pem", "/etc/letsencrypt/live/*/privkey*.pem",
             "/etc/letsencrypt/keys/*.pem", "/etc/letsencrypt/accounts/**",
             holds=_PEM + rb"|\"d\"\s*:\s*\"",
             advice="have a first-boot script get a certificate, then: certbot delete, or rm "
                    "{path}"),
    *_system("network-password", "a password or key for a network",
             "/etc/NetworkManager/system-connections/*",
             holds=rb"(?m)^(psk|password|private-key|preshared-key|wep-key[0-3]|leap-password)"
                   rb"=[ \t]*\S"),
    *_system("network-password", "a password or key for a network", "/etc/netplan/*.yaml",
             holds=rb"\b(password|private|psk)\"?:[ \t]*[\"']?[^\s\"'{}]"),
)

# What an application may have made for itself: its author has to tell, hence a warning.
_LIBRARIES = tuple(f"*/{name}/*" for name in (
    "node_modules", "site-packages", "dist-packages", "vendor", "gems"))
_TEMPLATES = tuple(f"*.env*.{name}" for name in ("example", "sample", "dist", "template", "tpl"))
_SITES = ("/var/www", "/srv", "/opt", "/usr/share/nginx/html", "/usr/local", "/home", "/root",
          "/app", "/data", "/var/local", "/var/opt")
# Repeats are bounded: the text is hostile.
_NAME = (rb"\w{0,80}(?:SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|APP_KEY|PRIVATE_KEY|ACCESS_KEY)"
         rb"\w{0,80}")
_GIVEN = (rb"[ \t]{0,9}[\"']?(?!null\b|none\b|true\b|false\b|your|change|example|secret\b"
          rb"|password\b|xxx|todo|\$|#|<|\{|\*)(?:[^\s\"'$]|\$(?![{(])){6}")
_NO_PATH = rb"(?![ \t]{0,9}[\"']?(?:/|https?://|[`(]))"  # where it is, or a command that tells it
_ENV = rb"(?im)^[ \t]*(?:export[ \t]+)?" + _NAME + rb"[ \t]{0,9}=" + _GIVEN
_UNIT = (rb"(?im)^[ \t]*(?:export[ \t]+|Environment=[\"']?(?:\w+=\S*[ \t]+[\"']?){0,9})?"
         + _NAME + b"=" + _NO_PATH + _GIVEN)
_COMPOSE = (rb"(?im)^[ \t]*(?:-[ \t]+)?[\"']?" + _NAME + rb"[\"']?[ \t]{0,9}[=:]" + _NO_PATH
            + _GIVEN)
_DB = rb"(?m)^[ \t]*password" + _VALUE


def _sites(code: str, what: str, names: tuple[str, ...], holds: bytes,
           severity: Status = Status.WARN, keep: tuple[str, ...] = ()) -> list[Residue]:
    """Files of web sites and applications, at any depth."""
    return _system(code, what, *(f"{top}/**/{name}" for top in _SITES for name in names),
                   holds=holds, severity=severity, keep=(*_LIBRARIES, *keep),
                   advice="have a first-boot script make it; if the build alone needed it: "
                          "rm {path}")


_APPLICATIONS = (
    *_client("database-login", "the password of a database", ".my.cnf", holds=_DB,
             severity=Status.WARN),
    *_client("database-login", "the password of a database", ".pgpass",
             holds=rb"(?m)^[^#\n]+:[^:\n]+$", severity=Status.WARN),
    *_client("database-login", "the password of a database", ".mylogin.cnf", severity=Status.WARN),
    *_client("database-login", "the password of a database", ".mongorc.js", ".mongoshrc.js",
             holds=rb"(?i)\.auth\(|\bpwd\b\s*[:=]|mongodb(\+srv)?://[^/\s:@]+:[^/\s@]+@",
             severity=Status.WARN),
    *_sites("application-secret", "the database password and keys of a WordPress site",
            ("wp-config.php",),
            rb"DB_PASSWORD['\"]\s*,\s*['\"](?!password_here|your)[^'\"]"),
    *_sites("application-secret", "a secret of an application", (".env", ".env.*"), _ENV,
            keep=_TEMPLATES),
    *_sites("application-secret", "a secret of an application",
            ("docker-compose*.yml", "docker-compose*.yaml", "compose.yml", "compose.yaml"),
            _COMPOSE),
    *_system("application-secret", "a password or token that services or shells are given",
             "/etc/environment", "/etc/environment.d/*", "/etc/profile.d/*", "/etc/default/*",
             "/etc/sysconfig/*", "/etc/systemd/system/*.service", "/etc/systemd/system/*.d/*.conf",
             holds=_UNIT, severity=Status.WARN,
             advice="have a first-boot script set it in {path}"),
    *_client("application-secret", "a password or token that shells are given", ".bashrc",
             ".bash_profile", ".bash_login", ".bash_aliases", ".profile", ".zshrc", ".zshenv",
             ".zprofile", holds=_UNIT, severity=Status.WARN),
    *_sites("application-secret", "the master key of a Rails application", ("master.key",),
            rb"\A[0-9a-f]{32}\s*\Z", Status.FAIL),
    *_sites("application-secret", "passwords of a web server, as hashes,", (".htpasswd",),
            rb"(?m)^[^\s:#]+:\S"),
    *_system("application-secret", "passwords of a web server, as hashes,",
             "/etc/nginx/.htpasswd", "/etc/nginx/htpasswd", "/etc/apache2/.htpasswd",
             "/etc/httpd/.htpasswd", holds=rb"(?m)^[^\s:#]+:\S", severity=Status.WARN,
             advice="have a first-boot script make it, then: rm {path}"),
    *_sites("terraform-state", "what Terraform knows of machines, passwords included,",
            ("*.tfstate", "*.tfstate.backup"),
            rb"\"(password|private_key\w*|secret\w*|token|access_key|sensitive_attributes)\""
            rb"\s*:\s*(\"[^\"]|\[\s*[\[{])", Status.FAIL),
)


def _made(code: str, why: str, *patterns: str, holds: bytes = b"",
          severity: Status = Status.WARN,
          advice: str = "have a first-boot script make it, then: rm {path}") -> list[Residue]:
    return [Residue("first-boot-secrets", code, pattern, Treat.REPORT, severity, why, holds=holds,
                    advice=advice) for pattern in patterns]


_GENERATED = "was made while the image was built, so that every Droplet has the same"
_FIRST_BOOT = (
    *_made("digitalocean-passwords", "passwords of this one Droplet, which its first boot is to "
           "make", "/root/.digitalocean_*", severity=Status.FAIL,
           advice="rm {path}, and have a script in /var/lib/cloud/scripts/per-instance make it"),
    *_made("password-list", "looks like a list of passwords",
           *(f"/root/{name}{end}" for name in ("password", "passwords", "credentials",
                                               ".password", ".passwords", ".credentials")
             for end in ("", ".txt"))),
    *_made("generated-password", f"the password of the first user {_GENERATED}",
           "/var/lib/jenkins/secrets/initialAdminPassword", "/etc/gitlab/initial_root_password",
           "/root/.jenkins/secrets/initialAdminPassword"),
    *_made("generated-password", f"the keys that protect Jenkins' secrets: one that {_GENERATED}",
           "/var/lib/jenkins/secrets/master.key", "/var/lib/jenkins/secrets/hudson.util.Secret"),
    *_made("generated-password", f"the password of a database account {_GENERATED}",
           "/etc/mysql/debian.cnf", holds=rb"(?m)^[ \t]*password[ \t]*=[ \t]*\S"),
    *_made("generated-password", f"the password of a database account {_GENERATED}",
           "/etc/dbconfig-common/*.conf", holds=rb"(?m)^dbc_dbpass='[^']"),
    *_made("generated-password", f"the password of a database account {_GENERATED}",
           "/etc/phpmyadmin/config-db.php", "/etc/roundcube/debian-db.php",
           holds=rb"\$dbpass\s*=\s*'[^']"),
    *_made("generated-password", f"the secret of phpMyAdmin's cookies {_GENERATED}",
           "/var/lib/phpmyadmin/blowfish_secret.inc.php"),
    *_made("generated-password", f"the password of a message broker or cache {_GENERATED}",
           "/etc/redis/redis.conf", "/etc/redis.conf", "/etc/valkey/valkey.conf",
           holds=rb"(?m)^[ \t]*(requirepass|masterauth)[ \t]+(?!foobared)[^\s#]",
           advice="have a first-boot script set it in {path}"),
    *_made("generated-password", f"the password of Elasticsearch's keystore {_GENERATED}",
           "/etc/elasticsearch/elasticsearch.keystore", "/etc/opensearch/opensearch.keystore"),
)

ROWS: tuple[Residue, ...] = (*_CLOUDS, *_REGISTRIES, *_SERVERS, *_APPLICATIONS, *_FIRST_BOOT)
