"""Dovecot reads the Maildirs that we write, and we read those of Dovecot and mbsync."""

import asyncio
import os
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.message import folded
from mailhaul.core.store import Appended, Source, Target
from mailhaul.stores.imap import ImapSource, ImapTarget
from mailhaul.stores.maildir import MaildirSource
from mailhaul.stores.maildir_target import maildir_target
from tests.servers.dovecot import Dovecot, mail_owner
from tests.servers.process import Account, is_root, program
from tests.stores.awkward import AWKWARD, mail
from tests.stores.conformance import contents, listed_changes, put

MBSYNC = """
IMAPStore far
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

MaildirStore near
Path {path}/
Inbox {path}/INBOX
SubFolders Verbatim

Channel both
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
CopyArrivalDate yes
SyncState *
"""
TUID = re.compile(rb"X-TUID: .{12}\r\n")
"""mbsync's own header line, which it adds to every message."""
MBSYNC_FLAGS = frozenset({"\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Forwarded"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in one of the sample's folders."""

    octets: bytes
    flags: frozenset[str]
    received: datetime


def sent(octets: bytes, day: int, *flags: str) -> Sent:
    return Sent(octets, frozenset(flags), datetime(2019, 7, day, 4, 5, 6, tzinfo=UTC))


SAMPLE: dict[FolderPath, list[Sent]] = {
    INBOX_PATH: [
        sent(mail("one"), 1),
        sent(mail("two"), 2, "\\Seen", "\\Answered"),
        sent(AWKWARD["a bare CR"], 3, "\\Flagged", "$Label1", "Projekt-7"),
        sent(AWKWARD["a long line"], 4, "\\Seen", "$Forwarded", "Projekt-7"),
    ],
    ("Sent",): [],
    ("Sent", "2024"): [sent(AWKWARD["8-bit octets in the header"], 5, "\\Draft", "\\Seen")],
    ("Entwürfe & mehr",): [sent(AWKWARD["no final line end"], 6, "\\Seen")],
}
SUBSCRIBED = {("Sent", "2024"), ("Entwürfe & mehr",)}


async def fill(target: Target) -> None:
    await target.open()
    for path, messages in SAMPLE.items():
        folder = await target.create(path, None)
        for each in messages:
            [answer] = await put(
                target, folder, each.octets, flags=each.flags, received=each.received
            )
            assert isinstance(answer, Appended)
            assert not answer.lost
        if path in SUBSCRIBED:
            await target.subscribe(folder)
    await target.close()


async def held(source: Source) -> dict[FolderPath, list[Sent]]:
    found = {}
    await source.open()
    for folder in await source.folders():
        entries = (await listed_changes(source, folder)).entries
        octets = await contents(source, folder, entries)
        found[folder.path] = [
            Sent(data, folded(entry.flags), entry.received or datetime.min)
            for data, entry in zip(octets, entries, strict=True)
        ]
    return found


async def subscribed(source: Source) -> set[FolderPath]:
    return {folder.path for folder in await source.folders() if folder.subscribed} - {INBOX_PATH}


def wanted(kept: frozenset[str] | None = None) -> dict[FolderPath, list[Sent]]:
    return {
        path: [
            Sent(
                each.octets,
                folded(each.flags if kept is None else each.flags & kept),
                each.received,
            )
            for each in messages
        ]
        for path, messages in SAMPLE.items()
    }


def hand_over(home: Path) -> None:
    """Makes the mail the server's, as an operator would who puts a Maildir in its place."""
    if is_root():
        owner, group = mail_owner()
        for path in (home, *home.rglob("*")):
            os.chown(path, owner.pw_uid, group.gr_gid)


def imap(dovecot: Dovecot, account: Account) -> ImapSource:
    return ImapSource(dovecot.endpoint(account), dovecot.credentials(account))


async def test_dovecot_reads_a_maildir_that_we_wrote(dovecot: Dovecot) -> None:
    account = dovecot.account()
    home = dovecot.home(account)
    home.mkdir()
    await fill(maildir_target(home / "mail"))
    hand_over(home)
    source = imap(dovecot, account)
    assert await held(source) == wanted()
    assert await subscribed(source) == SUBSCRIBED
    await source.close()


async def test_we_read_a_maildir_that_dovecot_wrote(dovecot: Dovecot) -> None:
    account = dovecot.account()
    await fill(ImapTarget(dovecot.endpoint(account), dovecot.credentials(account)))
    source = MaildirSource(dovecot.home(account) / "mail")
    assert await held(source) == wanted()
    assert await subscribed(source) == SUBSCRIBED
    await source.close()


async def test_we_read_a_maildir_that_mbsync_wrote(dovecot: Dovecot, tmp_path: Path) -> None:
    command = program("mbsync", "isync")
    account = dovecot.account()
    await fill(ImapTarget(dovecot.endpoint(account), dovecot.credentials(account)))
    configuration = tmp_path / "mbsyncrc"
    (tmp_path / "mail").mkdir()
    configuration.write_text(
        MBSYNC.format(
            host=dovecot.host,
            port=dovecot.port,
            user=account.user,
            password=account.password,
            path=tmp_path / "mail",
        )
    )
    running = await asyncio.create_subprocess_exec(
        command, "-c", configuration, "both", stderr=asyncio.subprocess.PIPE
    )
    _, told = await running.communicate()
    assert running.returncode == 0, told
    source = MaildirSource(tmp_path / "mail")
    found = {
        path: [replace(each, octets=TUID.sub(b"", each.octets)) for each in messages]
        for path, messages in (await held(source)).items()
    }
    # mbsync itself leaves a bare CR out.
    bare = AWKWARD["a bare CR"]
    altered = {
        path: [
            replace(each, octets=bare.replace(b"\rtwo", b"two")) if each.octets == bare else each
            for each in messages
        ]
        for path, messages in wanted(MBSYNC_FLAGS).items()
    }
    assert found == altered
    await source.close()
