"""mbox files keep the contract; those of other programs are read as they meant them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.blob import MemoryBlob
from mailhaul.core.errors import CursorExpired, RetryLater
from mailhaul.core.folder import INBOX_PATH, Folder
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Source
from mailhaul.stores.file_target import FileTarget
from mailhaul.stores.mbox import MboxSource
from mailhaul.stores.mbox_format import date_of, from_line, quoted, unquoted
from mailhaul.stores.mbox_target import mbox_target
from tests.stores.awkward import AWKWARD, mail
from tests.stores.conformance import (
    Expectations,
    Opened,
    StoreSuite,
    listed_changes,
    named,
    octets,
    put,
)

TOO_LONG = frozenset({"a longer name"})


class TestMbox(StoreSuite):
    @pytest.fixture
    async def mailbox(self, tmp_path: Path) -> AsyncIterator[Opened]:
        source, target = MboxSource(tmp_path), mbox_target(tmp_path)
        await target.open()
        await target.create(INBOX_PATH, None)
        await source.open()

        async def reopen() -> Source:
            again = MboxSource(tmp_path)
            await again.open()
            return again

        async def renumber(folder: Folder) -> None:
            (tmp_path / folder.native).with_name(f".{folder.native}.mailhaul").unlink()

        elsewhere = tmp_path / "else" / "where"
        yield Opened(
            source,
            target,
            reopen,
            renumber,
            Expectations(refuses_names=TOO_LONG),
            lambda: (mbox_target(elsewhere), elsewhere.parent),
        )
        await source.close()
        await target.close()


async def source_of(path: Path) -> MboxSource:
    source = MboxSource(path)
    await source.open()
    return source


async def target_of(path: Path) -> FileTarget:
    target = mbox_target(path)
    await target.open()
    return target


def files(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))  # noqa: PTH208 - names are all that is wanted


FIRST = "From ada@example.org Mon Jan  1 10:00:00 2024\n"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (f"{FIRST}Subject: 1\n\none\n\n{FIRST}Subject: 2\n\ntwo\n\n", ["1\n\none\n", "2\n\ntwo\n"]),
        (f"{FIRST}Subject: 1\n\none\n", ["1\n\none\n"]),
        (f"{FIRST}Subject: 1\n\none", ["1\n\none"]),
        (f"{FIRST}Subject: 1\n\n>From me\n>>From you\n\n", ["1\n\nFrom me\n>From you\n"]),
        (f"{FIRST}Subject: 1\n\nFrom me to you\n\n", ["1\n\nFrom me to you\n"]),
        (f"{FIRST}Subject: 1\n\n\nFrom here on, no date\n\n", ["1\n\n\nFrom here on, no date\n"]),
        (f"From nobody\nSubject: 1\n\n\n{FIRST}Subject: 2\n\n\n", ["1\n\n", "2\n\n"]),
        (f"From - Mon Jan 01 10:00:00 2024\nSubject: 1\n\nx\n\n{FIRST}Subject: 2\n\n\n",
         ["1\n\nx\n", "2\n\n"]),
        (f"{FIRST}Subject: 1\r\n\r\none\r\n\r\n{FIRST}Subject: 2\n\n\n",
         ["1\r\n\r\none\r\n", "2\n\n"]),
        ("", []),
    ],
)  # fmt: skip
async def test_messages_are_told_apart(tmp_path: Path, text: str, messages: list[str]) -> None:
    (tmp_path / "Inbox").write_bytes(text.encode())
    source = await source_of(tmp_path)
    found = await octets(source, await named(source, INBOX_PATH))
    wanted = [f"Subject: {each}".replace("\r\n", "\n").replace("\n", "\r\n") for each in messages]
    assert [data.decode() for data in found] == wanted
    assert files(tmp_path) == ["Inbox"]


@given(st.lists(st.sampled_from([b"From ", b">", b">From ", b"\n", b"\r", b"F", b"rom ", b"x"])))
def test_quoting_is_undone_exactly_however_it_is_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    written = b"".join(quoted(pieces))
    assert written == b"".join(quoted([whole]))
    assert b"\nFrom " not in b"\n" + written
    cut = [written[place : place + 2] for place in range(0, len(written), 2)]
    assert b"".join(unquoted(cut)) == whole


@pytest.mark.parametrize("size", [262_100, 262_130, 262_143, 262_144, 262_145, 524_288])
async def test_a_message_that_begins_at_the_edge_of_a_chunk_is_found(
    tmp_path: Path, size: int
) -> None:
    first = FIRST.encode() + b"x" * (size - len(FIRST) - 2) + b"\n\n"
    text = first + FIRST.encode() + b"Subject: 2\n\n\n" + FIRST.encode() + b"Subject: 3\n\n\n"
    (tmp_path / "Inbox").write_bytes(text)
    source = await source_of(tmp_path)
    found = await octets(source, await named(source, INBOX_PATH))
    assert [data[:12] for data in found[1:]] == [b"Subject: 2\r\n", b"Subject: 3\r\n"]
    assert len(found[0]) == size - len(FIRST)


@pytest.mark.parametrize(
    ("line", "date"),
    [
        ("From a@b Mon Jan  1 10:00:00 2024", "2024-01-01T10:00:00"),
        ("From a@b Mon Jan 1 10:00 2024", "2024-01-01T10:00:00"),
        ("From a@b Mon Jan  1 10:00:00 CET 2024", "2024-01-01T10:00:00"),
        ("From a@b Mon Jan  1 10:00:00 +0100 2024", "2024-01-01T09:00:00"),
        ("From a@b Mon Jan  1 10:00:00 2024 -0500", "2024-01-01T15:00:00"),
        ("From - Thu Feb 29 23:59:60 2024", "2024-02-29T23:59:59"),
        ("From a@b Fri Feb 30 10:00:00 2024", None),
        ("From a@b yesterday", None),
    ],
)
def test_dates_in_from_lines_are_read(line: str, date: str | None) -> None:
    wanted = None if date is None else datetime.fromisoformat(date).replace(tzinfo=UTC)
    assert date_of(line.encode()) == wanted


def test_a_written_from_line_is_read_back() -> None:
    when = datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)
    assert from_line("me", when) == b"From me Thu Feb 29 01:02:03 2024\n"
    assert date_of(from_line("me", when)) == when


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        ("Status: RO", {"\\Seen"}),
        ("Status: O\nX-Status: AFT", {"\\Answered", "\\Flagged", "\\Draft"}),
        ("X-Status: D", {"\\Deleted"}),
        ("X-Mozilla-Status: 1007", {"\\Seen", "\\Answered", "\\Flagged", "$Forwarded"}),
        ("X-Keywords: Junk $Label1   ", {"Junk", "$Label1"}),
        ("X-Mozilla-Keys: $label2                 ", {"$label2"}),
        ("Subject: x\n\nStatus: R", set()),
        ("X-Mozilla-Status: zzzz", set()),
    ],
)
async def test_flags_in_the_header_are_read(tmp_path: Path, header: str, flags: set[str]) -> None:
    (tmp_path / "Inbox").write_text(f"{FIRST}{header}\n\nbody\n\n")
    source = await source_of(tmp_path)
    [entry] = (await listed_changes(source, await named(source, INBOX_PATH))).entries
    assert entry.flags == flags


async def test_what_thunderbird_has_deleted_is_left_out_and_said(tmp_path: Path) -> None:
    kept = f"{FIRST}X-Mozilla-Status: 0001\nSubject: kept\n\n\n"
    (tmp_path / "Inbox").write_text(f"{FIRST}X-Mozilla-Status: 0009\nSubject: x\n\n\n{kept}")
    source = await source_of(tmp_path)
    inbox = await named(source, INBOX_PATH)
    assert len((await listed_changes(source, inbox)).entries) == 1
    assert "holds 1 message that Thunderbird has deleted" in source.traffic.notices[0]


async def test_trees_of_other_programs_are_read(tmp_path: Path) -> None:
    for file in ("Inbox", "Sent.sbd/2024", "Sent", "Archive/old.mbox", "Entwürfe", "100%25"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(f"{FIRST}Subject: x\n\n\n")
    (tmp_path / "Inbox.msf").write_text("// <!-- Mork -->")
    (tmp_path / "empty").write_text("")
    (tmp_path / "notes.txt").write_text("not mail")
    source = await source_of(tmp_path)
    assert [folder.path for folder in await source.folders()] == [
        ("INBOX",),
        ("100%",),
        ("Archive",),
        ("Archive", "old"),
        ("Entwürfe",),
        ("Sent",),
        ("Sent", "2024"),
        ("empty",),
    ]


async def test_a_single_file_is_the_inbox(tmp_path: Path) -> None:
    (tmp_path / "ada").write_text(f"{FIRST}Subject: x\n\n\n")
    (tmp_path / "bob").write_text("")
    source = await source_of(tmp_path / "ada")
    [inbox] = await source.folders()
    assert inbox.path == INBOX_PATH
    assert await octets(source, inbox) == [b"Subject: x\r\n\r\n"]


async def test_keys_are_good_while_mail_is_only_added(tmp_path: Path) -> None:
    file = tmp_path / "Inbox"
    file.write_text(f"{FIRST}Subject: 1\n\n\n{FIRST}Subject: 2\n\n\n")
    source = await source_of(tmp_path)
    inbox = await named(source, INBOX_PATH)
    first = await listed_changes(source, inbox)
    assert (await listed_changes(source, inbox, first.cursor)).entries == []
    with file.open("a") as more:
        more.write(f"{FIRST}Subject: 3\n\n\n")
    second = await listed_changes(source, inbox, first.cursor)
    assert [entry.key for entry in second.entries] == [1, 2, 3]
    file.write_text(f"{FIRST}Subject: 2\n\n\n{FIRST}Subject: 3\n\n\n")
    with pytest.raises(CursorExpired):
        await listed_changes(source, inbox, second.cursor)


async def test_what_others_deliver_to_our_file_is_numbered_on(tmp_path: Path) -> None:
    target = await target_of(tmp_path)
    inbox = await named(target, INBOX_PATH)
    await put(target, inbox, mail("ours"))
    with (tmp_path / "INBOX").open("a") as more:
        more.write(f"{FIRST}Subject: theirs\n\n\n")
    source = await source_of(tmp_path)
    seen = await listed_changes(source, inbox)
    assert [entry.key for entry in seen.entries] == [1, 2]
    await put(target, inbox, mail("ours too"))
    listing = await listed_changes(source, inbox, seen.cursor)
    assert [entry.key for entry in listing.entries][-1] == 3
    assert not listing.whole
    wanted = [mail("ours"), b"Subject: theirs\r\n\r\n", mail("ours too")]
    assert await octets(source, inbox) == wanted


@pytest.mark.parametrize("cut", [1, 30, 60, 100])
async def test_what_a_crash_left_counts_for_nothing(tmp_path: Path, cut: int) -> None:
    target = await target_of(tmp_path)
    inbox = await named(target, INBOX_PATH)
    await put(target, inbox, mail("one"))
    whole = (tmp_path / "INBOX").read_bytes()
    manifest = (tmp_path / ".INBOX.mailhaul").read_bytes()
    await put(target, inbox, mail("two"))
    (tmp_path / "INBOX").write_bytes((tmp_path / "INBOX").read_bytes()[: len(whole) + 60 + cut])
    (tmp_path / ".INBOX.mailhaul").write_bytes(manifest)
    source = await source_of(tmp_path)
    assert await octets(source, inbox) == [mail("one")]
    again = await target_of(tmp_path)
    await put(again, inbox, mail("three"))
    assert await octets(again, inbox) == [mail("one"), mail("three")]
    assert (tmp_path / "INBOX").read_bytes().count(b"\nFrom mailhaul@") == 1


async def test_a_file_that_another_program_wrote_anew_is_read_without_the_manifest(
    tmp_path: Path,
) -> None:
    target = await target_of(tmp_path)
    inbox = await named(target, INBOX_PATH)
    await put(target, inbox, mail("one"), mail("two"))
    cursor = (await listed_changes(target, inbox)).cursor
    (tmp_path / "INBOX").write_text(f"{FIRST}Status: R\nSubject: anew\n\n\n")
    with pytest.raises(CursorExpired):
        await listed_changes(target, inbox, cursor)
    wanted = b"Status: R\r\nSubject: anew\r\n\r\n"
    assert await octets(target, inbox) == [wanted]
    await put(target, inbox, mail("three"))
    assert await octets(target, inbox) == [wanted, mail("three")]


@pytest.mark.parametrize("renamed", [0, 1])
async def test_taking_out_is_settled_after_a_crash_between_the_renames(
    tmp_path: Path, renamed: int
) -> None:
    target = await target_of(tmp_path)
    inbox = await named(target, INBOX_PATH)
    odd = [AWKWARD["a bare LF"], mail("gone"), AWKWARD["CR CR LF"]]
    await put(target, inbox, *odd)
    old = {name: (tmp_path / name).read_bytes() for name in ("INBOX", ".INBOX.mailhaul")}
    await target.remove(inbox, [2])
    new = {name: (tmp_path / name).read_bytes() for name in ("INBOX", ".INBOX.mailhaul")}
    # As the crash left it: the new manifest waits, the file is the new one or still the old one.
    (tmp_path / ".INBOX.mailhaul").write_bytes(old[".INBOX.mailhaul"])
    (tmp_path / ".INBOX.mailhaul.new").write_bytes(new[".INBOX.mailhaul"])
    if not renamed:
        (tmp_path / "INBOX").rename(tmp_path / ".INBOX.new")
        (tmp_path / "INBOX").write_bytes(old["INBOX"])
    wanted = [odd[0], odd[2]] if renamed else odd
    source = await source_of(tmp_path)
    assert await octets(source, inbox) == wanted
    again = await target_of(tmp_path)
    await put(again, inbox, mail("later"))
    assert await octets(again, inbox) == [*wanted, mail("later")]
    assert not (tmp_path / ".INBOX.mailhaul.new").exists()


LOCKING = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX{0}); {1}"
HOLD = LOCKING.format("", "print(flush=True); sys.stdin.read()")
TRY = LOCKING.format(" | fcntl.LOCK_NB", "")


async def python(script: str, file: Path) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, file, stdin=pipe, stdout=pipe, stderr=pipe
    )


@pytest.mark.parametrize("deed", ["append", "remove"])
async def test_a_lock_of_another_program_is_waited_for(tmp_path: Path, deed: str) -> None:
    target = await target_of(tmp_path)
    inbox = await target.create(INBOX_PATH, None)
    await put(target, inbox, mail("one"))
    other = await python(HOLD, tmp_path / "INBOX")
    assert other.stdout is not None
    await other.stdout.readline()
    with pytest.raises(RetryLater, match="locked the mbox"):
        if deed == "append":
            await put(target, inbox, mail("two"))
        else:
            await target.remove(inbox, [1])
    await other.communicate(b"")
    assert await octets(target, inbox) == [mail("one")]
    await put(target, inbox, mail("two"))
    assert await octets(target, inbox) == [mail("one"), mail("two")]


async def test_other_programs_are_kept_out_while_a_batch_is_written(tmp_path: Path) -> None:
    target = await target_of(tmp_path)
    inbox = await target.create(INBOX_PATH, None)
    attempts: list[int | None] = []

    async def messages() -> AsyncIterator[Message]:
        for number in range(2):
            other = await python(TRY, tmp_path / "INBOX")
            await other.communicate(b"")
            attempts.append(other.returncode)
            yield Message(Entry(number), MemoryBlob(mail(f"n{number}")))

    assert len([answer async for answer in target.append(inbox, messages())]) == 2
    assert attempts == [0, 1]
