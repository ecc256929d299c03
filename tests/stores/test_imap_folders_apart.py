"""What one folder's commands bring is never taken for another folder's."""

import asyncio

from mailhaul.core.folder import Cursor, Folder
from mailhaul.core.message import Entry
from mailhaul.stores.imap import ImapSource
from tests.faults.plain import Plain
from tests.servers.dovecot import Dovecot


async def test_the_last_message_that_an_open_range_names_stays_in_its_folder(
    dovecot: Dovecot,
) -> None:
    """`n:*` names the last message even below n (RFC 3501 6.4.8), and nobody asked for that one."""
    account = dovecot.account()
    with Plain(dovecot.host, dovecot.port, account.user, account.password) as person:
        person.append(b"INBOX", b"Subject: one\r\n\r\n", ["\\Seen", "work"])
        for name in (b"A", b"B", b"C"):
            person.command(b"CREATE " + name)
            person.append(name, b"Subject: other\r\n\r\n")
    source = ImapSource(dovecot.endpoint(account), dovecot.credentials(account))
    await source.open()
    try:
        folders = await source.folders()
        cursors = [(await _changes(source, folder, None))[1] for folder in folders]
        pairs = zip(folders, cursors, strict=True)
        news = await asyncio.gather(*(_changes(source, *pair) for pair in pairs))
        assert [entries for entries, _ in news] == [[], [], [], []]
    finally:
        await source.close()


async def _changes(
    source: ImapSource, folder: Folder, since: Cursor | None
) -> tuple[list[Entry], Cursor | None]:
    entries: list[Entry] = []
    cursor = None
    async for page in source.changes(folder, since):
        entries += page.entries
        cursor = page.cursor
    return entries, cursor
