"""A private Dovecot 2.3 with knobs. As root its mail user is a system user made for it; without
root everything runs as whoever runs the tests."""

import base64
import getpass
import grp
import hashlib
import hmac
import json
import os
import pwd
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from mailhaul.core.endpoint import Endpoint
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.process import Account, RunningServer, free_port, is_root, program

MAIL_USER = "mailhaul-tests"
PREPARED = 1000
MASTER = Account("master", "master-secret")
CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "
    "THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN "
    "NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN "
    "CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW SPECIAL-USE "
    "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY"
)


class Dovecot(RunningServer):
    """A Dovecot.

    `hidden`: capabilities not announced (it still understands them). `storage`: maildir, mdbox or
    sdbox. `prefix` and `separator` of the personal namespace. `special_use`: the five usual folders
    carry their attributes once they exist. `quota` and `largest_message` in octets. `tls`: imaps on
    `tls_port` and STARTTLS on `port`, with `certificates` made for it (`tls="expired"`: out of
    date). `oauth`: XOAUTH2 and OAUTHBEARER with tokens from `token()`. `fsync`: as in `mail_fsync`.
    `hosting`: as a hoster runs it: whoever hosts writes `logins` and `boxes` in `hosted`, mail is
    taken by LMTP at `lmtp`, Sieve acts on it and sends to the port `smtp`. `settings`: any further
    lines of dovecot.conf.
    """

    name = "dovecot"

    def __init__(
        self,
        *,
        hidden: Collection[str] = (),
        storage: str = "maildir",
        prefix: str = "",
        separator: str = "/",
        special_use: bool = True,
        quota: int | None = None,
        largest_message: int | None = None,
        tls: bool | str = False,
        oauth: bool = False,
        fsync: str = "never",
        hosting: bool = False,
        smtp: int = 0,
        settings: str = "",
    ) -> None:
        super().__init__()
        self.hidden = frozenset(hidden)
        self.storage = storage
        self.prefix = prefix
        self.separator = separator
        self.special_use = special_use
        self.quota = quota
        self.largest_message = largest_message
        self.tls = tls
        self.oauth = oauth
        self.fsync = fsync
        self.hosting = hosting
        self.smtp = smtp
        self.settings = settings
        self.tls_port = 0
        self.certificates: Certificates | None = None
        self._homes: dict[str, Path] = {}
        self._rows: dict[str, str] = {}

    @property
    def hosted(self) -> Path:
        """Where whoever hosts writes, when `hosting`."""
        return self.directory / "hosted"

    @property
    def lmtp(self) -> Path:
        """The socket that takes mail, when `hosting`."""
        return self.directory / "run/lmtp"

    def start(self) -> None:
        command = program("dovecot", "dovecot-imapd")
        self.port = free_port()
        self.tls_port = free_port() if self.tls else 0
        owner, group = mail_owner()
        self._homes.clear()
        self._rows.clear()
        self._accounts = 0
        for number in range(1, PREPARED + 1):
            self._set_row(Account(f"user{number}", self.password), None)
        (self.directory / "mail").mkdir()
        os.chown(self.directory / "mail", owner.pw_uid, group.gr_gid)
        (self.directory / "run").mkdir(mode=0o755)
        if self.hosting:
            program("sievec", "dovecot-sieve")
            for name in ("logins", "boxes"):
                (self.hosted / name).mkdir(parents=True)
            # A file for each, for what a passwd-file says is seen a second later.
            (self.hosted / "dict.conf").write_text(
                f"uri = fs:posix:prefix={self.hosted}/\n"
                "key passdb {\n  key = logins/%u\n  format = json\n}\n"
                "key userdb {\n  key = boxes/%u\n  format = json\n}\n"
                "passdb_objects = passdb\nuserdb_objects = userdb\n"
            )
        self._write_users()
        (self.directory / "masters").write_text(f"{MASTER.user}:{{PLAIN}}{MASTER.password}\n")
        if self.tls:
            self.certificates = make_certificates(
                self.directory / "tls", expired=self.tls == "expired"
            )
        if self.oauth:
            self._write_oauth()
        configuration = self.directory / "dovecot.conf"
        configuration.write_text(self._configuration(owner, group))
        self.launch([command, "-F", "-c", configuration], lambda line: self.token.encode() in line)

    def add_user(self, user: str, password: str, *, quota: int | None = None) -> Account:
        """As in `RunningServer`; `quota` in octets for this account alone. May take a second."""
        with self.adding:
            self._set_row(Account(user, password), quota)
            self._write_users()
        # Dovecot looks whether the file has changed at most once in each second of the clock.
        time.sleep(1.01 - time.time() % 1)
        return Account(user, password)

    def account(self) -> Account:
        """As in `RunningServer`, at once: these accounts were there when the server started."""
        number = self.next_account()
        if number > PREPARED:
            return self.add_user(f"user{number}", self.password)
        return Account(f"user{number}", self.password)

    def home(self, account: Account) -> Path:
        """Where the account's mail lies: `home/mail` is the Maildir (or mdbox, sdbox)."""
        return self._homes[account.user]

    def endpoint_tls(self, account: Account, host: str = "localhost") -> Endpoint:
        """The same mailbox by imaps; the certificate is for localhost and 127.0.0.1."""
        return Endpoint("imaps", host, self.tls_port, account.user)

    def token_for(self, account: Account, *, valid_seconds: int = 3600) -> str:
        """An access token for XOAUTH2 and OAUTHBEARER; one of the past when that is negative."""
        now = int(time.time())
        header = {"alg": "HS256", "typ": "JWT", "kid": "default"}
        claims = {
            "sub": account.user,
            "email": account.user,
            "iat": now - 7200,
            "nbf": now - 7200,
            "exp": now + valid_seconds,
        }
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        mac = hmac.new(self.token.encode(), signed, hashlib.sha256).digest()
        return (signed + b"." + _base64url(mac)).decode()

    def _set_row(self, account: Account, quota: int | None) -> None:
        if set(":\r\n") & set(account.user):
            raise ValueError("a passwd-file can't hold a colon or a line end in a user name")
        # Dovecot makes the home at the first login.
        home = self._homes.setdefault(
            account.user, self.directory / "mail" / f"{len(self._homes) + 1}"
        )
        extra = f"userdb_quota_rule=*:bytes={quota}" if quota is not None else ""
        self._rows[account.user] = (
            f"{account.user}:{{PLAIN}}{account.password}::::{home}::{extra}\n"
        )

    def _write_users(self) -> None:
        fresh = self.directory / "users.new"
        fresh.write_text("".join(self._rows.values()))
        fresh.replace(self.directory / "users")

    def _write_oauth(self) -> None:
        # Local validation looks the key up as <azp or default>/<alg>/<kid>.
        key = self.directory / "keys" / "default" / "HS256" / "default"
        key.parent.mkdir(parents=True)
        key.write_bytes(base64.b64encode(self.token.encode()))
        (self.directory / "oauth.conf").write_text(
            "introspection_mode = local\n"
            "username_attribute = email\n"
            f"local_validation_key_dict = fs:posix:prefix={self.directory}/keys/\n"
        )

    def _configuration(self, owner: pwd.struct_passwd, group: grp.struct_group) -> str:
        shown = " ".join(name for name in CAPABILITIES.split() if name not in self.hidden)
        blocks = [
            f"""
base_dir = {self.directory}/run
state_dir = {self.directory}/run
log_path = {self.directory}/log
protocols = imap
listen = {self.host}
login_greeting = {self.token}
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 scram-sha-256{" xoauth2 oauthbearer" if self.oauth else ""}
auth_username_format = %u
auth_username_chars =
auth_master_user_separator = *
auth_failure_delay = 0
auth_cache_size = 0
mail_location = {self.storage}:~/mail
mail_fsync = {self.fsync}
mail_max_userip_connections = 100
first_valid_uid = 1
first_valid_gid = 1
namespace inbox {{
  inbox = yes
  prefix = {self.prefix}
  separator = {self.separator}
  {_special_use() if self.special_use else ""}
}}
passdb {{
  driver = passwd-file
  master = yes
  args = username_format=%u {self.directory}/masters
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {self.directory}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self.directory}/users
  default_fields = uid={owner.pw_uid} gid={group.gr_gid}
}}
service imap-login {{
  service_count = 0
  client_limit = 500
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.tls_port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 200
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
        ]
        if self.hidden:
            blocks.append(f"imap_capability = {shown}\n")
        blocks.append(self._tls_block())
        if self.oauth:
            blocks.append(
                "passdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n"
                f"  args = {self.directory}/oauth.conf\n}}\n"
            )
        if self.hosting:
            blocks.append(self._hosting_block(owner, group))
        if self.quota is not None or self.largest_message is not None:
            blocks.append(self._quota_block())
        if not is_root():
            blocks.append(_rootless(owner.pw_name, group.gr_name))
        blocks.append(self.settings + "\n")
        return "".join(blocks)

    def _tls_block(self) -> str:
        if self.certificates is None:
            return "ssl = no\n"
        return (
            f"ssl = yes\nssl_cert = <{self.certificates.certificate}\n"
            f"ssl_key = <{self.certificates.key}\n"
        )

    def _hosting_block(self, owner: pwd.struct_passwd, group: grp.struct_group) -> str:
        return f"""
protocols = imap lmtp
passdb {{
  driver = dict
  args = {self.hosted}/dict.conf
}}
userdb {{
  driver = dict
  args = {self.hosted}/dict.conf
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
hostname = localhost
postmaster_address = postmaster@localhost
submission_host = {self.host}:{self.smtp}
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
protocol lmtp {{
  mail_plugins = quota sieve
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_grace = 0
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_vacation_min_period = 0
  sieve_vacation_dont_check_recipient = yes
}}
"""

    def _quota_block(self) -> str:
        rule = f"*:bytes={self.quota}" if self.quota is not None else "*:storage=0"
        largest = (
            f"  quota_max_mail_size = {self.largest_message}B\n"
            if self.largest_message is not None
            else ""
        )
        return (
            "mail_plugins = quota\nprotocol imap {\n  mail_plugins = quota imap_quota\n}\n"
            f"plugin {{\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_grace = 0\n"
            f"  quota_rule = {rule}\n{largest}}}\n"
        )


def mail_owner() -> tuple[pwd.struct_passwd, grp.struct_group]:
    """Who owns the mail: Dovecot refuses root, so that root gets a system user made for it."""
    if not is_root():
        owner = pwd.getpwnam(getpass.getuser())
        return owner, grp.getgrgid(owner.pw_gid)
    try:
        owner = pwd.getpwnam(MAIL_USER)
    except KeyError:
        subprocess.run(
            [
                program("useradd", "passwd"),
                *("--system", "--user-group", "--no-create-home"),
                *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", MAIL_USER),
            ],
            check=False,  # another run may have made it in this moment
            capture_output=True,
        )
        owner = pwd.getpwnam(MAIL_USER)
    return owner, grp.getgrgid(owner.pw_gid)


def _special_use() -> str:
    return "".join(
        f"\n  mailbox {name} {{\n    special_use = \\{name}\n  }}"
        for name in ("Drafts", "Sent", "Trash", "Junk", "Archive")
    )


def _rootless(user: str, group: str) -> str:
    """Without root nothing can change its user or its root directory."""
    services = ("anvil", "imap-login", "log", "stats", "auth", "auth-worker", "config", "imap")
    return (
        f"default_internal_user = {user}\ndefault_internal_group = {group}\n"
        f"default_login_user = {user}\n"
        + "".join(f"service {name} {{\n  chroot =\n}}\n" for name in services)
    )


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
