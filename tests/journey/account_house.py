"""A plan whose accounts are moved from one service of a hoster in memory to another."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import INBOX_PATH
from mailhaul.db.database import FILE, open_database
from mailhaul.db.migrate import migrate
from mailhaul.engine.outcomes import Side
from mailhaul.journey import account_orders
from mailhaul.journey.account_rows import MoveRow, moves
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.account_steps import StepRow, steps_of
from mailhaul.journey.orders import Result
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.plan.model import Plan, ProviderKind, ProviderSection, System
from mailhaul.providers.provider import Provider
from mailhaul.providers.service import AccountState, Generation, Verb
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.journey.house import House, letter
from tests.providers.memory import MemoryAccount, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider

DOMAIN = "acme.example"
ANNA = f"anna@{DOMAIN}"
RIGHT = "right and long"
OLD_VERBS = frozenset(Verb) - {Verb.HAND_OVER, Verb.CREATE, Verb.CONFIGURE}
NEW_VERBS = frozenset(Verb) - {Verb.HAND_OVER, Verb.CREATE}


def hoster(path: str = "new", people: tuple[str, ...] = ("anna",), spare: int = 1) -> MemoryHoster:
    """An old service and a new one, with an unconfigured account for each person and some more."""
    old, new = MemoryService("old"), MemoryService("new")
    old.verbs, new.verbs = OLD_VERBS, NEW_VERBS
    old.generation = Generation.NEW
    if path == "legacy":
        old.generation = Generation.LEGACY
        old.verbs = OLD_VERBS - {Verb.RENAME, Verb.ALIASES} | {Verb.HAND_OVER}
        old.hand_over_to = frozenset({"new"})
    if path == "create":
        new.unused = 10
        new.kind, new.verbs = "other", NEW_VERBS - {Verb.CONFIGURE} | {Verb.CREATE}
    else:
        for number in range(len(people) + spare):
            new.placeholder(f"ph{number}@configureme.me")
    for service in (old, new):
        service.domain(DOMAIN)
    for person in people:
        mail = [letter(f"{person}-{name}") for name in ("one", "two", "three")]
        old.account(f"{person}@{DOMAIN}", *mail, password=RIGHT)
    return MemoryHoster(old, new, hurried=True)


class Control:
    """See `journey.control.Providers`. `wrong` is called with the side as it is opened."""

    def __init__(self, place: MemoryHoster) -> None:
        self.place = place

    @asynccontextmanager
    async def opened(self, plan: PlanRow, side: Side) -> AsyncIterator[Provider]:
        try:
            yield MemoryProvider(self.place, "old" if side is Side.SOURCE else "new")
        except MailhaulError as error:
            error.side = error.side or side
            raise


class Boxes(MutableMapping[str, MemoryMailbox]):
    """The mail of a service's accounts, by what stands before the @."""

    def __init__(self, service: MemoryService) -> None:
        self._service = service

    def account(self, person: str) -> MemoryAccount | None:
        return self._service.found(f"{person}@{DOMAIN}")

    def __getitem__(self, person: str) -> MemoryMailbox:
        found = self.account(person)
        return MemoryMailbox() if found is None else found.box

    def __setitem__(self, person: str, box: MemoryMailbox) -> None:
        raise AssertionError("accounts are made by their provider")

    def __delitem__(self, person: str) -> None:
        raise AssertionError("accounts are removed by their provider")

    def __iter__(self) -> Iterator[str]:
        return (each.address.partition("@")[0] for each in self._service.accounts)

    def __len__(self) -> int:
        return len(self._service.accounts)


class Passwords(dict[str, str]):
    """What the services' mail servers take now."""

    def __init__(self, old: Boxes, new: Boxes) -> None:
        self._boxes = {"source": old, "target": new}

    def __getitem__(self, key: str) -> str:
        person, _, side = key.rpartition("-")
        found = self._boxes[side].account(person)
        open_ = found is not None and found.state is AccountState.CONFIGURED
        return found.password if found is not None and open_ else "of nobody"


def plan(**settings: Any) -> Plan:
    accounts, secret = settings.pop("accounts", {}), settings.pop("secret", "")
    provider = {
        side: ProviderSection(kind=ProviderKind.LAB, service=side, secret=secret)
        for side in ("old", "new")
    }
    return Plan(
        name="moving",
        source=System(url="imaps://{user}@old.example", provider=provider["old"]),
        target=System(url="imaps://{user}@new.example", provider=provider["new"]),
        accounts=accounts,
        **settings,
    )


@cache
def _migrated() -> Path:
    """A database with its tables, to be copied: making one takes a second."""
    directory = Path(tempfile.mkdtemp())
    database = open_database(None, directory)
    migrate(database)
    database.close()
    return directory / FILE


class AccountHouse:
    """See the module."""

    def __init__(
        self,
        directory: Path,
        path: str = "new",
        people: tuple[str, ...] = ("anna",),
        place: MemoryHoster | None = None,
        **settings: Any,
    ) -> None:
        database = settings.pop("database", None)
        if database is None:
            directory.mkdir(parents=True, exist_ok=True)
            shutil.copy(_migrated(), directory / FILE)
        self.hoster = place or hoster(path, people)
        self.old, self.new = self.hoster.service("old"), self.hoster.service("new")
        self.house = House(
            directory,
            plan(**settings),
            people,
            database_url=database,
            providers=Control(self.hoster),
            domain=DOMAIN,
        )
        house = self.house
        house.secrets |= dict.fromkeys(house.secrets, RIGHT)
        house.sources, house.targets = Boxes(self.old), Boxes(self.new)  # type: ignore[assignment]
        house.passwords = Passwords(house.sources, house.targets)  # type: ignore[arg-type]
        house.means = replace(house.means)

    # what is seen

    def move(self, person: str = "anna") -> MoveRow:
        with self.house.database.begin() as connection:
            every = moves(connection, self.house.number)
        (row,) = [each for each in every if each.address == f"{person}@{DOMAIN}"]
        return row

    def steps(self, person: str = "anna") -> list[StepRow]:
        row = self.move(person)
        with self.house.database.begin() as connection:
            return steps_of(connection, row)

    def addresses(self, service: MemoryService) -> list[str]:
        return sorted(each.address for each in service.accounts)

    def mail(self, service: MemoryService, address: str = ANNA) -> list[str]:
        """The subjects in that account's inbox."""
        found = service.found(address)
        assert found is not None
        lines = (each.data.split(b"\r\n")[0] for each in found.box.messages(INBOX_PATH))
        return sorted(each.decode().removeprefix("Subject: ") for each in lines)

    def everywhere(self) -> dict[str, list[str]]:
        """Addresses, extras and domains of both services."""
        return {
            service.name: [
                *self.addresses(service),
                *sorted(map(str, service.extras)),
                *(str(each.shown) for each in service.domains),
            ]
            for service in (self.old, self.new)
        }

    # what is done

    async def until(self, *wanted: MoveState, person: str = "anna", most: int = 400) -> MoveRow:
        """Runs what is due for that account until its move is in one of those states, or nothing is
        due within a day."""
        house = self.house
        end = house.hand.time + 86_400
        for _ in range(most):
            row = self.move(person)
            if row.state in wanted or row.due_at is None or row.due_at > end:
                return row
            house.hand.time = max(house.hand.time, row.due_at)
            await house.run(row)
        raise AssertionError(f"{self.move(person)} after {most} runs")

    async def looked(self) -> MoveRow:
        """Until every account has been looked at once; anna's."""
        for person in self.house.people:
            while (row := self.move(person)).looked_at is None:
                self.house.hand.time = max(self.house.hand.time, row.due_at or 0.0)
                await self.house.run(row)
        return self.move()

    async def agreed(self) -> None:
        """Looked at, and a named person has said yes."""
        await self.looked()
        self.house.open(Gate.ACCOUNTS)

    async def moved(self, person: str = "anna") -> MoveRow:
        await self.agreed()
        return await self.until(MoveState.MOVED, MoveState.UNDONE, MoveState.FAILED, person=person)

    async def synced(self) -> None:
        await self.house.drive(State.SYNCED, hours=48)

    def order(self, name: str, **more: Any) -> Result:
        """An order of `account_orders`, to everybody."""
        if name in ("undo", "retire"):
            more = {"who": "Kim", "login": "kim", **more}
        result: Result = self.house.order(getattr(account_orders, name), **more)
        return result
