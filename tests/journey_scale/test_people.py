"""People at work on both sides between the passes of a journey (Hypothesis, stateful).

Days go by on a clock moved by hand, mail arrives, messages are read, flagged, moved and removed on
either side, connections break, the plan is paused, and at some time the go gate is opened. However
it went, once everything is verified:

- what arrived at the source is at the target, unless the person removed or moved it there;
- what they did at the target stands: flags, removals, moves, mail of their own;
- nothing else changed: the source is untouched, the target holds nothing twice;
- after the go gate nothing was removed at the target, whatever the plan says of before.
"""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mailhaul.core.errors import Disconnected
from mailhaul.core.folder import FolderPath
from mailhaul.core.message import Flags
from mailhaul.db.database import FILE, open_database
from mailhaul.db.migrate import migrate
from mailhaul.journey import orders
from mailhaul.journey.gates import Shut
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from mailhaul.plan.model import Carry, Delete, Deltas, Sweeps
from mailhaul.stores.memory_mailbox import MemoryMailbox, Stored
from tests.faults.soaking import SOAKING
from tests.journey.house import House, letter, plan_of
from tests.journey_scale.weekend import InLine

EXAMPLES = 1500 if SOAKING else 60
STEPS = 40 if SOAKING else 20

FOLDERS: tuple[FolderPath, ...] = (("INBOX",), ("Work",), ("Work", "Old"))
AT_SOURCE = ("\\Seen", "\\Answered")
AT_TARGET = ("\\Flagged", "$Target")
"""Each side changes flags of its own, so that it is known what must come of it."""
SWEEPS = Sweeps(every=timedelta(hours=1), for_=timedelta(hours=4), until_quiet=2)
DELTAS = Deltas(every=timedelta(hours=6))
GONE = {State.FINAL, State.SWEEPING, State.VERIFYING, State.VERIFIED}

Place = tuple[FolderPath, bytes]


class People(RuleBasedStateMachine):
    """One mailbox's journey. What people did is kept by folder and octets; every message is
    another one."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.scratch = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.runner = asyncio.Runner()
        self.serial = 0
        self.arrived: Counter[Place] = Counter()
        self.added: Counter[Place] = Counter()
        self.removed: Counter[Place] = Counter()
        self.flagged: dict[Place, set[str]] = {}
        self.removed_before_go: int | None = None

    @initialize(mirror=st.booleans(), seed=st.integers(0, 9))
    def begin(self, mirror: bool, seed: int) -> None:
        random.seed(seed)
        shutil.copy(_template(), self.scratch / FILE)
        carry = Carry(delete=Delete.MIRROR if mirror else Delete.NEVER, max_delete=1000)
        self.house = House(self.scratch, plan_of(carry=carry, sweeps=SWEEPS, deltas=DELTAS))
        database = InLine(self.house.database.engine)
        self.house.means = replace(self.house.means, database=database, look_seconds=1.0)
        self.mirror = mirror
        self.source: MemoryMailbox = self.house.sources["anna"]
        self.target: MemoryMailbox = self.house.targets["anna"]
        for path in FOLDERS:
            self.source.make(path)
        for stored in self.source.messages():
            self.arrived[FOLDERS[0], stored.data] += 1

    def teardown(self) -> None:
        try:
            if hasattr(self, "house"):
                self._ended()
        finally:
            if hasattr(self, "house"):
                self.house.database.close()
            self.runner.close()
            shutil.rmtree(self.scratch)

    # at the source

    @rule(folder=st.sampled_from(FOLDERS), flags=st.sets(st.sampled_from(AT_SOURCE)))
    def mail_arrives(self, folder: FolderPath, flags: set[str]) -> None:
        data = self._fresh()
        self.source.deliver(data, folder, frozenset(flags))
        self.arrived[folder, data] += 1

    @rule(data=st.data(), flag=st.sampled_from(AT_SOURCE), add=st.booleans())
    def a_source_message_is_read(self, data: st.DataObject, flag: str, add: bool) -> None:
        if (chosen := _chosen(data, self.source)) is not None:
            path, stored = chosen
            _flag(self.source, path, stored, flag, add)

    @rule(data=st.data())
    def a_source_message_is_removed(self, data: st.DataObject) -> None:
        # A source that became empty is a fault, not an order: see the engine's own histories.
        if self.source.total() > 1 and (chosen := _chosen(data, self.source)) is not None:
            path, stored = chosen
            self.source.expunge(stored.uid, path=path)

    @rule(data=st.data(), to=st.sampled_from(FOLDERS))
    def a_source_message_is_moved(self, data: st.DataObject, to: FolderPath) -> None:
        if (chosen := _chosen(data, self.source)) is not None and chosen[0] != to:
            path, stored = chosen
            self.source.move(stored.uid, path, to)
            self.arrived[to, stored.data] += 1

    # at the target

    @rule(data=st.data(), flag=st.sampled_from(AT_TARGET), add=st.booleans())
    def a_target_message_is_flagged(self, data: st.DataObject, flag: str, add: bool) -> None:
        if (chosen := _chosen(data, self.target)) is not None:
            path, stored = chosen
            _flag(self.target, path, stored, flag, add)
            flags = self.flagged.setdefault((path, stored.data), set())
            (flags.add if add else flags.discard)(flag)

    @rule(data=st.data())
    def a_target_message_is_removed(self, data: st.DataObject) -> None:
        if (chosen := _chosen(data, self.target)) is not None:
            path, stored = chosen
            self.target.expunge(stored.uid, path=path)
            self._taken(path, stored)

    @rule(data=st.data(), to=st.sampled_from((*FOLDERS, ("Mine",))))
    def a_target_message_is_moved(self, data: st.DataObject, to: FolderPath) -> None:
        if (chosen := _chosen(data, self.target)) is not None and chosen[0] != to:
            path, stored = chosen
            self.target.make(to)
            self.target.move(stored.uid, path, to)
            self._taken(path, stored)
            self.added[to, stored.data] += 1

    @rule(folder=st.sampled_from((*FOLDERS, ("Mine",))))
    def the_person_saves_a_message(self, folder: FolderPath) -> None:
        data = self._fresh()
        self.target.make(folder)
        self.target.deliver(data, folder)
        self.added[folder, data] += 1

    # the journey

    @rule(hours=st.integers(1, 8))
    def hours_go_by(self, hours: int) -> None:
        self.runner.run(self.house.drive(hours=hours))
        self._untouched()

    @rule(
        side=st.sampled_from(("source", "target")),
        operation=st.sampled_from(
            ("open", "folders", "page", "fetch", "before append", "after append", "after flag")
        ),
        after=st.integers(0, 3),
    )
    def a_connection_will_break(self, side: str, operation: str, after: int) -> None:
        left = [after]

        def wrong(where: str, what: str, folder: str) -> None:
            if (where, what) == (side, operation) and left:
                if left[0] == 0:
                    left.clear()
                    raise Disconnected("the connection broke")
                left[0] -= 1

        self.house.wrong["anna"] = wrong

    @rule()
    def the_plan_rests(self) -> None:
        self.house.order(orders.pause)
        self.runner.run(self.house.drive(hours=3))
        self.house.order(orders.resume)

    @rule()
    def somebody_asks_for_a_pass(self) -> None:
        self.house.order(orders.sync)

    @precondition(lambda self: self.removed_before_go is None)
    @rule()
    def the_gate_is_opened(self) -> None:
        try:
            self.house.open(Gate.GO)
        except Shut:
            return
        self.removed_before_go = self.target.written["remove"]

    # what came of it

    def _ended(self) -> None:
        """Everything goes on to its end, undisturbed; then the book is opened."""
        house = self.house
        house.wrong.clear()
        if self.removed_before_go is None:
            self.runner.run(house.drive(State.SYNCED))
            house.open(Gate.GO)
            self.removed_before_go = self.target.written["remove"]
        self.runner.run(house.drive(State.VERIFIED))
        if house.row().state is State.VERIFIED:
            # What people did since the last sweep is nobody's any more; one more pass finds it.
            house.order(orders.sync)
            self.runner.run(house.drive(State.VERIFIED))
        self._untouched()
        row = house.row()
        assert row.state is State.VERIFIED, row
        assert row.census == self.source.total()
        assert row.copied + row.adopted == row.census
        for path in {*self.source.paths, *self.target.paths}:
            self._compare(path)

    def _untouched(self) -> None:
        assert not self.source.written, "the source was touched"
        before = 0 if not self.mirror else self.removed_before_go
        assert before is None or self.target.written["remove"] == before, "something was removed"

    def _compare(self, path: FolderPath) -> None:
        here = self.source.messages(path) if path in self.source.paths else []
        there = self.target.messages(path) if path in self.target.paths else []
        wanted, found = (Counter(each.data for each in side) for side in (here, there))
        for data in wanted | found:
            place = path, data
            at_least = wanted[data] - self.removed[place]
            at_most = self.arrived[place] + self.added[place] - self.removed[place]
            assert at_least <= found[data] <= max(at_most, wanted[data]), (
                f"{path}: {data!r} is at the source {wanted[data]} times (arrived "
                f"{self.arrived[place]}), at the target {found[data]}; people put it there "
                f"{self.added[place]} and removed it {self.removed[place]} times"
            )
            assert found[data] >= self.added[place] - self.removed[place], "not ours to remove"
            once = self.arrived[place] == found[data] == wanted[data] == 1
            if once and not self.added[place] and not self.removed[place]:
                (ours,) = (each for each in here if each.data == data)
                (theirs,) = (each for each in there if each.data == data)
                wanted_flags = (ours.flags & set(AT_SOURCE)) | self.flagged.get(place, set())
                assert theirs.flags == wanted_flags
                assert theirs.received == ours.received

    def _taken(self, path: FolderPath, stored: Stored) -> None:
        self.removed[path, stored.data] += 1
        self.flagged.pop((path, stored.data), None)

    def _fresh(self) -> bytes:
        self.serial += 1
        return letter(f"message {self.serial}")


def _chosen(data: st.DataObject, mailbox: MemoryMailbox) -> tuple[FolderPath, Stored] | None:
    every = [(path, stored) for path in mailbox.paths for stored in mailbox.messages(path)]
    return every[data.draw(st.integers(0, len(every) - 1))] if every else None


def _flag(mailbox: MemoryMailbox, path: FolderPath, stored: Stored, flag: str, add: bool) -> None:
    flags: Flags = frozenset({flag})
    if add:
        mailbox.flag(stored.uid, add=flags, path=path)
    else:
        mailbox.flag(stored.uid, remove=flags, path=path)


_templates: list[Path] = []


def _template() -> Path:
    return _templates[0]


@pytest.mark.soak
@pytest.mark.timeout(7200 if SOAKING else 300)
def test_people_at_work_on_both_sides(tmp_path: Path) -> None:
    # Tables are made once, and copied for each of the houses.
    database = open_database(None, tmp_path)
    migrate(database)
    database.close()
    _templates[:] = [tmp_path / FILE]
    run_state_machine_as_test(
        People,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not SOAKING,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
