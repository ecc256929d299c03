"""A plan that moves mailboxes from one real server to another, worked on by processes of ours."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.db.migrate import migrate
from mailhaul.journey import orders
from mailhaul.journey.clock import installed_clock, wind
from mailhaul.journey.gates import open_gate
from mailhaul.journey.plans import PlanRow, plan_named
from mailhaul.journey.questions import Gate, ask
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.states import State
from tests.cli.running import command, environment, mailhaul
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account

NAME = "moving"


@dataclass
class Moving:
    """An installation in `home`, on a file or on PostgreSQL, whose clock is wound."""

    home: Path
    server: Dovecot
    database_url: str | None
    speed: float
    people: int = 6
    sweeps: str = '{ every = "1h", for = "4h", until_quiet = 2 }'
    accounts: dict[str, tuple[Account, Account]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database: Database = open_database(self.database_url, self.state)
        migrate(self.database)
        with self.database.begin() as connection:
            wind(connection, self.speed, 1_800_000_000.0, time.time())
            self.clock = installed_clock(connection)
        rows = ["address,source,target,source_secret,target_secret"]
        for number in range(self.people):
            source, target = self.server.account(), self.server.account()
            address = f"person{number}@moving.example"
            self.accounts[address] = (source, target)
            rows.append(
                f"{address},{self._url(source)},{self._url(target)},env:PASSWORD,env:PASSWORD"
            )
        (self.home / "mailboxes.csv").write_text("\n".join(rows) + "\n")
        (self.home / "plan.toml").write_text(
            f"""
name = "{NAME}"
[source]
url = "{self._url(Account("{user}", ""))}"
secret = "env:PASSWORD"
[target]
url = "{self._url(Account("{user}", ""))}"
secret = "env:PASSWORD"
[deltas]
every = "6h"
[sweeps]
{self.sweeps.strip("{} ").replace(", ", chr(10))}
"""
        )

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def where(self) -> tuple[str, ...]:
        url = () if self.database_url is None else ("--database", self.database_url)
        return ("--state", str(self.state), *url)

    def _url(self, account: Account) -> str:
        return f"imap://{account.user}@{self.server.host}:{self.server.port}"

    def to_the_target_through(self, port: int) -> None:
        """From now on the plan's targets are reached at `port`."""
        file = self.home / "mailboxes.csv"
        head, *rows = file.read_text().splitlines()
        for number, (_, target) in enumerate(self.accounts.values()):
            there = self._url(target)
            rows[number] = rows[number].replace(
                there, there.replace(f":{self.server.port}", f":{port}")
            )
        file.write_text("\n".join([head, *rows]) + "\n")

    # processes

    def start(self) -> None:
        ran = mailhaul("start", "plan.toml", *self.where, home=self.home, environ=self.environ)
        assert ran.code == 0, ran.err

    @property
    def environ(self) -> Mapping[str, str]:
        return {"PASSWORD": self.server.password}

    def worker(self) -> subprocess.Popen[bytes]:
        with (self.home / "workers.log").open("ab") as log:
            return subprocess.Popen(
                command(("worker", *self.where)),
                cwd=self.home,
                env=environment(self.home, self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @contextmanager
    def working(self) -> Iterator[subprocess.Popen[bytes]]:
        process = self.worker()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    @property
    def log(self) -> str:
        file = self.home / "workers.log"
        return file.read_text(errors="replace") if file.exists() else ""

    # what is seen and done

    def plan(self) -> PlanRow:
        with self.database.begin() as connection:
            return plan_named(connection, NAME)

    def rows(self) -> list[MailboxRow]:
        with self.database.begin() as connection:
            table = tables.mailbox
            return [*map(from_row, connection.execute(select(table).order_by(table.c.position)))]

    def table(self, name: str) -> list[Any]:
        with self.database.begin() as connection:
            return [*connection.execute(select(tables.metadata.tables[name]))]

    def open(self, gate: Gate) -> None:
        with self.database.begin() as connection:
            plan = plan_named(connection, NAME)
            question = ask(connection, plan, gate)
            open_gate(connection, plan, question, who="Kim", login="kim", at=self.clock.now())

    def order(self, what: Callable[..., Any], **more: Any) -> Any:
        with self.database.begin() as connection:
            plan = plan_named(connection, NAME)
            if "who" not in more:
                more["actor"] = "lee"
            return what(connection, plan, orders.EVERYTHING, at=self.clock.now(), **more)

    def until(self, *states: State, seconds: float = 90.0) -> None:
        """Until every mailbox is in one of those states."""
        deadline = time.monotonic() + seconds
        while not all(row.state in states for row in self.rows()):
            if time.monotonic() > deadline:
                seen = [(row.address, row.state.value, row.reason) for row in self.rows()]
                raise AssertionError(f"{seen}\n{self.log[-4000:]}")
            time.sleep(0.2)

    def deliver(self, address: str, name: str, octets: int = 0) -> None:
        """A message arrives at the old system, of so many octets at least."""
        body = f"Hello {name}.\r\n" + f"{'x' * 70}\r\n" * (octets // 72)
        mail = f"Subject: {name}\r\nMessage-ID: <{name}@moving>\r\n\r\n{body}"
        self._oracle(address, 0).append("INBOX", mail.encode())

    def fill(self, address: str, count: int) -> None:
        """So much mail was in the old system before."""
        mails = (
            f"Subject: old {number}\r\nMessage-ID: <{number}@{address}>\r\n\r\n{'x' * 2000}\r\n"
            for number in range(count)
        )
        self._oracle(address, 0).append("INBOX", *(mail.encode() for mail in mails))

    def names(self, address: str, side: int) -> list[str]:
        """The subjects in the inbox of the old (0) or the new (1) mailbox."""
        return self._oracle(address, side).subjects("INBOX")

    def _oracle(self, address: str, side: int) -> "Plain":
        return Plain(self.server.host, self.server.port, self.accounts[address][side])


@dataclass(frozen=True)
class Plain:
    """A mailbox seen with the standard library alone; shares no code with mailhaul."""

    host: str
    port: int
    account: Account

    def append(self, folder: str, *mails: bytes) -> None:
        with self._open() as session:
            for mail in mails:
                session.append(folder, "", None, mail)

    def subjects(self, folder: str) -> list[str]:
        with self._open() as session:
            session.select(folder, readonly=True)
            _, numbers = session.search(None, "ALL")
            found = []
            if not numbers[0]:
                return []
            _, parts = session.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            for part in parts:
                if isinstance(part, tuple):
                    found.append(part[1].decode().strip().removeprefix("Subject: "))
            return found

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import imaplib

        session = imaplib.IMAP4(self.host, self.port)
        session.login(self.account.user, self.account.password)
        try:
            yield session
        finally:
            session.logout()


def stop(process: subprocess.Popen[bytes]) -> float:
    """Asks the worker to stop; how many seconds that took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(25)
    return time.monotonic() - began


def kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
