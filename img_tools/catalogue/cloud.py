"""What cloud-init and the provider's agent leave: topics cloud-init-state and do-agent."""

from img_tools.catalogue.model import Kind, Residue, Treat
from img_tools.model import Status


def _state(pattern: str, why: str) -> Residue:
    return Residue("cloud-init-state", "instance-state", pattern, Treat.REMOVE, Status.FAIL, why,
                   kind="name")


def _installer(*names: str) -> list[Residue]:
    return [Residue("cloud-init-state", "installer-config", f"/etc/cloud/cloud.cfg.d/{name}",
                    Treat.REPORT, Status.WARN,
                    "the installer's configuration of cloud-init, which clones should not follow",
                    kind="name", advice="read it, then: rm {path}")
            for name in names]


# Never /var/lib/cloud/scripts: the vendor's first-boot scripts lie there, and `cloud-init clean`
# removes them (https://github.com/canonical/cloud-init/issues/3227).
_CLOUD_INIT = (
    _state("/var/lib/cloud/instance",
           "points cloud-init to the data of the build machine"),
    _state("/var/lib/cloud/instances/*",
           "user-data, vendor-data and state of a machine that is not the clone"),
    _state("/var/lib/cloud/data/*",
           "the instance id and the results of the build machine"),
    _state("/var/lib/cloud/sem/*",
           "marks a step as done, so that it never runs on a clone"),
    _state("/var/lib/cloud/handlers/*",
           "a handler that came with the user-data of the build machine"),
    Residue("cloud-init-state", "seed", "/var/lib/cloud/seed/*", Treat.REMOVE, Status.WARN,
            "user-data that clones take instead of what the provider gives them", kind="tree"),
    *_installer("99-installer.cfg", "90-installer-network.cfg", "00-subiquity-*",
                "subiquity-*", "curtin-*", "50-curtin-networking.cfg"),
)


def _agent(code: str, why: str, *patterns: str, kind: Kind = "name",
           severity: Status = Status.FAIL) -> list[Residue]:
    return [Residue("do-agent", code, pattern, Treat.REMOVE, severity, why, kind=kind)
            for pattern in patterns]


_DIRECTORIES = ("/opt/digitalocean", "/var/opt/digitalocean")
_AGENTS = ("do-agent", "droplet-agent", "digitalocean-agent")

_DO_AGENT = (
    *_agent("agent-directory", "files of DigitalOcean's agent", *_DIRECTORIES, kind="tree"),
    *_agent("agent-directory-empty", "an empty directory that DigitalOcean's agent left",
            *_DIRECTORIES, kind="empty", severity=Status.WARN),
    *(row for name in _AGENTS for row in (
        *_agent("agent-repository", "the package repository of DigitalOcean's agent",
                f"/etc/apt/sources.list.d/{name}*", f"/etc/yum.repos.d/{name}*"),
        *_agent("agent-keyring", "the key that signs the packages of DigitalOcean's agent",
                f"/usr/share/keyrings/{name}*", f"/etc/apt/keyrings/{name}*",
                f"/etc/apt/trusted.gpg.d/{name}*"),
        *_agent("agent-unit", "starts DigitalOcean's agent, or tries to",
                f"/etc/systemd/system/{name}*", f"/etc/systemd/system/*.wants/{name}*",
                f"/etc/init/{name}*", f"/etc/init.d/{name}*", f"/etc/cron.*/{name}*"),
    )),
)

ROWS: tuple[Residue, ...] = (*_CLOUD_INIT, *_DO_AGENT)
