"""No account has passwords or tokens of clients

Looks in every home, /root and /etc/skel too, for what clients log in with: doctl, aws, s3cmd,
gcloud, az, rclone, Terraform, Vault, docker, podman, npm, pip, twine, git, gh, kubectl, curl and
ftp (.netrc), GPG's private keys. A file counts when it holds a secret, and its content is never
shown. Passwords of databases in .my.cnf and .pgpass are a warning: they may be those of the image's
own database.

A token that was left in an image opens to every customer what it opened to the build. Remove it,
and withdraw it: an image that was published once has given it away. No cleaner does that, since
only you know what of it the image needs; what it needs, a first-boot script must ask for.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "secrets"
REFERENCES = ("build-an-image: no preset passwords", "AWS Marketplace: no hardcoded secrets")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every file of a client that holds a secret."""
    yield from residue.findings(host, "credentials")
