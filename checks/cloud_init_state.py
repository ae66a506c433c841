"""cloud-init has no state of the build machine

Looked at are the parts of /var/lib/cloud that belong to one machine: the link to the instance, the
instances with their user-data and vendor-data, the instance id, the marks of steps already done,
and seeds. With them a clone shows the data of the build machine, and steps that run once never run
again. The installer's own settings in /etc/cloud/cloud.cfg.d are named as well.

`img-clean --yes --only cloud-init-state` removes the state. Do not use `cloud-init clean` for it:
it also removes /var/lib/cloud/scripts, where first-boot scripts lie.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "cloud-init"
CODES = residue.codes("cloud-init-state")
REFERENCES = (
    "build-an-image: removes the cloud-init instance information",
    "https://github.com/canonical/cloud-init/issues/3227",
)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for everything that cloud-init remembers of the build machine."""
    yield from residue.findings(host, "cloud-init-state")
