"""Endpoints: which mail system, which mailbox there, and how it is reached, as a person writes it.

    imaps://user@host[:port]           TLS from the first byte (the default and the advice)
    imap+starttls://user@host[:port]   plaintext upgraded before anything is said
    imap://user@host[:port]            plaintext: to loopback, or with `?plaintext=yes`
    maildir:PATH   mbox:PATH   eml:PATH

User names are percent-encoded where they hold `@`, `/`, `*`, blanks and so on. What else there is
to say stands in the query: `auth`, `authzid`, `admin`, `login`, `ca`, `fingerprint`, `plaintext`
(docs/endpoints.md). A password is never part of it.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable

DEFAULT_PORTS = {"imaps": 993, "imap+starttls": 143, "imap": 143}
FILE_SCHEMES = frozenset({"maildir", "mbox", "eml"})
OPTIONS = frozenset({"auth", "authzid", "admin", "login", "ca", "fingerprint", "plaintext"})
_LONE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A mailbox's address. `str()` is its canonical form, safe to show and equal for equal ones."""

    scheme: str
    host: str = ""
    port: int = 0
    user: str = ""
    path: str = ""
    options: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_file(self) -> bool:
        return self.scheme in FILE_SCHEMES

    def __str__(self) -> str:
        if self.is_file:
            return f"{self.scheme}:{printable(self.path, 2000)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        user = f"{quote(self.user, safe='*!$+,;=.-_~')}@" if self.user else ""
        return f"{self.scheme}://{user}{host}{port}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves who we are: a password, or a source of access tokens asked at every login.

    `another` is asked when a server has refused the last token: whether `token` now gives another
    one that is worth one more login. Raises `RetryLater` and `Closed`; None: there never is.
    `mark` is by what a source of tokens is known again: another one once somebody has logged in
    anew; empty where that can't be known.
    """

    password: Secret | None = None
    token: Callable[[], Awaitable[Secret]] | None = None
    another: Callable[[], Awaitable[bool]] | None = None
    mark: str = ""


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint that `text` writes. Raises `BadInput` with the fact and the cure."""
    scheme, separator, rest = text.partition(":")
    scheme = scheme.lower()
    if separator and scheme in FILE_SCHEMES:
        path = rest.removeprefix("//")
        if not path:
            raise BadInput(f"{scheme}: names no path; write {scheme}:/path/to/it")
        return Endpoint(scheme=scheme, path=path)
    if not separator or scheme not in DEFAULT_PORTS:
        raise BadInput(
            f"“{printable(text, 120)}” is no endpoint; write imaps://user@host, "
            "imap+starttls://user@host, maildir:PATH, mbox:PATH or eml:PATH"
        )
    return _network(scheme, text)


def _network(scheme: str, text: str) -> Endpoint:
    shown = printable(_without_password(text), 120)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise BadInput(
            f"“{shown}” is malformed: {printable(str(error))}; write {scheme}://user@host, an IPv6 "
            "address between [ and ]"
        ) from error
    if parts.password is not None:
        raise BadInput(
            f"“{shown}” holds a password, which others on this machine could read; take it out and "
            "use a password file, the environment, the keyring or the prompt"
        )
    host, port = parts.hostname or "", _port(parts, scheme, shown)
    if not host:
        raise BadInput(f"“{shown}” names no host; write {scheme}://user@host")
    if not parts.username:
        raise BadInput(f"“{shown}” names no user; write {scheme}://user@{host} (an @ in it as %40)")
    if parts.path not in ("", "/") or parts.fragment:
        raise BadInput(
            f"“{shown}” goes on after the host; choose folders with --folder, and write “/”, “#” "
            "and “?” in a user name as %2F, %23 and %3F"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in OPTIONS:
            raise BadInput(
                f"“{printable(name, 40)}” is no option of an endpoint; there are "
                + ", ".join(sorted(OPTIONS))
            )
    return Endpoint(scheme, host, port, _user(parts.username, shown), options=options)


def _port(parts: SplitResult, scheme: str, shown: str) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        usual = DEFAULT_PORTS[scheme]
        raise BadInput(
            f"the port of “{shown}” is no number from 1 to 65535; write {scheme}://user@host:"
            f"{usual}, or no port at all for {usual}"
        )
    return port or DEFAULT_PORTS[scheme]


def _user(quoted: str, shown: str) -> str:
    if _LONE_PERCENT.search(quoted):
        raise BadInput(
            f"the user of “{shown}” holds a % without two hex digits; write a % in it as %25"
        )
    try:
        return unquote(quoted, errors="strict")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"the user of “{shown}” holds %-codes that are no UTF-8; write ü as %C3%BC, for one"
        ) from error


def _without_password(text: str) -> str:
    head, at, tail = text.rpartition("@")
    scheme, slashes, login = head.partition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}{slashes}{user}{colon}***{at}{tail}" if at and colon else text
