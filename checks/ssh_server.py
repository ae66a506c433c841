"""The OpenSSH server is installed, starts at boot and can start

A Droplet is managed over SSH: an image without openssh-server, or with its service disabled, masked
or refusing its own configuration, cannot be reached. SFTP is recommended, since file transfer from
most clients depends on it. The configuration is read with its Include and Match lines; sshd itself
is not run, because it refuses once the host keys are gone, as they should be in an image.

Passwords over SSH where the configuration asks for them explicitly are worth a second look: every
clone is scanned for weak ones within minutes.
"""

from collections.abc import Iterator

from img_tools.host import Host
from img_tools.model import Finding, Skip, Undecided, fail, warn

CATEGORY = "ssh"
CODES = (
    "config-invalid", "empty-passwords", "masked", "no-configuration", "no-sftp", "not-enabled",
    "not-installed", "not-to-be-run", "password-authentication", "root-password-login",
    "sftp-missing",
)
REFERENCES = (
    "build-an-image: openssh-server",
    "https://man.openbsd.org/sshd_config",
)

SERVICES = ("ssh.service", "sshd.service")
SOCKETS = ("ssh.socket", "sshd.socket")
NOT_TO_BE_RUN = "/etc/ssh/sshd_not_to_be_run"  # Debian's units have it as a condition


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for whatever keeps the server from running, or is not recommended."""
    package = host.packages.installed.get("openssh-server")
    if package is None or not host.root.is_file("/usr/sbin/sshd"):
        what = "/usr/sbin/sshd is missing" if package else "openssh-server is not installed"
        yield fail("not-installed", f"{what}: a Droplet is managed over SSH",
                   fix=host.advice("install", "openssh-server"))
        return
    yield from _boot(host)
    try:
        yield from _configuration(host)
    except Skip:
        yield fail("no-configuration", "/etc/ssh/sshd_config is missing, and sshd does not start "
                   "without it", path="/etc/ssh/sshd_config",
                   fix="put the distribution's file back: "
                       f"{host.advice('reinstall', 'openssh-server')}")


def _boot(host: Host) -> Iterator[Finding]:
    units = host.units
    present = next((unit for unit in SERVICES if units.state(unit) != "absent"), SERVICES[0])
    if not units.starts(*SERVICES, *SOCKETS):
        masked = [unit for unit in (*SERVICES, *SOCKETS) if units.state(unit) == "masked"]
        unit = masked[0] if masked else present
        yield fail("masked" if masked else "not-enabled",
                   f"{unit} is {'masked' if masked else 'not enabled'}: no clone accepts SSH",
                   path=units.file(unit),
                   fix=units.enable(unit))
    if host.root.exists(NOT_TO_BE_RUN):
        yield fail("not-to-be-run", f"{NOT_TO_BE_RUN} keeps the server from starting",
                   path=NOT_TO_BE_RUN, fix=f"rm {NOT_TO_BE_RUN}")


def _configuration(host: Host) -> Iterator[Finding]:
    config = host.sshd
    for problem in config.problems:
        if problem.certain:
            yield fail("config-invalid", f"{problem.path} line {problem.line}: {problem.text}; "
                       "sshd does not start with it", path=problem.path, line=problem.line,
                       fix=f"correct line {problem.line} of {problem.path}; `sshd -t` tells")
    yield from _sftp(host)
    yield from _passwords(host)
    for problem in config.problems:
        if not problem.certain:
            raise Undecided(f"{problem.path} line {problem.line}: {problem.text}")


def _sftp(host: Host) -> Iterator[Finding]:
    found = [item for item in host.sshd.outside("Subsystem") if item.args[0] == "sftp"]
    if not found:
        yield warn("no-sftp", "no SFTP subsystem is configured, which the Marketplace recommends",
                   path="/etc/ssh/sshd_config",
                   fix="add to /etc/ssh/sshd_config: Subsystem sftp internal-sftp")
        return
    path = found[0].args[1] if len(found[0].args) > 1 else ""
    entry = host.root.stat(path, follow=True) if path.startswith("/") else None
    if path != "internal-sftp" and (entry is None or not entry.executable):
        yield warn("sftp-missing", f"{found[0].where}: the SFTP program {path} is not there",
                   path=found[0].path, line=found[0].line,
                   fix="use: Subsystem sftp internal-sftp")


def _passwords(host: Host) -> Iterator[Finding]:
    """Explicit settings alone: what the distribution's default lets in is no choice of the build.

    They open nothing by themselves, since no account may have a password.
    """
    config = host.sshd
    passwords = config.first("PasswordAuthentication", "yes") == "yes"
    for keyword, code, counts, why in (
        ("PasswordAuthentication", "password-authentication", passwords,
         "passwords are accepted over SSH"),
        ("PermitRootLogin", "root-password-login", passwords,
         "root can log in with a password"),
        ("PermitEmptyPasswords", "empty-passwords", passwords,
         "accounts without a password can log in"),
    ):
        for item in config.all(keyword):
            in_force = item.in_match or item is config.outside(keyword)[0]
            if item.args[0].lower() == "yes" and in_force and (counts or item.in_match):
                value = "prohibit-password" if keyword == "PermitRootLogin" else "no"
                yield warn(code, f"{item.where} sets {keyword} yes: {why}", path=item.path,
                           line=item.line, fix=f"set {keyword} {value} there")
    cloud = host.cloud.setting("ssh_pwauth")
    if cloud and cloud.is_true:
        yield warn("password-authentication", f"{cloud.path} line {cloud.line} has cloud-init "
                   "accept passwords over SSH on every clone (ssh_pwauth)", path=cloud.path,
                   line=cloud.line, fix=f"set ssh_pwauth: false in {cloud.path}")
