"""An installation with mailboxes in memory and a clock that is moved by hand, driven step by step.

`drive` is worker, engine and reconciler in their plainest form: whatever is due is performed, one
run at a time; when nothing is, the clock goes on to the next moment at which something is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from mailhaul.check.mailbox import check_mailbox
from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.folder import INBOX_PATH
from mailhaul.core.store import Source, Target
from mailhaul.core.text import Secret
from mailhaul.db import tables
from mailhaul.db.database import FILE, Database, open_database
from mailhaul.db.migrate import migrate
from mailhaul.journey import orders
from mailhaul.journey.account_rows import MoveRow, move_run, moves
from mailhaul.journey.canary_rows import CanaryRow, canary_run, due_canaries
from mailhaul.journey.canary_wants import want
from mailhaul.journey.clock import HandClock
from mailhaul.journey.control import Providers
from mailhaul.journey.domains import DomainRow, domain_run, domains
from mailhaul.journey.engine import Next, Run
from mailhaul.journey.events import Logged, log
from mailhaul.journey.gates import open_gate
from mailhaul.journey.ledgers import open_back, open_ledger
from mailhaul.journey.loading import load
from mailhaul.journey.means import Means, Opening, folder_options
from mailhaul.journey.phases import perform
from mailhaul.journey.plans import PlanRow, plan_row
from mailhaul.journey.post import Post
from mailhaul.journey.questions import Gate, ask
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.runs import run_of
from mailhaul.journey.states import State
from mailhaul.journey.worker import pass_gates
from mailhaul.journey.zones import Zones
from mailhaul.plan.model import ListedMailbox, Plan, System
from mailhaul.stores.memory import Faults, MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import MemoryMailbox
from mailhaul.stores.registry import open_source

BEGIN = 1_800_000_000.0
HOUR = 3600.0

Wrong = Callable[[str, str, str], None]
"""Called with the side, the operation and the folder; may raise."""


def plan_of(**settings: Any) -> Plan:
    return Plan(
        name="moving",
        source=System(url="imaps://{user}@old.example"),
        target=System(url="imaps://{user}@new.example"),
        **settings,
    )


def letter(name: str) -> bytes:
    return f"Subject: {name}\r\nMessage-ID: <{name}@x>\r\n\r\nHello {name}.\r\n".encode()


@dataclass
class House:
    """See the module. `passwords` are what the servers take, `secrets` what references lead to."""

    directory: Path
    plan: Plan
    people: tuple[str, ...] = ("anna",)
    database_url: str | None = None
    hand: HandClock = field(default_factory=lambda: HandClock(BEGIN))
    wrong: dict[str, Wrong] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    """Whose secrets are tokens, and by what their login is known again."""
    logins: list[str] = field(default_factory=list)
    sources: dict[str, MemoryMailbox] = field(default_factory=dict)
    targets: dict[str, MemoryMailbox] = field(default_factory=dict)
    zones: Zones | None = None
    post: Post | None = None
    providers: Providers | None = None
    domain: str = "x"
    tend: Callable[[Means, Run], Awaitable[Next | None]] = perform
    """What performs the runs of canary mail, and of accounts."""

    def __post_init__(self) -> None:
        made = self.database_url is None and (self.directory / FILE).exists()
        self.database: Database = open_database(self.database_url, self.directory)
        if not made:
            migrate(self.database)
        listed = []
        for person in self.people:
            self.sources[person] = MemoryMailbox()
            self.targets[person] = MemoryMailbox()
            for name in ("one", "two", "three"):
                self.sources[person].deliver(letter(f"{person}-{name}"), INBOX_PATH)
            listed.append(
                ListedMailbox(
                    address=f"{person}@{self.domain}",
                    source=f"imaps://{person}@old.example",
                    target=f"imaps://{person}@new.example",
                    source_secret=f"env:{person}-source",
                    target_secret=f"env:{person}-target",
                )
            )
            for side in ("source", "target"):
                self.passwords[f"{person}-{side}"] = self.secrets[f"{person}-{side}"] = "right"
        with self.database.begin() as connection:
            loaded = load(
                connection, self.plan, listed, self.directory, at=self.hand.time, actor="lee"
            )
        self.number = loaded.plan
        self.order(orders.start)
        self.means = Means(
            database=self.database,
            clock=self.hand.clock,
            worker="w1",
            directory=self.directory,
            resolve=self._resolve,
            fingerprint=lambda login: None if login.password is None else login.password.reveal(),
            examine=self._examine,
            open_ledger=lambda row: open_ledger(self.database, self.directory, row),
            open_back=lambda row, forward: open_back(self.database, self.directory, row, forward),
            opener=self,
            zones=self.zones,
            post=self.post,
            providers=self.providers,
            look_seconds=0.02,
            stay_seconds=0.0,
        )

    # the opener

    def source(self, opening: Opening) -> Source:
        if opening.endpoint.is_file:
            return open_source(opening.endpoint, opening.login, spool=opening.spool)
        person = opening.endpoint.user
        side, mailboxes = ("target", self.targets) if opening.back else ("source", self.sources)
        faults = self._faults(person, side, opening.login)
        return MemorySource(mailboxes[person], faults, opening.spool)

    def target(self, opening: Opening) -> Target:
        person = opening.endpoint.user
        side, mailboxes = ("source", self.sources) if opening.back else ("target", self.targets)
        faults = self._faults(person, side, opening.login)
        return MemoryTarget(mailboxes[person], faults, opening.spool)

    @asynccontextmanager
    async def admitted(
        self, plan: PlanRow, row: MailboxRow, *, rationed: bool = True
    ) -> AsyncIterator[None]:
        yield

    def _faults(self, person: str, side: str, login: Credentials) -> Faults:
        def faults(operation: str, folder: str) -> None:
            if operation == "open":
                assert login.password is not None
                self.logins.append(f"{person}-{side}: {login.password.reveal()}")
                if login.password.reveal() != self.passwords[f"{person}-{side}"]:
                    raise Closed("the password is wrong", ClosedReason.CREDENTIALS)
            self.wrong.get(person, _nothing)(side, operation, folder)

        return faults

    async def _resolve(self, reference: str, directory: Path) -> Credentials:
        name = reference.removeprefix("env:")
        found = self.secrets.get(name)
        if found is None:
            raise Closed("there is no secret", ClosedReason.CREDENTIALS)
        secret = Secret(found)

        async def token() -> Secret:
            return secret

        if name in self.marks:
            return Credentials(password=secret, token=token, mark=self.marks[name])
        return Credentials(password=secret)

    async def _examine(self, source: Source, target: Target, plan: PlanRow, row: MailboxRow):  # type: ignore[no-untyped-def]
        return await check_mailbox(
            source, target, folder_options(plan), now=self.hand.clock.now, sleep=_at_once
        )

    # what is seen and done

    def row(self, person: str = "anna") -> MailboxRow:
        table = tables.mailbox
        with self.database.begin() as connection:
            return from_row(
                connection.execute(
                    select(table).where(table.c.address == f"{person}@{self.domain}")
                ).one()
            )

    def rows(self, name: str) -> list[Any]:
        with self.database.begin() as connection:
            return [*connection.execute(select(tables.metadata.tables[name]))]

    def told(self) -> list[Logged]:
        with self.database.begin() as connection:
            return [*log(connection, self.number)]

    def actions(self, person: str = "anna") -> list[str]:
        number = self.row(person).id
        return [each.record.action for each in self.told() if each.record.mailbox == number]

    def order(self, what: Callable[..., Any], **more: Any) -> Any:
        with self.database.begin() as connection:
            plan = plan_row(connection, self.number)
            if "who" not in more:
                more["actor"] = "lee"
            chosen = more.pop("selection", orders.EVERYTHING)
            return what(connection, plan, chosen, at=self.hand.time, **more)

    def open(self, gate: Gate, despite: str = "") -> None:
        with self.database.begin() as connection:
            plan = plan_row(connection, self.number)
            at = self.hand.time
            question = ask(connection, plan, gate, at=at, despite=despite)
            open_gate(connection, plan, question, who="Kim", login="kim", at=at, despite=despite)

    async def drive(
        self, *wanted: State, hours: float = 24 * 365, person: str = "anna", most: int = 2000
    ) -> None:
        """Until the person's mailbox is in one of those states, for so many hours at most, and not
        beyond the moment at which nothing is due any more."""
        end = self.hand.time + hours * HOUR
        for _ in range(most):
            due = next(self._due(), None)
            if due is None or self.row(person).state in wanted:
                return
            if due.due_at is not None and due.due_at > end:
                self.hand.time = end
                return
            self.hand.time = max(self.hand.time, due.due_at or 0.0)
            await self.run(due)
        raise AssertionError(f"{self.row(person)} after {most} runs")

    async def run(self, row: MailboxRow | DomainRow | CanaryRow | MoveRow) -> None:
        """Performs what the row's state asks for."""
        if isinstance(row, MoveRow):
            await self.tend(self.means, move_run(row))
            return
        if isinstance(row, CanaryRow):
            await self.tend(self.means, canary_run(row))
            return
        run = domain_run(row) if isinstance(row, DomainRow) else run_of(row)
        assert run is not None
        await perform(self.means, run)

    def zone(self) -> DomainRow:
        """The only domain."""
        with self.database.begin() as connection:
            (row,) = domains(connection, self.number)
        return row

    def _due(self) -> Iterator[MailboxRow | DomainRow | CanaryRow | MoveRow]:
        table = tables.mailbox
        with self.database.begin() as connection:
            pass_gates(connection, self.hand.time)
            rows = connection.execute(
                select(table)
                .where(table.c.due_at.is_not(None))
                .order_by(table.c.due_at, table.c.id)
            )
            found = [from_row(row) for row in rows]
            zones = domains(connection, self.number)
            canaries = self._canaries(connection)
            accounts = [] if self.providers is None else moves(connection, self.number)
        due: list[MailboxRow | DomainRow | CanaryRow | MoveRow] = [
            row for row in found if run_of(row) is not None
        ]
        due += [row for row in zones if row.due_at is not None]
        due += canaries
        due += [row for row in accounts if row.due_at is not None]
        yield from sorted(due, key=lambda row: (row.due_at or 0.0, isinstance(row, MailboxRow)))

    def _canaries(self, connection: Connection) -> list[CanaryRow]:
        """Those that are due now, else those that are due next."""
        if self.post is None:
            return []
        want(connection, plan_row(connection, self.number), self.hand.time)
        table = tables.canary
        later = connection.execute(
            select(table.c.due_at).where(table.c.due_at > self.hand.time).order_by(table.c.due_at)
        )
        clear = connection.execute(
            select(table.c.clear_at).where(table.c.clear_at > self.hand.time)
        )
        moments = sorted({self.hand.time, *later.scalars(), *clear.scalars()})
        for moment in moments:
            if found := due_canaries(connection, moment, 100):
                return [replace(each, due_at=max(moment, each.due_at or 0.0)) for each in found]
        return []


def _nothing(side: str, operation: str, folder: str) -> None:
    pass


async def _at_once(seconds: float) -> None:
    await asyncio.sleep(0)
