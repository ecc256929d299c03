"""The durable-workflow engine, as far as journeys need one: a queue that keeps what it was given.

Two implementations pass one suite: `dbos_engine` for real, and the lab's, whose clock can be wound.
The engine may forget everything (its database deleted) or run something twice: rows decide what is
to be done, runs are idempotent, and the worker's reconciler enqueues what has no run.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from mailhaul.journey.states import Phase


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one phase of one mailbox, or of one domain, or of one canary, whose number then is
    the `generation`, or of one account's move, whose number stands as the `domain`: of these
    `mailbox` is 0, which none has. Equal runs are the same run, however often enqueued."""

    mailbox: int
    generation: int
    step: int
    phase: Phase
    partition: str
    """Runs of one partition share a limit of how many go on at the same time."""
    domain: int = 0

    @property
    def id(self) -> str:
        number = f"{self.mailbox}:{self.generation}:{self.phase}:{self.step}"
        return f"{number}:{self.domain}" if self.domain else number


@dataclass(frozen=True, slots=True)
class Next:
    """What a run leads to: another one, `delay` seconds of the installation's clock later."""

    run: Run
    delay: float = 0.0


Perform = Callable[[Run], Awaitable[Next | None]]


class Engine(Protocol):
    """Runs what was enqueued, once it is due, on some worker; again if that worker died."""

    async def launch(self, perform: Perform) -> None:
        """Begins to work: what was enqueued before, and what a dead process of this worker's name
        had begun, is performed. What `perform` returns is enqueued durably before the run counts
        as done."""

    async def enqueue(self, following: Next) -> None:
        """Keeps the run until it has been performed. One that is kept already, or that has been
        performed, is left as it is."""

    async def live(self, mailboxes: set[int] | None = None) -> set[str]:
        """The ids of runs that wait or are under way anywhere."""

    async def cancel(self, mailbox: int) -> None:
        """Takes back what waits for that mailbox and stops what is under way here."""

    async def orphans(self) -> dict[str, int]:
        """Names of other workers, and how many runs each has under way. Whoever of them is dead
        has to be found out elsewhere."""

    async def adopt(self, worker: str) -> int:
        """What the dead worker of that name had begun is performed again, by whoever is free; how
        many runs that is."""

    async def reclaim(self) -> int:
        """What stands under our own name and we are not at is performed again, once it was found so
        twice; how many runs that is. Somebody may have borne our name while we were away, and died
        since. To be asked again after some seconds."""

    async def limit(self, partition: str, most: int) -> None:
        """So many runs of the partition may go on at the same time, over all workers."""

    async def forget(self) -> int:
        """Deletes the records of runs that have ended; how many. History stays small."""

    async def stop(self, grace: float) -> None:
        """Begins nothing more, gives what is under way `grace` seconds, and ends. What was cut off
        is performed again at the next launch."""
