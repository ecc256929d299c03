"""What an installation's tables and ledgers say, read and judged without any code of mailhaul.

The log's chain is computed anew here, by the description in docs and by nothing else; states and
steps are strings and numbers. Works on the SQLite files of a living or dead worker and on
PostgreSQL alike.
"""

import hashlib
import json
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

ONCE = (
    ("planned", "checked"),
    ("checked", "ready"),
    ("ready", "copying"),
    ("copying", "synced"),
    ("synced", "final"),
    ("final", "sweeping"),
    ("sweeping", "verifying"),
    ("verifying", "verified"),
    ("verified", "completed"),
)
"""Every step of a journey that nobody pauses; each is taken once."""
PARTIAL = "SELECT count(*) FROM message WHERE pass = ?"


@dataclass(frozen=True, slots=True)
class Row:
    """A mailbox's row, as far as it is looked at here."""

    id: int
    address: str
    state: str
    passes: int
    sweeps: int
    epoch: int
    census: int
    copied: int
    adopted: int
    skipped: int
    refused: int
    missing: int
    octets: int
    reason: str
    grade: str

    @property
    def accounted(self) -> int:
        return self.copied + self.adopted + self.skipped + self.refused + self.missing


@dataclass(frozen=True, slots=True)
class Course:
    """A pass under way: its mailbox, number and kind."""

    mailbox: int
    number: int
    kind: str


@dataclass(slots=True)
class Seen:
    """The tables of one installation: `url` for PostgreSQL, else the file in `directory`."""

    directory: Path
    url: str | None = None
    _heads: dict[int, tuple[int, str]] = field(default_factory=dict)
    _server: psycopg.Connection[tuple[Any, ...]] | None = None

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of our own tables."""
        if self.url is None:
            return _read(self.directory / "mailhaul.sqlite", statement, values)
        text = statement.replace("?", "%s").encode()
        if self._server is not None:
            # It may have been restarted since.
            with suppress(psycopg.OperationalError):
                return self._server.execute(text, values).fetchall()
            self._server.close()
        self._server = psycopg.connect(self.url, autocommit=True)
        return self._server.execute(text, values).fetchall()

    def rows(self) -> list[Row]:
        columns = ", ".join(Row.__dataclass_fields__)
        return [Row(*each) for each in self.query(f"SELECT {columns} FROM mailbox ORDER BY id")]

    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.rows())

    def under_way(self) -> list[Course]:
        """Passes that have begun and not ended."""
        return [
            Course(*each)
            for each in self.query(
                "SELECT mailbox_id, number, kind FROM passes WHERE ended_at IS NULL"
            )
        ]

    # ledgers

    def carried(self, course: Course) -> int:
        """How many messages the ledger says that pass has written so far."""
        if self.url is not None:
            ((count,),) = self.query(
                "SELECT count(*) FROM ledger_message m JOIN ledger_folder f ON m.folder = f.id "
                "WHERE f.mailbox_id = ? AND m.pass = ?",
                course.mailbox,
                course.number,
            )
            return int(count)
        return _count(self._ledger(course.mailbox), PARTIAL, course.number)

    def intents(self, mailbox: int) -> int:
        """Batches that are, or were at a kill, on their way to the target."""
        if self.url is not None:
            ((count,),) = self.query(
                "SELECT count(*) FROM ledger_intent i JOIN ledger_folder f ON i.folder = f.id "
                "WHERE f.mailbox_id = ?",
                mailbox,
            )
            return int(count)
        return _count(self._ledger(mailbox), "SELECT count(*) FROM intent")

    def fates(self, mailbox: int) -> Counter[str]:
        """Messages of the source by what the ledger says became of them."""
        where = "source_key IS NOT NULL"
        if self.url is not None:
            rows = self.query(
                "SELECT fate, count(*) FROM ledger_message m JOIN ledger_folder f "
                f"ON m.folder = f.id WHERE f.mailbox_id = ? AND {where} GROUP BY fate",
                mailbox,
            )
        else:
            file = self._ledger(mailbox)
            statement = f"SELECT fate, count(*) FROM message WHERE {where} GROUP BY fate"
            rows = _read(file, statement) if file.exists() else []
        return Counter({fate: int(count) for fate, count in rows})

    def _ledger(self, mailbox: int) -> Path:
        return self.directory / "ledgers" / str(mailbox) / "ledger.sqlite"

    # workers, on PostgreSQL

    def name_of(self, process: int) -> str:
        """The slot of the worker with that process id; empty while it has none."""
        rows = self.query(
            "SELECT name FROM worker WHERE process LIKE ? ORDER BY since_at DESC", f"% {process}"
        )
        return str(rows[0][0]) if rows else ""

    def runs_of(self, name: str) -> int:
        """How many runs the engine believes that worker to be at."""
        ((there,),) = self.query("SELECT to_regclass('mailhaul_engine.workflow_status')::text")
        if there is None:
            return 0
        ((count,),) = self.query(
            "SELECT count(*) FROM mailhaul_engine.workflow_status "
            "WHERE status = 'PENDING' AND executor_id = ?",
            name,
        )
        return int(count)

    def work_of(self, name: str) -> dict[int, tuple[int, int, int]]:
        """Mailboxes that the engine and their own rows say that worker is at: generation, step and
        epoch of each."""
        if not self.runs_of(name):
            return {}
        ids = self.query(
            "SELECT workflow_uuid FROM mailhaul_engine.workflow_status "
            "WHERE status = 'PENDING' AND executor_id = ?",
            name,
        )
        under_way = {(*text.split(":")[:2], text.split(":")[3]) for (text,) in ids}
        return {
            mailbox: marks
            for mailbox, marks in self.marks().items()
            if tuple(map(str, (mailbox, *marks[:2]))) in under_way
        }

    def marks(self) -> dict[int, tuple[int, int, int]]:
        """Generation, step and epoch of every mailbox: whoever begins to carry it, or has done
        something else for it, leaves others."""
        rows = self.query("SELECT id, generation, step, epoch FROM mailbox")
        return {mailbox: (generation, step, epoch) for mailbox, generation, step, epoch in rows}

    def end_session(self, name: str) -> bool:
        """Does to the slot's session what keepalives do to one whose machine is gone."""
        lock = (zlib.crc32(name.encode()) - 2**31) & 0xFFFFFFFF
        return bool(
            self.query(
                "SELECT pg_terminate_backend(pid) FROM pg_locks "
                "WHERE locktype = 'advisory' AND objid = ? AND granted",
                lock,
            )
        )

    # judgements

    def wrong_log(self) -> list[str]:
        """What is wrong with the logs: their chains, a record lost since the last look, or a step
        of a mailbox that does not follow the one before."""
        wrong: list[str] = []
        for (plan,) in self.query("SELECT id FROM plan"):
            wrong += self._wrong_chain(plan)
        return wrong

    def _wrong_chain(self, plan: int) -> Iterator[str]:
        kept_number, kept = self._heads.get(plan, (0, "0" * 64))
        digest, number = "0" * 64, 0
        states: dict[int, str] = {}
        for row in self.query(
            "SELECT number, at, actor, mailbox_id, action, why, figures, previous, digest "
            "FROM event WHERE plan_id = ? ORDER BY number",
            plan,
        ):
            number, previous = number + 1, digest
            body = json.dumps(
                [plan, *row[:7]], sort_keys=True, separators=(",", ":"), ensure_ascii=False
            )
            digest = hashlib.sha256(f"{previous}{body}".encode()).hexdigest()
            if row[0] != number or row[7] != previous or row[8] != digest:
                yield f"plan {plan}: record {number} breaks the chain"
                return
            if number == kept_number and digest != kept:
                yield f"plan {plan}: record {number} is another one than before"
            figures = json.loads(row[6])
            if row[3] is not None and "from" in figures:
                before = states.get(row[3], figures["from"])
                if before != figures["from"]:
                    yield (
                        f"mailbox {row[3]}: record {number} ({row[4]}) begins at "
                        f"{figures['from']}, but it was {before}"
                    )
                states[row[3]] = figures["to"]
        if number < kept_number:
            yield f"plan {plan}: the log ends at {number}, and held {kept_number} before"
        self._heads[plan] = (number, digest)

    def wrong_steps(self, expected: Sequence[tuple[str, str]] = ONCE) -> list[str]:
        """Steps that were taken not once but never or twice; for mailboxes that nobody paused and
        no server refused."""
        wrong = []
        taken: dict[int, Counter[tuple[str, str]]] = defaultdict(Counter)
        ended: Counter[tuple[int, int]] = Counter()
        for mailbox, action, text in self.query(
            "SELECT mailbox_id, action, figures FROM event WHERE mailbox_id IS NOT NULL"
        ):
            figures = json.loads(text)
            if "from" in figures and figures["from"] != figures["to"]:
                taken[mailbox][figures["from"], figures["to"]] += 1
            if "pass" in figures and action != "delayed":
                ended[mailbox, figures["pass"]] += 1
        for mailbox, steps in taken.items():
            if steps != Counter(expected):
                wrong.append(f"mailbox {mailbox}: steps {dict(steps)}")
        wrong += [f"pass {key} is told as ended {n} times" for key, n in ended.items() if n > 1]
        return wrong

    def wrong_passes(self) -> list[str]:
        """Passes that are not numbered 1, 2, 3 …, that never ended, or whose sum is not the row's;
        and sweeps that were counted otherwise than they were made."""
        wrong = []
        for row in self.rows():
            found = self.query(
                "SELECT number, kind, outcome, ended_at FROM passes "
                "WHERE mailbox_id = ? ORDER BY number",
                row.id,
            )
            if [each[0] for each in found] != [*range(1, row.passes + 1)]:
                wrong.append(f"{row.address}: passes {[each[0] for each in found]}")
            wrong += [
                f"{row.address}: pass {number} ({kind}) has not ended"
                for number, kind, outcome, at in found
                if at is None or not outcome
            ]
            told = self.query(
                "SELECT count(*) FROM event WHERE mailbox_id = ? AND action IN ('swept', 'quiet')",
                row.id,
            )[0][0]
            sweeps = sum(kind == "sweep" and outcome == "complete" for _, kind, outcome, _ in found)
            if not row.sweeps == told == sweeps:
                wrong.append(f"{row.address}: sweeps {row.sweeps}, told {told}, made {sweeps}")
        return wrong

    def wrong_gates(self, opened: Sequence[tuple[str, str]]) -> list[str]:
        """Gates (name, wave) that are not open once, each told once."""
        rows = sorted(self.query("SELECT name, wave FROM gate"))
        told = sorted(
            (figures["gate"], figures["wave"])
            for (text,) in self.query("SELECT figures FROM event WHERE action = 'gate_opened'")
            if (figures := json.loads(text))
        )
        wanted = sorted(opened)
        if rows == wanted == told:
            return []
        return [f"gates opened {wanted}, kept {rows}, told {told}"]

    def wrong_outbox(self, actions: frozenset[str]) -> list[str]:
        """Events of those actions that the first webhook's outbox doesn't hold once, and what it
        holds besides."""
        box = Counter(
            (plan, number) for plan, number in self.query("SELECT plan_id, number FROM delivery")
        )
        wanted = Counter(
            (plan, number)
            for plan, number, action in self.query("SELECT plan_id, number, action FROM event")
            if action in actions
        )
        return [] if box == wanted else [f"outbox: {box - wanted} too much, {wanted - box} lacks"]

    def ahead(self, deleted: int) -> list[str]:
        """Rows that show more than their ledger has; `deleted` messages may have gone from a source
        since the row was written."""
        wrong = []
        for row in self.rows():
            known = self.fates(row.id)["copied"]
            if row.copied > known + deleted:
                wrong.append(f"{row.address}: {row.copied} shown as copied, {known} are")
        return wrong


def _count(file: Path, statement: str, *values: Any) -> int:
    if not file.exists():
        return 0
    rows = _read(file, statement, values)
    return int(rows[0][0]) if rows else 0


def _read(file: Path, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """No lock that a worker would have to wait for. A file that is being made is still empty."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "unable to open" in str(error):
            return []
        raise
