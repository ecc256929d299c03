"""SASL: proving who we are, as conversations without I/O (RFC 4422; docs/decisions/0010-sasl.md).

SCRAM is in `scram`. Secrets are revealed only into octets for the wire. Base64 is left to
the connection.
"""

import hmac
import json
import re
from enum import StrEnum
from typing import Protocol

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import Secret, printable
from mailhaul.imap.login import Login
from mailhaul.imap.scram import Scram, saslname


class Mechanism(StrEnum):
    """How to prove it. The value is the SASL name, but for the LOGIN command."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    CRAM_MD5 = "CRAM-MD5"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    XOAUTH2 = "XOAUTH2"
    OAUTHBEARER = "OAUTHBEARER"
    LOGIN_COMMAND = "LOGIN-COMMAND"
    """The LOGIN command: no SASL at all; `commands.login` says it."""


_TOKEN_MECHANISMS = (Mechanism.XOAUTH2, Mechanism.OAUTHBEARER)
# PLAIN and LOGIN cost one flight. The password is safe inside TLS; where there is none, whatever
# keeps it off the wire comes first.
_PROTECTED = (
    Mechanism.PLAIN,
    Mechanism.SCRAM_SHA_256,
    Mechanism.LOGIN_COMMAND,
    Mechanism.LOGIN,
    Mechanism.CRAM_MD5,
)
_IN_THE_CLEAR = (
    Mechanism.SCRAM_SHA_256,
    Mechanism.CRAM_MD5,
    Mechanism.PLAIN,
    Mechanism.LOGIN_COMMAND,
    Mechanism.LOGIN,
)
_CARRIES_AUTHZID = frozenset({Mechanism.PLAIN, Mechanism.SCRAM_SHA_256, *_TOKEN_MECHANISMS})


class Conversation(Protocol):
    """One authentication exchange, used once.

    `initial` is said with the AUTHENTICATE command where the server has SASL-IR, else in answer to
    its first, empty challenge; None when the server speaks first. Every further challenge goes to
    `respond`, which raises `Closed` when the exchange has to be given up (send `*`, or hang up).
    When the server says OK, `finish` raises `Closed` if it has not proven what it has to prove.
    """

    @property
    def failure(self) -> str:
        """What the server said went wrong, printable; empty while it said nothing."""

    def initial(self) -> bytes | None: ...

    def respond(self, challenge: bytes) -> bytes: ...

    def finish(self) -> None: ...


def choose(
    capabilities: frozenset[str],
    credentials: Credentials,
    wanted: str | None = None,
    *,
    authzid: bool = False,
    protected: bool = True,
) -> Mechanism:
    """The mechanism for these credentials among what the server advertises (in capitals).

    `wanted` is the endpoint's `auth` option, `authzid` says that another identity must be named,
    `protected` that there is TLS (or nothing to protect from). Raises `BadInput` when `wanted` is
    unknown or doesn't fit the credentials, `Closed(CREDENTIALS)` when the server offers nothing
    that fits. An access token is preferred to a password.
    """
    if credentials.token is None and credentials.password is None:
        raise BadInput("there is neither a password nor a token to log in with; give one")
    offered = _offered(capabilities)
    if wanted:
        return _wanted(wanted, offered, credentials, authzid)
    order: tuple[Mechanism, ...] = _PROTECTED if protected else _IN_THE_CLEAR
    if credentials.token is not None:
        order = _TOKEN_MECHANISMS
    fitting = [mechanism for mechanism in order if mechanism in offered]
    for mechanism in fitting:
        if not authzid or mechanism in _CARRIES_AUTHZID:
            return mechanism
    raise Closed(_why_none(offered, fitting, credentials), ClosedReason.CREDENTIALS)


def conversation(
    mechanism: Mechanism, login: Login, secret: Secret, host: str, port: int
) -> Conversation:
    """The exchange for `mechanism`, which isn't `LOGIN_COMMAND`; `secret` is the password or the
    token. Raises `BadInput` for names and secrets that can't be sent."""
    if any("\0" in word for word in (login.authcid, login.authzid, secret.reveal())):
        raise BadInput("a user name or password holds a NUL, which no login can carry; take it out")
    match mechanism:
        case Mechanism.PLAIN:
            return Plain(login, secret)
        case Mechanism.LOGIN:
            return LoginExchange(login, secret)
        case Mechanism.CRAM_MD5:
            return CramMd5(login, secret)
        case Mechanism.SCRAM_SHA_256:
            return Scram(login, secret)
        case Mechanism.XOAUTH2 | Mechanism.OAUTHBEARER:
            return Bearer(mechanism, login, secret, host, port)
        case Mechanism.LOGIN_COMMAND:
            raise BadInput("the LOGIN command is no SASL exchange")


class Plain:
    """PLAIN (RFC 4616), in UTF-8."""

    __slots__ = ("_login", "_secret")
    failure = ""

    def __init__(self, login: Login, secret: Secret) -> None:
        self._login = login
        self._secret = secret

    def initial(self) -> bytes:
        login = self._login
        return f"{login.authzid}\0{login.authcid}\0{self._secret.reveal()}".encode()

    def respond(self, challenge: bytes) -> bytes:
        raise _asks_on("PLAIN", challenge)

    def finish(self) -> None:
        pass


class LoginExchange:
    """LOGIN (draft-murchison-sasl-login), in UTF-8. The prompts' words differ between servers, so
    their order counts."""

    __slots__ = ("_answers", "_challenged")
    failure = ""

    def __init__(self, login: Login, secret: Secret) -> None:
        self._answers = (Secret(login.authcid), secret)
        self._challenged = 0

    def initial(self) -> None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        if self._challenged == len(self._answers):
            raise _asks_on("LOGIN", challenge)
        self._challenged += 1
        return self._answers[self._challenged - 1].reveal().encode()

    def finish(self) -> None:
        pass


class CramMd5:
    """CRAM-MD5 (RFC 2195): better than a password in the clear, worse than anything inside TLS."""

    __slots__ = ("_challenged", "_login", "_secret")
    failure = ""

    def __init__(self, login: Login, secret: Secret) -> None:
        self._login = login
        self._secret = secret
        self._challenged = False

    def initial(self) -> None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        if self._challenged:
            raise _asks_on("CRAM-MD5", challenge)
        self._challenged = True
        digest = hmac.digest(self._secret.reveal().encode(), challenge, "md5")
        return f"{self._login.authcid} {digest.hex()}".encode()

    def finish(self) -> None:
        pass


class Bearer:
    """XOAUTH2 (Google's and Microsoft's) and OAUTHBEARER (RFC 7628).

    A failure comes as a challenge with JSON, and wants an answer before the tagged NO: an empty
    line for XOAUTH2, `\\x01` for OAUTHBEARER (RFC 7628 3.2.3).
    """

    __slots__ = ("_host", "_mechanism", "_port", "_token", "_user", "failure")

    def __init__(
        self, mechanism: Mechanism, login: Login, token: Secret, host: str, port: int
    ) -> None:
        self._mechanism = mechanism
        # XOAUTH2 has no authcid: the token itself says who we are, `user` which mailbox we want.
        self._user = login.authzid or login.authcid
        self._token = token
        self._host = host
        self._port = port
        self.failure = ""

    def initial(self) -> bytes:
        token = self._token.reveal()
        if re.fullmatch(r"[!-~]+", token) is None:
            raise BadInput("the access token holds blanks or line ends; check what prints it")
        if "\x01" in self._user:
            raise BadInput("the user name holds a control character; take it out")
        if self._mechanism is Mechanism.XOAUTH2:
            return f"user={self._user}\x01auth=Bearer {token}\x01\x01".encode()
        name = f"a={saslname(self._user)}"
        place = f"host={self._host}\x01port={self._port}"
        return f"n,{name},\x01{place}\x01auth=Bearer {token}\x01\x01".encode()

    def respond(self, challenge: bytes) -> bytes:
        if self.failure:
            raise _asks_on(self._mechanism.value, challenge)
        self.failure = _bearer_failure(challenge)
        return b"" if self._mechanism is Mechanism.XOAUTH2 else b"\x01"

    def finish(self) -> None:
        if self.failure:
            # An OK after an error is no login.
            raise Closed(f"the token was refused: {self.failure}", ClosedReason.CREDENTIALS)


def _offered(capabilities: frozenset[str]) -> frozenset[Mechanism]:
    offered = {m for m in Mechanism if f"AUTH={m.value}" in capabilities}
    if "LOGINDISABLED" not in capabilities:
        offered.add(Mechanism.LOGIN_COMMAND)
    return frozenset(offered)


def _wanted(
    wanted: str, offered: frozenset[Mechanism], credentials: Credentials, authzid: bool
) -> Mechanism:
    try:
        mechanism = Mechanism(wanted.upper())
    except ValueError as error:
        names = ", ".join(m.value.lower() for m in Mechanism)
        raise BadInput(f"auth={printable(wanted, 40)} is unknown; there are {names}") from error
    name = mechanism.value.lower()
    if mechanism in _TOKEN_MECHANISMS and credentials.token is None:
        raise BadInput(
            f"auth={name} needs an access token, not a password; log in by OAuth 2, or give a "
            "token command"
        )
    if mechanism not in _TOKEN_MECHANISMS and credentials.password is None:
        raise BadInput(f"auth={name} needs a password, not a token; give a password")
    if authzid and mechanism not in _CARRIES_AUTHZID:
        raise BadInput(
            f"auth={name} can't open another's mailbox; use auth=plain or another login=TEMPLATE"
        )
    if mechanism not in offered:
        raise Closed(
            f"the server does not offer {name}; it offers {_names(offered)}; leave auth out or "
            "choose one of these",
            ClosedReason.CREDENTIALS,
        )
    return mechanism


def _why_none(
    offered: frozenset[Mechanism], fitting: list[Mechanism], credentials: Credentials
) -> str:
    if fitting:
        return (
            f"the server offers {_names(offered)}, and none of these opens another's mailbox by "
            "authzid; choose another login=TEMPLATE"
        )
    if credentials.token is not None:
        return f"the server takes no access token, but {_names(offered)}; give a password"
    if offered & set(_TOKEN_MECHANISMS):
        return (
            "the server takes access tokens only, no password; log in by OAuth 2 (mailhaul oauth "
            "login), or give a token command"
        )
    return (
        "the server offers no way to log in here that mailhaul knows; passwords may be switched "
        "off, or wanted only under TLS: use imaps:// or imap+starttls://"
    )


def _names(offered: frozenset[Mechanism]) -> str:
    return ", ".join(m.value.lower() for m in Mechanism if m in offered) or "nothing known"


def _asks_on(mechanism: str, challenge: bytes) -> Closed:
    return Closed(
        f"the server asks for more than {mechanism} has: “{printable(challenge, 100)}”; choose "
        "another mechanism with auth=NAME",
        ClosedReason.PROTOCOL,
    )


def _bearer_failure(challenge: bytes) -> str:
    """The words worth showing of `{"status":"invalid_token",…}`; never empty."""
    try:
        told = json.loads(challenge)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        words = [f"{key} {told[key]}" for key in ("status", "error_description") if key in told]
        if words:
            return printable("; ".join(words), 300)
    return printable(challenge, 300) or "no reason given"
