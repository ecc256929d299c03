"""What is said before the greeting: to whom, when not, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import Closed, ClosedReason, Disconnected, MailhaulError
from mailhaul.core.store import Remembers
from mailhaul.core.text import Secret
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Options, Side
from mailhaul.engine.passes import run_pass
from mailhaul.imap import connect
from mailhaul.imap.logging_in import way_of
from mailhaul.imap.memory import Memory
from mailhaul.imap.responses import Status
from mailhaul.imap.sasl import Mechanism
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.imap.scripted import Answer, Script, Scripted, scripted
from tests.imap.test_ahead import (
    ABLE,
    AHEAD,
    CYRUS,
    DOVECOT,
    PASSWORD,
    TOKEN,
    UNKNOWN,
    mailbox,
    verbs,
)
from tests.servers.dovecot import Dovecot

FLIGHT = ["AUTHENTICATE", *AHEAD, "SELECT"]
LOCAL = Endpoint("imap", "127.0.0.1", 1143, "someone")


def greeted(greeting: bytes) -> Status:
    code, _, text = greeting.removeprefix(b"* OK [").removesuffix(b"\r\n").partition(b"] ")
    name, _, arguments = code.partition(b" ")
    return Status(None, b"OK", name, arguments, text)


def remembered(endpoint: Endpoint, greeting: bytes = DOVECOT) -> str:
    """What is kept of a server that greeted so and let us in."""
    memory = Memory(endpoint)
    way = way_of(greeted(greeting), endpoint, PASSWORD)
    assert way is not None
    memory.keep(greeted(greeting), PASSWORD, way)
    return memory.text


# --- To whom -----------------------------------------------------------------------------------

LOGIN_ONLY = DOVECOT.replace(b"AUTH=PLAIN ", b"")
ENDPOINTS: dict[str, tuple[Endpoint, Credentials, bytes, Mechanism | None]] = {
    "on this machine": (LOCAL, PASSWORD, DOVECOT, Mechanism.PLAIN),
    "localhost": (replace(LOCAL, host="localhost"), PASSWORD, DOVECOT, Mechanism.PLAIN),
    "inside TLS": (Endpoint("imaps", "a.example", 993, "a"), PASSWORD, DOVECOT, Mechanism.PLAIN),
    "with a pin": (
        Endpoint("imaps", "a.example", 993, "a", options={"fingerprint": "ab" * 32}),
        PASSWORD,
        DOVECOT,
        Mechanism.PLAIN,
    ),
    "by LOGIN": (
        replace(LOCAL, options={"auth": "login-command"}),
        PASSWORD,
        DOVECOT,
        Mechanism.LOGIN_COMMAND,
    ),
    "in the clear": (
        Endpoint("imap", "a.example", 143, "a", options={"plaintext": "yes"}),
        PASSWORD,
        DOVECOT,
        None,
    ),
    "STARTTLS": (Endpoint("imap+starttls", "127.0.0.1", 143, "a"), PASSWORD, DOVECOT, None),
    "a token": (replace(LOCAL, options={"auth": "xoauth2"}), TOKEN, DOVECOT, None),
    "SCRAM": (replace(LOCAL, options={"auth": "scram-sha-256"}), PASSWORD, DOVECOT, None),
    "CRAM-MD5": (replace(LOCAL, options={"auth": "cram-md5"}), PASSWORD, DOVECOT, None),
    "PLAIN in two steps": (LOCAL, PASSWORD, DOVECOT.replace(b" SASL-IR", b""), None),
    "an administrator": (replace(LOCAL, options={"admin": "root"}), PASSWORD, DOVECOT, None),
    "an administrator by a name of two": (
        replace(LOCAL, options={"admin": "root", "login": "dovecot"}),
        PASSWORD,
        DOVECOT,
        None,
    ),
    "PROXYAUTH": (
        replace(LOCAL, options={"admin": "root", "login": "sun"}),
        PASSWORD,
        DOVECOT,
        None,
    ),
    "a delegate": (replace(LOCAL, options={"authzid": "b"}), PASSWORD, DOVECOT, None),
    "an unknown server": (LOCAL, PASSWORD, UNKNOWN, None),
    "Cyrus by LOGIN": (
        replace(LOCAL, options={"auth": "login-command"}),
        PASSWORD,
        CYRUS,
        None,
    ),
}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_who_is_spoken_to_before_the_greeting(name: str) -> None:
    endpoint, credentials, greeting, mechanism = ENDPOINTS[name]
    memory = Memory(endpoint)
    way = way_of(greeted(greeting), endpoint, credentials)
    assert way is not None
    memory.keep(greeted(greeting), credentials, way)
    again = Memory(endpoint)
    again.text = memory.text
    early = again.way(credentials)
    assert (early and early.mechanism) == mechanism
    assert bool(memory.text) is (mechanism is not None)
    if greeting is DOVECOT:  # what somebody else wrote there doesn't make it any more than that
        again.text = json.dumps([again._place(), greeted(DOVECOT).arguments.decode()])
        assert bool(again.way(credentials)) is (mechanism is not None)


CHANGED = {
    "another port": (replace(LOCAL, port=143), PASSWORD),
    "another user": (replace(LOCAL, user="else"), PASSWORD),
    "another host": (replace(LOCAL, host="127.0.0.2"), PASSWORD),
    "other options": (replace(LOCAL, options={"auth": "plain"}), PASSWORD),
    "a token now": (LOCAL, TOKEN),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_is_remembered_counts_for_what_it_was_found_at(name: str) -> None:
    endpoint, credentials = CHANGED[name]
    memory = Memory(endpoint)
    memory.text = remembered(LOCAL)
    assert memory.way(credentials) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[1]", "[1, 2, 3]", "nonsense", "null", "7", '["x", "y"]', "[[], 1]"]
)
def test_nonsense_is_no_memory(text: str) -> None:
    memory = Memory(LOCAL)
    memory.text = text
    assert memory.way(PASSWORD) is None


def test_no_secret_is_kept() -> None:
    kept = json.loads(remembered(LOCAL))
    assert kept == [[str(LOCAL)], greeted(DOVECOT).arguments.decode()]


# --- As the last time --------------------------------------------------------------------------


async def test_nothing_is_waited_for() -> None:
    """The server greets only once it has heard everything."""
    async with scripted(
        mailbox(), capabilities=ABLE, greeting=DOVECOT, hears=len(FLIGHT)
    ) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        assert isinstance(opened, Remembers)
        opened.memory = remembered(server.endpoint)
        async with _soon():
            await opened.open()
        [inbox] = await opened.folders()
        assert (inbox.path, inbox.count) == (("INBOX",), 0)
        assert opened.traffic.round_trips == 1
        assert opened.memory == remembered(server.endpoint)
        await opened.close()
    assert verbs(server.commands)[: len(FLIGHT)] == FLIGHT
    assert (server.connections, opened.traffic.notices) == (1, [])


@pytest.mark.parametrize("store", [ImapSource, ImapTarget])
async def test_what_was_found_is_remembered(store: type[ImapSource] | type[ImapTarget]) -> None:
    async with scripted(mailbox(), capabilities=ABLE, greeting=DOVECOT) as server:
        trips = []
        memory = ""
        for _ in range(3):
            opened = store(server.endpoint, PASSWORD)
            opened.memory = memory
            await opened.open()
            await opened.close()
            memory = opened.memory
            trips.append(opened.traffic.round_trips)
    assert trips == [2, 1, 1]


@pytest.mark.parametrize("greeting", [UNKNOWN, CYRUS])
async def test_nothing_is_remembered_of_other_servers(greeting: bytes) -> None:
    async with scripted(mailbox(), capabilities=ABLE, greeting=greeting) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        await opened.open()
        await opened.close()
    assert opened.memory == ""


MISJUDGED: dict[str, tuple[Answer, bytes, int, str, bool]] = {
    # the answer to the login, what it can do, trips, what is said behind the flight, kept
    "OK, and no more": (b"{tag} OK in\r\n", b"", 2, "CAPABILITY", True),
    "it can do less": (b"", b"NAMESPACE UNSELECT", 3, "UNSELECT", False),
}


@pytest.mark.parametrize("name", MISJUDGED)
async def test_what_it_can_do_is_told_behind_the_login_alone(name: str) -> None:
    answer, capabilities, trips, behind, kept = MISJUDGED[name]
    told = b"* CAPABILITY IMAP4rev1 %b\r\n{tag} OK\r\n" % ABLE
    script = mailbox({b"AUTHENTICATE": answer, b"CAPABILITY": told})
    async with scripted(
        script, capabilities=capabilities, greeting=DOVECOT, hears=len(FLIGHT)
    ) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        opened.memory = remembered(server.endpoint)
        await opened.open()
        [inbox] = await opened.folders()
        await opened.close()
    assert (inbox.path, inbox.count) == (("INBOX",), 0)
    assert verbs(server.commands)[len(FLIGHT)] == behind
    assert (opened.traffic.round_trips, server.connections) == (trips, 1)
    assert (opened.memory != "") is kept


# --- Other than the last time ------------------------------------------------------------------

WRONG = b"{tag} NO [AUTHENTICATIONFAILED] wrong\r\n"
LOGIN_DISABLED = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ LOGINDISABLED] ready\r\n"
SCRAM_ONLY = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 LOGINDISABLED] ready\r\n"
WAITING = b"* OK Waiting for authentication process to respond..\r\n"
RENAMED = DOVECOT.replace(b"Dovecot (Debian)", b"box 17")
MORE = DOVECOT.replace(b"LITERAL+", b"LITERAL+ XYZ")
GREETINGS: dict[str, tuple[bytes, bytes | None, int, bool]] = {
    # how it greets, what it says to the login (None: lets in), connections, is it remembered again
    "by another name": (RENAMED, None, 1, True),
    "it can do more": (MORE, None, 1, True),
    "another server": (UNKNOWN, None, 2, False),
    "another server, and BAD": (UNKNOWN, b"{tag} BAD what\r\n", 2, False),
    "another server that loses the rest": (CYRUS, None, 2, False),
    "no capabilities": (b"* OK ready\r\n", None, 2, True),
    "not ready": (WAITING, None, 2, True),
}


def early_lost(first: bytes | None) -> Script:
    """Takes the first login so; behind it, nothing is heard on that connection."""
    willing = mailbox()
    logins = 0

    def answer(command: bytes) -> Answer:
        nonlocal logins
        if command.startswith(b"AUTHENTICATE"):
            logins += 1
            return first if logins == 1 else willing(command)
        return b"" if first is not None and logins == 1 else willing(command)

    return answer


@pytest.mark.parametrize("name", GREETINGS)
async def test_another_greeting_has_us_ask_step_by_step(name: str) -> None:
    greeting, answer, connections, again = GREETINGS[name]
    async with scripted(
        early_lost(answer),
        capabilities=ABLE,
        greeting=greeting,
        hears=len(FLIGHT),
        careful=DOVECOT if again else None,
    ) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        opened.memory = remembered(server.endpoint)
        async with _soon():
            await opened.open()
            [inbox] = await opened.folders()
        await opened.close()
    assert (inbox.path, inbox.count) == (("INBOX",), 0)
    assert server.connections == connections
    assert len(server.told(b"AUTHENTICATE")) == connections
    assert bool(opened.memory) is again
    assert opened.traffic.notices == []


PREAUTH = DOVECOT.replace(b"* OK", b"* PREAUTH")
END: dict[str, tuple[bytes, bytes]] = {
    # how it greets, what it says to the login
    "as ever, and NO": (DOVECOT, WRONG),
    "another server, and NO": (UNKNOWN, WRONG),
    "another server, and OK that means no": (
        UNKNOWN,
        b'{tag} OK [Error="WrongServerException"] AUTHENTICATE completed.\r\n',
    ),
    "as ever, and BAD": (DOVECOT, b"{tag} BAD what\r\n"),
    "as ever, not now": (DOVECOT, b"{tag} NO [UNAVAILABLE] later\r\n"),
    "PREAUTH": (PREAUTH, b"{tag} BAD you are in\r\n"),
    "BYE": (b"* BYE too many of you\r\n", b"{cut}"),
    "LOGINDISABLED, and NO": (LOGIN_DISABLED, b"{tag} NO [PRIVACYREQUIRED] no\r\n"),
    "LOGINDISABLED, and OK": (LOGIN_DISABLED, b"{tag} OK\r\n"),
    "POP3": (b"+OK ready\r\n", b"-ERR what\r\n"),
    "SMTP": (b"220 mail.example ESMTP ready\r\n", b"502 what\r\n"),
}


@pytest.mark.parametrize("name", END)
async def test_the_end_is_told_as_ever_and_no_login_is_tried_again(name: str) -> None:
    greeting, answer = END[name]
    told: list[tuple[type[BaseException], str]] = []
    for early in (True, False):
        script = mailbox({b"AUTHENTICATE": answer})
        hears = len(FLIGHT) if early else 0
        async with scripted(script, greeting=greeting, hears=hears) as server:
            opened = ImapTarget(server.endpoint, PASSWORD)
            opened.memory = remembered(server.endpoint) if early else ""
            with pytest.raises(MailhaulError) as caught:
                async with _soon():
                    await opened.open()
            await opened.close()
        assert server.connections == 1
        assert len(server.told(b"AUTHENTICATE")) <= 1
        assert opened.memory == ""
        told.append((caught.type, str(caught.value).replace(str(server.port), "PORT")))
    assert told[0] == told[1]


async def test_a_way_that_is_refused_is_not_tried_by_another() -> None:
    """PLAIN isn't offered any more, SCRAM is; but the server said no to us once (F4)."""
    script = mailbox({b"AUTHENTICATE": WRONG})
    async with scripted(script, greeting=SCRAM_ONLY, hears=len(FLIGHT)) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        opened.memory = remembered(server.endpoint)
        with pytest.raises(Closed, match="refused the login") as caught:
            await opened.open()
    assert caught.value.reason is ClosedReason.CREDENTIALS
    assert len(server.told(b"AUTHENTICATE")) == 1


async def test_a_server_that_answers_before_it_greets_is_no_imap() -> None:
    greeting = b"M1 OK [CAPABILITY IMAP4rev1] in\r\n" + DOVECOT
    async with scripted(mailbox(), greeting=greeting, hears=len(FLIGHT)) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        opened.memory = remembered(server.endpoint)
        with pytest.raises(Closed, match="is no IMAP"):
            await opened.open()
    assert (server.connections, opened.memory) == (1, "")


# --- Who would rather speak first --------------------------------------------------------------


def never_again(server: Scripted, memory: str) -> bool:
    later = Memory(server.endpoint)
    later.text = memory
    way = way_of(greeted(DOVECOT), server.endpoint, PASSWORD)
    assert way is not None
    later.keep(greeted(DOVECOT), PASSWORD, way)
    return memory != "" and later.text == memory and later.way(PASSWORD) is None


@pytest.mark.parametrize(
    "greeting", [b"{cut}", DOVECOT], ids=["before it greets", "behind its greeting"]
)
async def test_who_hangs_up_over_it_is_never_again_spoken_to_early(greeting: bytes) -> None:
    """It may just be the network; that costs a wait a pass."""
    lost = True

    def script(command: bytes) -> Answer:
        nonlocal lost
        hangs_up, lost = lost, False
        return b"{cut}" if hangs_up else mailbox()(command)

    async with scripted(
        script,
        capabilities=ABLE,
        greeting=greeting.replace(b"{cut}", b""),
        hears=1,
        careful=DOVECOT,
    ) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        opened.memory = remembered(server.endpoint)
        with pytest.raises(Disconnected):
            await opened.open()
        assert never_again(server, opened.memory)
        for _ in range(2):
            await opened.open()
            await opened.close()
            assert never_again(server, opened.memory)
    assert server.connections == 3


async def test_a_throttle_is_no_reason_to_beware() -> None:
    busy = DOVECOT + b"* BYE [UNAVAILABLE] throttled, too many requests, try again in 5 minutes\r\n"
    async with scripted(lambda _: b"{cut}", greeting=busy, hears=len(FLIGHT)) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        opened.memory = remembered(server.endpoint)
        with pytest.raises(Disconnected) as caught:
            await opened.open()
    assert caught.value.throttled
    assert opened.memory == ""


async def test_who_is_silent_over_it_is_asked_step_by_step_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy may lose what came before its greeting, and wait itself."""
    monkeypatch.setattr(connect, "CONNECTING", 0.2)
    async with scripted(
        mailbox(), capabilities=ABLE, greeting=b"", hears=1000, careful=DOVECOT
    ) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        opened.memory = remembered(server.endpoint)
        async with _soon():
            await opened.open()
        await opened.close()
        assert never_again(server, opened.memory)
    assert server.connections == 2


# --- From pass to pass -------------------------------------------------------------------------


async def passed(source: ImapSource, target: ImapTarget, state: Path, options: Options) -> Finished:
    last = None
    with Ledger.open(state, "pair", read_only=options.dry_run) as ledger:
        async for event in run_pass(source, target, ledger, options):
            last = event
        await source.close()
        await target.close()
    assert isinstance(last, Finished)
    return last


@pytest.mark.parametrize(
    ("scheme", "trips"), [("imap", [2, 1, 1]), ("imaps", [2, 1, 1]), ("imap+starttls", [5, 5, 5])]
)
async def test_a_later_pass_waits_once_for_each_side(
    scheme: str, trips: list[int], tmp_path: Path
) -> None:
    with Dovecot(tls=True) as server:
        assert server.certificates is not None
        ca = {"ca": str(server.certificates.authority)}
        accounts = [server.account(), server.account()]
        port = server.tls_port if scheme == "imaps" else server.port
        sides = [
            Endpoint(scheme, "localhost", port, each.user, options=ca if scheme != "imap" else {})
            for each in accounts
        ]
        secrets = [server.credentials(each) for each in accounts]
        found = []
        for _ in trips:
            source = ImapSource(sides[0], secrets[0])
            target = ImapTarget(sides[1], secrets[1])
            found.append(await passed(source, target, tmp_path, Options()))
    waits = [finished.round_trips[Side.SOURCE] for finished in found]
    assert waits[1:] == trips[1:]
    assert [finished.round_trips[Side.TARGET] for finished in found][1:] == trips[1:]
    assert [finished.wire_writes for finished in found[1:]] == [0, 0]
    assert all(finished.complete for finished in found)


async def test_a_dry_run_writes_nothing_down(dovecot: Dovecot, tmp_path: Path) -> None:
    one, other = dovecot.account(), dovecot.account()
    for number, dry in enumerate((False, True)):
        source = ImapSource(dovecot.endpoint(one), dovecot.credentials(one))
        target = ImapTarget(dovecot.endpoint(other), dovecot.credentials(other))
        finished = await passed(source, target, tmp_path, Options(dry_run=dry))
        assert (finished.round_trips[Side.SOURCE] == 1) is bool(number)
    empty = tmp_path / "none"
    source = ImapSource(dovecot.endpoint(one), dovecot.credentials(one))
    target = ImapTarget(dovecot.endpoint(other), dovecot.credentials(other))
    await passed(source, target, empty, Options(dry_run=True))
    assert source.memory != ""
    assert not empty.exists()


async def test_what_has_to_be_forgotten_is_forgotten_though_the_pass_fails(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    one, other = dovecot.account(), dovecot.account()
    wrong = Credentials(Secret("wrong"))
    for credentials in (dovecot.credentials(one), wrong):
        source = ImapSource(dovecot.endpoint(one), credentials)
        target = ImapTarget(dovecot.endpoint(other), dovecot.credentials(other))
        if credentials is not wrong:
            await passed(source, target, tmp_path, Options())
        else:
            with pytest.raises(Closed, match="refused the login"):
                await passed(source, target, tmp_path, Options())
            await target.close()
    with Ledger.open(tmp_path, "pair") as ledger:
        assert ledger.memory(Side.SOURCE) == ""


@asynccontextmanager
async def _soon() -> AsyncIterator[None]:
    async with asyncio.timeout(5):
        yield
