"""The three steps by which accounts are moved: destination, information, check."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mailhaul.cli.answering import ROUNDS, tell_nobody_works
from mailhaul.cli.approve import opened_line
from mailhaul.cli.blocks import Block, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import Installation, login_name
from mailhaul.cli.options import Arguments
from mailhaul.cli.picking import picked
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.wizard_check import ask_for, checked, places_left
from mailhaul.cli.wizard_report import check_blocks, check_lines, destination_blocks, move_end
from mailhaul.core.errors import BadInput
from mailhaul.core.text import plural, printable
from mailhaul.journey.account_orders import chosen_moves, look_again
from mailhaul.journey.account_rows import MoveRow, moves, moves_accounts
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.gates import Opened, Shut, TextChanged, check_name, open_gate
from mailhaul.journey.orders import Selection
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.questions import Gate, Question, ask
from mailhaul.journey.status import workers

SHOWN = 20
PATIENCE = 60.0
"""Seconds that a worker's look is waited for; it goes on without."""
LOOK_EVERY = 0.3


@dataclass(frozen=True, slots=True)
class Desk:
    """What is at hand."""

    arguments: Arguments
    surroundings: Surroundings
    home: Installation
    plan: PlanRow

    @property
    def go(self) -> bool:
        return self.arguments.given("--go")

    @property
    def who(self) -> str:
        return self.arguments.text("--as") or ""

    @property
    def as_json(self) -> bool:
        return self.arguments.given("--json")

    @property
    def asks(self) -> bool:
        """Whether somebody sits there and is asked."""
        alone = self.arguments.given("--yes") or self.as_json
        return self.go and not alone and sys.stdin.isatty()

    def show(self, *blocks: Block) -> None:
        """On standard output; beside JSON on standard error, as far as it is text."""
        if self.as_json:
            for each in blocks:
                if isinstance(each, Line):
                    self.surroundings.console.tell(each.text, each.tone)
        else:
            self.surroundings.console.show(blocks)


def go_through(desk: Desk, chosen: Selection) -> Exit:
    """All three steps for the accounts that wait. Raises `BadInput` where none does, and `Shut`
    when something is lacking."""
    if desk.go:
        check_name(desk.plan.plan, Gate.ACCOUNTS, desk.who)
    going = _destination(desk, _waiting(desk, chosen), choosing=chosen.all)
    going = _looked_again(desk, going)
    question = _information(desk, going)
    if question is None:
        return _left(desk, going, "not agreed; nothing is moved")
    found = checked(desk.surroundings, desk.home, desk.plan, going)
    desk.show(Line("step 3 of 3: check", Tone.HEADING), *check_blocks(found))
    if desk.as_json:
        for line in check_lines(found):
            desk.surroundings.console.json(line)
    if any(each.blocked for each in found):
        return _left(desk, going, "nothing is moved", sum(each.blocked for each in found))
    if not desk.go:
        desk.show(Line('nothing was begun; --go --as "YOUR NAME" moves them', Tone.FAINT))
        return _ended(desk, going, Exit.COMPLETE)
    return _begin(desk, going, question)


def _waiting(desk: Desk, chosen: Selection) -> list[MoveRow]:
    with desk.home.database.read() as connection:
        pairs = chosen_moves(connection, desk.plan, chosen)
    rows = [row for _, row in pairs if row is not None and row.state is MoveState.WAITING]
    if rows:
        return rows
    name = printable(desk.plan.name, 80)
    if not moves_accounts(desk.plan.plan):
        raise BadInput(
            f"plan {name} moves no accounts; write [accounts] into it and give it to mailhaul "
            "start again (docs/accounts.md)"
        )
    raise BadInput(f"no account of these waits to be moved; mailhaul accounts status {name}")


def _destination(desk: Desk, rows: Sequence[MoveRow], *, choosing: bool) -> list[MoveRow]:
    """Step 1: where each goes; on a terminal a person picks whose turn it is."""
    left = places_left(desk.surroundings, desk.home, desk.plan)
    numbered = choosing and desk.asks and len(rows) > 1
    desk.show(
        Line("step 1 of 3: destination", Tone.HEADING),
        *destination_blocks(rows, left, numbered=numbered),
    )
    if not numbered:
        return list(rows)
    for _ in range(ROUNDS):
        answer = desk.surroundings.console.ask("which, as 1,3-5", "all")
        try:
            return [rows[place] for place in picked(answer, len(rows))]
        except BadInput as error:
            desk.surroundings.console.tell(str(error), Tone.WARNING)
    raise BadInput("no account was picked; name them with --mailbox")


def _looked_again(desk: Desk, going: Sequence[MoveRow]) -> list[MoveRow]:
    """The rows after another look of a worker at those in whose way something was: that may have
    been mended since, as a password that was nowhere."""
    if desk.asks:
        ask_for(desk.surroundings, desk.home, going)
    behind = {row.id for row in going if not row.ready}
    at = desk.home.clock.now()
    with desk.home.database.begin() as connection:
        if not behind or not workers(connection):
            return list(going)
        addresses = tuple(row.address for row in going if row.id in behind)
        look_again(connection, desk.plan, Selection(addresses), at=at)
    desk.surroundings.console.tell(f"a worker looks again at {plural(len(behind), 'account')}")
    until = time.monotonic() + PATIENCE
    while True:
        with desk.home.database.read() as connection:
            rows = {row.id: row for row in moves(connection, desk.plan.id)}
        now = [rows[row.id] for row in going if row.id in rows]
        looked = all((row.looked_at or 0.0) >= at for row in now if row.id in behind)
        if looked or time.monotonic() > until:
            return now
        time.sleep(LOOK_EVERY)


def _information(desk: Desk, going: Sequence[MoveRow]) -> Question | None:
    """Step 2: what a person agrees to; None when the answer is no. Raises `Shut`."""
    question = _asked(desk, going)
    desk.show(
        Line("step 2 of 3: information", Tone.HEADING),
        *(Line(f"  {text}".rstrip()) for text in question.text.split("\n")),
        Line(),
    )
    if question.lacking:
        _lacks(desk, question.lacking)
    if desk.asks and not _agreed(desk):
        return None
    return question


def _asked(desk: Desk, going: Sequence[MoveRow]) -> Question:
    meant = {row.id for row in going}
    with desk.home.database.read() as connection:
        without = _without(moves(connection, desk.plan.id), meant)
        return ask(connection, desk.plan, Gate.ACCOUNTS, "", without, at=desk.home.clock.now())


def _without(rows: Sequence[MoveRow], meant: set[int]) -> tuple[str, ...]:
    """Whoever waits too and isn't meant now."""
    return tuple(
        row.address for row in rows if row.state is MoveState.WAITING and row.id not in meant
    )


def _lacks(desk: Desk, lacking: Sequence[str]) -> None:
    console = desk.surroundings.console
    for each in lacking[:SHOWN]:
        console.tell(each, Tone.WARNING)
    if len(lacking) > SHOWN:
        console.tell(f"and {len(lacking) - SHOWN} more", Tone.WARNING)
    if not desk.as_json:
        tell_nobody_works(desk.home, desk.surroundings)
    raise Shut("nothing is moved: see above what is lacking", lacking)


def _begin(desk: Desk, going: Sequence[MoveRow], question: Question) -> Exit:
    """The gate is opened with the text that was agreed to."""
    opened: Opened | None = None
    for _ in range(ROUNDS):
        meant = {row.id for row in going}
        try:
            with desk.home.database.begin() as connection:
                opened = open_gate(
                    connection,
                    desk.plan,
                    question,
                    who=desk.who,
                    login=login_name(desk.surroundings.environ),
                    without=_without(moves(connection, desk.plan.id), meant),
                    at=desk.home.clock.now(),
                )
            break
        except TextChanged as changed:
            desk.surroundings.console.tell(str(changed), Tone.WARNING)
            question = changed.question
            desk.show(*(Line(f"  {text}".rstrip()) for text in question.text.split("\n")))
            if desk.asks and not _agreed(desk):
                return _left(desk, going, "not agreed; nothing is moved")
    if opened is None:
        raise BadInput("the figures keep changing; pause the plan, or use --yes")
    if desk.as_json:
        desk.surroundings.console.json(opened_line(desk.plan.name, opened))
    else:
        text = f"agreed by {opened.by}; a worker moves them, `mailhaul accounts status` shows it"
        desk.show(Line(text, Tone.GOOD))
        tell_nobody_works(desk.home, desk.surroundings)
    return _ended(desk, going, Exit.COMPLETE)


def _agreed(desk: Desk) -> bool:
    return desk.surroundings.console.ask("type yes to agree").casefold() == "yes"


def _left(desk: Desk, going: Sequence[MoveRow], why: str, blocked: int = 0) -> Exit:
    desk.surroundings.console.error(why)
    return _ended(desk, going, Exit.INCOMPLETE, blocked)


def _ended(desk: Desk, going: Sequence[MoveRow], code: Exit, blocked: int = 0) -> Exit:
    if desk.as_json:
        begun = desk.go and code is Exit.COMPLETE
        line = move_end(desk.plan.name, len(going), blocked, begun=begun, code=code)
        desk.surroundings.console.json(line)
    return code
