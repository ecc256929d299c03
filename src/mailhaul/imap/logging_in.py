"""Logging in: by which way, what is said, and what becomes of it.

A login is tried once: a refused one stays refused (failure-modes F4).
"""

import base64
import binascii
from dataclasses import dataclass

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.imap import commands, sasl, tls
from mailhaul.imap.ahead import Ahead, Ask, answered, asked, send_ahead, throw_away
from mailhaul.imap.client import Session
from mailhaul.imap.failures import failure
from mailhaul.imap.login import Login, login_names
from mailhaul.imap.pending import Pending
from mailhaul.imap.presumed import presumed
from mailhaul.imap.responses import Status

_ID = (("name", "mailhaul"),)


@dataclass(frozen=True, slots=True)
class Way:
    """How a server lets us in. `at_once`: the initial response goes with the command (SASL-IR);
    `able`: what it is presumed to be able to do, for what is said behind it, empty where it may
    not be followed at once."""

    mechanism: sasl.Mechanism
    at_once: bool
    able: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """A login that is on its way."""

    names: Login
    pending: Pending
    exchange: sasl.Conversation | None


def way_of(greeting: Status, endpoint: Endpoint, credentials: Credentials) -> Way | None:
    """The way that the greeting alone tells, None where it doesn't tell what the server can do.
    Raises what `sasl.choose` raises."""
    if greeting.kind != b"OK" or greeting.code != b"CAPABILITY":
        return None
    told = frozenset(greeting.arguments.decode("latin-1").upper().split())
    return _way(greeting, told, endpoint, credentials, protected=endpoint.scheme == "imaps")


async def log_in(
    session: Session,
    endpoint: Endpoint,
    credentials: Credentials,
    ahead: Ahead | None = None,
) -> Way:
    """One attempt; gives the way that was taken. Raises `Closed(CREDENTIALS)` when it is refused.

    A server that is known by its greeting is sent what `ahead` says behind the login, without
    waiting for its answer; `ahead.asked` then finds what was taken. Not after STARTTLS, for that
    greeting counts for nothing, and not where we go on as somebody else."""
    if session.capabilities is None:
        await session.send(commands.capability()).done()
    told = session.capabilities or frozenset()
    greeting = await session.greeting()
    way = _way(greeting, told, endpoint, credentials, protected=session.protected)
    attempt = await say_login(session, endpoint, credentials, way, ahead)
    await attempt.pending.done()
    check_login(session, endpoint, attempt)
    await settle_in(session, endpoint, attempt, way)
    return way


async def say_login(
    session: Session,
    endpoint: Endpoint,
    credentials: Credentials,
    way: Way,
    ahead: Ahead | None,
) -> Attempt:
    """Sends the login, and behind it what `ahead` says, where that may be. Raises `BadInput` for
    credentials that can't be sent."""
    names = login_names(endpoint)
    secret = await _secret(way.mechanism, credentials)
    exchange = None
    if way.mechanism is sasl.Mechanism.LOGIN_COMMAND:
        pending = session.send(commands.login(names.authcid, secret))
    else:
        exchange = sasl.conversation(way.mechanism, names, secret, endpoint.host, endpoint.port)
        pending = _exchange(session, way, exchange)
    session.capabilities = None  # they change with the login; its OK tells them, or we ask
    if ahead is not None and way.able:
        send_ahead(session, _behind(ahead), way.able)
    return Attempt(names, pending, exchange)


def refuses(status: Status) -> bool:
    """Whether the answer to a login says that it is a wrong one."""
    # Exchange says OK [Error="…WrongServerException…"] and means no (F11).
    return status.kind == b"NO" or status.code.startswith(b"ERROR=")


def check_login(session: Session, endpoint: Endpoint, attempt: Attempt) -> None:
    """Raises what its answer, which is there, means if not that we are in."""
    status, exchange = attempt.pending.status, attempt.exchange
    assert status is not None, "answered first"
    said = ""
    if exchange is not None:
        said = exchange.failure and f": {exchange.failure}"
        if status.kind == b"OK":
            exchange.finish()
    if status.kind != b"OK" or refuses(status):
        raise failure(
            b"LOGIN", status, f"{session.name} refused the login of {_who(endpoint)}{said}"
        )


async def settle_in(session: Session, endpoint: Endpoint, attempt: Attempt, way: Way) -> None:
    """Once we are in: goes on as somebody else where that is wanted, hears what was said ahead,
    learns what the server can do, and says who we are."""
    names = attempt.names
    if names.proxy:
        session.capabilities = None
        status = await session.send(commands.proxyauth(names.proxy)).done()
        if status.kind != b"OK":
            admin = printable(names.authcid, 120)
            raise failure(
                b"LOGIN", status, f"{session.name} won't let {admin} go on as {_who(endpoint)}"
            )
    well = await answered(session.ahead)
    if session.capabilities is None:
        await session.send(commands.capability()).done()
    after: frozenset[str] = session.capabilities or frozenset()
    if session.ahead and not (well and way.able <= after):
        session.misjudged = True
        throw_away(session)
    if "ID" in after:
        # On every connection: NetEase opens no folder on one that didn't. Its answer can wait.
        session.identified = asked(session, commands.id_(_ID))


def _way(
    greeting: Status,
    told: frozenset[str],
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    protected: bool,
) -> Way:
    names = login_names(endpoint)
    mechanism = sasl.choose(
        told,
        credentials,
        endpoint.options.get("auth"),
        authzid=bool(names.authzid),
        protected=protected or tls.is_loopback(endpoint.host),
    )
    at_once = "SASL-IR" in told
    able: frozenset[str] = frozenset()
    one_step = at_once or mechanism is sasl.Mechanism.LOGIN_COMMAND
    if one_step and endpoint.scheme != "imap+starttls" and not names.proxy:
        able = presumed(greeting, mechanism)
    return Way(mechanism, at_once, able)


def _behind(ahead: Ahead) -> Ahead:
    """ID, and what else is to be said."""

    def say(ask: Ask, able: frozenset[str]) -> None:
        if "ID" in able:
            ask(commands.id_(_ID))
        ahead(ask, able)

    return say


async def _secret(mechanism: sasl.Mechanism, credentials: Credentials) -> Secret:
    if mechanism in (sasl.Mechanism.XOAUTH2, sasl.Mechanism.OAUTHBEARER):
        if credentials.token is None:
            raise BadInput(
                "this login needs an access token; log in by OAuth 2, or give a token command"
            )
        return await credentials.token()
    if credentials.password is None:
        raise BadInput("this login needs a password; give one")
    return credentials.password


def _exchange(session: Session, way: Way, exchange: sasl.Conversation) -> Pending:
    initial = exchange.initial()
    waiting = [initial] if initial is not None and not way.at_once else []

    def answer(challenge: bytes) -> bytes:
        if waiting:
            said = waiting.pop()
            assert said is not None
            return commands.sasl_line(said)
        try:
            decoded = base64.b64decode(challenge, validate=True)
        except binascii.Error:
            decoded = challenge
        return commands.sasl_line(exchange.respond(decoded))

    command = commands.authenticate(way.mechanism.value, initial if way.at_once else None)
    return session.send(command, answer)


def _who(endpoint: Endpoint) -> str:
    return printable(endpoint.user, 120)
