"""An installation under test: its plan, its mailboxes with their owners, its workers, its clock."""

import random
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mailhaul.db.database import open_database
from mailhaul.db.migrate import migrate
from mailhaul.journey.clock import wind
from mailhaul.journey.plans import plan_named
from mailhaul.journey.status import status
from tests.cli.running import environment
from tests.journey_faults.nursery import Child, Nursery, Ran
from tests.journey_faults.owner import Owner, Side
from tests.journey_faults.seen import Seen
from tests.servers.process import RunningServer

NAME = "faults"
SPEED = 3600.0
"""An hour in a second."""
MIDNIGHT = 1_800_000_000.0
WHO = "Olga Weiss"
GOOD = ("perfect", "good")
MIGRATING = threading.Lock()
TOLD = frozenset({"checked", "carried", "went", "verified", "gate_opened", "signed"})


@dataclass(slots=True)
class Wishes:
    """What a plan says beside the usual."""

    people: int = 6
    waves: tuple[str, ...] = ("one", "two")
    sweeps_for: str = "20h"
    pace: float | None = None
    """Messages a second of a clock on the wall; all mailboxes together."""
    order: str = "oldest-first"
    delete: str = "mirror"
    webhook: str = ""
    objects: bool = True
    speed: float = SPEED


@dataclass(slots=True)
class House:
    """See the module."""

    home: Path
    nursery: Nursery
    old: RunningServer
    new: RunningServer
    wishes: Wishes
    draw: random.Random
    url: str | None = None
    owners: list[Owner] = field(default_factory=list)
    gates: list[tuple[str, str]] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    began: float = 0.0
    seen: Seen = field(init=False)

    def __post_init__(self) -> None:
        self.seen = Seen(self.state, self.url)

    def make(self) -> None:
        """Accounts, the plan and the clock; everybody's mailbox is still empty."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "secrets").mkdir()
        lines = ["address,wave,source,target,source_secret,target_secret"]
        for number in range(self.wishes.people):
            source, target = self.old.account(), self.new.account()
            address = f"p{number}@faults.example"
            self.owners.append(Owner(address, (self.old, source), (self.new, target), self.draw))
            for side, account in (("old", source), ("new", target)):
                self.write_secret(side, number, account.password)
            wave = self.wishes.waves[number % len(self.wishes.waves)]
            lines.append(
                f"{address},{wave},{self.old.url(source)},{self.new.url(target)},"
                f"file:secrets/old{number},file:secrets/new{number}"
            )
        (self.home / "mailboxes.csv").write_text("\n".join(lines) + "\n")
        (self.home / "plan.toml").write_text(self._plan())
        self.began = time.time()
        database = open_database(self.url, self.state)
        try:
            # Alembic has one context in a process.
            with MIGRATING:
                migrate(database)
            with database.begin() as connection:
                wind(connection, self.wishes.speed, MIDNIGHT, self.began)
        finally:
            database.close()

    def later(self, hours: float) -> None:
        """The clock goes on by so many hours at once. Whoever works meanwhile has the old one."""
        self.began -= hours * 3600.0 / self.wishes.speed
        database = open_database(self.url, self.state)
        try:
            with database.begin() as connection:
                wind(connection, self.wishes.speed, MIDNIGHT, self.began)
        finally:
            database.close()

    def write_secret(self, side: str, number: int, password: str) -> None:
        file = self.home / "secrets" / f"{side}{number}"
        file.write_text(f"{password}\n")
        file.chmod(0o600)

    def _plan(self) -> str:
        wishes = self.wishes
        pace = "" if wishes.pace is None else f"messages_per_second = {wishes.pace / wishes.speed}"
        waves = "".join(f'[[waves]]\nname = "{each}"\n' for each in wishes.waves)
        hook = f'[[webhooks]]\nurl = "{wishes.webhook}"\nevents = {sorted(TOLD)}\n'
        return f"""
name = "{NAME}"
[source]
url = "imap://{{user}}@{self.old.host}:{self.old.port}"
secret = "file:secrets/{{user}}"
[target]
url = "imap://{{user}}@{self.new.host}:{self.new.port}"
secret = "file:secrets/{{user}}"
[target.budget]
{pace}
[carry]
delete = "{wishes.delete}"
max_delete = 10000
order = "{wishes.order}"
[deltas]
every = "90m"
[sweeps]
every = "1h"
for = "{wishes.sweeps_for}"
until_quiet = 2
[gates]
{f'objects = ["{WHO}"]' if wishes.objects else ""}
go = ["{WHO}"]
{waves}
{hook if wishes.webhook else ""}
"""

    # where things are

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def environ(self) -> Mapping[str, str]:
        return environment(self.home)

    @property
    def now(self) -> float:
        """What the wound clock shows."""
        return MIDNIGHT + (time.time() - self.began) * self.wishes.speed

    @property
    def where(self) -> tuple[str, ...]:
        url = () if self.url is None else ("--database", self.url)
        return ("--state", str(self.state), *url)

    # processes

    def by_way_of(self, side: Side, port: int) -> None:
        """That mailbox is reached by another port, where somebody listens who hands things on."""
        server, account = side
        file = self.home / "mailboxes.csv"
        there = f"{account.user}@{server.host}:"
        file.write_text(file.read_text().replace(f"{there}{server.port},", f"{there}{port},"))

    def run(self, *words: str, where: bool = True) -> Ran:
        """A command to its end."""
        place = self.where if where else ()
        return self.nursery.run((*words, *place), home=self.home, environ=self.environ)

    def start(self, *words: str) -> Child:
        """A command that goes on."""
        child = self.nursery.start(
            (*words, *self.where),
            home=self.home,
            environ=self.environ,
            log=self.home / "workers.log",
        )
        self.children.append(child)
        return child

    def end(self) -> None:
        """Nothing of it goes on."""
        for child in self.children:
            with suppress(ProcessLookupError):
                child.kill()

    @property
    def log(self) -> str:
        file = self.home / "workers.log"
        return file.read_text(errors="replace")[-3000:] if file.exists() else ""

    def sign_off(self) -> None:
        """Everybody's mailbox is verified; whoever's is not well says why."""
        rows = self.seen.rows()
        bad = [f"{r.address}: {r.grade}: {r.reason}" for r in rows if r.grade not in GOOD]
        bad += [each for owner in self.owners for each in owner.wrong()] if bad else []
        assert not bad, f"{self.home.name}: {bad}"
        self.must("complete", "plan.toml", "--as", WHO, "--yes")
        self.gates.append(("sign off", ""))

    @property
    def crashes(self) -> str:
        """The last report of a defect."""
        files = sorted(self.home.glob("state/mailhaul/crashes/*"))
        return files[-1].read_text(errors="replace")[-6000:] if files else ""

    # what a person does

    def must(self, *words: str, where: bool = True) -> Ran:
        """A command that has to end well."""
        ran = self.run(*words, where=where)
        assert ran.code == 0, f"{words}: {ran.code} {ran.text[-2000:]}\n{self.crashes}"
        return ran

    def approve(self, gate: str, wave: str = "") -> None:
        """Opens the gate, once it can be opened."""
        words = ["approve", "plan.toml", "--gate", gate, "--as", WHO, "--yes"]
        words += ["--wave", wave] if wave else []
        end = time.monotonic() + 60
        while (ran := self.run(*words)).code:
            # A mailbox may be amid a delta, or its figures changed while the text was read.
            assert time.monotonic() < end, ran.text[-2000:]
            time.sleep(0.2)
        self.gates.append((gate.replace("-", " "), wave))

    def wrong_status(self) -> list[str]:
        """Whether `status` shows the sums of the rows at this moment, whatever died before."""
        rows = self.seen.rows()
        database = open_database(self.url, self.state)
        try:
            with database.begin() as connection:
                found = status(connection, plan_named(connection, NAME), self.now)
        finally:
            database.close()
        shown = {state.value: count for state, count in found.states.items() if count}
        figures = found.figures.account
        sums = (figures.census, figures.copied, figures.adopted, figures.refused, figures.missing)
        names = ("census", "copied", "adopted", "refused", "missing")
        wanted = tuple(sum(getattr(row, name) for row in rows) for name in names)
        wrong = []
        if shown != self.seen.states():
            wrong.append(f"status shows {shown}")
        if sums != wanted:
            wrong.append(f"status shows {sums} for {wanted}")
        return wrong

    def of_wave(self, wave: str) -> list[Owner]:
        count = len(self.wishes.waves)
        place = self.wishes.waves.index(wave)
        return [each for number, each in enumerate(self.owners) if number % count == place]
