"""No file holds a token or key of a provider

Searches /etc, every home, /root, /home, /opt, /srv, /usr/local, /var/www, web roots, unit files,
jobs, /var/lib/cloud and what a vendor has put into / itself for what providers' tokens look like:
DigitalOcean, AWS, Azure, Google, GitHub, GitLab, Docker Hub, npm, PyPI, Slack, Stripe, OpenAI,
Anthropic, Hugging Face, Vault, Tailscale and thirty others; `docs/secrets.md` lists all. A token in
a settings file, a script, a shell's startup file, a unit, a git remote or a crontab opens to every
customer what it opened to you. A password in an address (https://user:password@host) is a warning:
it may be that of a service of the image.

Withdraw the token where it was made, then take it out; what the image needs, a first-boot script
must ask for. Reported are file, line and length, never more of a token than the beginning that all
of its kind have. Not searched are files that a package brought unchanged, tests and examples of
installed libraries, databases, layers of containers, programs and archives, and of a file what lies
beyond its first 64 MB; the result says how many files that were.
"""

from collections import defaultdict
from collections.abc import Iterator
from shlex import quote

from img_tools.host import SECRET_CODES, Host, Secret
from img_tools.model import Finding, Note, Status, bounded, fail, warn

CATEGORY = "secrets"
REFERENCES = ("build-an-image: no preset passwords", "AWS Marketplace: no hardcoded secrets")

KEY = "private-key"  # told by the check of that name
CODES = tuple(code for code in SECRET_CODES if code != KEY)


def check(host: Host) -> Iterator[Finding | Note]:
    """Yield a finding for every file and kind of token, and what was not searched."""
    kinds = defaultdict(list)
    for secret in host.secrets.secrets:
        if secret.rule.code != KEY:
            kinds[secret.rule.code].append(secret)
    for _, found in sorted(kinds.items()):
        yield from bounded(map(_finding, sorted(found, key=lambda one: one.path)))
    yield from map(Note, host.secrets.notes())
    host.secrets.require_whole()


def _finding(secret: Secret) -> Finding:
    rule = secret.rule
    more = f", and {secret.count - 1} more in this file" if secret.count > 1 else ""
    begins = f"{secret.prefix}... " if secret.prefix else ""
    report = fail if rule.status is Status.FAIL else warn
    return report(
        rule.code, f"{secret.path} line {secret.line} holds {rule.what} "
        f"({begins}{secret.length} characters){more}", path=secret.path, line=secret.line,
        evidence={"length": secret.length, "count": secret.count},
        fix=f"withdraw it where it was made, and take it out of {quote(secret.path)}")
