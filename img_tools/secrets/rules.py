"""What tokens and private keys look like, and how to find them at the speed of a byte search.

`re` searches for a pattern that begins with a literal byte as fast as bytes.find, over 1 GB/s, and
for one that begins with a choice of literals at a fifth of that. So a file is passed over a few
times, each time from one byte that all tokens of a group have (`_` in ghp_..., `-` in glpat-...).
What must follow is looked at there first, then what stands in front: a rule is the HEAD of a token
up to that byte, always of the same width, and its TAIL.

Forms are those that the providers document, where they do; otherwise those that secret scanners
agree on. All repeats are bounded: the text is hostile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from img_tools.model import Status

LONGEST = 2048  # bytes of a match, a private key's armour, headers and first line included


@dataclass(frozen=True, slots=True)
class Rule:
    """One form: HEAD and TAIL are regular expressions, HEAD of a fixed width.

    `code` names what it opens. `public` is how many characters of a match are the same for
    everybody, and may be shown. With `config` it counts in files of settings alone: documents and
    programs are full of examples of it. Unless `inner`, a match is not the end of a longer word.
    """

    code: str
    what: str
    head: bytes
    tail: bytes
    public: int = 0
    status: Status = Status.FAIL
    config: bool = False
    inner: bool = False

    @property
    def pattern(self) -> bytes:
        """What is searched for from the last byte of the head: two groups, head and tail."""
        front = b"" if self.inner else rb"(?<![A-Za-z0-9])"
        return b"(?<=%b(%b))(%b)" % (front, self.head, self.tail)


PRIVATE_KEY = "private-key"
PASSWORD_IN_URL = "password-in-url"
_WARN = Status.WARN
_B64URL = rb"[A-Za-z0-9_-]"

_UNDERSCORE = (
    Rule("digitalocean-token", "a token for DigitalOcean", rb"do[opr]_v1_", rb"[a-f0-9]{64}", 4),
    Rule("github-token", "a token for GitHub", rb"gh[pousr]_", rb"[A-Za-z0-9]{36,255}", 4),
    Rule("github-token", "a token for GitHub", rb"github_",
         rb"pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", 4),
    Rule("npm-token", "a token for npm", rb"npm_", rb"[A-Za-z0-9]{36}", 4),
    Rule("rubygems-token", "a token for RubyGems", rb"rubygems_", rb"[a-f0-9]{48}", 4),
    Rule("docker-token", "a token for Docker Hub", rb"dckr_", rb"[po]at_[A-Za-z0-9_-]{27,40}", 4),
    Rule("stripe-key", "a secret key for Stripe", rb"[sr]k_live_", rb"[A-Za-z0-9]{20,250}", 4),
    Rule("stripe-test-key", "a secret key for Stripe's test mode", rb"[sr]k_test_",
         rb"[A-Za-z0-9]{20,250}", 4, _WARN),
    Rule("stripe-webhook-secret", "a secret for Stripe's webhooks", rb"whsec_",
         rb"[A-Za-z0-9+/]{32,100}", 4),
    Rule("huggingface-token", "a token for Hugging Face", rb"hf_", rb"[A-Za-z0-9]{34}", 3),
    Rule("grafana-token", "a token for Grafana", rb"glsa_", rb"[A-Za-z0-9]{32}_[a-f0-9]{8}", 4),
    Rule("grafana-token", "a token for Grafana", rb"glc_", rb"[A-Za-z0-9+/]{32,400}", 4),
    *(Rule("shopify-token", "a token for Shopify", b"shp" + kind + b"_", rb"[a-fA-F0-9]{32}", 4)
      for kind in (b"at", b"ca", b"pa", b"ss")),
    Rule("groq-key", "an API key for Groq", rb"gsk_", rb"[A-Za-z0-9]{52}", 4),
    Rule("replicate-token", "a token for Replicate", rb"r8_", rb"[A-Za-z0-9]{37}", 3),
    Rule("supabase-token", "a token for Supabase", rb"sbp_", rb"[a-f0-9]{40}", 4),
    Rule("linear-key", "an API key for Linear", rb"lin_api_", rb"[A-Za-z0-9]{40}", 4),
    Rule("sentry-token", "a token for Sentry", rb"sntryu_", rb"[a-f0-9]{64}", 4),
    Rule("aws-secret-key", "a secret access key for AWS or Spaces", rb"(?i:secret_access_)",
         rb"(?i:key)[\"']?[ \t]{0,9}[=:][ \t]{0,9}[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
         inner=True),
)
# After the armour headers of RFC 1421 at most, then base64: programs and documents hold the armour
# alone. In YAML the lines are indented, in JSON and .env files their ends are escaped.
_GAP = rb"(?:[\s\"'#+,]|\\[nr]){1,80}"
_KEY_BODY = rb"(?:%b[A-Za-z-]{1,40}: [^\r\n\\]{0,200}){0,6}%b[A-Za-z0-9+/=]{40}" % (_GAP, _GAP)
_DASH = (
    *(Rule("google-service-account", "the key of a Google service account",
           rb"\"private_key\":" + blank + rb"\"-----",
           rb"BEGIN PRIVATE KEY-----\\n[A-Za-z0-9+/=]{40}") for blank in (b"", b" ")),
    Rule(PRIVATE_KEY, "a private key", rb"-----",
         rb"BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----" + _KEY_BODY, inner=True),
    Rule(PRIVATE_KEY, "a private key", rb"----",
         rb" BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----" + _KEY_BODY),
    Rule(PRIVATE_KEY, "a private key", rb"PuTTY-User-",
         rb"Key-File-[1-9]: [a-z][a-z0-9.@-]{1,60}\r?\nEncryption: "),
    Rule(PRIVATE_KEY, "a private key for age", rb"AGE-SECRET-KEY-", rb"1[0-9A-Z]{58}"),
    *(Rule("gitlab-token", "a token for GitLab", b"gl" + kind + b"-", _B64URL + rb"{20,300}", 4)
      for kind in (b"pat", b"dt", b"rt", b"rtr", b"ptt", b"soat", b"cbt", b"imt", b"ft", b"agent",
                   b"oas", b"ffct")),
    Rule("slack-token", "a token for Slack", rb"xox[abeoprs]-", rb"[0-9A-Za-z-]{20,250}", 4),
    Rule("slack-token", "a token for Slack", rb"xapp-",
         rb"[0-9]-[A-Z0-9]{8,20}-[0-9]{8,20}-[a-z0-9]{32,80}", 4),
    Rule("anthropic-key", "an API key for Anthropic", rb"sk-",
         rb"ant-[a-z]{3,5}[0-9]{2}-[A-Za-z0-9_-]{24,250}", 3),
    Rule("openai-key", "an API key for OpenAI", rb"sk-",
         rb"[A-Za-z0-9_-]{20,160}T3BlbkFJ[A-Za-z0-9_-]{20,160}", 3),
    Rule("openai-key", "an API key for OpenAI or a service like it", rb"sk-",
         rb"(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{40,250}", 3),
    Rule("pypi-token", "a token for PyPI", rb"pypi-", rb"AgE[A-Za-z0-9_-]{32,400}", 4),
    Rule("tailscale-key", "a key for Tailscale", rb"tskey-",
         rb"(?:[a-z]{3,8}-)?[A-Za-z0-9]{8,32}-[A-Za-z0-9]{16,64}", 4),
    Rule("google-client-secret", "a client secret for Google", rb"GOCSPX-", _B64URL + rb"{28}", 4),
    Rule("brevo-key", "an API key for Brevo", rb"xkeysib-", rb"[a-f0-9]{64}-[A-Za-z0-9]{16}", 4),
    Rule("mailgun-key", "an API key for Mailgun", rb"key-", rb"[a-f0-9]{32}", 4, _WARN,
         config=True),
    Rule("mailchimp-key", "an API key for Mailchimp", rb"[a-f0-9]{32}-", rb"us[0-9]{1,2}", 0, _WARN,
         config=True),
    Rule("newrelic-key", "a key for New Relic", rb"NRAK-", rb"[A-Z0-9]{27}", 4),
    Rule("postman-key", "an API key for Postman", rb"PMAK-", rb"[a-f0-9]{24}-[a-f0-9]{34}", 4),
    Rule("xai-key", "an API key for xAI", rb"xai-", rb"[A-Za-z0-9]{80}", 4),
    Rule("pulumi-token", "a token for Pulumi", rb"pul-", rb"[a-f0-9]{40}", 4),
    Rule("heroku-token", "a token for Heroku", rb"HRKU-", _B64URL + rb"{36,80}", 4),
)
_CAPITAL_A = (
    Rule("aws-access-key", "an access key for AWS", rb"A",
         rb"(?:KIA|SIA|BIA|CCA|3T[A-Z0-9])[A-Z2-7]{16}(?![A-Za-z0-9])", 4),
    Rule("google-api-key", "an API key for Google", rb"A", rb"Iza[A-Za-z0-9_-]{35}", 4, _WARN),
    Rule("azure-storage-key", "the key of an Azure storage account", rb"A",
         rb"ccountKey=[A-Za-z0-9+/]{86}=="),
    *(Rule("telegram-token", "the token of a Telegram bot", b"[0-9]{%d}:A" % digits,
           rb"A[A-Za-z0-9_-]{33}") for digits in (8, 9, 10)),
)
_DOT = (
    Rule("sendgrid-key", "an API key for SendGrid", rb"SG\.",
         rb"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", 3),
    Rule("vault-token", "a token for Vault", rb"hv[sbr]\.", _B64URL + rb"{24,300}", 4),
    Rule("terraform-token", "a token for HCP Terraform", rb"[A-Za-z0-9]{14}\.atlasv1\.",
         rb"[A-Za-z0-9_=-]{60,70}"),
    Rule("doppler-token", "a token for Doppler", rb"dp\.(?:pt|st|ct|sa)\.", rb"[A-Za-z0-9]{40,44}",
         3),
    Rule("google-access-token", "an access token for Google", rb"ya29\.", _B64URL + rb"{40,300}", 4,
         _WARN),
)
_URL = (
    Rule("slack-webhook", "a webhook of Slack", rb"://",
         rb"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}",
         inner=True),
    Rule("discord-webhook", "a webhook of Discord", rb"://",
         rb"(?:[a-z]{2,8}\.)?discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,80}",
         inner=True),
    Rule("azure-signature", "a signed address of Azure storage", rb"://",
         rb"[a-z0-9]{3,24}\.[a-z]{3,5}\.core\.windows\.net/[^\s\"'<>?]{0,400}"
         rb"\?[^\s\"'<>?]{0,400}\bsig=[A-Za-z0-9%/+]{40,100}", inner=True),
    Rule("azure-access-key", "a key for an Azure service", rb"://",
         rb"[a-z0-9.-]{3,80}/?;[A-Za-z]{1,30}=[^;\s]{1,80};SharedAccessKey=[A-Za-z0-9+/]{42,44}=",
         inner=True),
    Rule(PASSWORD_IN_URL, "a password in an address", rb"://",
         rb"[^\s:/@\"'`<>()\[\]{}$|,;*]{0,60}:[^\s:/@\"'`<>()\[\]{}$|,;*%]{3,100}@[A-Za-z0-9.-]",
         0, _WARN, config=True, inner=True),
)
GIT_REMOTE = Rule("git-remote-password", "a password or token for a git server", rb"://", rb"")

# Of each group: the byte and what must follow it, and the rules.
_GROUPS: tuple[tuple[bytes, tuple[Rule, ...]], ...] = (
    (rb"_(?=[A-Za-z0-9]{20}|[po]at_|[Kk][Ee][Yy])", _UNDERSCORE),
    (rb"-(?=[A-Za-z0-9][A-Za-z0-9_-]{19}|BEGIN |us[0-9]| BEGIN SSH2|Key-File-)", _DASH),
    (rb"A(?=[KSBC][IC]A[A-Z2-7]|3T|Iza|ccountKey=|A(?<=:AA))", _CAPITAL_A),
    (rb"\.(?=[A-Za-z0-9_-]{22})", _DOT),
    (rb"://(?=[^\s:/@]{0,60}:[^\s/@]{3,100}@|hooks\.slack|(?:[a-z]{2,8}\.)?discord"
     rb"|[a-z0-9]{3,24}\.[a-z]{3,5}\.core\.windows|[a-z0-9.-]{3,80}/?;)", _URL),
)
CODES = tuple(dict.fromkeys(
    rule.code for rule in (*(rule for _, rules in _GROUPS for rule in rules), GIT_REMOTE)))


@cache
def _passes() -> tuple[tuple[re.Pattern[bytes], tuple[Rule, ...]], ...]:
    """The patterns of all groups, compiled when first needed.

    The groups of a pattern that belong to rule N are 2 N + 1, its head, and 2 N + 2, its tail.
    """
    return tuple(
        (re.compile(stop + b"(?:" + b"|".join(rule.pattern for rule in rules) + b")"), rules)
        for stop, rules in _GROUPS)


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule found: the bytes START to END of a buffer."""

    rule: Rule
    start: int
    end: int


def search(data: bytes | bytearray, end: int) -> Iterator[Hit]:
    """All that is in the first END bytes of DATA, group by group."""
    for pattern, rules in _passes():
        for found in pattern.finditer(data, 0, end):
            number = ((found.lastindex or 2) - 2) // 2
            yield Hit(rules[number], found.start(2 * number + 1), found.end())


# What stands where a secret would: in documents, templates and tests.
_PLACEHOLDER = re.compile(
    rb"EXAMPLE|example|xxxx|XXXX|REDACTED|redacted|your|YOUR|placeholder|changeme|\*\*\*|\.\.\."
    rb"|0{12}|1234567890123|<")
_NO_PASSWORD = re.compile(
    rb"(?i):(?:\w*pass(?:w(?:or)?d)?|user(?:name)?|pwd|secret|token|test|foo|bar|\d{1,5})@"
    rb"|@(?:[\w-]+\.)*(?:example|invalid|test)\b|@(?:host(?:name)?|server|proxy|domain|ip)\b")


def is_placeholder(rule: Rule, text: bytes) -> bool:
    """True when TEXT, which RULE found, is no secret but stands for one."""
    if rule.code == PASSWORD_IN_URL:
        if _NO_PASSWORD.search(text):
            return True
        text = text.rpartition(b":")[2]  # who logs in may be called as he will
    return rule.code != PRIVATE_KEY and _PLACEHOLDER.search(text) is not None
