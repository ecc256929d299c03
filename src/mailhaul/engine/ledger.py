"""What has been carried: one row a message of a mailbox pair, in a SQLite file of its own.

Where several machines must see it, the rows lie in a server's database instead: whoever opens the
ledger hands in what speaks to it (`Rows`); the statements are the same.

The ledger is the truth about a pair between passes. What is written becomes durable in the order in
which it was written, at the next `commit`: intents before anything is sent, rows as soon as their
messages have arrived, cursors last. A killed process loses at most the end of that story, which the
next pass finds again by looking (`intend`). The write-ahead log isn't synced at a commit: after a
power cut the file is consistent and at worst a little old, which is the same case. SQLite is called
in line (docs/decisions/0002).
"""

import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from mailhaul.core.errors import BadInput
from mailhaul.core.folder import Cursor, FolderPath
from mailhaul.core.lease import Lease
from mailhaul.core.message import Entry, Flags, Key
from mailhaul.core.text import printable
from mailhaul.engine import ledger_file
from mailhaul.engine.ledger_row import (
    COLUMNS,
    FOLDER_COLUMNS,
    INSERT,
    Intent,
    Rows,
    Unsure,
    flags_text,
    folder_row,
    intended_keys,
    intent_of,
    intent_text,
    message_row,
    path_of,
    unsure_of,
    unsure_text,
    values_of,
)
from mailhaul.engine.ledger_row import FolderRow as FolderRow  # noqa: PLC0414 - one of ours
from mailhaul.engine.ledger_row import MessageRow as MessageRow  # noqa: PLC0414 - one of ours
from mailhaul.engine.outcomes import Fate, Side

RENUMBERED = "renumbered"
"""The reason of rows that `lose_sources` left without a source key."""
_FEW = 500
"""As many keys are asked for one by one."""


class Ledger:
    """The open ledger of one pair. One process at a time; `close` lets go."""

    def __init__(
        self,
        rows: Rows,
        directory: Path,
        lock: int | None = None,
        quiet: float = math.inf,
        lease: Lease | None = None,
    ) -> None:
        self.directory = directory
        self.lease = lease
        """Whether the pair is still ours, where another machine could take it over."""
        self.quiet = quiet
        """Seconds that nobody had written to it when it was opened."""
        self.number = 0
        """Of the pass that writes now; who wants to undo one gives each its own."""
        self._sql = rows
        self._lock = lock

    @classmethod
    def open(cls, directory: Path, pair: str, *, read_only: bool = False) -> "Ledger":
        """The ledger in `directory`, made when missing; `read_only` never makes or changes a file
        (a missing one is empty).

        Raises `BadInput` when another run holds it, when it belongs to another pair than `pair`,
        or when the file is no ledger of this version.
        """
        if read_only:
            return cls(ledger_file.FileRows(ledger_file.look(directory, pair)), directory)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = ledger_file.lock(directory)
        except OSError as error:
            raise BadInput(
                f"the state directory {printable(str(directory))} can't be used: "
                f"{error.strerror}; choose another with --state"
            ) from error
        try:
            quiet = ledger_file.quiet(directory)
            rows = ledger_file.FileRows(ledger_file.connect(directory, pair))
            return cls(rows, directory, lock, quiet)
        except BaseException:
            os.close(lock)
            raise

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def commit(self) -> None:
        """Makes everything written so far durable (see the module's docstring)."""
        self._sql.commit()

    def close(self) -> None:
        """Closes the file and lets go of the lock; what was not committed is forgotten."""
        self._sql.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # what the stores remember

    def memory(self, side: Side) -> str:
        """What that side's store wants to be given back (`core.store.Remembers`)."""
        return self._noted(_memory_of(side))

    def remember(self, side: Side, memory: str) -> None:
        """Writes that down, and commits."""
        self._note(_memory_of(side), memory)
        self.commit()

    # folders

    def folders(self) -> list[FolderRow]:
        """Every folder that was ever linked."""
        rows = self._sql.execute(f"SELECT {FOLDER_COLUMNS} FROM folder ORDER BY id")  # noqa: S608 - constant columns
        return [folder_row(row) for row in rows]

    def folder(self, number: int) -> FolderRow:
        """The folder's row as it stands, by id."""
        found = self._sql.execute(
            f"SELECT {FOLDER_COLUMNS} FROM folder WHERE id = ?",  # noqa: S608 - constant columns
            (number,),
        )
        return folder_row(found.fetchone())

    def link(self, source: FolderPath, target: FolderPath) -> FolderRow:
        """The row of that folder, made when missing. Linked to another target than before, it
        starts anew: what was put elsewhere stays there and is not known here."""
        old = self._sql.execute("SELECT id FROM folder WHERE source = ?", (json.dumps(source),))
        for (number,) in old.fetchall():
            row = self.folder(number)
            if row.target == target:
                return row
            self._sql.execute("DELETE FROM message WHERE folder = ?", (number,))
            self._sql.execute("DELETE FROM intent WHERE folder = ?", (number,))
            self._sql.execute("DELETE FROM folder WHERE id = ?", (number,))
            self._note(_flags_of(number), "")
        self._sql.execute(
            "INSERT INTO folder (source, target) VALUES (?, ?)",
            (json.dumps(source), json.dumps(target)),
        )
        made = self._sql.execute("SELECT id FROM folder WHERE source = ?", (json.dumps(source),))
        return FolderRow(made.fetchone()[0], source, target)

    def move(self, folder: FolderRow) -> None:
        """Writes the folder's cursors as they stand in `folder`."""
        self._write(folder)

    def subscribed(self, folder: FolderRow) -> None:
        """Writes down that the subscription has been carried."""
        self._sql.execute("UPDATE folder SET subscribed = 1 WHERE id = ?", (folder.id,))

    def _write(self, folder: FolderRow) -> None:
        self._sql.execute(
            "UPDATE folder SET source_state = ?, source_cursor = ?, source_anchor = ?,"
            " target_tail = ?, target_seen = ?, target_anchor = ? WHERE id = ?",
            (
                folder.source_state,
                folder.source_cursor,
                folder.source_anchor,
                folder.target_tail,
                folder.target_seen,
                folder.target_anchor,
                folder.id,
            ),
        )

    # messages

    def add(self, folder: FolderRow, rows: Iterable[MessageRow], tail: Cursor | None) -> FolderRow:
        """Writes new rows (replacing those of the same source key), moves the target's tail, and
        commits. Returns the folder's row as it stands now."""
        self._sql.executemany(
            INSERT, [(folder.id, *values_of(row, self._sql), self.number) for row in rows]
        )
        if tail != folder.target_tail:
            self._sql.execute("UPDATE folder SET target_tail = ? WHERE id = ?", (tail, folder.id))
        self.commit()
        return replace(folder, target_tail=tail)

    def between(self, folder: FolderRow, first: Key, last: Key) -> dict[Key, MessageRow]:
        """The rows whose source key lies in that closed range, by source key."""
        return {
            row.source_key: row
            for row in self._rows(
                folder,
                "source_key BETWEEN ? AND ?",
                "rowid",
                self._sql.stored(first),
                self._sql.stored(last),
            )
            if row.source_key is not None
        }

    def among(self, folder: FolderRow, keys: Sequence[Key]) -> dict[Key, MessageRow]:
        """The rows of those source keys, by source key; of many keys, the rows between them too."""
        if not keys:
            return {}
        if len(keys) > _FEW:
            return self.between(folder, min(keys), max(keys))
        places = ", ".join("?" * len(keys))
        wanted = map(self._sql.stored, keys)
        rows = self._rows(folder, f"source_key IN ({places})", "rowid", *wanted)
        return {row.source_key: row for row in rows if row.source_key is not None}

    def alike(self, folder: FolderRow, size: int, received: int) -> list[MessageRow]:
        """The rows of that size and received date that are at both sides."""
        where = "source_key IS NOT NULL AND fate IN ('copied', 'adopted') AND size = ?"
        return self._rows(folder, f"{where} AND received = ?", "rowid", size, received)

    def unkeyed(self, folder: FolderRow) -> list[MessageRow]:
        """Rows that are at the target under a key that is not known yet."""
        return self._rows(folder, "target_key IS NULL AND fate IN ('copied', 'adopted')", "rowid")

    def known(self, folder: FolderRow) -> bool:
        """Whether the folder has any row at all."""
        row = self._sql.execute("SELECT 1 FROM message WHERE folder = ? LIMIT 1", (folder.id,))
        return row.fetchone() is not None

    def undecided(
        self, *, since: float | None, before: float | None, skipped: bool, refused: bool
    ) -> set[int]:
        """The folders (ids) some of whose source messages may fare better now: those that were
        missing, if asked those that were skipped and were received in that time (seconds since
        1970; None: without bound), and, if asked, those that were refused."""
        rows = self._sql.execute(
            "SELECT DISTINCT folder FROM message"  # noqa: S608 - constants
            f" WHERE {ledger_file.NOT_COPIED}"
            " AND (fate = 'missing'"
            " OR ? AND fate = 'skipped' AND (received IS NULL OR received >= ? AND received < ?)"
            " OR ? AND fate = 'refused')",
            (
                skipped,
                -math.inf if since is None else since,
                math.inf if before is None else before,
                refused,
            ),
        )
        return {folder for (folder,) in rows}

    def target_keys(self, folder: FolderRow, first: Key, last: Key) -> set[Key]:
        """The target keys in that closed range that belong to a row. Those of rows that were lost
        to a renumbering of the source are left out: they may be found again as strangers. Folders
        that were mapped to one target know of each other's."""
        found_again = "NOT (source_key IS NULL AND reason = 'renumbered')"
        return self._target_keys(folder.target, first, last, found_again)

    def written_keys(self, target: FolderPath, first: Key, last: Key) -> set[Key]:
        """The target keys in that closed range that belong to any row of a folder that goes to
        `target`, those lost to a renumbering of the source too."""
        return self._target_keys(target, first, last, "TRUE")

    def of_identities(self, digests: Collection[bytes]) -> list[tuple[FolderRow, MessageRow]]:
        """Every row with one of those header identities, with its folder's; lost ones too."""
        wanted, found = sorted(digests), []
        folders = {row.id: row for row in self.folders()} if wanted else {}
        for start in range(0, len(wanted), _FEW):
            some = wanted[start : start + _FEW]
            places = ", ".join("?" * len(some))
            rows = self._sql.execute(
                f"SELECT folder, {COLUMNS} FROM message WHERE identity IN ({places})"  # noqa: S608 - constants
                " ORDER BY folder, rowid",
                some,
            )
            found += [(folders[number], self._row(row)) for number, *row in rows]
        return found

    def at_both(self, folder: FolderRow) -> Iterator[MessageRow]:
        """Its rows of messages that are at both sides under known keys."""
        where = (
            "source_key IS NOT NULL AND target_key IS NOT NULL AND fate IN ('copied', 'adopted')"
        )
        return self._each(folder, where, "source_key")

    def source_keys(self, folder: FolderRow) -> list[Key]:
        """The keys of all rows still at the source, ascending."""
        rows = self._sql.execute(
            "SELECT source_key FROM message WHERE folder = ? AND source_key IS NOT NULL"
            " ORDER BY source_key",
            (folder.id,),
        )
        return [self._sql.key(key) for (key,) in rows]

    def agree(self, changes: Iterable[tuple[int, Flags]]) -> None:
        """Both sides now agree on these flags; by row id."""
        self._sql.executemany(
            "UPDATE message SET flags = ? WHERE rowid = ?",
            [(flags_text(flags), row) for row, flags in changes],
        )

    def find_source(self, pairs: Iterable[tuple[int, Key]]) -> None:
        """Rows (by id) that were lost are found again under these source keys."""
        self._sql.executemany(
            "UPDATE message SET source_key = ?, reason = '' WHERE rowid = ?",
            [(self._sql.stored(key), row) for row, key in pairs],
        )

    def find_target(self, pairs: Iterable[tuple[int, Key]]) -> None:
        """Rows (by id) learn under which key they are at the target."""
        self._sql.executemany(
            "UPDATE message SET target_key = ? WHERE rowid = ?",
            [(self._sql.stored(key), row) for row, key in pairs],
        )

    def lose_sources(self, folder: FolderRow) -> FolderRow:
        """The source was renumbered: its keys mean nothing any more. What was put at the target is
        kept to be found again, but never removed there (C1: deletes freeze); the rest is new.
        Returns the folder's row without source cursors."""
        folder = replace(folder, source_state=None, source_cursor=None, source_anchor=None)
        self._write(folder)
        self._sql.execute(
            "DELETE FROM message WHERE folder = ? AND source_key IS NOT NULL"
            " AND fate NOT IN ('copied', 'adopted')",
            (folder.id,),
        )
        self._sql.execute(
            "UPDATE message SET source_key = NULL, reason = 'renumbered'"
            " WHERE folder = ? AND source_key IS NOT NULL",
            (folder.id,),
        )
        self._sql.execute("DELETE FROM intent WHERE folder = ?", (folder.id,))
        return folder

    def lost(self, folder: FolderRow) -> list[MessageRow]:
        """Rows whose source message is gone, or has to be found again after a renumbering
        (`RENUMBERED` is their reason)."""
        return self._rows(folder, "source_key IS NULL", "rowid")

    def lose_targets(self, folder: FolderRow) -> FolderRow:
        """The target was renumbered: its keys mean nothing any more. What the source no longer has
        is forgotten; the rest waits to be found again. Returns the folder's row without cursors:
        as long as it has rows and no `target_anchor`, this is under way."""
        folder = replace(
            folder,
            source_state=None,
            source_cursor=None,
            target_tail=None,
            target_seen=None,
            target_anchor=None,
        )
        self._write(folder)
        self._sql.execute(
            "DELETE FROM message WHERE folder = ? AND source_key IS NULL AND reason = ''",
            (folder.id,),
        )
        self._sql.execute("UPDATE message SET target_key = NULL WHERE folder = ?", (folder.id,))
        return folder

    def rename(self, folder: FolderRow, source: FolderPath) -> None:
        """The source folder has another name now."""
        self._sql.execute(
            "UPDATE folder SET source = ? WHERE id = ?", (json.dumps(source), folder.id)
        )

    def gone(self, folder: FolderRow, keys: Iterable[Key]) -> int:
        """These messages are gone from the source. What was never put at the target is forgotten,
        the rest kept without source key. Returns how many were known."""
        known = 0
        for key in map(self._sql.stored, keys):
            self._sql.execute(
                "DELETE FROM message WHERE folder = ? AND source_key = ?"
                " AND fate NOT IN ('copied', 'adopted')",
                (folder.id, key),
            )
            changed = self._sql.execute(
                "UPDATE message SET source_key = NULL WHERE folder = ? AND source_key = ?",
                (folder.id, key),
            )
            known += changed.rowcount
        return known

    def orphans(self, folder: FolderRow) -> list[MessageRow]:
        """What mailhaul itself copied, whose source message is gone, and which may be removed."""
        return self._rows(
            folder,
            "source_key IS NULL AND target_key IS NOT NULL AND fate = 'copied' AND reason = ''",
            "target_key",
        )

    def written_by(self, folder: FolderRow, number: int) -> list[MessageRow]:
        """What that pass itself put into the target's folder, and is there under a known key."""
        return self._rows(
            folder, "pass = ? AND fate = 'copied' AND target_key IS NOT NULL", "target_key", number
        )

    def carried_by(self, number: int) -> tuple[int, int]:
        """How many messages that pass put into the target so far, and their octets."""
        found = self._sql.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM message"
            " WHERE pass = ? AND fate = 'copied'",
            (number,),
        )
        messages, octets = found.fetchone()
        return int(messages), int(octets)

    def rows(self, folder: FolderRow) -> Iterator[MessageRow]:
        """Every message of the source that was decided about, in the source's order."""
        return self._each(folder, "source_key IS NOT NULL", "source_key")

    def undo(self, rows: Iterable[int], reason: str) -> None:
        """These rows (by id) are no longer at the target; a later pass may carry them again."""
        numbers = [(row,) for row in rows]
        self._sql.executemany("DELETE FROM message WHERE rowid = ? AND source_key IS NULL", numbers)
        self._sql.executemany(
            "UPDATE message SET fate = 'skipped', target_key = NULL, reason = ? WHERE rowid = ?",
            [(reason, *number) for number in numbers],
        )

    def forget(self, rows: Iterable[int]) -> None:
        """Deletes rows by id."""
        self._sql.executemany("DELETE FROM message WHERE rowid = ?", [(row,) for row in rows])

    def left_behind(self, folder: FolderRow) -> Iterator[MessageRow]:
        """The rows still at the source that no pass so far could carry: refused or missing, in the
        order in which that was found."""
        where = "source_key IS NOT NULL AND fate <> 'copied' AND fate IN ('refused', 'missing')"
        return self._each(folder, where, "rowid")

    # intents

    def intend(
        self,
        folder: FolderRow,
        entries: Sequence[Entry],
        place: Cursor | None = None,
        attempt: int = 0,
    ) -> None:
        """Before the first octet is sent: these source messages may be on their way, and will
        arrive behind that place at the target, in their order. Commits. See `Intent`."""
        text = intent_text(entries, place, attempt)
        self._sql.execute("INSERT INTO intent VALUES (?, ?)", (folder.id, text))
        self.commit()

    def intents(self, folder: FolderRow) -> Iterator[Intent]:
        """What may have been on its way when a run was cut off, as it was written down."""
        rows = self._sql.execute("SELECT keys FROM intent WHERE folder = ?", (folder.id,))
        return (intent_of(text) for (text,) in rows)

    def intended(self, folder: FolderRow) -> set[Key]:
        """What may have been on its way when a run was cut off, by source key."""
        rows = self._sql.execute("SELECT keys FROM intent WHERE folder = ?", (folder.id,))
        return {key for (text,) in rows for key in intended_keys(text)}

    def uncertain(self, folder: FolderRow, intended: set[Key]) -> set[Key]:
        """Those of the intended of which no row says that they are at the target."""
        rows = self._sql.execute(
            "SELECT source_key FROM message WHERE folder = ? AND source_key IS NOT NULL"
            " AND fate IN ('copied', 'adopted')",
            (folder.id,),
        )
        return intended - {key for (stored,) in rows if (key := self._sql.key(stored)) in intended}

    def unsettled(self) -> set[int]:
        """The folders (ids) of which something may have been on its way when a run ended."""
        rows = self._sql.execute("SELECT DISTINCT folder FROM intent")
        return {folder for (folder,) in rows}

    def settled(self, folder: FolderRow) -> None:
        """Nothing of this folder is on its way any more."""
        if self._sql.execute(
            "SELECT 1 FROM intent WHERE folder = ? LIMIT 1", (folder.id,)
        ).fetchone():
            self._sql.execute("DELETE FROM intent WHERE folder = ?", (folder.id,))

    def intend_flags(self, folder: FolderRow, unsure: Mapping[int, Unsure]) -> None:
        """Before flags are changed at the target: so these rows (by id) may be there from now on.
        Commits."""
        self._note(_flags_of(folder.id), unsure_text(unsure) if unsure else "")
        self.commit()

    def unsure(self, folder: FolderRow) -> dict[int, Unsure]:
        """Rows (by id) whose flags were on their way when a run was cut off."""
        text = self._noted(_flags_of(folder.id))
        return unsure_of(text) if text else {}

    def flags_settled(self, folder: FolderRow) -> None:
        """No flags of this folder are on their way any more."""
        if self._noted(_flags_of(folder.id)):
            self._note(_flags_of(folder.id), "")

    # accounting

    def fates(self) -> Mapping[FolderPath, Mapping[Fate, int]]:
        """How many of the source's messages have which fate, by source folder. Asked of indexes
        alone: what was copied is the rest."""
        others: dict[int, dict[Fate, int]] = {}
        rows = self._sql.execute(
            f"SELECT folder, fate, count(*) FROM message WHERE {ledger_file.NOT_COPIED}"  # noqa: S608 - constants
            " GROUP BY folder, fate"
        )
        for number, fate, count in rows:
            others.setdefault(number, {})[Fate(fate)] = count
        rows = self._sql.execute(
            "SELECT folder, count(*) FROM message WHERE source_key IS NOT NULL GROUP BY folder"
        )
        totals = dict(rows.fetchall())
        counts: dict[FolderPath, dict[Fate, int]] = {}
        for number, source in self._sql.execute("SELECT id, source FROM folder ORDER BY id"):
            fates = counts[path_of(source)] = others.get(number, {})
            copied = totals.get(number, 0) - sum(fates.values())
            if copied:
                fates[Fate.COPIED] = copied
        return counts

    # what lies in a row

    def _rows(self, folder: FolderRow, where: str, order: str, *values: Any) -> list[MessageRow]:
        return list(self._each(folder, where, order, *values))

    def _each(
        self, folder: FolderRow, where: str, order: str, *values: Any
    ) -> Iterator[MessageRow]:
        rows = self._sql.execute(
            f"SELECT {COLUMNS} FROM message WHERE folder = ? AND {where} ORDER BY {order}",  # noqa: S608 - constants of this module
            (folder.id, *values),
        )
        return map(self._row, rows)

    def _target_keys(self, target: FolderPath, first: Key, last: Key, where: str) -> set[Key]:
        rows = self._sql.execute(
            "SELECT target_key FROM message"  # noqa: S608 - constants of this module
            " WHERE folder IN (SELECT id FROM folder WHERE target = ?)"
            f" AND target_key BETWEEN ? AND ? AND {where}",
            (json.dumps(target), self._sql.stored(first), self._sql.stored(last)),
        )
        return {self._sql.key(key) for (key,) in rows}

    def _noted(self, name: str) -> str:
        row = self._sql.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row is not None else ""

    def _note(self, name: str, value: str) -> None:
        self._sql.execute("DELETE FROM meta WHERE name = ?", (name,))
        if value:
            self._sql.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))

    def _row(self, found: Sequence[Any]) -> MessageRow:
        return message_row(found, self._sql)


def _memory_of(side: Side) -> str:
    return f"memory of the {side}"


def _flags_of(folder: int) -> str:
    return f"flags of {folder}"
