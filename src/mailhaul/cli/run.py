"""`mailhaul run`: loads and starts a plan, and works on it in this process."""

import shlex
from itertools import islice
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import CHOSEN, PLAN, WHERE, Installation, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.sides import DEBUG, JSON, QUIET
from mailhaul.cli.start import BEGINNING, start
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailhaul.journey.plans import PlanRow

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

PAGE = 200
_UNTOLD = frozenset({"swept", "touched_up", "sliced"})
"""What comes by the hour is in the log, and not told here unless something came of it."""


def run(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Works until the plan is completed or only people are waited for. Raises `BadInput` with every
    mistake of a plan that is wrong, `Busy` when somebody works there already, and `Interrupted`."""
    from mailhaul.cli.working import work_here
    from mailhaul.journey.going import goes_on

    # Whoever had begun before goes on.
    start(arguments, surroundings)
    with installation(arguments, surroundings) as home:
        with home.database.read() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
        teller = _Teller(arguments, surroundings, home, plan)
        work_here(
            arguments,
            surroundings,
            home,
            farewell=f"stopped; everything is kept; go on with: {_again(arguments)}",
            over=lambda connection: not goes_on(connection, plan.id, home.clock.now()),
            beside=teller.tell,
        )
        with home.database.read() as connection:
            return _ended(connection, arguments, surroundings, home, plan.id)


def _again(arguments: Arguments) -> str:
    return printable(shlex.join(("mailhaul", *arguments.line)), 2000)


class _Teller:
    """Tells what is written to the plan's log while it runs."""

    def __init__(
        self,
        arguments: Arguments,
        surroundings: Surroundings,
        home: Installation,
        plan: "PlanRow",
    ) -> None:
        from mailhaul.journey import events

        self._arguments = arguments
        self._console = surroundings.console
        self._home = home
        self._plan = plan
        self._addresses: dict[int, str] = {}
        with home.database.read() as connection:
            self._after = events.head(connection, plan.id).number

    def tell(self) -> None:
        from mailhaul.cli.log import record_line, record_text
        from mailhaul.journey import events
        from mailhaul.journey.orders import EVERYTHING, chosen

        while True:
            with self._home.database.read() as connection:
                page = list(islice(events.log(connection, self._plan.id, self._after), PAGE))
                if any((each.record.mailbox or 0) not in self._addresses for each in page):
                    rows = chosen(connection, self._plan, EVERYTHING)
                    self._addresses = {0: "", **{row.id: row.address for row in rows}}
            if not page:
                return
            self._after = page[-1].number
            for logged in page:
                what = logged.record
                address = self._addresses.get(what.mailbox or 0, "")
                if self._arguments.given("--json"):
                    self._console.json(record_line(logged, address))
                elif not self._arguments.given("--quiet") and (
                    what.action not in _UNTOLD or what.why or what.figures.get("carried")
                ):
                    zone = self._plan.plan.zone
                    self._console.show([Line(record_text(logged, address, zone))])


def _ended(
    connection: "Connection",
    arguments: Arguments,
    surroundings: Surroundings,
    home: Installation,
    number: int,
) -> Exit:
    from mailhaul.cli.status_report import status_line
    from mailhaul.journey.plans import PlanState, plan_row
    from mailhaul.journey.states import State
    from mailhaul.journey.status import status

    plan = plan_row(connection, number)
    found = status(connection, plan, home.clock.now())
    if arguments.given("--json"):
        surroundings.console.json(status_line(found))
    elif plan.state is PlanState.COMPLETED:
        surroundings.console.show([Line(f"plan {plan.name} is complete", Tone.GOOD)])
    else:
        blocks: list[Block] = [Line(f"plan {plan.name} waits for people:", Tone.HEADING)]
        for wait in found.waits:
            cure = f": {wait.cure}" if wait.cure else ""
            who = f" ({', '.join(wait.examples)})" if wait.examples else ""
            count = f"{wait.mailboxes} × " if wait.mailboxes else ""
            blocks.append(Line(f"  {count}{wait.what}{who}{cure}", Tone.WARNING))
        surroundings.console.show(blocks)
    if plan.state is PlanState.COMPLETED:
        return Exit.COMPLETE
    waiting = found.states.get(State.WAITING, 0)
    others = sum(found.states.get(each, 0) for each in (State.FAILED, State.BLOCKED))
    return Exit.CREDENTIALS if waiting and not others else Exit.INCOMPLETE


COMMAND = Command(
    name="run",
    summary="load a plan, start it and work on it here, until only people are waited for",
    story=(
        "Does what `mailhaul start` does and is the plan's worker in this process: checks, copies, "
        "carries what is new until the switch, sweeps after it, verifies. Ends when the plan is "
        "complete, or when nothing goes on without a person: then it says who or what is waited "
        "for. Run again it goes on from where it stood, whatever stopped it."
    ),
    operands=(PLAN,),
    groups=(CHOSEN, BEGINNING, WHERE, Group("output", (JSON, QUIET, DEBUG))),
    run=run,
    examples=("mailhaul run plan.toml", "mailhaul run plan.toml --wave Pilot"),
    exits=(
        Exit.COMPLETE,
        Exit.USAGE,
        Exit.INCOMPLETE,
        Exit.CREDENTIALS,
        Exit.INTERRUPTED,
    ),
)
