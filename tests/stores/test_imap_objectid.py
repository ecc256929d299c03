"""Folders that change places under the same numbers: MAILBOXID tells them apart (RFC 8474; C2)."""

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest

from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import Cursor
from mailhaul.core.store import Source
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Options
from mailhaul.engine.passes import run_pass
from mailhaul.stores.imap import ImapSource
from mailhaul.stores.memory import MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.imap.scripted import Answer, folder
from tests.servers.cyrus import Cyrus
from tests.servers.process import Account
from tests.stores.test_imap_store import MAILS, source, wrapped


@contextmanager
def logged_in(server: Cyrus, account: Account) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4(server.host, server.port) as person:
        person.login(account.user, account.password)
        yield person


def same_numbers(person: imaplib.IMAP4) -> tuple[str, str]:
    """Two folders with one UIDVALIDITY: Cyrus takes the second in which a folder is made."""
    validity: dict[str, bytes] = {}
    for name in "ABCDEF":
        person.create(name)
        validity[name] = person.status(name, "(UIDVALIDITY)")[1][0].partition(b"(")[2]
    return next((a, b) for a, b in combinations(validity, 2) if validity[a] == validity[b])


def change_places(person: imaplib.IMAP4, one: str, other: str) -> None:
    for old, new in ((one, "aside"), (other, one), ("aside", other)):
        assert person.rename(old, new)[0] == "OK"


async def test_folders_that_change_places_are_noticed(cyrus: Cyrus, tmp_path: Path) -> None:
    """Without it the mail of each would be taken for the other's, and never be carried there."""
    account = cyrus.account()
    with logged_in(cyrus, account) as person:
        one, other = same_numbers(person)
        for name in (one, other):
            for number in range(3):
                mail = b"Subject: %d of %b\r\n\r\n" % (number, name.encode())
                person.append(name, "", "", mail)
    target = MemoryMailbox()
    assert await carried(cyrus, account, target, tmp_path) == 6
    with logged_in(cyrus, account) as person:
        change_places(person, one, other)
    assert await carried(cyrus, account, target, tmp_path) == 6
    for name in (one, other):
        there = {stored.data for stored in target.folder((name,)).messages.values()}
        assert len(there) == 6, f"{name} lacks what the source now holds there"


async def carried(server: Cyrus, account: Account, target: MemoryMailbox, state: Path) -> int:
    """How many messages a pass copies."""
    store: Source = ImapSource(server.endpoint(account), server.credentials(account))
    copied = 0
    with Ledger.open(state, "pair") as ledger:
        async for event in run_pass(store, MemoryTarget(target), ledger, Options()):
            if isinstance(event, Finished):
                assert event.complete
                copied = event.tally.copied
    await store.close()
    return copied


IDS: dict[str, tuple[bytes, bytes, bool]] = {
    "the same": (b"(F1)", b"(F1)", False),
    "another": (b"(F1)", b"(F2)", True),
    "none any more": (b"(F1)", b"", False),
    "none before": (b"", b"(F2)", False),
    "no id at all": (b"x", b"(F2) (", False),
}


@pytest.mark.parametrize("extensions", [b"OBJECTID", b"OBJECTID CONDSTORE", b"OBJECTID QRESYNC"])
@pytest.mark.parametrize("name", IDS)
async def test_a_folder_of_another_id_is_another_folder(name: str, extensions: bytes) -> None:
    before, after, expired = IDS[name]
    said = [before]

    def special(command: bytes) -> Answer | str:
        if not command.startswith(b"EXAMINE"):
            return ""
        told = b"* OK [MAILBOXID %b] id\r\n" % said[0] if said[0] else b""
        return told + b"* OK [HIGHESTMODSEQ 5]\r\n" + (folder(MAILS)(command) or b"")

    async with source(wrapped(folder(MAILS), special), extensions) as (_, store, inbox):
        cursor: Cursor | None = None
        async for page in store.changes(inbox, None):
            cursor = page.cursor
        said[0] = after

        async def again() -> int:
            return len([page async for page in store.changes(inbox, cursor)])

        if expired:
            with pytest.raises(CursorExpired, match="another folder"):
                await again()
        else:
            assert await again()
