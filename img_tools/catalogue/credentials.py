"""Where clients keep what they log in with: topic credentials.

Only reported: what an account needs at run time a first-boot script has to ask for, and only the
vendor knows which of it the build alone needed.
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


_VALUE = rb"[ \t]*[=:][ \t]*[\"']?[^\s\"'$]"  # and not a variable that is filled in elsewhere

ROWS: tuple[Residue, ...] = (
    *_client("cloud-token", "the access token for DigitalOcean", ".config/doctl/config.yaml",
             "snap/doctl/*/.config/doctl/config.yaml", holds=rb"access-token" + _VALUE,
             logout="doctl auth remove --context default"),
    *_client("cloud-token", "the access keys for S3 or Spaces", ".s3cfg", ".aws/credentials",
             ".config/s3cmd/config", ".mc/config.json",
             holds=rb"(?i)secret_?(access_?)?key\"?" + _VALUE),
    *_client("cloud-token", "the session with a cloud", ".aws/sso/cache/*.json",
             ".aws/cli/cache/*.json", ".azure/msal_token_cache.json",
             ".azure/msal_token_cache.bin", ".azure/accessTokens.json",
             ".config/gcloud/credentials.db", ".config/gcloud/access_tokens.db",
             ".config/gcloud/application_default_credentials.json"),
    *_client("cloud-token", "the token of a tool for deployment", ".vault-token",
             ".terraform.d/credentials.tfrc.json"),
    *_client("cloud-token", "the access keys of rclone", ".config/rclone/rclone.conf",
             holds=rb"(?m)^(pass|password|token|secret_access_key|key)" + _VALUE),
    *_client("registry-login", "the login to a container registry", ".docker/config.json",
             ".config/containers/auth.json", holds=rb"\"(auth|identitytoken)\"\s*:\s*\"[^\"]",
             logout="docker logout"),
    *_client("registry-login", "the login to a package registry", ".npmrc", ".yarnrc.yml",
             holds=rb"(?i)(_authToken|_auth|_password|npmAuthToken)" + _VALUE,
             logout="npm logout"),
    *_client("registry-login", "the login to a package index", ".pypirc",
             holds=rb"(?m)^[ \t]*password" + _VALUE),
    *_client("registry-login", "the login to a package index", ".pip/pip.conf",
             ".config/pip/pip.conf", holds=rb"://[^/\s:@]+:[^/\s@]+@"),
    *_client("git-login", "the login to a git server", ".git-credentials",
             ".config/git/credentials", holds=rb"://[^/\s:@]*:[^/\s@]+@"),
    *_client("git-login", "the token for GitHub", ".config/gh/hosts.yml",
             holds=rb"oauth_token" + _VALUE, logout="gh auth logout"),
    *_client("password-file", "a password for another machine", ".netrc", ".authinfo",
             holds=rb"\bpassword\s+\S"),
    *_client("cluster-login", "the login to a Kubernetes cluster", ".kube/config",
             holds=rb"\b(token|password|client-key-data)" + _VALUE),
    *_client("gpg-key", "a private GPG key", ".gnupg/private-keys-v1.d/*.key",
             ".gnupg/secring.gpg"),
    # A database of the image's own may be meant, whose password the first boot changes.
    *_client("database-login", "the password of a database", ".my.cnf",
             holds=rb"(?m)^[ \t]*password" + _VALUE, severity=Status.WARN),
    *_client("database-login", "the password of a database", ".pgpass",
             holds=rb"(?m)^[^#\n]+:[^:\n]+$", severity=Status.WARN),
)
