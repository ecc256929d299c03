"""Kills a house's worker at chosen instants of its journey, again and again, and starts another."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.journey_faults.house import House
from tests.journey_faults.nursery import Child
from tests.journey_faults.owner import Owner

POLL = 0.02
PATIENCE = 8.0
"""Seconds after which a worker is killed though what was aimed at has not come."""
NOTICED = 30.0
"""Seconds within which others have to have what a dead worker was at."""
WAITS_FOR_PEOPLE = 3
"""How `mailhaul run` ends when only people are waited for."""

Aim = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Kill:
    """What was under way: kinds of passes and states, and whether mail was on its way to a target,
    or a part of a pass's mail was there. Among several workers: how many runs the dead one was at,
    the seconds until others had them, and until its mailboxes went on."""

    phases: frozenset[str]
    amid: bool
    runs: int = 0
    noticed: float = 0.0
    went_on: float = 0.0


@dataclass(slots=True)
class Killer:
    """See the module. `command` works on the plan, in `crew` processes; `wrong` collects what
    should not be."""

    house: House
    draw: random.Random
    command: tuple[str, ...] = ("worker",)
    crew: int = 1
    kills: list[Kill] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ended: Counter[int] = field(default_factory=Counter)
    bearable: frozenset[int] = frozenset()
    """Exit codes of workers that ended by themselves for a reason that the test gave them."""
    after: Callable[[], None] = lambda: None
    """Done between a kill and the next start."""
    _children: list[Child] = field(default_factory=list)
    _passes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def work(self) -> None:
        """Everybody works from here on."""
        for child in self._children:
            if (code := child.poll()) is not None:
                self.ended[code] += 1
                done = code == WAITS_FOR_PEOPLE and self.command[0] == "run"
                assert done or code in self.bearable, (
                    f"{self.house.home.name}: {self.command[0]} ended with {code}\n"
                    f"{self.house.log}\n{self.house.crashes}"
                )
        self._children = [each for each in self._children if each.poll() is None]
        while len(self._children) < self.crew:
            self._children.append(self.house.start(*self.command))

    def kill(self, aim: Aim | None = None, *, most: float = 0.3) -> bool:
        """One kill, up to `most` seconds after what was aimed at; False when the command had come
        to its end by itself in that moment."""
        self._reach(aim, most)
        victim, name = self._victim()
        code = victim.kill()
        killed = time.monotonic()
        if code >= 0:
            self.work()
            return False
        self._children.remove(victim)
        met = self._met()
        if self.crew > 1:
            runs = self.house.seen.runs_of(name)
            left = self.house.seen.work_of(name)
            self._taken_over(name, left)
            noticed = time.monotonic() - killed
            self._gone_on(left, killed)
            went_on = time.monotonic() - killed if left else 0.0
            met = replace(met, runs=runs, noticed=noticed, went_on=went_on)
        self.kills.append(met)
        self.check()
        self.after()
        return True

    def lose(self, aim: Aim, what: Callable[[House], None]) -> None:
        """Kills all of the crew, does something to the house, and lets them begin again."""
        self._reach(aim, 0.2)
        for child in self._children:
            child.kill()
        self._children = []
        what(self.house)
        self.check()
        self.work()

    def meanwhile(self, aim: Aim, what: Callable[[House], None]) -> None:
        """Does something to the house while all of the crew go on."""
        self._reach(aim, 0.2)
        what(self.house)
        self.work()
        self.check()

    def freeze(
        self, aim: Aim | None = None, *, seconds: float, lost: bool, most: float = 0.2
    ) -> None:
        """Stops one of the crew for so long and lets it go on. `lost`: its database thinks it dead
        meanwhile, and others have its work before it wakes."""
        self._reach(aim, most)
        victim, name = self._victim()
        victim.signal(signal.SIGSTOP)
        if lost:
            left = self.house.seen.work_of(name)
            self.house.seen.end_session(name)
            self._taken_over(name, left)
        time.sleep(seconds)
        victim.signal(signal.SIGCONT)
        # What it does now is what it must not do.
        time.sleep(1.0)
        self.check()

    def until(
        self, *states: str, seconds: float = 150.0, owners: Sequence[Owner] | None = None
    ) -> None:
        """Works on until those mailboxes (or all) are in one of those states."""
        addresses = {each.address for each in owners or self.house.owners}
        end = time.monotonic() + seconds
        while True:
            rows = [each for each in self.house.seen.rows() if each.address in addresses]
            if rows and all(row.state in states for row in rows):
                return
            assert time.monotonic() < end, (
                f"{self.house.home.name}: not {states}: "
                f"{[(row.address, row.state, row.reason) for row in rows]}\n"
                f"{self.house.log}\n{self.house.crashes}"
            )
            self.work()
            time.sleep(0.1)

    def up_to_date(self) -> None:
        """Works on until a delta that began after this moment has ended in every mailbox."""
        house = self.house
        since, end = house.now, time.monotonic() + 120
        while True:
            late = house.seen.query(
                "SELECT address FROM mailbox m WHERE NOT EXISTS (SELECT 1 FROM passes p "
                "WHERE p.mailbox_id = m.id AND p.began_at > ? AND p.outcome = 'complete')",
                since,
            )
            if not late:
                return
            assert time.monotonic() < end, f"{house.home.name}: no delta of {late}\n{house.log}"
            self.work()
            time.sleep(0.1)

    def rest(self) -> None:
        """Everybody is asked to stop, and does."""
        for child in self._children:
            child.signal(signal.SIGTERM)
        for child in self._children:
            self.ended[child.wait(30)] += 1
        self._children = []

    # what is aimed at

    def amid(self, *kinds: str, most: int = 12) -> Aim:
        """A pass of one of those kinds has carried a few messages; how many, `most` or less, is
        drawn."""
        seen, least = self.house.seen, self.draw.randint(1, most)
        return lambda: any(
            course.kind in kinds and seen.carried(course) >= least for course in seen.under_way()
        )

    def begun(self, *kinds: str) -> Aim:
        """A pass of one of those kinds has begun."""
        seen = self.house.seen
        return lambda: any(course.kind in kinds for course in seen.under_way())

    def some(self, state: str) -> Aim:
        """A mailbox is in that state."""
        return lambda: self.house.seen.states()[state] > 0

    # what a kill leaves

    def check(self) -> None:
        """What the tables say at this moment is right."""
        house, seen = self.house, self.house.seen
        wrong = seen.wrong_log()
        if self.crew == 1:
            # Nobody works at this moment, so that two looks see the same.
            wrong += house.wrong_status()
            wrong += seen.ahead(max((each.deleted for each in house.owners), default=0))
        for row in seen.rows():
            passes, epoch = self._passes.get(row.id, (0, 0))
            if row.passes < passes or row.epoch < epoch:
                wrong.append(f"{row.address}: pass {row.passes}, epoch {row.epoch} went back")
            self._passes[row.id] = (row.passes, row.epoch)
        self.wrong += [f"{house.home.name}, after kill {len(self.kills)}: {each}" for each in wrong]

    def _reach(self, aim: Aim | None, most: float) -> None:
        self.work()
        end = time.monotonic() + PATIENCE
        while aim is not None and not aim() and time.monotonic() < end:
            self.work()
            time.sleep(POLL)
        time.sleep(self.draw.uniform(0.0, most))

    def _victim(self) -> tuple[Child, str]:
        """One of the crew, if possible one that is at something; and its name."""
        if self.crew == 1:
            return self._children[0], ""
        seen = self.house.seen
        named = [(each, seen.name_of(each.pid)) for each in self._children]
        busy = [each for each in named if each[1] and seen.runs_of(each[1])]
        return self.draw.choice(busy or named)

    def _taken_over(self, name: str, left: Mapping[int, tuple[int, int, int]]) -> None:
        """Waits until nothing is as the dead worker left it. Its name may have another bearer."""
        end = time.monotonic() + NOTICED
        while self.house.seen.work_of(name).items() & left.items():
            if time.monotonic() > end:
                self.wrong.append(f"{name} is dead for {NOTICED} s, and nobody noticed")
                return
            time.sleep(0.05)

    def _gone_on(self, left: Mapping[int, tuple[int, int, int]], killed: float) -> None:
        """Waits until somebody else carries what the dead worker left."""
        while waiting := left.items() & self.house.seen.marks().items():
            if time.monotonic() > killed + NOTICED:
                self.wrong.append(f"nobody goes on with {waiting} for {NOTICED} s")
                return
            time.sleep(0.05)

    def _met(self) -> Kill:
        seen = self.house.seen
        courses = seen.under_way()
        phases = {course.kind for course in courses}
        states = seen.states()
        phases |= {state for state in ("planned", "verifying") if states[state]}
        amid = any(seen.intents(course.mailbox) or seen.carried(course) for course in courses)
        return Kill(frozenset(phases or {"between"}), amid)
