"""What goes out behind a login before it is answered: to whom, when not, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import Closed, ClosedReason, Disconnected, MailhaulError
from mailhaul.core.store import FlagChange
from mailhaul.core.text import Secret
from mailhaul.imap.presumed import KNOWN, presumed
from mailhaul.imap.responses import Status
from mailhaul.imap.sasl import Mechanism
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.imap.scripted import Answer, Script, folder, scripted
from tests.servers.dovecot import Dovecot
from tests.servers.process import RunningServer

BANNER = b"CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+"
MECHANISMS = b"AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=OAUTHBEARER"
DOVECOT = b"* OK [%b %b] Dovecot (Debian) ready.\r\n" % (BANNER, MECHANISMS)
UNKNOWN = b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ %b] ready\r\n" % MECHANISMS
CYRUS = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ ID AUTH=PLAIN SASL-IR] h Cyrus IMAP 3.6.1 ready\r\n"
ABLE = (
    b"ID ENABLE CONDSTORE QRESYNC NAMESPACE UNSELECT "
    b"LIST-EXTENDED LIST-STATUS SPECIAL-USE STATUS=SIZE"
)
AHEAD = ["ID", "ENABLE", "NAMESPACE", "LIST"]
PASSWORD = Credentials(Secret("a password"))


async def _token() -> Secret:
    return Secret("a-token")


TOKEN = Credentials(token=_token)


def mailbox(special: dict[bytes, Answer] | None = None) -> Script:
    """A server with one empty folder that can do what Dovecot can; `special` answers by verb."""
    inner = folder({})

    def answer(command: bytes) -> Answer:
        verb = command.split(b" ")[0]
        if special is not None and verb in special:
            return special[verb]
        if verb == b"LIST" and b"STATUS" in command:
            return (
                b'* LIST () "/" INBOX\r\n* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)\r\n'
                b"{tag} OK\r\n"
            )
        if verb == b"NAMESPACE":
            return b'* NAMESPACE (("" "/")) NIL NIL\r\n{tag} OK\r\n'
        return inner(command)

    return answer


def verbs(said: list[bytes]) -> list[str]:
    return [command.split(b" ")[0].decode() for command in said]


# --- To whom -----------------------------------------------------------------------------------

GREETINGS = [
    ("Dovecot", DOVECOT, Mechanism.PLAIN, True),
    ("Dovecot by another name", DOVECOT.replace(b"Dovecot (Debian)", b"box"), "PLAIN", True),
    ("Dovecot 2.2", b"* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR] Dovecot ready.", "PLAIN", False),
    ("Dovecot, a token", DOVECOT, Mechanism.XOAUTH2, False),
    ("Dovecot, a token of another kind", DOVECOT, Mechanism.OAUTHBEARER, False),
    ("Dovecot, several steps", DOVECOT, Mechanism.SCRAM_SHA_256, False),
    ("Dovecot, LOGIN", DOVECOT, Mechanism.LOGIN_COMMAND, True),
    ("Cyrus, LOGIN", CYRUS, Mechanism.LOGIN_COMMAND, True),
    ("Cyrus, AUTHENTICATE", CYRUS, Mechanism.PLAIN, False),
    ("Cyrus 3.0", CYRUS.replace(b"3.6.1", b"3.0.8"), Mechanism.LOGIN_COMMAND, False),
    ("Cyrus 3.12", CYRUS.replace(b"3.6.1", b"3.12.1"), Mechanism.LOGIN_COMMAND, True),
    ("who likes Dovecot", b"* OK [CAPABILITY IMAP4rev1] not Dovecot, ready", "PLAIN", False),
]


@pytest.mark.parametrize(
    ("greeting", "mechanism", "known"),
    [row[1:] for row in GREETINGS],
    ids=[row[0] for row in GREETINGS],
)
def test_servers_are_known_by_their_greeting(
    greeting: bytes, mechanism: Mechanism | str, known: bool
) -> None:
    code, _, text = greeting.removeprefix(b"* OK [").partition(b"] ")
    name, _, arguments = code.partition(b" ")
    status = Status(None, b"OK", name, arguments, text)
    assert bool(presumed(status, Mechanism(mechanism))) is known


def test_every_row_has_its_reason() -> None:
    assert all(known.reason and known.behind and known.extensions for known in KNOWN)


# --- When not ----------------------------------------------------------------------------------


@asynccontextmanager
async def listening(greeting: bytes) -> AsyncIterator[tuple[Endpoint, list[bytes]]]:
    """A server that takes a login, looks for a moment what comes behind it, and refuses."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        login = await reader.readline()
        heard.append(login)
        try:
            async with asyncio.timeout(0.2):
                while line := await reader.readline():
                    heard.append(line)
        except TimeoutError:
            writer.write(login.split(b" ")[0] + b" NO no\r\n")
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield Endpoint("imap", "127.0.0.1", port, "someone"), heard


NO_IR = DOVECOT.replace(b" SASL-IR", b"")
TAKEN_BACK = DOVECOT + b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"
WAITING: dict[str, tuple[bytes, dict[str, str], Credentials, list[str]]] = {
    "PLAIN": (DOVECOT, {"auth": "plain"}, PASSWORD, [*AHEAD, "SELECT"]),
    "LOGIN": (DOVECOT, {"auth": "login-command"}, PASSWORD, [*AHEAD, "SELECT"]),
    "Cyrus' LOGIN": (
        CYRUS,
        {"auth": "login-command"},
        PASSWORD,
        [*AHEAD, "GETQUOTAROOT", "SELECT"],
    ),
    "Cyrus' AUTHENTICATE": (CYRUS, {"auth": "plain"}, PASSWORD, []),
    "CRAM-MD5": (DOVECOT, {"auth": "cram-md5"}, PASSWORD, []),
    "SCRAM": (DOVECOT, {"auth": "scram-sha-256"}, PASSWORD, []),
    "the LOGIN mechanism": (DOVECOT, {"auth": "login"}, PASSWORD, []),
    "XOAUTH2": (DOVECOT, {"auth": "xoauth2"}, TOKEN, []),
    "OAUTHBEARER": (DOVECOT, {"auth": "oauthbearer"}, TOKEN, []),
    "no initial response": (NO_IR, {"auth": "plain"}, PASSWORD, []),
    "none after all": (TAKEN_BACK, {"auth": "plain"}, PASSWORD, []),
    "an unknown server": (UNKNOWN, {"auth": "plain"}, PASSWORD, []),
    "somebody else's mailbox": (DOVECOT, {"admin": "root", "login": "sun"}, PASSWORD, []),
}


@pytest.mark.parametrize("name", WAITING)
async def test_only_what_takes_one_step_is_followed_at_once(name: str) -> None:
    greeting, options, credentials, behind = WAITING[name]
    async with listening(greeting) as (endpoint, heard):
        with pytest.raises(Closed) as caught:
            await ImapTarget(replace(endpoint, options=options), credentials).open()
    assert caught.value.reason is ClosedReason.CREDENTIALS
    assert [line.split()[1].decode() for line in heard[1:]] == behind


async def test_nothing_is_said_to_a_server_that_let_us_in_unasked() -> None:
    async with listening(DOVECOT.replace(b"* OK", b"* PREAUTH")) as (endpoint, heard):
        with pytest.raises(Closed, match="can't be trusted"):
            await ImapTarget(endpoint, PASSWORD).open()
    assert heard in ([], [b""])


@pytest.mark.parametrize(("scheme", "at_once"), [("imaps", True), ("imap+starttls", False)])
async def test_nothing_is_said_before_tls_and_its_greeting_counts_for_nothing(
    scheme: str, at_once: bool
) -> None:
    lines: list[str] = []
    with Dovecot(tls=True) as server:
        account = server.account()
        assert server.certificates is not None
        port = server.tls_port if scheme == "imaps" else server.port
        endpoint = Endpoint(scheme, "localhost", port, account.user)
        endpoint = replace(endpoint, options={"ca": str(server.certificates.authority)})
        source = ImapSource(endpoint, server.credentials(account), trace=lines.append)
        await source.open()
        await source.close()
    told = [line.split(" ", 2)[1:] for line in lines]
    login = next(n for n, (_, said) in enumerate(told) if "AUTHENTICATE" in said)
    assert all(
        said.split()[1] in ("CAPABILITY", "STARTTLS") for who, said in told[:login] if who == "C:"
    )
    answer = next(n for n, (who, _) in enumerate(told) if n > login and who == "S:")
    assert answer - login - 1 == (len(AHEAD) if at_once else 0)


# --- Refused -----------------------------------------------------------------------------------

WELL = b"{tag} NO [AUTHENTICATIONFAILED] wrong\r\n"
REFUSALS: dict[str, bytes] = {
    "NO, and BAD to the rest": WELL,
    "NO, and goodbye": WELL + b"* BYE go away\r\n{cut}",
    "NO, and silence": WELL + b"{cut}",
    "BYE": b"* BYE too many of you\r\n{cut}",
    "nothing": b"{cut}",
    "BAD": b"{tag} BAD what\r\n",
    "somewhere else": b"{tag} NO [REFERRAL imap://other.example/] not here\r\n",
    "OK that means no": b'{tag} OK [Error="WrongServerException"] AUTHENTICATE completed.\r\n',
    "a challenge": b"+ \r\n",
}


@pytest.mark.parametrize("auth", ["plain", "login-command"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refused_login_is_told_as_ever_and_tried_once(name: str, auth: str) -> None:
    if (name, auth) == ("a challenge", "login-command"):
        auth = "plain"  # nothing else is challenged
    told: list[tuple[type[BaseException], str]] = []
    for greeting in (DOVECOT, UNKNOWN):

        def script(command: bytes) -> Answer:
            if command.startswith((b"AUTHENTICATE", b"LOGIN")):
                return REFUSALS[name]
            return b"{tag} BAD please log in first\r\n"

        async with scripted(script, greeting=greeting) as server:
            opened = ImapTarget(replace(server.endpoint, options={"auth": auth}), PASSWORD)
            with pytest.raises(MailhaulError) as caught:
                async with asyncio.timeout(5):
                    await opened.open()
            await opened.close()
            assert server.connections == 1
        assert len(server.told(b"AUTHENTICATE") + server.told(b"LOGIN ")) == 1
        told.append((caught.type, str(caught.value)))
    assert told[0] == told[1]


@pytest.mark.parametrize("auth", ["plain", "login-command"])
@pytest.mark.parametrize("kind", ["dovecot", "cyrus"])
async def test_real_servers_refuse_as_ever(
    request: pytest.FixtureRequest, kind: str, auth: str
) -> None:
    server = request.getfixturevalue(kind)
    assert isinstance(server, RunningServer)
    wrong = Credentials(Secret("wrong"))
    endpoint = replace(server.endpoint(server.account()), options={"auth": auth})
    store = ImapTarget(endpoint, wrong)
    with pytest.raises(Closed, match="refused the login of") as caught:
        await store.open()
    assert caught.value.reason is ClosedReason.CREDENTIALS
    assert store.traffic.connections == 1
    assert store.traffic.round_trips == 2


# --- Let in ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "auth", "flights"),
    [
        ("dovecot", "plain", 2),
        ("dovecot", "login-command", 2),
        ("dovecot", "scram-sha-256", 5),
        ("cyrus", "plain", 3),
        ("cyrus", "login-command", 2),
    ],
)
async def test_a_known_server_is_opened_in_two_flights(
    request: pytest.FixtureRequest, kind: str, auth: str, flights: int
) -> None:
    server = request.getfixturevalue(kind)
    assert isinstance(server, RunningServer)
    account = server.account()
    endpoint = replace(server.endpoint(account), options={"auth": auth})
    found = []
    for store in (ImapTarget, ImapSource):
        opened = store(endpoint, server.credentials(account))
        await opened.open()
        [inbox] = await opened.folders()
        assert opened.traffic.round_trips == flights
        assert opened.capabilities.server.lower().startswith(kind)
        await opened.close()
        found.append(inbox)
    assert found[0] == found[1]
    assert found[0].path == ("INBOX",)
    assert found[0].count == 0


def losing_its_head(verb: bytes) -> Script:
    """What `mailbox` is, but for the first command of a kind, which it refuses."""
    willing = mailbox()
    refused = False

    def answer(command: bytes) -> Answer:
        nonlocal refused
        if not refused and command.startswith(verb):
            refused = True
            return b"{tag} BAD what\r\n"
        return willing(command)

    return answer


def silent_about_itself(let_in: bytes) -> Script:
    told = b"* CAPABILITY IMAP4rev1 %b\r\n{tag} OK\r\n" % ABLE
    return mailbox({b"AUTHENTICATE": let_in, b"CAPABILITY": told})


POOR: dict[bytes, Answer] = dict.fromkeys((b"ID", b"ENABLE", b"NAMESPACE"), b"{tag} BAD what\r\n")
FROM_ELSEWHERE = b"{tag} OK [REFERRAL imap://other.example/] in\r\n"
AGAIN = [*AHEAD, "SELECT"]
PLAINLY = ["LIST", "LSUB", "SELECT", "STATUS"]
OPENED: dict[str, tuple[Script, bytes, int, list[str]]] = {
    # the server, what it can do after the login, flights, what is said behind the first
    "as presumed": (mailbox(), ABLE, 2, []),
    "and more": (mailbox(), ABLE + b" QUOTA", 3, ["GETQUOTAROOT"]),
    "OK, and no more": (silent_about_itself(b"{tag} OK in\r\n"), b"", 3, ["CAPABILITY"]),
    "OK from elsewhere": (silent_about_itself(FROM_ELSEWHERE), b"", 3, ["CAPABILITY"]),
    "it lied, and refuses": (mailbox(POOR), b"", 4, ["LIST", *PLAINLY]),
    "it lied, and takes all": (
        *(mailbox(), b"NAMESPACE UNSELECT", 4),
        ["UNSELECT", "NAMESPACE", *PLAINLY],
    ),
    "LIST gets lost": (losing_its_head(b"LIST"), ABLE, 3, ["UNSELECT", *AGAIN]),
    "ENABLE gets lost": (losing_its_head(b"ENABLE"), ABLE, 3, ["UNSELECT", *AGAIN]),
    "SELECT gets lost": (losing_its_head(b"SELECT"), ABLE, 3, AGAIN),
}


@pytest.mark.parametrize("name", OPENED)
async def test_what_was_presumed_wrongly_is_asked_the_usual_way(name: str) -> None:
    script, capabilities, flights, behind = OPENED[name]
    async with scripted(script, capabilities=capabilities, greeting=DOVECOT) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        await opened.open()
        [inbox] = await opened.folders()
        await opened.close()
    assert (inbox.path, inbox.count) == (("INBOX",), 0)
    said = verbs(server.commands)
    assert said[:6] == ["AUTHENTICATE", *AHEAD, "SELECT"]
    assert said[6:] in (behind, [*behind, "LOGOUT"])
    assert opened.traffic.round_trips == flights
    assert opened.traffic.notices == []


async def test_a_server_that_was_misjudged_is_asked_step_by_step_from_then_on() -> None:
    async with scripted(mailbox(), capabilities=b"ID NAMESPACE", greeting=DOVECOT) as server:
        opened = ImapSource(server.endpoint, PASSWORD)
        for _ in range(2):
            await opened.open()
            await opened.close()
    said = verbs(server.commands)
    assert said[: len(AHEAD) + 1] == ["AUTHENTICATE", *AHEAD]
    again = said.index("AUTHENTICATE", 1)
    assert said[again : again + 5] == ["AUTHENTICATE", "ID", "NAMESPACE", "LIST", "LSUB"]


async def test_a_folder_opened_ahead_is_open() -> None:
    async with scripted(mailbox(), capabilities=ABLE, greeting=DOVECOT) as server:
        opened = ImapTarget(server.endpoint, PASSWORD)
        await opened.open()
        [inbox] = await opened.folders()
        await opened.flag(inbox, [FlagChange(1, frozenset({"\\Seen"}), frozenset())])
        behind = server.commands[6:]
        await opened.close()
    assert behind == [b"UID STORE 1 +FLAGS.SILENT (\\Seen)"]


async def test_further_connections_ask_ahead_for_what_each_needs() -> None:
    two = (
        b'* LIST () "/" INBOX\r\n* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)\r\n'
        b'* LIST () "/" Two\r\n* STATUS Two (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)\r\n{tag} OK\r\n'
    )
    async with scripted(mailbox({b"LIST": two}), capabilities=ABLE, greeting=DOVECOT) as server:
        opened = ImapSource(server.endpoint, PASSWORD, connections=2)
        await opened.open()
        for each in await opened.folders():
            async for _ in opened.changes(each, None):
                pass
        await opened.close()
    assert server.connections == 2
    said = verbs(server.commands)
    again = said.index("AUTHENTICATE", 1)
    assert said[again : again + 4] == ["AUTHENTICATE", "ID", "ENABLE", "EXAMINE"]


# --- What may not be ---------------------------------------------------------------------------

FAULTS: dict[str, bytes] = {
    "an answer behind the login's": b"M2 OK done\r\n",
    "no end of listings": b'* LIST () "/" x\r\n' * 10_001,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_nothing_is_answered_before_the_login_is(name: str) -> None:
    script = mailbox({b"AUTHENTICATE": FAULTS[name]})
    async with scripted(script, greeting=DOVECOT) as server:
        opened = ImapSource(server.endpoint, PASSWORD)
        with pytest.raises(Disconnected, match=r"was not asked now|nobody asked for"):
            async with asyncio.timeout(5):
                await opened.open()
        await opened.close()


async def test_what_is_listed_before_the_login_is_answered_counts_for_nothing() -> None:
    early = b'* LIST () "/" Early\r\n* NAMESPACE (("early" "/")) NIL NIL\r\n'
    let_in = b"{tag} OK [CAPABILITY IMAP4rev1 %b] in\r\n" % ABLE
    script = mailbox({b"AUTHENTICATE": early + let_in})
    async with scripted(script, greeting=DOVECOT) as server:
        opened = ImapSource(server.endpoint, PASSWORD)
        await opened.open()
        assert [folder.path for folder in await opened.folders()] == [("INBOX",)]
        await opened.close()


@pytest.mark.parametrize("cut", ["AUTHENTICATE", "LIST"])
async def test_a_server_that_hangs_up_over_it_is_asked_step_by_step_the_next_time(cut: str) -> None:
    willing = mailbox()
    first = True

    def script(command: bytes) -> Answer:
        nonlocal first
        if first and command.startswith(cut.encode()):
            first = False
            return b"* BYE one at a time\r\n{cut}"
        if command.startswith(b"AUTHENTICATE"):
            return b"{tag} OK [CAPABILITY IMAP4rev1 %b] in\r\n" % ABLE
        return willing(command)

    async with scripted(script, greeting=DOVECOT) as server:
        opened = ImapSource(server.endpoint, PASSWORD)
        with pytest.raises(Disconnected):
            await opened.open()
        before = opened.traffic.round_trips
        await opened.open()
        assert opened.traffic.round_trips - before == 3
        await opened.close()
    assert server.connections == 2
