"""How a rehearsal goes on: orders are given, troubles are told as they come, gates are opened, and
in the end everything is counted."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from mailhaul.core.errors import MailhaulError
from mailhaul.journey.states import State
from mailhaul.lab.oracle import Count, counted, report_faults
from mailhaul.lab.people import People, Where
from mailhaul.lab.screen import Screen
from mailhaul.lab.stage import Seen, Stage

LOOK = 0.12
SHOWN = 12

TROUBLES = {
    "throttle": "The new system asks to leave {name}'s mailbox alone for 15 minutes. So be it.",
    "cut": "{name}'s line is cut while the new system stores a message: has it got it, or not? "
    "mailhaul looks before it sends again.",
    "full": "{name}'s new mailbox is full. That is for a person; no other mailbox stops.",
    "poison": "The new system refuses one message of {name}'s for good. It is kept on a list.",
    "waiting": "{name}'s old password is refused: the mailbox waits for another, and asks nobody.",
}
"""What is told when a server says that it has made that trouble, or a mailbox is in that state."""
BACKOFF = 900
"""Seconds of the throttle."""

SWITCHED = frozenset({State.SWEEPING, State.VERIFYING, State.VERIFIED})


class Wrong(MailhaulError):
    """Something is not as it has to be; the text says what."""


@dataclass(slots=True)
class Director:
    """See the module. `patience` is how many seconds are waited for anything."""

    stage: Stage
    screen: Screen
    plan: str
    people: People
    patience: float = 150.0
    _met: set[tuple[str, str]] = field(default_factory=set)

    def order(
        self, *words: str, shown: bool = False, lines: int | None = None, code: int = 0
    ) -> None:
        """Runs `mailhaul WORDS`. Raises `Wrong` when it ends with another code."""
        ran = self.screen.run(words, shown=shown, lines=lines)
        if ran.code != code:
            raise Wrong(f"mailhaul {words[0]} ended with exit code {ran.code}, and not {code}")

    def until(self, what: str, over: Callable[[Sequence[Seen]], bool]) -> Sequence[Seen]:
        """Waits, and tells what happens meanwhile. Raises `Wrong` when it takes too long."""
        deadline = time.monotonic() + self.patience
        while True:
            rows = self.stage.look(self.plan)
            self._tell_troubles(rows)
            self.screen.refresh(rows)
            if over(rows):
                return rows
            self.stage.check_worker()
            if time.monotonic() > deadline:
                stand = "; ".join(f"{row.user} {row.state} {row.reason}" for row in rows[:SHOWN])
                raise Wrong(f"waited {self.patience:.0f} s for {what}: {stand}")
            time.sleep(LOOK)

    def switch(self, addresses: Collection[str], wave: str, who: str, *, sync: bool) -> None:
        """These leave the old system and are sent to the new one; with `sync` what they did last is
        carried before, deletions included."""
        self.people.move(addresses, Where.GONE_HOME)
        called = f"Wave “{wave}”" if wave else "Everybody"
        option = ("--wave", wave) if wave else ()
        if sync:
            self.screen.tell(f"{called} leaves the old system; one last pass, then go or no-go.")
            before = {row.address: row.passes for row in self.stage.look(self.plan)}
            self.order("sync", self.plan, *option)

            def synced(rows: Sequence[Seen]) -> bool:
                here = [row for row in rows if row.address in addresses]
                fresh = all(row.passes > before[row.address] for row in here)
                return (
                    fresh
                    and all(row.state is State.SYNCED for row in here)
                    and not self.stage.under_way(addresses)
                )

            self.until("the last pass before the switch", synced)
        self.order("approve", self.plan, "--gate", "go", *option, "--as", who, "--yes")
        self.until(
            "the final pass",
            lambda rows: all(row.state in SWITCHED for row in rows if row.address in addresses),
        )
        self.people.move(addresses, Where.NEW)
        self.screen.tell(f"{called} works at the new system. Sweeps begin.", "good")

    def report(self, directory: str) -> None:
        """The log's proof, how the plan stands, its report, and whether that is true."""
        self.order("log", self.plan, "--proof", lines=1)
        self.order("status", self.plan, shown=True)
        self.order("report", self.plan, "--out", directory, shown=True)
        self.order("report", "verify", directory, shown=True)

    def judge(self, *directories: str) -> list[str]:
        """Counts everything; what is not where it should be, or not so in these reports, in
        words."""
        counts = [counted(each) for each in self.people.people.values()]
        screen = self.screen
        screen.say("Is it true? Counted by other code, from what people did and nothing else:")
        screen.line(f"  {'mailbox':<20}{'old':>8}{'refused':>9}{'new':>8}{'should be':>11}")
        for each in sorted(counts, key=lambda count: not count.wrong)[:SHOWN]:
            user = each.address.partition("@")[0][:19]
            screen.line(_line(user, each, "as it should be" if not each.wrong else "WRONG"))
        if len(counts) > SHOWN:
            screen.line(f"  and {len(counts) - SHOWN} more")
        screen.line(_line("together", _together(counts), ""))
        wrong = [f"{each.address}: {what}" for each in counts for what in each.wrong]
        reports = [self.stage.directory / each for each in directories]
        return wrong + report_faults(reports, counts)

    def _tell_troubles(self, rows: Sequence[Seen]) -> None:
        seen = [*self.stage.new.seen()]
        seen += [(row.address, row.state.value) for row in rows]
        for address, kind in seen:
            if (address, kind) in self._met or kind not in TROUBLES:
                continue
            self._met.add((address, kind))
            name = address.partition("@")[0].title()
            self.screen.tell(TROUBLES[kind].format(name=name), "trouble")


def _line(name: str, count: Count, verdict: str) -> str:
    figures = f"{count.old:>8,}{count.refused:>9,}{count.new:>8,}{count.expected:>11,}"
    return f"  {name:<20}{figures}  {verdict}".rstrip()


def _together(counts: Sequence[Count]) -> Count:
    def total(name: str) -> int:
        return sum(getattr(each, name) for each in counts)

    return Count("", total("old"), total("new"), total("expected"), total("refused"), ())
