"""Directories of .eml files keep the contract; what others put there is read too."""

import json
import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import INBOX_PATH, Folder
from mailhaul.core.message import Unreadable
from mailhaul.core.store import Source
from mailhaul.stores.eml import EmlSource
from mailhaul.stores.eml_target import eml_target
from mailhaul.stores.file_target import FileTarget
from tests.stores.awkward import ODD_NAMES, mail
from tests.stores.conformance import (
    Expectations,
    Opened,
    StoreSuite,
    listed_changes,
    named,
    octets,
    put,
)


class TestEml(StoreSuite):
    @pytest.fixture
    async def mailbox(self, tmp_path: Path) -> AsyncIterator[Opened]:
        source, target = EmlSource(tmp_path), eml_target(tmp_path)
        await target.open()
        await target.create(INBOX_PATH, None)
        await source.open()

        async def reopen() -> Source:
            again = EmlSource(tmp_path)
            await again.open()
            return again

        async def renumber(folder: Folder) -> None:
            manifest = tmp_path / folder.native / "manifest.jsonl"
            first, *lines = manifest.read_text().splitlines()
            fresh = json.dumps(json.loads(first) | {"validity": "another"})
            manifest.unlink()
            manifest.write_text("\n".join([fresh, *lines]) + "\n")

        elsewhere = tmp_path / "else" / "where"
        yield Opened(
            source,
            target,
            reopen,
            renumber,
            Expectations(),
            lambda: (eml_target(elsewhere), elsewhere.parent),
        )
        await source.close()
        await target.close()


async def opened(path: Path) -> FileTarget:
    target = eml_target(path)
    await target.open()
    return target


def files(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is wanted


async def test_no_word_of_a_folder_becomes_a_path(tmp_path: Path) -> None:
    target = await opened(tmp_path / "box")
    for path in ODD_NAMES.values():
        await target.create(path, None)
    assert files(tmp_path) == ["box"]
    assert all(name.isdecimal() for name in files(tmp_path / "box"))


async def test_what_a_crash_left_is_not_listed_and_is_replaced(tmp_path: Path) -> None:
    target = await opened(tmp_path)
    inbox = await named(target, INBOX_PATH)
    await put(target, inbox, mail("one"))
    directory = tmp_path / inbox.native
    (directory / "00000002.eml").write_bytes(b"torn")
    with (directory / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"uid":2,"size":4,"sha2')
    again = await opened(tmp_path)
    assert await octets(again, await named(again, INBOX_PATH)) == [mail("one")]
    await put(again, await named(again, INBOX_PATH), mail("two"))
    assert await octets(again, await named(again, INBOX_PATH)) == [mail("one"), mail("two")]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.write_bytes(b"changed"), "was changed"),
        (lambda file: file.unlink(), "is missing"),
        (lambda file: (file.unlink(), file.symlink_to("/etc/hostname")), "can't be read"),
    ],
)
async def test_a_damaged_file_is_unreadable(
    tmp_path: Path,
    damage: "callable",  # type: ignore[valid-type]
    reason: str,
) -> None:
    target = await opened(tmp_path)
    inbox = await named(target, INBOX_PATH)
    await put(target, inbox, mail("one"))
    damage(tmp_path / inbox.native / "00000001.eml")  # type: ignore[misc]
    entries = (await listed_changes(target, inbox)).entries
    [found] = [message async for message in target.fetch(inbox, entries)]
    assert isinstance(found, Unreadable)
    assert reason in found.reason


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"[]",
        b'{"uid":0,"size":1,"sha256":"00","received":null,"flags":[]}',
        b'{"uid":9,"size":1,"sha256":"zz","received":null,"flags":[]}',
        b'{"gone":7}',
        b'{"size":1}',
        b'{"role":"emperor"}',
        b"\xff\xfe",
    ],
)
async def test_a_manifest_that_makes_no_sense_fails_its_folder_alone(
    tmp_path: Path, line: bytes
) -> None:
    target = await opened(tmp_path)
    other = await target.create(("Other",), None)
    inbox = await named(target, INBOX_PATH)
    with (tmp_path / other.native / "manifest.jsonl").open("ab") as manifest:
        manifest.write(line + b"\n")
    with pytest.raises(FolderFailed, match="line 2"):
        await listed_changes(target, other)
    with pytest.raises(FolderFailed, match="line 2"):
        await put(target, other, mail("one"))
    assert [folder.path for folder in await target.folders()] == [inbox.path, ("0002",)]
    assert "makes no sense" in target.traffic.notices[0]


async def test_files_of_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "Sent" / "2024").mkdir(parents=True)
    (tmp_path / "b.eml").write_bytes(b"Subject: b\n\nbody\n")
    (tmp_path / "a.EML").write_bytes(b"Subject: a\r\n\r\nbody\r\n")
    (tmp_path / "notes.txt").write_bytes(b"not mail")
    (tmp_path / "Sent" / "2024" / "c.eml").write_bytes(b"Subject: c\n\n")
    os.utime(tmp_path / "b.eml", (1_000_000_000, 1_000_000_000))
    source = EmlSource(tmp_path)
    await source.open()
    folders = await source.folders()
    assert [folder.path for folder in folders] == [INBOX_PATH, ("Sent",), ("Sent", "2024")]
    assert [folder.selectable for folder in folders] == [True, False, True]
    listing = await listed_changes(source, folders[0])
    assert [entry.key for entry in listing.entries] == ["a.EML", "b.eml"]
    assert listing.entries[1].received == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    wanted = [b"Subject: a\r\n\r\nbody\r\n", b"Subject: b\r\n\r\nbody\r\n"]
    assert await octets(source, folders[0]) == wanted
    assert [entry.size for entry in listing.entries] == [len(data) for data in wanted]
    again = await listed_changes(source, folders[0], listing.cursor)
    assert (again.entries, again.whole) == ([], False)


async def test_an_export_can_be_moved(tmp_path: Path) -> None:
    target = await opened(tmp_path / "here")
    await put(target, await named(target, INBOX_PATH), mail("one"))
    cursor = (await listed_changes(target, await named(target, INBOX_PATH))).cursor
    await target.close()
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    source = EmlSource(tmp_path / "there")
    await source.open()
    assert (await listed_changes(source, await named(source, INBOX_PATH), cursor)).entries == []
    await source.close()
