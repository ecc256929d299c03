"""Maildirs keep the contract, in both layouts, and speak the dialects of those who made them."""

import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.core.folder import INBOX_PATH, Folder
from mailhaul.core.message import Unreadable
from mailhaul.core.store import Source
from mailhaul.stores.maildir import MaildirSource
from mailhaul.stores.maildir_target import maildir_target
from tests.stores.awkward import ODD_NAMES, mail
from tests.stores.conformance import (
    Expectations,
    Opened,
    StoreSuite,
    change,
    listed_changes,
    named,
    octets,
    put,
)

TOO_LONG = frozenset({"a longer name"})
KNOWN = Expectations(keeps_roles=False, renumbers=False, refuses_names=TOO_LONG)


async def opened(path: Path, expectations: Expectations) -> Opened:
    source, target = MaildirSource(path), maildir_target(path)
    await target.open()
    await target.create(INBOX_PATH, None)
    await source.open()

    async def reopen() -> Source:
        again = MaildirSource(path)
        await again.open()
        return again

    async def renumber(folder: Folder) -> None:
        shutil.copytree(path / folder.native, path / "tmp.copy")
        shutil.rmtree(path / folder.native)
        shutil.move(path / "tmp.copy", path / folder.native)

    elsewhere = path.with_name("elsewhere")
    return Opened(
        source,
        target,
        reopen,
        renumber,
        expectations,
        lambda: (maildir_target(elsewhere), elsewhere),
    )


class TestMaildirPlusPlus(StoreSuite):
    @pytest.fixture
    async def mailbox(self, tmp_path: Path) -> AsyncIterator[Opened]:
        both = await opened(tmp_path / "box", KNOWN)
        yield both
        await both.source.close()
        await both.target.close()


class TestPlainMaildirs(StoreSuite):
    @pytest.fixture
    async def mailbox(self, tmp_path: Path) -> AsyncIterator[Opened]:
        for part in ("cur", "new", "tmp"):
            (tmp_path / "box" / "INBOX" / part).mkdir(parents=True)
        both = await opened(tmp_path / "box", KNOWN)
        yield both
        await both.source.close()
        await both.target.close()


def make(box: Path, folder: str = "") -> Path:
    for part in ("cur", "new", "tmp"):
        (box / folder / part).mkdir(parents=True)
    return box / folder


def files(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is wanted


async def source_of(box: Path) -> MaildirSource:
    source = MaildirSource(box)
    await source.open()
    return source


@pytest.mark.parametrize(
    ("directories", "paths"),
    [
        (["", ".Sent", ".Sent.2024"], [("INBOX",), ("Sent",), ("Sent", "2024")]),
        (["", ".A.B"], [("INBOX",), ("A",), ("A", "B")]),
        (["", ".Entw&APw-rfe"], [("INBOX",), ("Entwürfe",)]),
        (["", ".Entwürfe"], [("INBOX",), ("Entwürfe",)]),
        (["", ".v1\\2e2"], [("INBOX",), ("v1.2",)]),
        (["", ".back\\slash"], [("INBOX",), ("back\\slash",)]),
        (["", ".&AGE-"], [("INBOX",), ("&AGE-",)]),
        (["", ".INBOX.Kid"], [("INBOX",), ("INBOX", "Kid")]),
        (["Inbox", "Sent", "Sent/2024"], [("INBOX",), ("Sent",), ("Sent", "2024")]),
        (["INBOX", "v1.2"], [("INBOX",), ("v1.2",)]),
        (["", "Sent"], [("INBOX",), ("Sent",)]),
        (["", ".Sent", "Sent"], [("INBOX",), ("Sent",), ("Sent ~2",)]),
    ],
)
async def test_folders_are_found_in_every_layout(
    tmp_path: Path, directories: list[str], paths: list[tuple[str, ...]]
) -> None:
    for each in directories:
        make(tmp_path, each)
    source = await source_of(tmp_path)
    assert [folder.path for folder in await source.folders()] == paths


@pytest.mark.parametrize(
    ("stored", "handed_out"),
    [
        (b"Subject: x\n\none\ntwo\n", b"Subject: x\r\n\r\none\r\ntwo\r\n"),
        (b"Subject: x\r\n\r\none\r\n", b"Subject: x\r\n\r\none\r\n"),
        (b"Subject: x\n\nmixed\r\nends\n", b"Subject: x\r\n\r\nmixed\r\nends\r\n"),
        (b"Subject: x\n\nbare\rcr", b"Subject: x\r\n\r\nbare\rcr"),
        (b"\r" * 262_144 + b"\n", b"\r" * 262_144 + b"\n"),
        (b"x" * 262_143 + b"\r\n", b"x" * 262_143 + b"\r\n"),
    ],
)
async def test_line_feeds_become_line_ends_once(
    tmp_path: Path, stored: bytes, handed_out: bytes
) -> None:
    make(tmp_path)
    (tmp_path / "new" / "1700000000.M1P1.host").write_bytes(stored)
    source = await source_of(tmp_path)
    inbox = await named(source, INBOX_PATH)
    [entry] = (await listed_changes(source, inbox)).entries
    assert entry.size == len(handed_out)
    assert await octets(source, inbox) == [handed_out]
    assert files(tmp_path / "new") == ["1700000000.M1P1.host"]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("1.M1P1.host,S=8,W=10", 10),
        ("1.M1P1.host,S=9,W=11", 10),
        ("1.M1P1.host,W=11", 10),
        ("1.M1P1.host,S=8,W=7", 10),
        ("1.M1P1.host", 10),
    ],
)
async def test_a_size_in_the_name_counts_only_when_it_can_be_true(
    tmp_path: Path, name: str, size: int
) -> None:
    make(tmp_path)
    (tmp_path / "cur" / f"{name}:2,S").write_bytes(b"A: b\n\nx\n"[:8])
    source = await source_of(tmp_path)
    [entry] = (await listed_changes(source, await named(source, INBOX_PATH))).entries
    assert entry.size == (size if name == "1.M1P1.host,S=8,W=10" else 11)


async def test_names_are_in_the_order_of_delivery(tmp_path: Path) -> None:
    make(tmp_path)
    names = [
        "0.first",
        "1700000000.M5P9.host",
        "1700000000.M12P1.host",
        "1700000001.77_2.host",
        "1700000001.77_10.host",
        "1700000002.M3P1Q9.host",
    ]
    for name in reversed(names):
        (tmp_path / "cur" / f"{name}:2,").write_bytes(b"Subject: " + name.encode() + b"\n\n")
    source = await source_of(tmp_path)
    found = await octets(source, await named(source, INBOX_PATH))
    assert [data.split(b"\r\n")[0][9:].decode() for data in found] == names


async def test_dovecots_keywords_are_read(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "dovecot-keywords").write_text("0 $Forwarded\n1 Junk\nnonsense\n99 Far\n")
    (tmp_path / "cur" / "1.a:2,FSab").write_bytes(b"x\n")
    (tmp_path / "cur" / "2.b:2,Pz").write_bytes(b"x\n")
    source = await source_of(tmp_path)
    entries = (await listed_changes(source, await named(source, INBOX_PATH))).entries
    assert entries[0].flags == {"\\Flagged", "\\Seen", "$Forwarded", "Junk"}
    assert entries[1].flags == {"$Forwarded"}


async def test_letters_nobody_knows_survive_a_change_of_flags(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "cur" / "1.a:2,FXz").write_bytes(b"x\n")
    target = maildir_target(tmp_path)
    await target.open()
    inbox = await named(target, INBOX_PATH)
    [entry] = (await listed_changes(target, inbox)).entries
    await target.flag(inbox, [change(entry.key, add={"\\Seen"}, remove={"\\Flagged"})])
    assert files(tmp_path / "cur") == ["1.a:2,SXz"]


async def test_the_27th_keyword_is_lost_and_named(tmp_path: Path) -> None:
    target = maildir_target(tmp_path)
    await target.open()
    inbox = await named(target, INBOX_PATH)
    flags = frozenset(f"Word{number:02d}" for number in range(28))
    [answer] = await put(target, inbox, mail("many"), flags=flags)
    assert answer.lost == {"Word26", "Word27"}  # type: ignore[union-attr]


async def test_the_date_is_the_files_own(tmp_path: Path) -> None:
    target = maildir_target(tmp_path)
    await target.open()
    inbox = await named(target, INBOX_PATH)
    await put(target, inbox, mail("old"), received=datetime(1969, 7, 20, 20, 17, tzinfo=UTC))
    [file] = (tmp_path / "cur").iterdir()
    assert file.stat().st_mtime == -14182980
    assert not list((tmp_path / "tmp").iterdir())
    [entry] = (await listed_changes(target, inbox)).entries
    assert entry.received == datetime(1969, 7, 20, 20, 17, tzinfo=UTC)


async def test_what_is_added_before_the_tail_is_not_skipped(tmp_path: Path) -> None:
    target = maildir_target(tmp_path)
    await target.open()
    inbox = await named(target, INBOX_PATH)
    await put(target, inbox, mail("ours"))
    tail = (await named(target, INBOX_PATH)).tail
    (tmp_path / "new" / "1.M1P1.elsewhere").write_bytes(mail("moved in"))
    listing = await listed_changes(target, inbox, tail)
    assert listing.whole
    assert len(listing.entries) == 2


async def test_a_file_renamed_after_the_listing_is_found_again(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "new" / "1.M1P1.host").write_bytes(mail("moving"))
    source = await source_of(tmp_path)
    inbox = await named(source, INBOX_PATH)
    entries = (await listed_changes(source, inbox)).entries
    (tmp_path / "new" / "1.M1P1.host").rename(tmp_path / "cur" / "1.M1P1.host:2,S")
    found = [message async for message in source.fetch(inbox, entries)]
    assert len(found) == 1
    assert not isinstance(found[0], Unreadable)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("subscriptions", "V\t2\n\nSent\t2024\nEntw&APw-rfe\n"),
        ("subscriptions", "Sent.2024\nEntw&APw-rfe\n"),
        ("courierimapsubscribed", "INBOX\nINBOX.Sent.2024\nINBOX.Entw&APw-rfe\n"),
    ],
)
async def test_subscriptions_of_others_are_read(tmp_path: Path, file: str, text: str) -> None:
    for name in ("", ".Sent", ".Sent.2024", ".Entw&APw-rfe"):
        make(tmp_path, name)
    (tmp_path / file).write_text(text)
    source = await source_of(tmp_path)
    subscribed = {folder.path for folder in await source.folders() if folder.subscribed}
    assert subscribed - {INBOX_PATH} == {("Sent", "2024"), ("Entwürfe",)}


async def test_an_odd_name_stays_below_the_root(tmp_path: Path) -> None:
    target = maildir_target(tmp_path / "box")
    await target.open()
    for name, path in ODD_NAMES.items():
        if name not in TOO_LONG:
            await target.create(path, None)
    assert files(tmp_path) == ["box"]
    made = set(files(tmp_path / "box")) - {"cur", "new", "tmp"}
    assert all(name.startswith(".") for name in made)
