"""What people and programs leave while they work.

Topics shell-history, logs, temp-files, mail-and-spools and crash-data.
"""

# ruff: noqa: S108  (these are names to look for, not files we make)

from collections.abc import Iterable

from img_tools.catalogue.model import Kind, Residue, Treat
from img_tools.model import Status

# -- shell-history -------------------------------------------------------------------------------

_SHELLS = (  # bash, zsh, ksh, ash, tcsh, fish, xonsh, nushell, elvish, PowerShell; add-ons of them
    ".bash_history", ".bash_history-*.tmp", ".bash_sessions/*", ".local/state/bash/history",
    ".local/state/bash_history", ".zsh_history", ".zsh_history.new", ".zhistory", ".histfile",
    ".zsh_sessions/*", ".local/state/zsh/history", ".config/zsh/.zsh_history",
    ".cache/zsh/history", ".local/share/zsh/history", ".sh_history", ".ksh_history",
    ".mksh_history", ".ash_history", ".history", ".tcsh_history",
    ".local/share/fish/*_history", ".config/fish/fish_history", ".xonsh_history",
    ".local/share/xonsh/xonsh-history.sqlite*", ".local/share/xonsh/history_json/*",
    ".config/nushell/history.txt", ".config/nushell/history.sqlite3*",
    ".local/state/elvish/db.bolt", ".elvish/db", ".local/share/powershell/PSReadLine/*_history.txt",
    ".local/share/atuin/history.db*", ".local/share/mcfly/history.db*",
)
_CLIENTS = (  # what was typed at databases, interpreters and debuggers
    ".mysql_history", ".mariadb_history", ".mycli-history", ".mysqlsh/history*", ".psql_history",
    ".config/pgcli/history", ".usql_history", ".sqlite_history", ".local/state/sqlite_history",
    ".rediscli_history", ".valkeycli_history", ".mongosh/mongosh_repl_history",
    ".mongodb/mongosh/mongosh_repl_history", ".mongodb/mongosh/*_log", ".dbshell",
    ".cassandra/cqlsh_history", ".influx_history", ".clickhouse-client-history",
    ".python_history", ".ipython/profile_default/history.sqlite*",
    ".node_repl_history", ".deno_history", ".cache/deno/deno_history.txt", ".irb_history",
    ".irb-history", ".local/state/irb/history", ".pry_history", ".local/share/pry/pry_history",
    ".php_history", ".config/psysh/psysh_history", ".lua_history", ".luajit_history",
    ".scala_history", ".scala_history_jline3", ".amm_history", ".jshell_history", ".Rhistory",
    ".julia/logs/repl_history.jl", ".ghc/ghci_history", ".octave_hist",
    ".local/share/octave/octave_history", ".erlang-history/*", ".cache/erlang-history/*",
    ".gdb_history", ".lldb/*-history", ".perldb_history", ".lftp/rl_history",
    ".local/share/lftp/cl_history", ".aws/cli/history/history.db", ".gnuplot_history",
)
_VIEWERS = (  # names of files, hosts and searches, not what was typed at a prompt
    ".lesshst", ".local/state/lesshst", ".viminfo", ".vim/.netrwhist", ".cache/vim/viminfo",
    ".local/share/nvim/shada/*", ".local/state/nvim/shada/*", ".wget-hsts", ".nano_history",
    ".nano/search_history", ".local/share/nano/search_history", ".local/share/nano/filepos_history",
    ".local/share/mc/history", ".mc/history", ".w3m/history", ".links2/links.his", ".bc_history",
    ".calc_history", ".units_history",
)


def _histories(code: str, severity: Status, why: str, names: Iterable[str]) -> list[Residue]:
    return [Residue("shell-history", code, f"~/{name}", Treat.REMOVE, severity, why)
            for name in names]


_HISTORIES = (
    *_histories("shell-history", Status.FAIL, "commands of the build, with host names and "
                "passwords typed as arguments", _SHELLS),
    *_histories("client-history", Status.FAIL, "what was typed at a database or interpreter, "
                "which often holds passwords and customers' data", _CLIENTS),
    *_histories("viewer-history", Status.WARN, "names of the files, hosts and searches of the "
                "build", _VIEWERS),
)

# -- logs ----------------------------------------------------------------------------------------

_DATE = "[12][0-9][0-9][0-9][01][0-9][0-3][0-9]"
_ROTATED = (
    *(f"*.{suffix}" for suffix in ("gz", "xz", "bz2", "zst", "lz4", "lzo", "zip", "old")),
    "*.[0-9]", "*.[0-9][0-9]", "*.[0-9][0-9][0-9]", f"*-{_DATE}", f"*-{_DATE}-[0-9]*", f"*.{_DATE}",
)
_LOG = "a log of the build machine"

_LOGS = (
    *(Residue("logs", "journal", f"/var/log/**/{name}", Treat.REMOVE, Status.WARN,
              "the journal of the build machine") for name in ("*.journal", "*.journal~")),
    Residue("logs", "journal-directory", f"/var/log/journal/{'?' * 32}", Treat.REMOVE, Status.WARN,
            "named after the machine-id of the build machine", kind="empty"),
    *(Residue("logs", "rotated-log", f"/var/log/**/{name}", Treat.REMOVE, Status.WARN,
              "an old log of the build machine", kind="present")
      for name in _ROTATED),
    # Both are written when an account is made, full of zeros; a login is any other byte.
    *(Residue("logs", "login-record", f"/var/log/**/{name}", Treat.TRUNCATE, Status.WARN,
              "who logged in to the build machine, when and from where", holds=rb"[^\0]")
      for name in ("lastlog", "faillog", "tallylog")),
    *(Residue("logs", "login-record", f"/var/log/**/{name}", Treat.TRUNCATE, Status.WARN,
              "who logged in to the build machine, when and from where")
      for name in ("wtmp", "btmp")),
    Residue("logs", "log", "/var/log/**", Treat.TRUNCATE, Status.WARN, _LOG),
    *(Residue("logs", "login-record", name, Treat.REMOVE, Status.WARN,
              "who logged in to the build machine, when and from where")
      for name in ("/var/lib/wtmpdb/wtmp.db*", "/var/lib/lastlog/lastlog2.db*")),
    *(Residue("logs", "log", name, Treat.TRUNCATE, Status.WARN, _LOG)
      for name in ("/var/account/pacct*", "/var/named/data/named.run")),
    Residue("logs", "journal-cursor", "/var/lib/rsyslog/imjournal.state", Treat.REMOVE, Status.WARN,
            "a place in the journal of the build machine, at which rsyslog would go on reading"),
    *(Residue("logs", "installer-log", name, Treat.REMOVE, Status.WARN,
              "what the installer was told, the root password's hash with it")
      for name in ("/root/anaconda-ks.cfg", "/root/original-ks.cfg", "/root/initial-setup-ks.cfg",
                   "/root/anaconda-post.log", "/root/install.log*")),
)

# -- temp-files ----------------------------------------------------------------------------------

_KEPT = (  # running services hold these, and systemd removes them when it stops and starts
    "/tmp/systemd-private-????????????????????????????????-*/", "/tmp/snap-private-tmp/",
    "/var/tmp/systemd-private-????????????????????????????????-*/",
    "/tmp/lost+found/", "/var/tmp/lost+found/",
)
_SOCKETS = tuple(f"/tmp/{name}/" for name in (".X11-unix", ".ICE-unix", ".XIM-unix", ".font-unix",
                                              ".Test-unix"))  # made by systemd at each boot
_SUPERSEDED = ("dpkg-old", "dpkg-dist", "dpkg-new", "dpkg-bak", "dpkg-tmp", "dpkg-backup",
               "ucf-old", "ucf-dist", "ucf-new", "rpmsave", "rpmorig", "rpmnew")

_BY_HAND = "if nothing needs it: rm {path}"


def _temp(code: str, why: str, kind: Kind, *patterns: str, keep: tuple[str, ...] = ()
          ) -> list[Residue]:
    return [Residue("temp-files", code, pattern, Treat.REMOVE, Status.WARN, why, kind, keep)
            for pattern in patterns]


_TEMP_FILES = (
    # Of a mounted image: of a running one both are memory. A killed img-check leaves its indexes.
    *_temp("temp-file", "a temporary file of the build", "name", "/dev/shm/*", "/run/img-check.*"),
    *_temp("temp-file", "a temporary file of the build", "name", "/tmp/*", "/var/tmp/*",
           *(f"{directory}*" for directory in _SOCKETS), keep=(*_KEPT, *_SOCKETS)),
    *_temp("temp-file", "a module of Ansible with the variables it was given", "name",
           "~/.ansible/tmp/*"),
    *_temp("editor-file", "an editor's copy of a file that is or was open", "present",
           *(f"{top}/{name}" for top in ("/etc/**", "~")
             for name in (".sw[a-p]", ".*.sw[a-p]", ".#*", "#*#"))),
    # Nothing may be lost: these names are given by hand too, perhaps to the only copy there is.
    *(Residue("temp-files", "editor-file", f"{top}/{name}", Treat.REPORT, Status.WARN,
              "an older copy of a file, made by an editor or by hand", "present", advice=_BY_HAND)
      for top in ("/etc/**", "~") for name in ("*~", "*.save")),
    *_temp("superseded-config", "an old or unused copy of a configuration file", "present",
           *(f"/etc/**/*.{suffix}" for suffix in _SUPERSEDED)),
    *(Residue("temp-files", "superseded-config", f"/etc/**/*.{suffix}", Treat.REPORT, Status.WARN,
              "an older copy of a configuration file", "present", advice=_BY_HAND)
      for suffix in ("bak", "orig")),
)

# -- mail-and-spools -----------------------------------------------------------------------------

_MAIL = "mail of the build machine"
_QUEUE = "mail that the build machine has not delivered"


def _spool(code: str, why: str, *patterns: str, keep: tuple[str, ...] = ()) -> list[Residue]:
    return [Residue("mail-and-spools", code, pattern, Treat.REMOVE, Status.WARN, why, keep=keep)
            for pattern in patterns]


_SPOOLS = (
    # Emptied and not removed: the mailbox belongs to its user, who could not make it again.
    *(Residue("mail-and-spools", "mail", pattern, Treat.TRUNCATE, Status.WARN, _MAIL)
      for pattern in ("/var/mail/*", "/var/spool/mail/*")),
    *_spool("mail", _MAIL, "/var/mail/*/new/*", "/var/mail/*/cur/*", "~/mbox", "~/dead.letter",
            "~/Maildir/new/*", "~/Maildir/cur/*"),
    *_spool("mail-queue", _QUEUE,
            *(f"/var/spool/postfix/{name}/**" for name in (
                "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
                "maildrop", "saved", "trace")),
            "/var/spool/exim4/input/**", "/var/spool/exim4/msglog/**", "/var/spool/exim/input/**",
            "/var/spool/exim/msglog/**", "/var/spool/mqueue/*", "/var/spool/mqueue-client/*",
            "/var/spool/clientmqueue/*", "/var/spool/nullmailer/queue/*",
            "/var/spool/nullmailer/failed/*"),
    *_spool("at-job", "a job for at(1) or batch(1), with the environment of who gave it",
            "/var/spool/cron/atjobs/*", "/var/spool/cron/atspool/*", "/var/spool/at/*",
            "/var/spool/at/spool/*", keep=("*/.SEQ", "*/.lockfile")),
    *(Residue("mail-and-spools", "crontab", pattern, Treat.REPORT, Status.WARN,
              "a crontab made with crontab(1), which every Droplet would run",
              holds=rb"^[ \t]*[^#\s]",
              advice="if the product needs it, put it in a file in /etc/cron.d; then: rm {path}")
      for pattern in ("/var/spool/cron/crontabs/*", "/var/spool/cron/*")),
    *_spool("print-job", "a print job of the build machine", "/var/spool/cups/*",
            "/var/spool/cups/tmp/*", "/var/spool/lpd/*/*"),
    *_spool("log-queue", "log lines that the build machine has not delivered",
            "/var/spool/rsyslog/*"),
)

# -- crash-data ----------------------------------------------------------------------------------

_DUMP = "memory of a process or the kernel, with whatever secrets it held"
_CORE = rb"\A\x7fELF.{12}(\x04\0|\0\x04)"  # e_type of the ELF header is ET_CORE


def _crash(kind: Kind, *patterns: str, keep: tuple[str, ...] = (), holds: bytes = b""
           ) -> list[Residue]:
    return [Residue("crash-data", "crash-dump", pattern, Treat.REMOVE, Status.WARN, _DUMP, kind,
                    keep, holds) for pattern in patterns]


_CRASHES = (
    *_crash("name", "/var/crash/*", keep=("/var/crash/kexec_cmd", "/var/crash/kdump_lock")),
    *_crash("file", "/var/lib/systemd/coredump/*", "/var/lib/systemd/pstore/**",
            "/var/lib/apport/coredump/*"),
    *_crash("name", "/var/spool/abrt/*", "/var/spool/abrt-upload/*"),
    *_crash("file", "~/java_pid*.hprof", "~/hs_err_pid*.log"),
    *_crash("file", *(f"{top}/{name}" for top in ("", "~") for name in ("core", "core.[0-9]*")),
            holds=_CORE),
)

ROWS: tuple[Residue, ...] = (*_HISTORIES, *_LOGS, *_TEMP_FILES, *_SPOOLS, *_CRASHES)
