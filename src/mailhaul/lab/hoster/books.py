"""What the hoster knows: its services, accounts, domains, tasks, and what its MX has seen.

One SQLite file. Every method is one transaction or a part of the one that `change` holds; nothing
here waits.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mailhaul.providers.addresses import folded
from mailhaul.providers.provider import OVER, TaskState
from mailhaul.providers.service import (
    AccountState,
    Contacts,
    DomainStatus,
    Generation,
    HostedDomain,
    Mode,
)

FILE = "hoster.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS service (
  name TEXT PRIMARY KEY, line TEXT NOT NULL, platform TEXT NOT NULL, quota INTEGER,
  seconds REAL NOT NULL, proves INTEGER NOT NULL, contacts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS account (
  id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL REFERENCES service,
  address TEXT NOT NULL, folded TEXT NOT NULL, state TEXT NOT NULL, name TEXT NOT NULL,
  password TEXT NOT NULL, quota INTEGER, placed TEXT NOT NULL, leaving INTEGER NOT NULL DEFAULT 0,
  UNIQUE (service, folded));
CREATE TABLE IF NOT EXISTS extra (
  id INTEGER PRIMARY KEY, service TEXT NOT NULL REFERENCES service,
  account INTEGER REFERENCES account ON DELETE CASCADE, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alias (
  service TEXT NOT NULL, folded TEXT NOT NULL, account INTEGER REFERENCES account
  ON DELETE CASCADE, extra INTEGER REFERENCES extra ON DELETE CASCADE, PRIMARY KEY (service, folded)
);
CREATE TABLE IF NOT EXISTS domain (
  service TEXT NOT NULL REFERENCES service, name TEXT NOT NULL, status TEXT NOT NULL,
  mode TEXT NOT NULL, relay TEXT NOT NULL, PRIMARY KEY (service, name));
CREATE TABLE IF NOT EXISTS task (
  id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, key TEXT NOT NULL,
  action TEXT NOT NULL, secret TEXT, state TEXT NOT NULL, said TEXT NOT NULL, due REAL NOT NULL,
  fault TEXT NOT NULL, addresses TEXT NOT NULL, began REAL NOT NULL, ended REAL);
CREATE INDEX IF NOT EXISTS task_key ON task (service, key);
CREATE TABLE IF NOT EXISTS fault (
  id INTEGER PRIMARY KEY, service TEXT NOT NULL, what TEXT NOT NULL, always INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS post (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, address TEXT NOT NULL,
  service TEXT NOT NULL, content BLOB);
"""


class Line(StrEnum):
    """What a hoster sells."""

    LEGACY = "legacy"
    NEW = "new"
    EXCHANGE = "exchange"

    @property
    def generation(self) -> Generation | None:
        return None if self is Line.EXCHANGE else Generation(self.value)


class Event(StrEnum):
    """What became of mail, and of addresses."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    PUT_OFF = "put off"
    RELAYED = "relayed"
    OUTSIDE = "outside"
    """To a domain that isn't here; it goes no further, and is kept."""
    GONE = "gone"
    """From now on the address exists nowhere at this hoster."""
    THERE = "there"


@dataclass(frozen=True, slots=True)
class Sold:
    """One service. `seconds`: how long a task takes at least. `proves`: domains that are attached
    wait for a proof."""

    name: str
    line: Line
    platform: str
    quota: int | None
    seconds: float
    proves: bool
    contacts: Contacts


@dataclass(frozen=True, slots=True)
class Box:
    """One account. `placed`: the platform's name for its mailbox; empty: there is none yet.
    `leaving`: it has been handed over, and no longer exists for anybody but the task that does."""

    id: int
    service: str
    address: str
    state: AccountState
    name: str
    password: str
    quota: int | None
    placed: str
    leaving: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One task. `fault`: what will go wrong with it."""

    id: int
    service: str
    key: str
    action: str
    secret: str | None
    state: TaskState
    said: str
    due: float
    fault: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of what the MX has seen."""

    at: float
    event: Event
    address: str
    service: str
    content: bytes | None


class Books:
    """See the module."""

    def __init__(self, directory: Path) -> None:
        self._file = sqlite3.connect(directory / FILE, isolation_level=None)
        self._file.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
            + _TABLES
        )

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def change(self, *addresses: str) -> Iterator[None]:
        """One transaction. Which of the addresses come to be or cease to be in it is noted."""
        before = [self.routed(each) is not None for each in addresses]
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
            for address, was in zip(addresses, before, strict=True):
                if (now := self.routed(address) is not None) is not was:
                    self.note(Event.THERE if now else Event.GONE, address)
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    # services

    def sell(self, sold: Sold) -> None:
        contacts = "\n".join(
            (
                sold.contacts.me,
                sold.contacts.administrator,
                sold.contacts.technical,
                sold.contacts.billing,
            )
        )
        self._file.execute(
            "INSERT INTO service VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "line = excluded.line, quota = excluded.quota, seconds = excluded.seconds, "
            "proves = excluded.proves, contacts = excluded.contacts",
            (
                *(sold.name, sold.line, sold.platform, sold.quota, sold.seconds, sold.proves),
                contacts,
            ),
        )

    def service(self, name: str) -> Sold | None:
        row = self._one("SELECT * FROM service WHERE name = ?", name)
        if row is None:
            return None
        _, line, platform, quota, seconds, proves, contacts = row
        return Sold(name, Line(line), platform, quota, seconds, bool(proves), _contacts(contacts))

    def services(self) -> list[str]:
        return [name for (name,) in self._all("SELECT name FROM service ORDER BY rowid")]

    # accounts

    def box(self, service: str, address: str) -> Box | None:
        row = self._one(
            "SELECT * FROM account WHERE service = ? AND folded = ? AND NOT leaving",
            *(service, folded(address)),
        )
        return None if row is None else _box(row)

    def box_by_id(self, number: int) -> Box | None:
        row = self._one("SELECT * FROM account WHERE id = ?", number)
        return None if row is None else _box(row)

    def boxes(self, service: str) -> list[Box]:
        rows = self._all(
            "SELECT * FROM account WHERE service = ? AND NOT leaving ORDER BY folded", service
        )
        return [_box(row) for row in rows]

    def add_box(self, box: Box) -> Box:
        """The same with its number."""
        cursor = self._file.execute(
            "INSERT INTO account (service, address, folded, state, name, password, quota, placed, "
            "leaving) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(box.service, box.address, folded(box.address), box.state, box.name),
                *(box.password, box.quota, box.placed, box.leaving),
            ),
        )
        assert cursor.lastrowid is not None
        found = self.box_by_id(cursor.lastrowid)
        assert found is not None
        return found

    def put_box(self, box: Box) -> None:
        """A leaving one keeps its address and takes it from nobody."""
        key = f"{box.id} leaving" if box.leaving else folded(box.address)
        self._file.execute(
            "UPDATE account SET address = ?, folded = ?, state = ?, name = ?, password = ?, "
            "quota = ?, placed = ?, leaving = ? WHERE id = ?",
            (
                *(box.address, key, box.state, box.name, box.password, box.quota),
                *(box.placed, box.leaving, box.id),
            ),
        )

    def leaving(self, service: str, address: str) -> list[Box]:
        """Accounts that had the address and are being carried away or dropped."""
        rows = self._all("SELECT * FROM account WHERE service = ? AND leaving", service)
        return [box for box in map(_box, rows) if folded(box.address) == folded(address)]

    def drop_box(self, box: Box) -> None:
        self._file.execute("DELETE FROM account WHERE id = ?", (box.id,))

    # extras: their texts are `desk`'s; an alias is looked up by its address

    def extras(self, service: str) -> list[tuple[int, Box | None, str]]:
        """Number, account (None: a group), text."""
        rows = self._all(
            "SELECT id, account, text FROM extra WHERE service = ? ORDER BY id", service
        )
        return [
            (number, None if account is None else self.box_by_id(account), text)
            for number, account, text in rows
        ]

    def add_extra(self, service: str, box: Box | None, text: str, address: str = "") -> None:
        """`address`: where mail comes in by it."""
        account = box.id if box else None
        cursor = self._file.execute(
            "INSERT INTO extra (service, account, text) VALUES (?, ?, ?)", (service, account, text)
        )
        if address:
            self._file.execute(
                "INSERT INTO alias VALUES (?, ?, ?, ?)",
                (service, folded(address), account, cursor.lastrowid),
            )

    def drop_extra(self, number: int) -> None:
        self._file.execute("DELETE FROM extra WHERE id = ?", (number,))

    # where mail goes

    def routed(self, address: str) -> tuple[str, int | None, int | None] | None:
        """Service, account and extra of the address; accounts come before aliases and groups."""
        key = folded(address)
        domain = address.rpartition("@")[2].casefold()
        row = self._one(
            "SELECT account.service, account.id, NULL FROM account JOIN domain ON "
            "domain.service = account.service AND domain.name = ? WHERE folded = ? AND NOT leaving "
            "AND state <> 'placeholder' ORDER BY account.id DESC LIMIT 1",
            *(domain, key),
        ) or self._one(
            "SELECT alias.service, account, extra FROM alias JOIN domain ON "
            "domain.service = alias.service AND domain.name = ? WHERE folded = ? LIMIT 1",
            *(domain, key),
        )
        return None if row is None else (row[0], row[1], row[2])

    def extra_text(self, number: int) -> str:
        row = self._one("SELECT text FROM extra WHERE id = ?", number)
        assert row is not None
        return str(row[0])

    def taken(self, service: str, address: str) -> bool:
        """Whether an account, alias or group of the service has the address."""
        key = folded(address)
        return (
            self._one(
                "SELECT 1 FROM account WHERE service = ? AND folded = ? UNION "
                "SELECT 1 FROM alias WHERE service = ? AND folded = ?",
                *(service, key, service, key),
            )
            is not None
        )

    # domains

    def domains(self, service: str) -> list[HostedDomain]:
        rows = self._all(
            "SELECT name, status, mode, relay FROM domain WHERE service = ? ORDER BY name", service
        )
        return [
            HostedDomain(name, DomainStatus(status), Mode(mode), relay)
            for name, status, mode, relay in rows
        ]

    def domain(self, service: str, name: str) -> HostedDomain | None:
        return next((d for d in self.domains(service) if d.name == name.casefold()), None)

    def elsewhere(self, service: str, name: str) -> list[HostedDomain]:
        """The domain as other services have it."""
        found = (self.domain(each, name) for each in self.services() if each != service)
        return [each for each in found if each is not None]

    def everywhere(self, name: str) -> list[HostedDomain]:
        return [found for each in self.services() if (found := self.domain(each, name))]

    def put_domain(self, service: str, domain: HostedDomain) -> None:
        self._file.execute(
            "INSERT OR REPLACE INTO domain VALUES (?, ?, ?, ?, ?)",
            (service, domain.name.casefold(), domain.status, domain.mode, domain.relay),
        )

    def drop_domain(self, service: str, name: str) -> None:
        self._file.execute(
            "DELETE FROM domain WHERE service = ? AND name = ?", (service, name.casefold())
        )

    # tasks

    def job(self, service: str, number: str) -> Job | None:
        if not number.isdecimal() or len(number) > 18:
            return None
        row = self._one(f"{_JOB} WHERE service = ? AND id = ?", service, int(number))
        return None if row is None else _job(row)

    def job_by_key(self, service: str, key: str) -> Job | None:
        row = self._one(f"{_JOB} WHERE service = ? AND key = ? ORDER BY id DESC", service, key)
        return None if row is None else _job(row)

    def open_jobs(self) -> list[Job]:
        return [_job(row) for row in self._all(f"{_JOB} WHERE ended IS NULL ORDER BY id")]

    def busy(self, service: str, address: str) -> bool:
        """Whether a task that is under way is about the address."""
        row = self._one(
            "SELECT 1 FROM task WHERE ended IS NULL AND instr(addresses, ?)",
            f"\n{service} {folded(address)}\n",
        )
        return row is not None

    def add_job(self, job: Job, about: Sequence[tuple[str, str]]) -> Job:
        """The same with its number. `about`: services and addresses that are busy meanwhile."""
        addresses = "".join(f"\n{service} {folded(address)}\n" for service, address in about)
        ended = time.time() if job.state in OVER else None
        cursor = self._file.execute(
            "INSERT INTO task (service, key, action, secret, state, said, due, fault, addresses, "
            "began, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(job.service, job.key, job.action, job.secret, job.state, job.said, job.due),
                *(job.fault, addresses, time.time(), ended),
            ),
        )
        found = self.job(job.service, str(cursor.lastrowid))
        assert found is not None
        return found

    def put_job(self, job: Job, state: TaskState, said: str = "") -> None:
        """What is over needs no secret any more."""
        over = state in OVER
        self._file.execute(
            "UPDATE task SET state = ?, said = ?, ended = ?, secret = ? WHERE id = ?",
            (state, said, time.time() if over else None, None if over else job.secret, job.id),
        )

    def forget_jobs(self, service: str) -> None:
        """The tasks that are over are unknown from now on."""
        self._file.execute("DELETE FROM task WHERE service = ? AND ended IS NOT NULL", (service,))

    def tasks(self, service: str) -> list[dict[str, Any]]:
        """All that is known of the service's tasks but their secrets, oldest first."""
        rows = self._all(
            "SELECT id, key, action, state, said, began, ended FROM task WHERE service = ? "
            "ORDER BY id",
            service,
        )
        names = ("id", "key", "action", "state", "said", "began", "ended")
        return [dict(zip(names, row, strict=True)) for row in rows]

    # faults

    def arm(self, service: str, what: Sequence[str], *, always: bool) -> None:
        self._file.executemany(
            "INSERT INTO fault (service, what, always) VALUES (?, ?, ?)",
            [(service, each, always) for each in what],
        )

    def disarm(self, service: str) -> None:
        self._file.execute("DELETE FROM fault WHERE service = ?", (service,))

    def met(self, service: str, *what: str) -> str:
        """The fault of these that happens now; one that was armed once is used up."""
        row = self._one(
            "SELECT id, what, always FROM fault WHERE service = ? ORDER BY always, id", service
        )
        if row is None:
            return ""
        number, first, always = row
        if first in what:
            if not always:
                self._file.execute("DELETE FROM fault WHERE id = ?", (number,))
            return str(first)
        standing = self._all("SELECT what FROM fault WHERE service = ? AND always", service)
        return next((str(each) for (each,) in standing if each in what), "")

    # post

    def note(self, event: Event, address: str, service: str = "", content: bytes = b"") -> None:
        self._file.execute(
            "INSERT INTO post (at, event, address, service, content) VALUES (?, ?, ?, ?, ?)",
            (time.time(), event, folded(address), service, content or None),
        )

    def seen(self, address: str = "") -> list[Seen]:
        rows = self._all(
            "SELECT at, event, address, service, content FROM post "
            "WHERE ? IN ('', address) ORDER BY id",
            folded(address) if address else "",
        )
        return [Seen(at, Event(event), *rest) for at, event, *rest in rows]

    def _one(self, question: str, *values: object) -> Any:
        return self._file.execute(question, values).fetchone()

    def _all(self, question: str, *values: object) -> list[Any]:
        return self._file.execute(question, values).fetchall()


_JOB = "SELECT id, service, key, action, secret, state, said, due, fault FROM task"


def _contacts(text: str) -> Contacts:
    return Contacts(*text.split("\n"))


def _box(row: Any) -> Box:
    number, service, address, _, state, name, password, quota, placed, leaving = row
    return Box(
        *(number, service, address, AccountState(state), name, password, quota, placed),
        bool(leaving),
    )


def _job(row: Any) -> Job:
    number, service, key, action, secret, state, *rest = row
    return Job(number, service, key, action, secret, TaskState(state), *rest)
