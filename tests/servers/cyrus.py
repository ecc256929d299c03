"""A private Cyrus 3.6. Its master must be started by root and drops to the user `cyrus`."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.servers.packages import cyrus_imapd
from tests.servers.process import (
    Account,
    RunningServer,
    StartFailed,
    Unavailable,
    free_port,
    is_root,
    program,
)

ADMIN = "admin"
PREPARED = 8
SPECIAL_USE = ("Sent", "Drafts", "Trash", "Junk", "Archive")


class Cyrus(RunningServer):
    """A Cyrus. INBOX is made at the first login.

    `altnamespace` false: everything lies below `INBOX`. `unixhierarchysep` false: the delimiter is
    a dot. `reject8bit`, `munge8bit`: what becomes of 8-bit header octets (refused; replaced by X;
    with both off they are kept). `quota` in octets for each mailbox, rounded down to KiB.
    `special_use`: mailboxes are born with the five usual folders and their attributes. `hosting`:
    as a hoster runs it: accounts of many domains, LMTP at `lmtp`, ManageSieve on `sieve_port`,
    CalDAV and CardDAV on `http_port`; what Sieve sends goes to `smtp`, and accounts are made by
    whoever hosts. `settings`: any further lines of imapd.conf.
    """

    name = "cyrus"

    def __init__(
        self,
        *,
        altnamespace: bool = True,
        unixhierarchysep: bool = True,
        reject8bit: bool = False,
        munge8bit: bool = True,
        quota: int | None = None,
        special_use: bool = False,
        hosting: bool = False,
        smtp: int = 0,
        settings: str = "",
    ) -> None:
        super().__init__()
        self.altnamespace = altnamespace
        self.unixhierarchysep = unixhierarchysep
        self.reject8bit = reject8bit
        self.munge8bit = munge8bit
        self.quota = quota
        self.special_use = special_use
        self.hosting = hosting
        self.smtp = smtp
        self.sieve_port = 0
        self.http_port = 0
        self.settings = settings

    @property
    def realm(self) -> str:
        """The server's name: it stands in its greeting, and its users' passwords belong to it."""
        return f"t{self.token}.test"

    @property
    def lmtp(self) -> Path:
        """The socket that takes mail, when `hosting`."""
        return self.directory / "run/lmtp"

    def start(self) -> None:
        if not is_root():
            raise Unavailable("Cyrus' master has to be started by root: run make test as root")
        master = program("/usr/lib/cyrus/bin/master", "cyrus-common")
        binary = cyrus_imapd()
        self.port = free_port()
        if self.hosting:
            program("/usr/lib/cyrus/bin/httpd", "cyrus-caldav")
            self.sieve_port, self.http_port = free_port(), free_port()
        self._accounts = 0
        for name in ("conf", "conf/socket", "spool", "run", "run/proc", "run/lock"):
            (self.directory / name).mkdir()
        # The cache may lie in a home directory that the user cyrus can't enter.
        shutil.copy(binary, self.directory / "imapd")
        (self.directory / "imapd.conf").write_text(self._imapd_conf())
        (self.directory / "cyrus.conf").write_text(self._cyrus_conf())
        self._set_password(ADMIN, self.password)
        owner = pwd.getpwnam("cyrus")
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self.launch(
            [
                *(master, "-D", "-C", self.directory / "imapd.conf"),
                *("-M", self.directory / "cyrus.conf", "-p", self.directory / "run/master.pid"),
            ],
            lambda line: self.realm.encode() in line,
        )

    def add_user(self, user: str, password: str) -> Account:
        """As in `RunningServer`."""
        self._set_password(user, password)
        return Account(user, password)

    def set_quota(self, account: Account, kibibytes: int) -> None:
        """Limits the account's storage; it must have logged in once."""
        separator = "/" if self.unixhierarchysep else "."
        self.administer([f'SETQUOTA "user{separator}{account.user}" (STORAGE {kibibytes})'])

    def administer(self, commands: Sequence[str]) -> list[str]:
        """Runs IMAP commands as the administrator; returns all lines. Raises `StartFailed` when
        one is refused."""
        lines: list[str] = []
        with socket.create_connection((self.host, self.port), timeout=10) as connection:
            stream = connection.makefile("rwb", buffering=0)
            stream.readline()
            for command in (f"LOGIN {ADMIN} {self.password}", *commands):
                stream.write(f"a {command}\r\n".encode())
                while (line := stream.readline().decode().rstrip()) and not line.startswith("a "):
                    lines.append(line)
                if not line.startswith("a OK"):
                    raise StartFailed(f"cyrus refused {command.split()[0]}: {line}")
        return lines

    def _set_password(self, user: str, password: str) -> None:
        """Whoever logs in meanwhile reads the file as it was: it is changed in a copy."""
        passwords, fresh = self.directory / "sasldb2", self.directory / "sasldb2.new"
        with self.adding:
            if passwords.exists():
                shutil.copyfile(passwords, fresh)
            # Plain `-p` reads the password from standard input; `-c` makes the account.
            subprocess.run(
                [
                    program("saslpasswd2", "sasl2-bin"),
                    *("-p", "-c", "-f", fresh, "-u", self.realm, user),
                ],
                input=password.encode(),
                check=True,
                capture_output=True,
            )
            fresh.chmod(0o644)
            fresh.replace(passwords)

    def _imapd_conf(self) -> str:
        quota = self.quota // 1024 if self.quota is not None else 0
        lines = [
            f"configdirectory: {self.directory}/conf",
            f"proc_path: {self.directory}/run/proc",
            f"mboxname_lockpath: {self.directory}/run/lock",
            f"idlesocket: {self.directory}/run/idle",
            f"notifysocket: {self.directory}/run/notify",
            "defaultpartition: default",
            f"partition-default: {self.directory}/spool",
            f"servername: {self.realm}",
            f"admins: {ADMIN}",
            f"altnamespace: {_yes(self.altnamespace)}",
            f"unixhierarchysep: {_yes(self.unixhierarchysep)}",
            f"reject8bit: {_yes(self.reject8bit)}",
            f"munge8bit: {_yes(self.munge8bit)}",
            "sasl_pwcheck_method: auxprop",
            "sasl_auxprop_plugin: sasldb",
            f"sasl_sasldb_path: {self.directory}/sasldb2",
            "sasl_mech_list: PLAIN LOGIN CRAM-MD5",
            "allowplaintext: yes",
            f"virtdomains: {'userid' if self.hosting else 'off'}",
            f"autocreate_quota: {-1 if self.hosting else quota}",
            "hashimapspool: yes",
            "delete_mode: immediate",
            "expunge_mode: immediate",
            "failedloginpause: 0",
            "skiplist_unsafe: yes",
        ]
        if self.hosting:
            lines += [
                # Administrators have no domain of their own, and may rename across all.
                f"defaultdomain: {self.realm}",
                "allowusermoves: yes",
                "httpmodules: caldav carddav",
                "caldav_allowscheduling: off",
                "caldav_create_default: no",
                f"sievedir: {self.directory}/sieve",
                f"lmtpsocket: {self.lmtp}",
                "smtp_backend: host",
                f"smtp_host: {self.host}:{self.smtp}/noauth",
            ]
        if self.special_use:
            lines.append("autocreate_inbox_folders: " + "|".join(SPECIAL_USE))
            lines += [f"xlist-{name.lower()}: {name}" for name in SPECIAL_USE]
        return "\n".join([*lines, self.settings, ""])

    def _cyrus_conf(self) -> str:
        configuration = self.directory / "imapd.conf"
        programs = "/usr/lib/cyrus/bin"
        hosting = (
            f'  lmtp cmd="{programs}/lmtpd -C {configuration} -a" listen="{self.lmtp}" '
            "prefork=1 maxchild=20\n"
            f'  sieve cmd="{programs}/timsieved -C {configuration}" '
            f'listen="{self.host}:{self.sieve_port}" prefork=0 maxchild=20\n'
            f'  http cmd="{programs}/httpd -C {configuration} -U 30" '
            f'listen="{self.host}:{self.http_port}" prefork=0 maxchild=20\n'
        )
        return (
            "START {\n"
            f'  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -C {configuration} -r"\n'
            "}\nSERVICES {\n"
            f'  imap cmd="{self.directory}/imapd -C {configuration} -U 30" '
            f'listen="{self.host}:{self.port}" prefork=1 maxchild=100\n'
            f"{hosting if self.hosting else ''}"
            "}\nEVENTS {\n}\n"
        )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
