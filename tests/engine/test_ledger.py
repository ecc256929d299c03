"""The ledger: who may open it, what it keeps, and what a crash leaves of it."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.core.folder import Cursor, State
from mailhaul.core.message import NO_FLAGS, Entry, Identity, Key
from mailhaul.engine.ledger import FolderRow, Ledger, MessageRow
from mailhaul.engine.ledger_file import FILE, VERSION, FileRows
from mailhaul.engine.ledger_row import Intent, Underway
from mailhaul.engine.outcomes import Fate, Side

PAIR = "imap://ada@old.example → imap://ada@new.example"
SEEN = frozenset({"\\Seen"})


def _row(source: Key | None, target: Key | None = None, fate: Fate = Fate.COPIED) -> MessageRow:
    return MessageRow(source, target, fate, NO_FLAGS, 100, 1_700_000_000, None, None)


def _folder(ledger: Ledger, *rows: MessageRow) -> FolderRow:
    folder = ledger.link(("INBOX",), ("INBOX",))
    return ledger.add(folder, rows, None)


def _rows(ledger: Ledger, folder: FolderRow) -> list[MessageRow]:
    """All of the folder's rows, those gone from the source too, in the order they were made."""
    return ledger._rows(folder, "TRUE", "rowid")


def _keys(ledger: Ledger, folder: FolderRow) -> list[tuple[Key | None, Key | None]]:
    return [(row.source_key, row.target_key) for row in _rows(ledger, folder)]


# opening


def _garbage(file: Path) -> None:
    file.write_bytes(b"this is no database at all, but it is long enough to look like one" * 99)


def _newer(file: Path) -> None:
    with sqlite3.connect(file) as sql:
        sql.execute(f"PRAGMA user_version = {VERSION + 1}")
    sql.close()


def _cut_short(file: Path) -> None:
    os.truncate(file, 5000)


def _other_database(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as sql:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("CREATE TABLE mail (text)")
        sql.execute(f"PRAGMA user_version = {VERSION}")
    sql.close()


UNUSABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "the file is garbage": (_garbage, "can't be read"),
    "the file was cut short": (_cut_short, "can't be read"),
    "a newer mailhaul wrote it": (_newer, f"is of version {VERSION + 1}"),
    "it is another program's database": (_other_database, "somebody else's database"),
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_ledger_is_refused_with_a_cure(
    name: str, read_only: bool, tmp_path: Path
) -> None:
    spoil, fact = UNUSABLE[name]
    with Ledger.open(tmp_path, PAIR) as ledger:
        _folder(ledger, *(_row(key, key) for key in range(1, 500)))
    spoil(tmp_path / FILE)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(BadInput, match=fact) as caught:
        Ledger.open(tmp_path, PAIR, read_only=read_only)
    assert "--state" in str(caught.value) and str(tmp_path) in str(caught.value)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
def test_another_pairs_ledger_is_refused(read_only: bool, tmp_path: Path) -> None:
    Ledger.open(tmp_path, PAIR).close()
    with pytest.raises(BadInput, match="belongs to another pair") as caught:
        Ledger.open(tmp_path, "imap://bob@old.example → imap://b@new", read_only=read_only)
    assert PAIR in str(caught.value) and "--state" in str(caught.value)
    Ledger.open(tmp_path, PAIR).close()


def test_the_other_pairs_name_is_shown_harmless(tmp_path: Path) -> None:
    Ledger.open(tmp_path, "imap://a\x1b[31m\n@old").close()
    with pytest.raises(BadInput) as caught:
        Ledger.open(tmp_path, PAIR)
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_second_run_is_refused_while_the_first_one_works(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR):
        with pytest.raises(BadInput, match=f"process {os.getpid()}"):
            Ledger.open(tmp_path, PAIR)
        Ledger.open(tmp_path, PAIR, read_only=True).close()
    Ledger.open(tmp_path, PAIR).close()


def test_another_process_is_refused_and_the_lock_of_a_killed_one_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mailhaul.engine.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1]), sys.argv[2]); print('held', flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), PAIR], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match=f"process {process.pid}"):
            Ledger.open(tmp_path, PAIR)
    finally:
        process.kill()
        process.wait()
    process.stdout.close()
    Ledger.open(tmp_path, PAIR).close()


def test_a_refused_opening_lets_go_of_the_lock(tmp_path: Path) -> None:
    Ledger.open(tmp_path, PAIR).close()
    with pytest.raises(BadInput, match="another pair"):
        Ledger.open(tmp_path, "other")
    Ledger.open(tmp_path, PAIR).close()


def test_a_missing_ledger_reads_as_empty_and_nothing_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with Ledger.open(directory, PAIR, read_only=True) as ledger:
        assert ledger.folders() == [] and ledger.fates() == {}
    assert not directory.exists()


def test_reading_only_never_writes(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        _folder(ledger, _row(1, 1))
    with Ledger.open(tmp_path, PAIR, read_only=True) as ledger:
        assert ledger.fates() == {("INBOX",): {Fate.COPIED: 1}}
        with pytest.raises(sqlite3.OperationalError):
            ledger.link(("Work",), ("Work",))


@contextmanager
def read_only_media() -> Iterator[Path]:
    """A directory for `make_read_only`; in the end everything is as it was."""
    directory = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        yield directory
    finally:
        if user == 0:
            os.seteuid(user)
        directory.chmod(0o700)
        shutil.rmtree(directory)


def make_read_only(directory: Path) -> None:
    """From now on nobody can write there; root, who always can, is somebody else."""
    for file in directory.iterdir():
        file.chmod(0o444)
    directory.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_a_ledger_on_read_only_media_can_be_read() -> None:
    with read_only_media() as directory:
        with Ledger.open(directory, PAIR) as ledger:
            _folder(ledger, _row(1, 1))
        make_read_only(directory)
        with Ledger.open(directory, PAIR, read_only=True) as ledger:
            assert ledger.fates() == {("INBOX",): {Fate.COPIED: 1}}


def test_a_killed_runs_ledger_on_read_only_media_is_not_read_by_half() -> None:
    with read_only_media() as directory, read_only_media() as copy:
        with Ledger.open(directory, PAIR) as ledger:
            _folder(ledger, _row(1, 1))
            for file in (FILE, f"{FILE}-wal"):
                shutil.copyfile(directory / file, copy / file)
        make_read_only(copy)
        with pytest.raises(BadInput, match=r"a run was cut off.*; copy .* and name that"):
            Ledger.open(copy, PAIR, read_only=True)


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(BadInput, match="can't be used"):
        Ledger.open(tmp_path / "state", PAIR)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "state", PAIR) as ledger:
        _folder(ledger, _row(1, 1))
        for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


# rows


def test_everything_about_a_message_comes_back(tmp_path: Path) -> None:
    rows = [
        MessageRow(7, 9, Fate.COPIED, SEEN | {"$Work", "x"}, 5, 6, Identity(b"i" * 16, True)),
        MessageRow(2**32 - 1, None, Fate.ADOPTED, NO_FLAGS, digest=b"d" * 32),
        MessageRow(8, None, Fate.REFUSED, NO_FLAGS, reason="“550” said the server"),
        MessageRow(9, None, Fate.SKIPPED, NO_FLAGS, 0, -1, Identity(b"j" * 16, False)),
    ]
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, *rows)
    with Ledger.open(tmp_path, PAIR) as ledger:
        found = _rows(ledger, folder)
    assert [row.id for row in found] == [1, 2, 3, 4]
    assert found == [
        MessageRow(
            row.source_key,
            row.target_key,
            row.fate,
            row.flags,
            row.size,
            row.received,
            row.identity,
            row.digest,
            row.reason,
            number,
        )
        for number, row in enumerate(rows, 1)
    ]


def test_text_keys_come_back_as_text(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row("10", "b"), _row("9", "a"))
        assert list(ledger.between(folder, "0", "99")) == ["10", "9"]
        assert ledger.source_keys(folder) == ["10", "9"]
        assert ledger.target_keys(folder, "a", "a") == {"a"}


def test_a_message_decided_again_has_one_row(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, None, Fate.MISSING))
        ledger.add(folder, [_row(1, 5)], None)
        assert _keys(ledger, folder) == [(1, 5)]
        assert ledger.fates() == {("INBOX",): {Fate.COPIED: 1}}


def test_rows_between_two_keys(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, *(_row(key, key + 100) for key in (1, 3, 5, 7)))
        other = ledger.add(ledger.link(("Work",), ("Work",)), [_row(4, 104)], None)
        assert sorted(ledger.between(folder, 3, 5)) == [3, 5]
        assert ledger.target_keys(folder, 101, 104) == {101, 103}
        assert ledger.target_keys(other, 101, 104) == {104}


def test_rows_among_some_keys_are_no_others_however_far_apart(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, *(_row(key, key + 100) for key in (1, 3, 5, 7)))
        ledger.add(ledger.link(("Work",), ("Work",)), [_row(7, 107)], None)
        assert sorted(ledger.among(folder, [1, 2, 7])) == [1, 7]
        assert ledger.among(folder, []) == {}
        every = ledger.among(folder, range(1, 2000))
        assert sorted(every) == [1, 3, 5, 7]


def test_folders_put_into_one_target_know_each_others_keys(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        one = ledger.add(ledger.link(("One",), ("All",)), [_row(1, 1)], None)
        two = ledger.add(ledger.link(("Two",), ("All",)), [_row(1, 2)], None)
        assert ledger.target_keys(one, 1, 9) == ledger.target_keys(two, 1, 9) == {1, 2}


def test_cursors_come_back(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = ledger.link(("a", "b/c", "ü"), ("x",))
        assert folder == FolderRow(folder.id, ("a", "b/c", "ü"), ("x",))
        moved = FolderRow(
            folder.id,
            folder.source,
            folder.target,
            State("s"),
            Cursor("c"),
            target_tail=Cursor("t"),
            target_seen=Cursor("u"),
        )
        ledger.move(moved)
        assert ledger.folders() == [moved]
        assert ledger.link(folder.source, folder.target) == moved


def test_a_folder_linked_to_another_target_starts_anew(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, 1))
        ledger.intend(folder, [Entry(2), Entry(3)])
        again = ledger.link(("INBOX",), ("Elsewhere",))
        assert ledger.folders() == [again]
        assert not _rows(ledger, again) and not ledger.intended(again)


def test_a_renamed_folder_keeps_its_rows(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, 1))
        ledger.rename(folder, ("Old", "Inbox"))
        (renamed,) = ledger.folders()
        assert renamed.source == ("Old", "Inbox") and renamed.target == ("INBOX",)
        assert ledger.fates() == {("Old", "Inbox"): {Fate.COPIED: 1}}


GONE = {
    "what was put there is kept": (Fate.COPIED, [(None, 9)]),
    "what was adopted is kept": (Fate.ADOPTED, [(None, 9)]),
    "what was refused is forgotten": (Fate.REFUSED, []),
    "what was skipped is forgotten": (Fate.SKIPPED, []),
    "what was missing is forgotten": (Fate.MISSING, []),
}


@pytest.mark.parametrize("name", GONE)
def test_when_a_message_goes_from_the_source(name: str, tmp_path: Path) -> None:
    fate, left = GONE[name]
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, 9, fate))
        ledger.gone(folder, [1, 2])
        assert _keys(ledger, folder) == left
        assert ledger.fates() == {("INBOX",): {}}
        orphans = [row.target_key for row in ledger.orphans(folder)]
        assert orphans == ([9] if fate is Fate.COPIED else [])


def test_what_a_renumbered_source_leaves_is_never_an_orphan(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, 9), _row(2, None, Fate.REFUSED))
        ledger.intend(folder, [Entry(3)])
        ledger.lose_sources(folder)
        assert _keys(ledger, folder) == [(None, 9)]
        assert not ledger.orphans(folder) and not ledger.intended(folder)
        (lost,) = ledger.lost(folder)
        assert lost.id is not None
        ledger.find_source([(lost.id, 77)])
        assert _keys(ledger, folder) == [(77, 9)]
        ledger.gone(folder, [77])
        assert [row.target_key for row in ledger.orphans(folder)] == [9]


def test_what_a_renumbered_target_leaves_waits_for_its_keys(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, 9), _row(2, 10), _row(3, 11, Fate.ADOPTED))
        ledger.gone(folder, [2])
        ledger.lose_targets(folder)
        waiting = ledger.unkeyed(folder)
        assert [row.source_key for row in waiting] == [1, 3]
        assert not ledger.orphans(folder)
        assert waiting[0].id is not None
        ledger.find_target([(waiting[0].id, 50)])
        assert _keys(ledger, folder) == [(1, 50), (3, None)]


def test_flags_agreed_on_come_back(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, 1), _row(2, 2))
        ledger.agree([(1, SEEN)])
        assert [row.flags for row in _rows(ledger, folder)] == [SEEN, NO_FLAGS]
        ledger.forget([1])
        assert _keys(ledger, folder) == [(2, 2)]


def test_what_stores_remember_comes_back(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        assert ledger.memory(Side.SOURCE) == ""
        ledger.remember(Side.SOURCE, "one")
        ledger.remember(Side.TARGET, "other")
        ledger.remember(Side.SOURCE, "")
        ledger.remember(Side.SOURCE, "two")
    for read_only in (True, False):
        with Ledger.open(tmp_path, PAIR, read_only=read_only) as ledger:
            assert (ledger.memory(Side.SOURCE), ledger.memory(Side.TARGET)) == ("two", "other")


def test_intents_are_there_until_they_are_settled(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder, other = _folder(ledger), ledger.link(("Work",), ("Work",))
        ledger.intend(folder, [Entry(1), Entry(2)])
        ledger.intend(folder, [Entry(2), Entry(3)])
        ledger.intend(other, [Entry("a")])
    with Ledger.open(tmp_path, PAIR) as ledger:
        assert ledger.intended(folder) == {1, 2, 3} and ledger.intended(other) == {"a"}
        ledger.settled(folder)
        assert ledger.intended(folder) == set() and ledger.intended(other) == {"a"}


def test_an_intent_keeps_what_the_listing_told(tmp_path: Path) -> None:
    received = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger)
        entries = [Entry(7, SEEN, 12, received), Entry("b", NO_FLAGS, None, None)]
        ledger.intend(folder, entries, Cursor("T 1"), 3)
    with Ledger.open(tmp_path, PAIR) as ledger:
        seconds = int(received.timestamp())
        (intent,) = ledger.intents(folder)
        assert intent.messages == [Underway(7, 12, seconds, SEEN), Underway("b")]
        assert (intent.place, intent.attempt) == ("T 1", 3)


def test_an_intent_of_an_earlier_mailhaul_tells_keys_alone(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger)
        ledger._sql.execute("INSERT INTO intent VALUES (?, ?)", (folder.id, '[1, "b"]'))
        ledger.intend(folder, [Entry(2)])
        assert ledger.intended(folder) == {1, "b", 2}
        old, new = ledger.intents(folder)
        assert old == Intent([Underway(1), Underway("b")]) and new == Intent([Underway(2)])
        assert ledger.unsettled() == {folder.id}
        ledger.settled(folder)
        assert ledger.unsettled() == set()


def test_uncertain_is_what_no_row_knows_to_be_at_the_target(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(
            ledger,
            *(_row(1, 11), _row(2, 12, Fate.ADOPTED), _row(3, None, Fate.MISSING)),
            *(_row(4, None, Fate.REFUSED), _row(9, 19)),
        )
        assert ledger.uncertain(folder, {1, 2, 3, 4, 5}) == {3, 4, 5}


def test_fates_count_only_what_the_source_holds(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(
            ledger,
            _row(1, 1),
            _row(2, 2),
            _row(3, 3, Fate.ADOPTED),
            _row(4, None, Fate.REFUSED),
            _row(5, None, Fate.SKIPPED),
        )
        ledger.gone(folder, [2])
        ledger.link(("Empty",), ("Empty",))
        assert ledger.fates() == {
            ("INBOX",): {Fate.COPIED: 1, Fate.ADOPTED: 1, Fate.REFUSED: 1, Fate.SKIPPED: 1},
            ("Empty",): {},
        }


def test_what_was_not_committed_is_forgotten_at_the_end(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, PAIR) as ledger:
        folder = _folder(ledger, _row(1, 1))
        ledger.agree([(1, SEEN)])
        ledger.gone(folder, [1])
    with Ledger.open(tmp_path, PAIR) as ledger:
        (row,) = _rows(ledger, folder)
        assert (row.source_key, row.flags) == (1, NO_FLAGS)
        ledger.gone(folder, [1])
        ledger.commit()
    with Ledger.open(tmp_path, PAIR) as ledger:
        assert _keys(ledger, folder) == [(None, 1)]


# crashes


def test_a_process_killed_between_commits_leaves_whole_batches(tmp_path: Path) -> None:
    """Whatever instant the files are frozen at, what is in them is a row of whole batches, each
    with its tail."""
    remains: list[Path] = []
    state = tmp_path / "state"

    def freeze(statement: str) -> None:
        remains.append(tmp_path / f"remains{len(remains)}")
        remains[-1].mkdir()
        for file in state.iterdir():
            if not file.name.endswith("-shm"):
                shutil.copyfile(file, remains[-1] / file.name)

    with Ledger.open(state, PAIR) as ledger:
        folder = ledger.link(("INBOX",), ("INBOX",))
        assert isinstance(ledger._sql, FileRows)
        ledger._sql.connection.set_trace_callback(freeze)
        for batch in range(6):
            rows = [_row(batch * 10 + number, batch * 10 + number) for number in range(10)]
            folder = ledger.add(folder, rows, Cursor(f"T {batch}"))
    assert len(remains) >= 6 * 11
    seen = set()
    for directory in remains:
        with Ledger.open(directory, PAIR) as ledger:
            folders = ledger.folders()
            count = sum(len(_rows(ledger, folder)) for folder in folders)
            assert count % 10 == 0
            tails = [folder.target_tail for folder in folders]
            assert tails == ([f"T {count // 10 - 1}"] if count else [])
            seen.add(count)
    assert seen == {0, 10, 20, 30, 40, 50}


def test_a_crash_while_it_is_made_leaves_an_empty_ledger_or_none(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with Ledger.open(tmp_path, PAIR) as ledger:
        assert ledger.folders() == []
    Ledger.open(tmp_path, PAIR).close()
