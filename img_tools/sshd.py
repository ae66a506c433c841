"""The OpenSSH server's configuration, read from its files as sshd itself reads them.

`sshd -T` would answer too, but is a program of the image, and refuses once the host keys are gone,
which is how an image should be. The rules are those of sshd_config(5) and of the parser's own
behaviour in OpenSSH 8.4, 9.2 and 10.0: the first value wins, a Match block outranks what stands
outside of any, a block ends with the file it is in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from img_tools.model import Skip, Undecided
from img_tools.rootfs import RootFS
from img_tools.sshd_keywords import GLOBAL_ONLY, KNOWN

CONFIG = "/etc/ssh/sshd_config"
DIRECTORY = "/etc/ssh"  # what a relative Include is relative to
MAX_DEPTH = 16  # of includes; sshd refuses more (servconf.c, SERVCONF_MAX_DEPTH)
MAX_FILES = 500  # read in all, since two files that include each other double at each level
FILE_LIMIT = 1 << 20  # bytes
TOTAL_LIMIT = 4 << 20  # bytes of all files together
ANYONE = frozenset({"*", "0.0.0.0/0,::/0", "::/0,0.0.0.0/0"})


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition of a Match line: `name` in lower case ("user"), `pattern` as written."""

    name: str
    pattern: str = ""

    def holds(self, user: str, groups: Sequence[str]) -> bool | None:
        """Whether it holds for USER, a member of GROUPS; None when that depends on the client."""
        match self.name:
            case "all":
                return True
            case "user":
                return matches(self.pattern, [user])
            case "group":
                return matches(self.pattern, groups)
            case "invalid-user":
                return False
            case "address" | "host" | "localaddress" | "rdomain" if self.pattern in ANYONE:
                return True
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Directive:
    """One line that sets something; `keyword` in lower case. `match` must hold as a whole."""

    keyword: str
    args: tuple[str, ...]
    path: str
    line: int
    match: tuple[Criterion, ...] = ()

    @property
    def in_match(self) -> bool:
        """True within a Match block other than `Match all`, which limits nothing."""
        return any(criterion.name != "all" for criterion in self.match)

    def holds(self, user: str, groups: Sequence[str]) -> bool | None:
        """Whether the block it is in applies to USER; None when that depends on the client."""
        verdicts = [criterion.holds(user, groups) for criterion in self.match]
        return False if False in verdicts else None if None in verdicts else True

    @property
    def where(self) -> str:
        """"/etc/ssh/sshd_config line 12"."""
        return f"{self.path} line {self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that keeps sshd from starting; not `certain` when a newer sshd may understand it."""

    path: str
    line: int
    text: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Effective:
    """A directive that is in force, for every client (`certain`) or for some."""

    directive: Directive
    certain: bool


@dataclass(frozen=True, slots=True)
class SshdConfig:
    """All directives in the order in which sshd reads them, and what it would refuse."""

    directives: tuple[Directive, ...]
    problems: tuple[Problem, ...] = ()

    def all(self, keyword: str) -> list[Directive]:
        """Every directive KEYWORD, in whatever block."""
        return [item for item in self.directives if item.keyword == keyword.lower()]

    def outside(self, keyword: str) -> list[Directive]:
        """Every directive KEYWORD outside of Match blocks.

        The first counts, unless the keyword collects (Port, ListenAddress, HostKey, ...).
        """
        return [item for item in self.all(keyword) if not item.in_match]

    def first(self, keyword: str, default: str = "") -> str:
        """The first word of what is set outside of Match blocks, in lower case."""
        found = self.outside(keyword)
        return found[0].args[0].lower() if found else default

    def effective(self, keyword: str, user: str, groups: Sequence[str] = ()) -> list[Effective]:
        """What is in force for USER, strongest first; more than one when it depends on the client.

        Only the last is certain to count, where everything before it does not apply.
        """
        found: list[Effective] = []
        for item in self.all(keyword):
            verdict = item.holds(user, groups) if item.match else False
            if verdict is not False:
                found.append(Effective(item, verdict is True))
            if verdict:
                return found
        return found + [Effective(item, True) for item in self.outside(keyword)[:1]]

    def collected(self, keyword: str, user: str, groups: Sequence[str] = ()) -> list[Directive]:
        """The lines of a list (AllowUsers, ...) that certainly count for USER.

        Lines of one kind add up; those of Match blocks take the place of those outside.
        """
        within = [item for item in self.all(keyword) if item.match and item.holds(user, groups)]
        return within or self.outside(keyword)


def matches(pattern_list: str, names: Sequence[str]) -> bool:
    """True when one of NAMES matches the comma-separated list, and none a pattern with `!`."""
    found = False
    for pattern in pattern_list.split(","):
        hit = any(pattern_matches(pattern.removeprefix("!"), name) for name in names)
        if hit and pattern.startswith("!"):
            return False
        found = found or hit
    return found


def pattern_matches(pattern: str, name: str) -> bool:
    """ssh_config(5), PATTERNS: only `*` and `?` mean something, brackets do not."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def read(root: RootFS) -> SshdConfig:
    """The configuration of the image. Raises Skip without one, Undecided when it cannot be read."""
    if not root.exists(CONFIG):
        raise Skip(f"there is no {CONFIG}")
    reader = _Reader(root)
    reader.file(CONFIG, (), 0)
    reader.options()
    return SshdConfig(tuple(reader.directives), tuple(reader.problems))


@dataclass(slots=True)
class _Reader:
    root: RootFS
    directives: list[Directive] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    size: int = 0

    def file(self, path: str, outer: tuple[Criterion, ...], depth: int) -> None:
        """Read PATH, all of which stands under the conditions OUTER."""
        data = self.root.read_bytes(path, FILE_LIMIT)
        self.files, self.size = self.files + 1, self.size + len(data)
        if self.files > MAX_FILES or self.size > TOTAL_LIMIT:
            raise Undecided(f"{CONFIG} includes over {MAX_FILES} files or {TOTAL_LIMIT} bytes; "
                            "it cannot be judged")
        if b"\0" in data:
            raise Undecided(f"{path} is not text; what sshd makes of it cannot be judged")
        match = outer
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        for number, line in enumerate(lines, 1):
            written, rest = split_keyword(line)
            keyword, args = written.lower(), words(rest)
            if not keyword:
                continue
            if args is None:
                # OpenSSH 8.4 takes a single quote as a letter like any other
                args, old = rest.split(), words(rest.replace("'", ""))
                self.problems.append(Problem(
                    path, number, f"a quote is not closed after {written}", old is None))
            elif problem := _problem(written, args, match):
                self.problems.append(Problem(path, number, *problem))
            if not args:
                continue
            if keyword == "match":
                match = outer + self._criteria(path, number, args)
            elif keyword == "include":
                for name in self._included(args):
                    self._include(name, match, depth + 1, path, number)
            else:
                self.directives.append(Directive(keyword, tuple(args), path, number, match))

    def _include(
        self, name: str, match: tuple[Criterion, ...], depth: int, path: str, line: int
    ) -> None:
        if depth <= MAX_DEPTH:
            self.file(name, match, depth)
        else:
            text = f"over {MAX_DEPTH} levels of Include; sshd refuses that"
            if Problem(path, line, text) not in self.problems:
                self.problems.append(Problem(path, line, text))

    def _included(self, patterns: Sequence[str]) -> Iterator[str]:
        for pattern in patterns:
            full = pattern if pattern.startswith("/") else f"{DIRECTORY}/{pattern}"
            full = re.sub(r"\*+", "*", full)  # `**` is no more than `*` to glob(3)
            shows_hidden = full.rpartition("/")[2].startswith(".")
            for entry in self.root.glob(full):
                hidden = entry.path.rpartition("/")[2].startswith(".")  # glob(7): `*` passes over
                if (shows_hidden or not hidden) and self.root.exists(entry.path) and (
                        not self.root.is_dir(entry.path)):
                    yield entry.path

    def _criteria(self, path: str, line: int, args: list[str]) -> tuple[Criterion, ...]:
        """The conditions of a Match line; `user=root` is `user root`."""
        pending = [part for word in args for part in _equals(word)]
        found: list[Criterion] = []
        while pending:
            name = pending.pop(0).lower()
            if name in ("all", "invalid-user"):
                found.append(Criterion(name))
            elif not pending:
                self.problems.append(Problem(path, line, f"`Match {name}` lacks its pattern"))
            else:
                found.append(Criterion(name, pending.pop(0)))
            if name not in ATTRIBUTES:
                text = f"`Match {name}` is not known here"
                self.problems.append(Problem(path, line, text, certain=False))
        if len(found) > 1 and any(criterion.name == "all" for criterion in found):
            self.problems.append(Problem(path, line, "`Match all` stands with other conditions"))
        return tuple(found)

    def options(self) -> None:
        """Note a command line that overrides the files (Debian's and EL's ways to give one)."""
        for path in ("/etc/default/ssh", "/etc/sysconfig/sshd"):
            for number, line in enumerate(self.root.read_lines(path), 1):
                found = re.match(r"\s*(?:SSHD_OPTS|OPTIONS)=(.*)", line)
                if found and re.search(r"(^|[\s'\"])-\w*[fopCh]", found[1]):
                    self.problems.append(Problem(
                        path, number, "options on sshd's command line outrank its files; they are "
                        "not judged here, set them in a file", certain=False))


ATTRIBUTES = frozenset({"all", "user", "group", "host", "address", "localaddress", "localport",
                        "rdomain", "invalid-user"})


def _equals(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [part for part in (name, value) if part] if equals and (
        name.lower() in ATTRIBUTES) else [word]


def split_keyword(line: str) -> tuple[str, str]:
    """(keyword as written, the rest of the line); ("", "") for a comment or an empty line."""
    found = re.match(r'[ \t\r]*(?:"([^"]*)"|([^\s="]+))[ \t\r]*=?[ \t\r]*(.*)',
                     line.rstrip(" \t\r\n\f"), re.DOTALL)
    keyword = (found[1] or found[2] or "") if found else ""
    if not found or not keyword or keyword.startswith("#"):
        return "", ""
    return keyword, found[3]


_WORD = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^ \t"'])+|["']""")


def words(text: str) -> list[str] | None:
    r"""The arguments in TEXT: blanks separate, quotes join, a word that begins with `#` ends it.

    None when a quote is not closed. A backslash protects a quote, a backslash, and outside of
    quotes a blank. So does OpenSSH 9.2; to 8.4 only `"` is a quote, and around whole words alone.
    """
    found: list[str] = []
    for word in _WORD.finditer(text):
        if word[0] in ("'", '"'):
            return None
        if word[0].startswith("#"):
            break
        found.append(re.sub(r"""\\([\\"' ])|["']""", lambda piece: piece[1] or "", word[0]))
    return found


YES_NO = frozenset({"yes", "no"})
ROOT_LOGIN = YES_NO | {"prohibit-password", "without-password", "forced-commands-only"}
VALUES = {
    "passwordauthentication": YES_NO, "pubkeyauthentication": YES_NO, "usepam": YES_NO,
    "permitemptypasswords": YES_NO, "kbdinteractiveauthentication": YES_NO,
    "challengeresponseauthentication": YES_NO, "strictmodes": YES_NO, "permitrootlogin": ROOT_LOGIN,
}


def _problem(
    written: str, args: Sequence[str], match: Sequence[Criterion]
) -> tuple[str, bool] | None:
    """(what sshd refuses about a line, whether that is certain), or None."""
    keyword = written.lower()
    if keyword not in KNOWN:
        return f"{written} is no keyword known here; `sshd -t` tells whether it is one", False
    if not args:
        return f"{written} has no value", True
    if keyword in GLOBAL_ONLY and any(criterion.name != "all" for criterion in match):
        return f"{written} is not allowed within a Match block", True
    if keyword == "port":
        good = bool(re.fullmatch("[0-9]{1,5}", args[0])) and 0 < int(args[0]) < 65536
    else:
        good = args[0].lower() in VALUES.get(keyword, {args[0].lower()})
    if not good:
        return f"{written} has a value that it does not take", True
    if len(args) > 1 and (keyword == "port" or keyword in VALUES):
        return f"{written} has more than one value", True
    return None
