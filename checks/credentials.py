"""No account has passwords or tokens of clients

Looks in every home, /root and /etc/skel too, for what clients log in with: clouds, registries,
package indexes, git servers, clusters, assistants, .netrc, GPG's private keys; in /etc for logins
to Kubernetes, keys of Let's Encrypt and VPNs, passwords of networks; in sites and applications for
wp-config.php, .env, compose files, .htpasswd, Rails' master.key and Terraform's state; and for what
units, /etc/environment, /etc/default and startup files of shells hand on. A file counts when it
holds a secret, and its content is never shown. What may be the image's own, such as the password of
its database, is a warning: every clone would have the same. docs/residues.md lists every path.

A token that was left in an image opens to every customer what it opened to the build. Remove it,
and withdraw it: an image that was published once has given it away. No cleaner does that, since
only you know what of it the image needs; what it needs, a first-boot script must ask for.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "secrets"
CODES = residue.codes("credentials")
REFERENCES = ("build-an-image: no preset passwords", "AWS Marketplace: no hardcoded secrets")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every file of a client that holds a secret."""
    yield from residue.findings(host, "credentials")
