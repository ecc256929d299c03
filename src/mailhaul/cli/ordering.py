"""What commands that give an order have in common: they carry it out in one transaction, and say
for whom it was and for whom not."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.installation import (
    CHOSEN,
    PLAN,
    WHERE,
    installation,
    login_name,
    plan_meant,
    selection,
)
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.sides import DEBUG, JSON
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailhaul.journey.orders import Left, Result, Selection
    from mailhaul.journey.plans import PlanRow

OUTPUT = Group("output", (JSON, DEBUG))
EXITS = (Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE)
SHOWN = 5
"""So many mailboxes are named for one reason."""

Act = Callable[["Connection", "PlanRow", "Selection", float, str], "Result"]
"""Carries an order out: for whom, at what moment, by whom."""


def carry_out(arguments: Arguments, surroundings: Surroundings, act: Act, done: str) -> Exit:
    """Carries the order out and tells; `done` is the participle, as “paused”. Raises `BadInput`."""
    chosen = selection(arguments)
    with installation(arguments, surroundings) as home, home.database.begin() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
        result = act(connection, plan, chosen, home.clock.now(), login_name(surroundings.environ))
    tell(arguments, surroundings, plan.name, result, done)
    return exit_code(result, chosen)


def tell(
    arguments: Arguments, surroundings: Surroundings, plan: str, result: "Result", done: str
) -> None:
    """Says what came of an order."""
    if arguments.given("--json"):
        surroundings.console.json(result_line(arguments.command, plan, result))
    else:
        surroundings.console.show(told(result, done))


def exit_code(result: "Result", chosen: "Selection") -> Exit:
    """Incomplete when nothing could be done, or not for everybody who was named."""
    if result.left and not (chosen.all and result.done):
        return Exit.INCOMPLETE
    return Exit.COMPLETE


def told(result: "Result", done: str) -> list[Block]:
    """What is shown to a person."""
    tone = Tone.GOOD if result.done else Tone.PLAIN
    mailboxes = plural(len(result.done), "mailbox", "mailboxes") if result.done else "nothing"
    blocks: list[Block] = [Line(f"{done}: {mailboxes}{_names(result.done)}", tone)]
    reasons: dict[str, list[Left]] = {}
    for left in result.left:
        reasons.setdefault(left.why, []).append(left)
    for why, those in reasons.items():
        names = _names([left.address for left in those], len(those))
        count = plural(len(those), "mailbox", "mailboxes")
        blocks.append(Line(f"left as it was: {count}{names}: {why}", Tone.WARNING))
    blocks += [Line(remark) for remark in result.remarks]
    return blocks


def result_line(order: str, plan: str, result: "Result") -> dict[str, Json]:
    """The same for `--json`."""
    return {
        "event": "ordered",
        "order": order,
        "plan": plan,
        "done": list(result.done),
        "left": [{"mailbox": left.address, "why": left.why} for left in result.left],
        "remarks": list(result.remarks),
    }


def order(
    name: str,
    summary: str,
    story: str,
    run: Callable[[Arguments, Surroundings], Exit],
    groups: tuple[Group, ...] = (),
    examples: tuple[str, ...] = (),
) -> Command:
    """A command that gives an order to the mailboxes of a plan."""
    return Command(
        name=name,
        summary=summary,
        story=story,
        operands=(PLAN,),
        groups=(CHOSEN, *groups, WHERE, OUTPUT),
        run=run,
        examples=examples,
        exits=EXITS,
    )


def _names(addresses: Sequence[str], count: int | None = None) -> str:
    """` (a, b)`, when they are few."""
    if not addresses or (count or len(addresses)) > SHOWN:
        return ""
    return f" ({', '.join(addresses)})"
