"""The IMAP store on servers' bad days: what is lost, refused, cut off, lied about."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from mailhaul.core.blob import MemoryBlob
from mailhaul.core.errors import (
    Closed,
    ClosedReason,
    CursorExpired,
    Disconnected,
    FolderFailed,
    RetryLater,
)
from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.message import Entry, Message, Unreadable
from mailhaul.core.store import Appended, FlagChange, Refused
from mailhaul.imap.commands import store as store_command
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.imap.scripted import Answer, Script, Scripted, body, folder, line, named, scripted

WHEN = datetime(2024, 1, 2, tzinfo=UTC)
MAILS = {uid: b"Subject: %d\r\n\r\n" % uid + b"x" * uid for uid in range(1, 31)}


@asynccontextmanager
async def source(
    script: Script, capabilities: bytes = b""
) -> AsyncIterator[tuple[Scripted, ImapSource, Folder]]:
    async with scripted(script, capabilities=capabilities) as server:
        opened = ImapSource(server.endpoint, server.credentials)
        await opened.open()
        [inbox] = await opened.folders()
        yield server, opened, inbox
        await opened.close()


@asynccontextmanager
async def target(
    script: Script, capabilities: bytes = b""
) -> AsyncIterator[tuple[Scripted, ImapTarget, Folder]]:
    async with scripted(script, capabilities=capabilities) as server:
        opened = ImapTarget(server.endpoint, server.credentials)
        await opened.open()
        [inbox] = await opened.folders()
        yield server, opened, inbox
        await opened.close()


def wrapped(inner: Script, special: Callable[[bytes], Answer | str]) -> Script:
    """`inner`, but for what `special` answers; "" there means: as always."""

    def answer(command: bytes) -> Answer:
        said = special(command)
        return inner(command) if said == "" else said  # type: ignore[return-value]

    return answer


async def listed(store: ImapSource | ImapTarget, inbox: Folder) -> list[Entry]:
    return [entry async for page in store.changes(inbox, None) for entry in page.entries]


async def fetched(store: ImapSource, inbox: Folder, entries: Sequence[Entry]) -> list[object]:
    """Octets of what came, and the reason of what did not."""
    found: list[object] = []
    async for message in store.fetch(inbox, entries):
        if isinstance(message, Unreadable):
            found.append((message.entry.key, message.reason))
        else:
            found.append(b"".join(message.blob.chunks()))
            message.blob.close()
    return found


# --- Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", [{1}, {30}, {7, 8}, {3, 17, 29}])
async def test_a_poisoned_message_spoils_no_other(poison: set[int]) -> None:
    """B14, and A6: no session sees ten refusals."""
    seen: list[int] = []

    def special(command: bytes) -> Answer | str:
        if command.startswith((b"AUTHENTICATE", b"LOGIN")):
            seen.append(0)
        if b"BODY.PEEK[]" in command and any(uid in named(command) for uid in poison):
            seen[-1] += 1
            return b"{tag} NO FETCH Server error while fetching messages\r\n"
        return ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        found = await fetched(store, inbox, await listed(store, inbox))
    assert [each for each in found if isinstance(each, bytes)] == [
        data for uid, data in MAILS.items() if uid not in poison
    ]
    bad = [each for each in found if isinstance(each, tuple)]
    assert {key for key, _ in bad} == poison
    assert all("Server error" in reason for _, reason in bad)
    assert max(seen) < 10


ODD_BODIES: dict[str, tuple[bytes, bool]] = {
    "NIL": (b"* 5 FETCH (UID 5 BODY[] NIL)\r\n", False),
    "nothing at all": (b"", False),
    "an empty string": (b'* 5 FETCH (UID 5 BODY[] "")\r\n', False),
    "an empty literal": (b"* 5 FETCH (UID 5 BODY[] {0}\r\n)\r\n", False),
    "a split answer": (b"* 5 FETCH (UID 5 FLAGS (\\Seen))\r\n" + body(5, MAILS[5]), True),
    "a quoted string": (b'* 5 FETCH (UID 5 BODY[] "Subject: 5")\r\n', True),
    "flags of another between": (b"* 9 FETCH (FLAGS ())\r\n" + body(5, MAILS[5]), True),
}


@pytest.mark.parametrize("name", ODD_BODIES)
async def test_odd_answers_to_a_fetch(name: str) -> None:
    """C3, C5, D13: what comes is taken, what doesn't is unreadable, and the rest is untouched."""
    answer, comes = ODD_BODIES[name]

    def special(command: bytes) -> Answer | str:
        if b"BODY.PEEK[]" in command and 5 in named(command):
            asked = named(command)
            rest = b"".join(body(uid, MAILS[uid]) for uid in (4, 6) if uid in asked)
            return answer + rest + b"{tag} OK\r\n"
        return ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        entries = [entry for entry in await listed(store, inbox) if entry.key in (4, 5, 6)]
        found = await fetched(store, inbox, entries)
    assert len(found) == 3
    assert (found[0], found[2]) == (MAILS[4], MAILS[6])
    assert isinstance(found[1], bytes) is comes
    if not comes:
        assert found[1] == (5, "the server lists it and hands over nothing")


async def test_a_message_that_vanished_is_left_out() -> None:
    there = dict(MAILS)
    async with source(folder(there)) as (_, store, inbox):
        entries = await listed(store, inbox)
        del there[5]
        found = await fetched(store, inbox, entries[:6])
    assert found == [MAILS[uid] for uid in (1, 2, 3, 4, 6)]


async def test_messages_out_of_turn_are_put_in_order() -> None:
    def special(command: bytes) -> Answer | str:
        if b"BODY.PEEK[]" in command:
            return b"".join(body(uid, MAILS[uid]) for uid in (9, 3, 5)) + b"{tag} OK\r\n"
        return ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        entries = [entry for entry in await listed(store, inbox) if entry.key in (3, 5, 9)]
        assert await fetched(store, inbox, entries) == [MAILS[3], MAILS[5], MAILS[9]]


async def test_one_fetch_of_a_folder_never_starves_for_the_next() -> None:
    """What is held of later commands would fill the budget while an earlier one is waited for."""
    mails = {uid: b"%d" % uid * 1_500_000 for uid in range(1, 9)}
    asked: list[list[int]] = []

    def special(command: bytes) -> Answer | str:
        if b"BODY.PEEK[]" not in command:
            return ""
        asked.append([uid for uid in mails if uid in named(command)])
        return b"".join(body(uid, mails[uid]) for uid in asked[-1]) + b"{tag} OK\r\n"

    async with source(wrapped(folder(mails), special)) as (_, store, inbox):
        entries = await listed(store, inbox)
        arriving = store.fetch(inbox, entries)
        first = await anext(arriving)
        assert isinstance(first, Message)
        assert len(asked) == 1, "a second command is under way before the first is through"
        rest = [message async for message in arriving]
    assert len(rest) == 7


async def test_a_substitute_is_no_message() -> None:
    """Finding 5: Exchange's letter in a message's place."""
    letter = (
        b"From: Microsoft Exchange Server\r\n"
        b"Subject: Retrieval using the IMAP4 protocol failed for the following message: 5\r\n\r\n"
        b"The server couldn't retrieve the following message\r\n"
    )

    def special(command: bytes) -> Answer | str:
        if b"BODY.PEEK[]" in command:
            return body(4, MAILS[4]) + body(5, letter) + b"{tag} OK\r\n"
        return ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        entries = [entry for entry in await listed(store, inbox) if entry.key in (4, 5)]
        good, bad = await fetched(store, inbox, entries)
    assert good == MAILS[4]
    assert isinstance(bad, tuple)
    assert bad[0] == 5


SAME_TEXT: dict[str, tuple[list[int], list[int]]] = {
    "side by side": ([10, 11], [10, 11]),
    "apart": ([10, 28], [10, 28]),
    "with the size announced": ([10], []),
}


@pytest.mark.parametrize("name", SAME_TEXT)
async def test_the_same_text_for_different_messages_is_no_message(name: str) -> None:
    """D24; the first of them is given away by the next."""
    replaced, unreadable = SAME_TEXT[name]

    def special(command: bytes) -> Answer | str:
        if b"BODY.PEEK[]" in command:
            asked = [uid for uid in MAILS if uid in named(command)]
            told = {uid: b"[gone]" if uid in replaced else MAILS[uid] for uid in asked}
            return b"".join(body(uid, told[uid]) for uid in asked) + b"{tag} OK\r\n"
        return ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        found = await fetched(store, inbox, await listed(store, inbox))
        notices = " ".join(store.traffic.notices)
    assert len(found) == len(MAILS)
    bad = [each for each in found if isinstance(each, tuple)]
    assert [key for key, _ in bad] == unreadable
    assert all("same text" in reason for _, reason in bad)
    assert ("substitute-message (2×)" in notices) is bool(unreadable)
    assert ("wrong-size (1×)" in notices) is not bool(unreadable)


@pytest.mark.parametrize("left", [1, 3, 6, 20])
async def test_a_literal_cut_short_is_never_a_message(left: int) -> None:
    """A1; the next call connects anew."""
    cuts = [True]

    def special(command: bytes) -> Answer | str:
        if b"BODY.PEEK[]" in command and cuts:
            cuts.pop()
            return body(1, MAILS[1]) + body(2, MAILS[2])[:-left] + b"{cut}"
        return ""

    got: list[Message | Unreadable] = []
    async with source(wrapped(folder(MAILS), special)) as (server, store, inbox):
        entries = (await listed(store, inbox))[:3]
        with pytest.raises(Disconnected):
            async for message in store.fetch(inbox, entries):
                got.append(message)
        assert [message.entry.key for message in got] == [1]
        assert await fetched(store, inbox, entries) == [MAILS[1], MAILS[2], MAILS[3]]
    assert server.connections == 2


async def test_a_listing_in_pieces_is_merged() -> None:
    """C5."""
    pieces = (
        b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n"
        b'* 1 FETCH (UID 1 INTERNALDATE "17-Jul-1996 02:44:25 +0000")\r\n'
        b"* 1 FETCH (UID 1 RFC822.SIZE 12)\r\n{tag} OK\r\n"
    )

    def special(command: bytes) -> Answer | str:
        return pieces if b"INTERNALDATE" in command else ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        [entry] = await listed(store, inbox)
    assert (entry.key, entry.flags, entry.size) == (1, frozenset({"\\Seen"}), 12)
    assert entry.received is not None


async def test_an_incomplete_line_is_asked_for_again() -> None:
    def special(command: bytes) -> Answer | str:
        if command.startswith(b"UID FETCH 1:* "):
            return line(1, b"a") + b"* 2 FETCH (UID 2 FLAGS ())\r\n{tag} OK\r\n"
        return ""

    async with source(wrapped(folder(MAILS), special)) as (server, store, inbox):
        entries = await listed(store, inbox)
    assert [(entry.key, entry.size) for entry in entries] == [(1, 1), (2, len(MAILS[2]))]
    assert len(server.told(b"UID FETCH")) == 2


async def test_a_folder_that_is_refused_fails_alone() -> None:
    def special(command: bytes) -> Answer | str:
        if command.startswith(b"EXAMINE"):
            return b"{tag} NO [NOPERM] not yours\r\n"
        return b"{tag} BAD no folder\r\n" if command.startswith(b"UID FETCH") else ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        with pytest.raises(FolderFailed, match="not yours"):
            await listed(store, inbox)
        with pytest.raises(FolderFailed, match="not yours"):
            await fetched(store, inbox, [Entry(1)])


@pytest.mark.parametrize("since", ["1:5", "v1 1 5 0 4"])
async def test_a_renumbered_folder_is_noticed(since: str) -> None:
    async with source(folder(MAILS, uidvalidity=2)) as (_, store, inbox):
        with pytest.raises(CursorExpired):
            async for _ in store.changes(inbox, Cursor(since)):
                pass


async def test_a_throttle_is_a_pause() -> None:
    def special(command: bytes) -> Answer | str:
        if b"BODY.PEEK[]" in command:
            return b"{tag} BAD Request is throttled. Suggested Backoff Time: 2500 milliseconds\r\n"
        return ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        entries = await listed(store, inbox)
        with pytest.raises(RetryLater) as caught:
            await fetched(store, inbox, entries)
    assert caught.value.throttled
    assert caught.value.after == pytest.approx(2.5)


async def test_a_store_comes_back_after_a_cut() -> None:
    cuts = [True]

    def special(command: bytes) -> Answer | str:
        if command.startswith(b"EXAMINE") and cuts:
            cuts.pop()
            return None
        return ""

    async with source(wrapped(folder(MAILS), special)) as (server, store, inbox):
        with pytest.raises(Disconnected):
            await listed(store, inbox)
        assert len(await listed(store, inbox)) == len(MAILS)
    assert server.connections == 2


async def test_a_source_takes_no_write() -> None:
    async with source(folder(MAILS)) as (_, store, _inbox):
        session = await store._mailbox.lane("INBOX").ready()
        with pytest.raises(AssertionError, match="open for reading"):
            session.send(store_command("1", "+", frozenset({"\\Seen"})))


# --- Logging in ------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[bytes, ClosedReason | None]] = {
    "a wrong password": (
        b"{tag} NO [AUTHENTICATIONFAILED] wrong\r\n",
        ClosedReason.CREDENTIALS,
    ),
    "no reason given": (b"{tag} NO\r\n", ClosedReason.CREDENTIALS),
    "not just now": (b"{tag} NO [UNAVAILABLE] later\r\n", None),
    "Exchange's OK that is none": (
        b'{tag} OK [Error="Microsoft.Exchange.Data.WrongServerException"] done\r\n',
        None,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refused_login_is_tried_once(name: str) -> None:
    answer, reason = REFUSALS[name]
    async with scripted(lambda command: answer) as server:
        store = ImapSource(server.endpoint, server.credentials)
        with pytest.raises(RetryLater if reason is None else Closed) as caught:
            await store.open()
        await store.close()
    if isinstance(caught.value, Closed):
        assert caught.value.reason is reason
    assert len(server.commands) == 1
    assert "a password" not in str(caught.value)


GREETINGS: dict[str, tuple[bytes, type[Exception]]] = {
    "PREAUTH": (b"* PREAUTH welcome\r\n", Closed),
    "BYE": (b"* BYE [UNAVAILABLE] later\r\n", RetryLater),
    "a web server": (b"HTTP/1.1 400 Bad Request\r\n", Closed),
    "nothing": (b"", Disconnected),
}


@pytest.mark.parametrize("name", [name for name in GREETINGS if GREETINGS[name][0]])
async def test_odd_greetings(name: str) -> None:
    greeting, error = GREETINGS[name]
    async with scripted(lambda command: b"", greeting=greeting) as server:
        store = ImapSource(server.endpoint, server.credentials)
        with pytest.raises(error):
            await store.open()
    assert server.commands == []


# --- Writing ---------------------------------------------------------------------------------


class Box:
    """A folder that takes messages; `refuses` says what to answer instead, for a batch."""

    def __init__(self, refuses: Callable[[list[bytes], bytes], Answer | str] | None = None) -> None:
        self.stored: dict[int, bytes] = {}
        self.flags: dict[int, bytes] = {}
        self.told = True
        self._refuses = refuses or (lambda messages, command: "")

    def __call__(self, command: bytes) -> Answer:
        if not command.startswith(b"APPEND"):
            return folder(self.stored)(command)
        messages, dressed = _literals(command)
        refusal = self._refuses(messages, command)
        if refusal != "":
            return refusal  # type: ignore[return-value]
        uids = []
        for data in messages:
            uids.append(max(self.stored, default=0) + 1)
            self.stored[uids[-1]] = data
        del dressed
        if not self.told:
            return b"{tag} OK done\r\n"
        return b"{tag} OK [APPENDUID 1 %d:%d] done\r\n" % (uids[0], uids[-1])


def _literals(command: bytes) -> tuple[list[bytes], bytes]:
    messages, rest = [], b""
    while (at := command.find(b"{")) >= 0:
        size, _, after = command[at + 1 :].partition(b"}\r\n")
        length = int(size.rstrip(b"+"))
        rest += command[:at]
        messages.append(after[:length])
        command = after[length:]
    return messages, rest + command


async def put(
    store: ImapTarget, inbox: Folder, mails: Sequence[bytes], flags: frozenset[str] = frozenset()
) -> list[Appended | Refused]:
    async def stream() -> AsyncIterator[Message]:
        for number, data in enumerate(mails):
            yield Message(Entry(number, flags, len(data), WHEN), MemoryBlob(data))

    return [answer async for answer in store.append(inbox, stream())]


LETTERS = [b"Subject: %d\r\n\r\nbody %d" % (number, number) for number in range(250)]


@pytest.mark.parametrize("capabilities", [b"MULTIAPPEND", b""])
@pytest.mark.parametrize("poison", [{0}, {249}, {7, 8, 120}])
async def test_a_refused_message_stands_alone(capabilities: bytes, poison: set[int]) -> None:
    bad = {LETTERS[number] for number in poison}

    def refuses(messages: list[bytes], command: bytes) -> Answer | str:
        return b"{tag} NO it holds a virus\r\n" if bad & set(messages) else ""

    box = Box(refuses)
    async with target(box, capabilities) as (_, store, inbox):
        answers = await put(store, inbox, LETTERS)
    assert [answer.entry.key for answer in answers] == list(range(250))
    assert {a.entry.key for a in answers if isinstance(a, Refused)} == poison
    for answer in answers:
        if isinstance(answer, Appended):
            assert isinstance(answer.key, int)
            assert box.stored[answer.key] == LETTERS[int(answer.entry.key)]
        else:
            assert "virus" in answer.reason
    assert len(box.stored) == 250 - len(poison)


@pytest.mark.parametrize(
    "told",
    [b"", b"[APPENDUID 99 1:5]", b"[APPENDUID 5 1]", b"[THROTTLED]"],
)
@pytest.mark.parametrize("capabilities", [b"MULTIAPPEND", b""])
async def test_keys_that_are_not_told_are_looked_up(told: bytes, capabilities: bytes) -> None:
    """A18, B2, C6, C7, F12."""
    box = Box()

    def answer(command: bytes) -> Answer:
        said = box(command)
        if command.startswith(b"APPEND"):
            return b"{tag} OK %b done\r\n" % told
        return said

    mails = [*LETTERS[:5], LETTERS[2], LETTERS[2]]
    async with target(answer, capabilities) as (_, store, inbox):
        answers = await put(store, inbox, mails)
    for sent, got in zip(mails, answers, strict=True):
        assert isinstance(got, Appended)
        assert isinstance(got.key, int)
        assert box.stored[got.key] == sent
    assert len({got.key for got in answers if isinstance(got, Appended)}) == 7


async def test_a_stranger_in_between_is_not_taken_for_ours() -> None:
    box = Box()
    box.told = False
    strangers = iter([b"Subject: stranger\r\n\r\nbody 9", b"Subject: other\r\n\r\n"])

    def answer(command: bytes) -> Answer:
        said = box(command)
        if command.startswith(b"APPEND"):
            for stranger in strangers:
                box.stored[max(box.stored) + 1] = stranger
        return said

    async with target(answer) as (_, store, inbox):
        answers = await put(store, inbox, LETTERS[:6])
    for sent, got in zip(LETTERS, answers, strict=False):
        assert isinstance(got, Appended)
        assert isinstance(got.key, int)
        assert box.stored[got.key] == sent


async def test_a_batch_that_is_stored_in_part_is_not_doubled() -> None:
    """A server that doesn't keep to all or nothing."""
    box = Box()
    once = [True]

    def refuses(messages: list[bytes], command: bytes) -> Answer | str:
        if once:
            once.pop()
            for data in messages[:3]:
                box.stored[max(box.stored, default=0) + 1] = data
            return b"{tag} NO something went wrong\r\n"
        return ""

    box._refuses = refuses
    async with target(box, b"MULTIAPPEND") as (_, store, inbox):
        answers = await put(store, inbox, LETTERS[:8])
    assert sorted(box.stored.values()) == sorted(LETTERS[:8])
    assert all(isinstance(answer, Appended) and answer.key for answer in answers)


async def test_a_cut_is_never_sent_again() -> None:
    """A2: stored, and never told."""
    box = Box()

    def answer(command: bytes) -> Answer:
        said = box(command)
        return None if command.startswith(b"APPEND") else said

    async with target(answer, b"MULTIAPPEND") as (server, store, inbox):
        with pytest.raises(Disconnected):
            await put(store, inbox, LETTERS[:5])
    assert len(server.told(b"APPEND")) == 1
    assert list(box.stored.values()) == LETTERS[:5]


STOPS: dict[str, tuple[bytes, type[Exception]]] = {
    "full": (b"{tag} NO [OVERQUOTA] Quota exceeded\r\n", Closed),
    "a throttle": (b"{tag} NO [THROTTLED] slow down\r\n", RetryLater),
    "the folder is gone": (b"{tag} NO [TRYCREATE] no such folder\r\n", FolderFailed),
}


@pytest.mark.parametrize("name", STOPS)
async def test_what_is_no_messages_fault_stops_the_folder(name: str) -> None:
    answer, error = STOPS[name]
    box = Box(lambda messages, command: answer if LETTERS[150] in messages else "")
    got: list[Appended | Refused] = []

    async def stream() -> AsyncIterator[Message]:
        for number, data in enumerate(LETTERS):
            yield Message(Entry(number, size=len(data), received=WHEN), MemoryBlob(data))

    async with target(box, b"MULTIAPPEND") as (_, store, inbox):
        with pytest.raises(error):
            async for each in store.append(inbox, stream()):
                got.append(each)
    assert all(isinstance(each, Appended) for each in got)
    assert sorted(int(each.entry.key) for each in got)[:100] == list(range(100))
    # Everything that was stored has been told.
    assert len(got) == len(box.stored)


async def test_flags_the_server_will_not_have_are_lost_and_named() -> None:
    """D17, D18."""

    def refuses(messages: list[bytes], command: bytes) -> Answer | str:
        return b"{tag} BAD Invalid keyword\r\n" if b"Odd" in command else ""

    box = Box(refuses)
    flags = frozenset({"\\Seen", "Odd", "\\Forwarded", "a]b c"})
    async with target(box, b"MULTIAPPEND") as (_, store, inbox):
        [answer] = await put(store, inbox, LETTERS[:1], flags)
    assert isinstance(answer, Appended)
    assert answer.lost >= {"Odd", "\\Forwarded", "a]b c"}
    assert list(box.stored.values()) == LETTERS[:1]


async def test_flags_that_do_not_stay_are_stored_behind() -> None:
    """D19: the scripted server forgets what APPEND says of flags."""
    async with target(Box(), b"MULTIAPPEND") as (server, store, inbox):
        await put(store, inbox, LETTERS[:3], frozenset({"\\Flagged"}))
        await put(store, inbox, LETTERS[3:5], frozenset({"\\Flagged"}))
    stores = server.told(b"UID STORE")
    assert stores == [
        b"UID STORE 1:3 +FLAGS.SILENT (\\Flagged)",
        b"UID STORE 4:5 +FLAGS.SILENT (\\Flagged)",
    ]


async def test_empty_and_oversize_messages_are_not_sent() -> None:
    async with target(Box(), b"APPENDLIMIT=50 MULTIAPPEND") as (server, store, inbox):
        answers = await put(store, inbox, [b"", b"x" * 51, LETTERS[0]])
    assert [type(answer) for answer in answers] == [Refused, Refused, Appended]
    assert len(server.told(b"APPEND")) == 1


async def test_a_limit_of_each_folder_is_kept() -> None:
    """RFC 7889: APPENDLIMIT without a number is told by STATUS."""

    def special(command: bytes) -> Answer | str:
        if command.startswith(b"STATUS") and b"APPENDLIMIT" in command:
            answer = folder({})(command)
            assert answer is not None
            return answer.replace(b"(", b"(APPENDLIMIT 50 ")
        return ""

    async with target(wrapped(Box(), special), b"APPENDLIMIT MULTIAPPEND") as (_, store, inbox):
        answers = await put(store, inbox, [b"x" * 51, LETTERS[0]])
        assert store.capabilities.append_limit == 50
    assert [type(answer) for answer in answers] == [Refused, Appended]


async def test_no_broken_name_is_made() -> None:
    """E4: what a broken name is shown as is a name of its own."""
    async with target(folder({})) as (server, store, _):
        with pytest.raises(FolderFailed):
            await store.create(("caf%E9",), None)
    assert server.told(b"CREATE") == [b'CREATE "caf%E9"']


NAMED: dict[str, tuple[bytes, bytes, bool]] = {
    "by its ID": (b'* ID ("name" "Cyrus IMAPD" "version" "3.6")\r\n{tag} OK\r\n', b"hello", True),
    "by its greeting": (b"{tag} NO what for\r\n", b"cyrus says hello", True),
    "not at all": (b"{tag} NO what for\r\n", b"hello", False),
}


@pytest.mark.parametrize("name", NAMED)
async def test_name_rules_go_by_what_the_server_calls_itself(name: str) -> None:
    answer, hello, known = NAMED[name]
    script = wrapped(folder({}), lambda command: answer if command.startswith(b"ID") else "")
    greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] %b\r\n" % hello
    async with scripted(script, capabilities=b"ID", greeting=greeting) as server:
        store = ImapTarget(server.endpoint, server.credentials)
        await store.open()
        rules = store.capabilities.names
        said = " ".join(store.traffic.notices)
        await store.close()
    assert rules.delimiter == "/"
    assert ("%" in rules.forbidden) is known
    assert ("id-rejected" in said) is (b"NO" in answer)


@pytest.mark.parametrize("capabilities", [b"LITERAL-", b""])
async def test_literals_wait_where_they_have_to(capabilities: bytes) -> None:
    """B17; LITERAL- lets up to 4,096 octets go at once."""
    box = Box()
    mails = [b"Subject: small\r\n\r\n", b"Subject: large\r\n\r\n" + b"x" * 5000, LETTERS[1]]
    inner = folder(box.stored)
    plain = b"* OK [CAPABILITY IMAP4rev1 %b] ready\r\n" % capabilities

    def answer(command: bytes) -> Answer:
        if command.startswith((b"AUTHENTICATE", b"LOGIN")):
            return b"{tag} OK [CAPABILITY IMAP4rev1 UIDPLUS MULTIAPPEND %b] in\r\n" % capabilities
        return box(command) if command.startswith(b"APPEND") else inner(command)

    async with scripted(answer, greeting=plain) as server:
        store = ImapTarget(server.endpoint, server.credentials)
        await store.open()
        [inbox] = await store.folders()
        before = store.traffic.round_trips
        answers = await put(store, inbox, mails)
        waits = store.traffic.round_trips - before
        await store.close()
    assert all(isinstance(answer, Appended) for answer in answers)
    assert list(box.stored.values()) == mails
    assert waits == (2 if capabilities else 4)


async def test_a_no_instead_of_plus_takes_the_command_back() -> None:
    box = Box()
    inner = folder(box.stored)

    def answer(command: bytes) -> Answer:
        if command.startswith((b"AUTHENTICATE", b"LOGIN")):
            return b"{tag} OK [CAPABILITY IMAP4rev1 UIDPLUS] in\r\n"
        return box(command) if command.startswith(b"APPEND") else inner(command)

    def agrees(announcement: bytes) -> bytes:
        return b"{tag} NO [TOOBIG] too large\r\n" if b"{5000}" in announcement else b"+\r\n"

    async with scripted(
        answer, greeting=b"* OK [CAPABILITY IMAP4rev1]\r\n", agrees=agrees
    ) as server:
        store = ImapTarget(server.endpoint, server.credentials)
        await store.open()
        [inbox] = await store.folders()
        answers = await put(store, inbox, [LETTERS[0], b"x" * 5000, LETTERS[1]])
        await store.close()
    assert [type(answer) for answer in answers] == [Appended, Refused, Appended]
    assert list(box.stored.values()) == LETTERS[:2]


async def test_equal_changes_are_one_store() -> None:
    async with target(folder(MAILS)) as (server, store, inbox):
        seen, none = frozenset({"\\Seen"}), frozenset[str]()
        await store.flag(inbox, [FlagChange(uid, seen, none) for uid in (1, 2, 3, 9)])
    assert server.told(b"UID STORE") == [b"UID STORE 1:3,9 +FLAGS.SILENT (\\Seen)"]


async def test_nothing_is_removed_where_others_wait_for_expunge() -> None:
    marked = line(1, b"a", b"\\Deleted") + line(2, b"b") + b"{tag} OK\r\n"

    def special(command: bytes) -> Answer | str:
        if command.startswith((b"AUTHENTICATE", b"LOGIN")):
            return b"{tag} OK [CAPABILITY IMAP4rev1 LITERAL+] in\r\n"
        return marked if command.startswith(b"UID FETCH") else ""

    async with target(wrapped(folder(MAILS), special)) as (server, store, inbox):
        with pytest.raises(FolderFailed, match="holds 1 message that others have marked deleted"):
            await store.remove(inbox, [2])
    assert server.told(b"UID STORE") == []
    assert server.told(b"EXPUNGE") == []


async def test_a_renumbered_folder_loses_no_message() -> None:
    async with target(folder(MAILS)) as (server, store, inbox):
        store._mailbox.validity["INBOX"] = 77
        with pytest.raises(FolderFailed, match="renumbered"):
            await store.remove(inbox, [2])
    assert server.told(b"UID STORE") == []


@pytest.mark.parametrize("step", [1, 7])
async def test_a_large_folder_comes_in_pages(step: int) -> None:
    """One window is read while the next is on its way; no UID is missed between two."""
    many = {uid * step: b"x" for uid in range(1, 13_001)}
    async with source(folder(many)) as (server, store, inbox):
        before = store.traffic.round_trips
        pages = [page async for page in store.changes(inbox, None)]
        flights = store.traffic.round_trips - before
    assert [entry.key for page in pages for entry in page.entries] == list(many)
    assert len(pages) == 3
    assert all(page.whole for page in pages)
    assert [page.cursor is None for page in pages] == [True, True, False]
    assert len(server.told(b"UID FETCH")) == 3
    assert flights == 1
