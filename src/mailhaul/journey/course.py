"""A pass on its way, as it is told: what it is for, what a slice of it has done, how that ended.

Values only; `carrying` makes them, `pass_rows` writes them down.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mailhaul.core.folder import FolderPath
from mailhaul.engine.outcomes import (
    Carried,
    Event,
    Fate,
    Finished,
    Mapped,
    Opened,
    Settled,
    Side,
    Waiting,
)
from mailhaul.journey.rows import MailboxRow

LONG_WAIT = 60.0
"""Who is told to wait longer gives its place to others."""
OTHER = {Side.SOURCE: Side.TARGET, Side.TARGET: Side.SOURCE}
LEFT = (Fate.REFUSED, Fate.MISSING)
"""What becomes of messages that a person is to know of one by one."""


class Kind(StrEnum):
    """What a pass is for."""

    TRIAL = "trial"
    PRESTAGE = "pre-stage"
    NEWEST = "newest"
    INITIAL = "initial"
    DELTA = "delta"
    FINAL = "final"
    SWEEP = "sweep"
    RETURN = "return"


BY_HOURS = frozenset({Kind.TRIAL, Kind.PRESTAGE, Kind.NEWEST, Kind.INITIAL, Kind.DELTA})
"""Passes that keep to the working hours."""


BACKWARDS = "on the way back, where the old system is the target"


class Ending(StrEnum):
    """Why a slice ended."""

    FINISHED = "the pass has ended"
    TIME = "its time is over"
    HOURS = "working hours are over"
    STOPPING = "the worker stops"
    WAITING = "a server wants us to wait"
    MOVED_ON = "a person wants something else"


@dataclass(slots=True)
class Course:
    """What a slice has been told so far. `before` is what earlier slices of this pass did."""

    number: int
    kind: Kind
    began: float
    before: dict[str, int]
    resumed: bool = False
    cut_off: Mapping[int, str] = field(default_factory=dict)
    """Earlier passes that nobody goes on with, and their kinds."""
    octets_before: int = 0
    """What the passes before this one carried."""
    carried: int = 0
    octets: int = 0
    targets: dict[FolderPath, FolderPath] = field(default_factory=dict)
    opened: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    left: list[Settled] = field(default_factory=list)
    wait: Waiting | None = None
    finished: Finished | None = None

    @property
    def back(self) -> bool:
        """Whether it goes from the new side to the old one. What is told of it says source and
        target as a mailbox's row does; only the engine calls them the other way round."""
        return self.kind is Kind.RETURN

    def take(self, event: Event) -> None:
        if self.back and isinstance(event, Waiting):
            event = replace(event, side=OTHER[event.side])
        match event:
            case Opened():
                self.opened += 1
            case Mapped():
                self.targets = {link.source: link.target for link in event.links}
            case Carried():
                self.carried += event.messages
                self.octets += event.octets
            case Settled(fate=fate) if fate in LEFT:
                self.left.append(event)
            case Waiting():
                what = "asked for it" if event.throttled else "was tried again"
                self.waits[f"{event.side} {what}"] += round(event.seconds)
                if event.seconds > LONG_WAIT:
                    self.wait = event
            case Finished():
                self.finished = event
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice that has ended. `row` is the mailbox as it stands with what the slice itself changed
    in it; `values` are the columns of the mailbox to be written with its next state, `write` makes
    the other rows."""

    ending: Ending
    row: MailboxRow
    course: Course
    values: Mapping[str, Any]
    fates: Mapping[FolderPath, Mapping[Fate, int]]
    lost: tuple[tuple[FolderPath, str, Fate, str], ...]
    fruitless: bool = False
    """It had as much time as a slice gets, and no message was decided about."""

    @property
    def unfinished(self) -> tuple[str, ...]:
        """What the pass could not finish, as sentences."""
        told = () if self.course.finished is None else self.course.finished.unfinished
        return tuple(f"{BACKWARDS}: {each}" for each in told) if self.course.back else told

    @property
    def empty(self) -> bool:
        """The pass has ended, and has carried nothing."""
        done = self.course.finished
        if done is None:
            return False
        return not (self.course.before["carried"] + done.tally.carried + done.tally.flagged)
