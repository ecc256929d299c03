"""An inventory is whole whatever the server refuses to say about some of its messages."""

import pytest

from mailhaul.core.errors import Closed, RetryLater
from mailhaul.core.folder import Cursor, Role
from mailhaul.core.identity import header_identity
from mailhaul.core.message import Entry, Unreadable
from mailhaul.stores.imap import ImapSource
from tests.imap.scripted import Answer, folder, named, scripted
from tests.stores.test_imap_store import MAILS, fetched, listed, source, wrapped

NO = b"{tag} NO FETCH Server error while fetching messages\r\n"
SINCE: dict[str, Cursor | None] = {
    "everything": None,
    "since a tail": Cursor("1:1"),
    "since a cursor": Cursor("v1 1 20 0 19"),
}


@pytest.mark.parametrize("since", SINCE)
@pytest.mark.parametrize("poison", [{1}, {30}, {7, 8, 25}])
@pytest.mark.parametrize("refused", [b"RFC822.SIZE", b"FLAGS"])
async def test_what_cannot_be_described_is_listed_all_the_same(
    refused: bytes, poison: set[int], since: str
) -> None:
    """B14. Where flags are told, they are kept; the body may still come."""

    def special(command: bytes) -> Answer | str:
        if command.startswith(b"UID FETCH") and refused in command:
            return NO if any(uid in named(command) for uid in poison) else ""
        return ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        pages = [page async for page in store.changes(inbox, SINCE[since])]
        entries = [entry for page in pages for entry in page.entries]
        new = [entry for entry in entries if since != "since a cursor" or int(entry.key) >= 20]
        found = await fetched(store, inbox, new)
        notices = " ".join(store.traffic.notices)
    assert [entry.key for entry in entries] == list(MAILS)
    assert {entry.key for entry in new if entry.size is None} == poison & {e.key for e in new}
    assert pages[-1].cursor
    assert found == [MAILS[int(entry.key)] for entry in new]
    if any(entry.key in poison for entry in new) or refused == b"FLAGS":
        assert "one-fails-all" in notices


async def test_what_is_refused_altogether_is_unreadable_and_never_gone() -> None:
    """A server that won't say a word about a message still has it."""

    def special(command: bytes) -> Answer | str:
        return NO if command.startswith(b"UID FETCH") and 7 in named(command) else ""

    async with source(wrapped(folder(MAILS), special)) as (_, store, inbox):
        found = await fetched(store, inbox, await listed(store, inbox))
    assert len(found) == len(MAILS)
    assert found[6] == (7, found[6][1])  # type: ignore[index]
    assert found[7] == MAILS[8]


async def identities(store: ImapSource, inbox: object, keys: list[int]) -> dict[object, bytes]:
    return {key: found.digest async for key, found in store.identify(inbox, keys)}  # type: ignore[arg-type]


OK = b"{tag} OK\r\n"
HEADERS: dict[str, tuple[list[bytes], bytes, bool]] = {
    "the header alone is refused": ([b"HEADER.FIELDS"], NO, True),
    "header and body are refused": ([b"HEADER.FIELDS", b"BODY.PEEK[]"], NO, False),
    "everything is refused": ([b"UID FETCH"], NO, False),
    "the header alone is left out": ([b"HEADER.FIELDS"], OK, True),
    "header and body are left out": ([b"HEADER.FIELDS", b"BODY.PEEK[]"], OK, False),
}


@pytest.mark.parametrize("name", HEADERS)
async def test_a_message_whose_header_does_not_come_is_not_taken_for_vanished(name: str) -> None:
    """It would be copied twice at a target, and not be missed at a source."""
    refused, answer, known = HEADERS[name]

    def special(command: bytes) -> Answer | str:
        if any(words in command for words in refused) and command.startswith(b"UID FETCH"):
            return answer if 7 in named(command) else ""
        return ""

    there = {uid: data for uid, data in MAILS.items() if uid != 9}
    async with source(wrapped(folder(there), special)) as (_, store, inbox):
        told = await identities(store, inbox, [7])
        told |= await identities(store, inbox, [uid for uid in MAILS if uid != 7])
        if answer == NO:
            assert told == await identities(store, inbox, list(MAILS))
    assert set(told) == set(there)
    assert all(told[uid] == header_identity(data).digest for uid, data in there.items() if uid != 7)
    assert (told[7] == header_identity(MAILS[7]).digest) is known
    assert len(set(told.values())) == len(told)


async def test_a_vanished_message_is_left_out_and_a_hidden_one_is_not() -> None:
    def special(command: bytes) -> Answer | str:
        hides = b"BODY.PEEK[]" in command and 7 in named(command)
        return b"{tag} OK\r\n" if hides else ""

    there = {uid: data for uid, data in MAILS.items() if uid != 9}
    async with source(wrapped(folder(there), special)) as (_, store, inbox):
        found = [m async for m in store.fetch(inbox, [Entry(7, size=10), Entry(9, size=10)])]
    assert [each.entry.key for each in found] == [7]
    assert isinstance(found[0], Unreadable)


REFUSED_LISTS: dict[str, tuple[bytes, dict[str, bytes], int | type[Exception]]] = {
    "XLIST": (b"XLIST", {"XLIST": b"{tag} BAD what\r\n"}, 2),
    "an extended LIST": (b"LIST-EXTENDED", {'LIST "" "*" RETURN': b"{tag} BAD what\r\n"}, 2),
    "LIST, for now": (b"", {'LIST "" "*"': b"{tag} NO [UNAVAILABLE] later\r\n"}, RetryLater),
    "LIST in its midst": (
        b"",
        {'LIST "" "*"': b'* LIST () "/" INBOX\r\n{tag} NO [SERVERBUG] oh\r\n'},
        RetryLater,
    ),
    "LIST": (b"", {'LIST "" "*"': b"{tag} NO not for you\r\n"}, Closed),
    "both": (
        b"LIST-EXTENDED",
        {'LIST "" "*"': b"{tag} NO not for you\r\n"},
        Closed,
    ),
    "LSUB": (b"", {"LSUB": b"{tag} NO none\r\n"}, 2),
}


@pytest.mark.parametrize("name", REFUSED_LISTS)
async def test_a_refused_listing_is_no_empty_mailbox(name: str) -> None:
    """Else a pass would carry the inbox and call that everything."""
    capabilities, refusals, outcome = REFUSED_LISTS[name]

    def script(command: bytes) -> Answer:
        for begin, answer in refusals.items():
            if command.startswith(begin.encode()):
                return answer
        if command.startswith(b'LIST "" "*"'):
            return b'* LIST () "/" INBOX\r\n* LIST () "/" Work\r\n{tag} OK\r\n'
        return folder({})(command)

    async with scripted(script, capabilities=capabilities) as server:
        store = ImapSource(server.endpoint, server.credentials)
        try:
            if isinstance(outcome, int):
                await store.open()
                assert len(await store.folders()) == outcome
            else:
                with pytest.raises(outcome):
                    await store.open()
        finally:
            await store.close()


ROLES: dict[str, tuple[bytes, bytes]] = {
    "XLIST": (b"XLIST", b'XLIST "" "*"'),
    "attributes that nobody announced": (b"", b'LIST "" "*"'),
    "SPECIAL-USE": (
        b"LIST-EXTENDED SPECIAL-USE XLIST",
        b'LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)',
    ),
}


@pytest.mark.parametrize("name", ROLES)
async def test_roles_are_read_off_whatever_lists_them(name: str) -> None:
    capabilities, asked = ROLES[name]

    def script(command: bytes) -> Answer:
        if command != asked:
            return folder({})(command)
        verb = command.split()[0]
        lines = (b'() "/" INBOX', b'(\\Sent) "/" Gesendet', b'(\\hasNoChildren \\TRASH) "/" Weg')
        return b"".join(b"* %b %b\r\n" % (verb, line) for line in lines) + b"{tag} OK\r\n"

    async with scripted(script, capabilities=capabilities) as server:
        store = ImapSource(server.endpoint, server.credentials)
        await store.open()
        roles = {each.path: each.role for each in await store.folders()}
        await store.close()
    assert roles == {("INBOX",): Role.INBOX, ("Gesendet",): Role.SENT, ("Weg",): Role.TRASH}
