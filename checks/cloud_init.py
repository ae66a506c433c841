"""cloud-init is installed, recent enough, enabled, and set up for the cloud

A clone gets its network, host keys, user keys and first-boot scripts from cloud-init: without it
nobody can log in. Looked at are its version (0.7.6 at least, 0.7.9 recommended: there never was the
"0.76" of the documentation), everything that disables it (a marker file, a kernel parameter, units,
the policy of ds-identify), and /etc/cloud/cloud.cfg with cloud.cfg.d: whether ConfigDrive or
DigitalOcean is among the datasources, whether host keys are made, and whether every clone would get
the same password or key.

Correct the file or the unit that a finding names. Leave passwords and keys to the user-data that
each Droplet gets.
"""

from collections.abc import Iterator

from packaging.version import Version

from img_tools.host import Host
from img_tools.model import Finding, PackageRef, Undecided, fail, warn

CATEGORY = "cloud-init"
CODES = (
    "datasource", "datasource-deprecated", "disabled-by-file", "disabled-by-kernel-parameter",
    "disabled-by-policy", "generator", "host-keys-kept", "key", "network-disabled", "no-host-keys",
    "not-installed", "password", "password-login", "unit-disabled", "unit-masked", "unit-missing",
    "version",
)
REFERENCES = (
    "build-an-image: cloud-init 0.76 or higher (0.79 or higher recommended)",
    "https://docs.cloud-init.io/en/latest/reference/datasources/digitalocean.html",
)

FLOOR, RECOMMENDED = Version("0.7.6"), Version("0.7.9")
DEPRECATED = Version("23.2")  # of DataSourceDigitalOcean, in favour of ConfigDrive


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for everything that would keep cloud-init from its work on a clone."""
    name, version = _installed(host)
    if version is None:
        yield fail("not-installed", "cloud-init is not installed",
                   fix=host.advice("install", "cloud-init"))
        return
    found = host.cloud.upstream(version)
    if found < RECOMMENDED:
        report, least = (fail, FLOOR) if found < FLOOR else (warn, RECOMMENDED)
        yield report("version", f"cloud-init {version} is older than {least}",
                     package=PackageRef(name, version), fix=host.advice("upgrade"))
    for obstacle in host.cloud.obstacles():
        yield fail(obstacle.code, obstacle.message, path=obstacle.path, line=obstacle.line,
                   fix=obstacle.fix)
    yield from _credentials(host)
    yield from _datasources(host, found)
    yield from _settings(host)


def _installed(host: Host) -> tuple[str, str | None]:
    """The package and its version, or what the program says that no package manager knows."""
    unknown: Undecided | None = None
    try:
        for name in ("cloud-init", "cloud-init-base"):
            if package := host.packages.installed.get(name):
                return name, package.version
    except Undecided as undecided:
        unknown = undecided
    if host.cloud.program is None:
        return "cloud-init", None
    if host.cloud.module_version is None:
        raise unknown or Undecided(f"{host.cloud.program} is there, but its version is not known")
    return "cloud-init", host.cloud.module_version


def _credentials(host: Host) -> Iterator[Finding]:
    for found in host.cloud.credentials():
        what = "key" if found.is_key else "password or token"
        yield fail("key" if found.is_key else "password",
                   f"{found.path} line {found.line} ({found.key}) gives all clones the same {what}",
                   path=found.path, line=found.line, evidence={"setting": found.key},
                   fix=f"remove the setting from {found.path}")


def _datasources(host: Host, version: Version) -> Iterator[Finding]:
    found = host.cloud.setting("datasource_list")
    if found is None:
        return  # every datasource is tried
    advice = f"add ConfigDrive to datasource_list in {found.path}"
    evidence = {"datasource_list": ", ".join(found.words)}
    if not {"ConfigDrive", "DigitalOcean"} & set(found.words):
        yield fail("datasource", f"{found.path} has neither ConfigDrive nor DigitalOcean in its "
                   "datasource_list: a Droplet offers nothing else",
                   path=found.path, line=found.line, evidence=evidence, fix=advice)
    elif "ConfigDrive" not in found.words and version >= DEPRECATED:
        yield warn("datasource-deprecated", f"{found.path} relies on the datasource DigitalOcean, "
                   f"which is deprecated since cloud-init {DEPRECATED}",
                   path=found.path, line=found.line, evidence=evidence, fix=advice)


def _settings(host: Host) -> Iterator[Finding]:
    found = host.cloud.setting("ssh_pwauth")
    if found and found.is_true:
        yield warn("password-login", f"{found.path} lets clones accept passwords over SSH",
                   path=found.path, line=found.line,
                   fix=f"set `ssh_pwauth: false` in {found.path}")
    found = host.cloud.setting("ssh_deletekeys")
    if found and not found.is_true:
        yield warn("host-keys-kept", f"{found.path} keeps the host keys that an image has, so that "
                   "its clones would share them",
                   path=found.path, line=found.line,
                   fix=f"remove ssh_deletekeys from {found.path}")
    found = host.cloud.setting("ssh_genkeytypes")
    if found and not found.words:
        yield fail("no-host-keys", f"{found.path} has clones make no host keys: sshd cannot start",
                   path=found.path, line=found.line,
                   fix=f"remove ssh_genkeytypes from {found.path}")
    found = host.cloud.setting("network", "config")
    if found and found.text == "disabled":
        yield warn("network-disabled", f"{found.path} keeps cloud-init from setting up the network",
                   path=found.path, line=found.line,
                   fix=f"remove it from {found.path}, unless the image's own setup fits any clone")
