"""DigitalOcean's monitoring and console agents are gone

The control panel installs them on a build Droplet (packages do-agent and droplet-agent). In an
image they are forbidden: whoever creates a Droplet decides about them. Looked at are the packages,
what they leave when they are removed (repository, signing key, unit, directories), and the account
do-agent. An empty directory is only a warning.

`img-clean --yes --only do-agent` removes the packages and all that they left. Droplets that are
created with `droplet_agent=false` never get the console agent.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding, PackageRef, fail

CATEGORY = "provider"
CODES = (*residue.codes("do-agent"), "agent-account", "agent-package")
REFERENCES = (
    "build-an-image: do not enable unnecessary DigitalOcean features",
    "https://github.com/digitalocean/marketplace-partners/issues/166",
)

PACKAGES = ("do-agent", "droplet-agent", "droplet-agent-keyring", "digitalocean-agent")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every part of the agents that is there."""
    account = host.accounts.by_name("do-agent")
    if account is not None:
        yield fail("agent-account", "the account do-agent of DigitalOcean's agent is there",
                   path="/etc/passwd", line=account.line, account=account.name,
                   fix=host.clean_command("do-agent"))
    yield from residue.findings(host, "do-agent")
    installed = host.packages.installed
    for name in (name for name in PACKAGES if name in installed):
        package = installed[name]
        yield fail("agent-package", f"the package {name} {package.version} is installed",
                   package=PackageRef(name, package.version),
                   fix=host.clean_command("do-agent"))
