"""`mailhaul accounts inventory`: what stands beside the accounts, and what becomes of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import WHERE, installation
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.provider_desk import EXITS, OUTPUT, close, opened, sections_meant
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop
    from mailhaul.journey.account_rows import MoveRow
    from mailhaul.journey.account_steps import StepRow
    from mailhaul.journey.inventory import Entry
    from mailhaul.plan.model import Plan

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


def inventory(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows it. Raises `BadInput`."""
    from mailhaul.cli.stopping import run
    from mailhaul.plan.load import load_plan

    path = plan_file(arguments)
    plan = load_plan(path)
    moves = _moves(arguments, surroundings, plan.name)

    async def work(stop: "Stop") -> Exit:
        found = await _found(surroundings, plan, path.parent, moves)
        return _tell(arguments, surroundings, plan, found)

    return run(work, surroundings.console, "interrupted; nothing was changed")


async def _found(
    surroundings: Surroundings,
    plan: "Plan",
    directory: Path,
    moves: "Sequence[tuple[MoveRow, Sequence[StepRow]]]",
) -> "list[Entry]":
    from mailhaul.journey.inventory import inventory as listed

    source = opened(surroundings, sections_meant(plan, "source")["source"], directory)
    try:
        extras = await source.extras()
    finally:
        await close(source)
    service = None
    if plan.target.provider is not None:
        target = opened(surroundings, plan.target.provider, directory)
        try:
            service = await target.service()
        finally:
            await close(target)
    return list(listed(plan, extras, service, moves))


def _moves(
    arguments: Arguments, surroundings: Surroundings, name: str
) -> "list[tuple[MoveRow, Sequence[StepRow]]]":
    """The moves of the plan's accounts, where it has been started here."""
    from mailhaul.journey.account_rows import moves
    from mailhaul.journey.account_steps import steps_of
    from mailhaul.journey.plans import all_plans

    try:
        with installation(arguments, surroundings) as home, home.database.read() as connection:
            return [
                (row, steps_of(connection, row))
                for plan in all_plans(connection)
                if plan.name == name
                for row in moves(connection, plan.id)
            ]
    except BadInput:
        return []


def _tell(
    arguments: Arguments, surroundings: Surroundings, plan: "Plan", found: "Sequence[Entry]"
) -> Exit:
    from mailhaul.cli.inventory_report import (
        inventory_blocks,
        inventory_csv,
        inventory_end,
        inventory_line,
    )

    console, file = surroundings.console, arguments.text("--csv")
    if file is not None:
        path = Path(file).expanduser()
        path.write_text(inventory_csv(found), encoding="utf-8-sig", newline="")
        console.tell(f"written: {printable(str(path), 300)}")
    if arguments.given("--json"):
        for each in found:
            console.json(inventory_line(each))
        console.json(inventory_end(plan.name, found))
    else:
        console.show(inventory_blocks(found))
    return Exit.COMPLETE


COMMAND = Command(
    name="accounts inventory",
    summary="list what stands beside a plan's accounts, and what becomes of each",
    story=(
        "Asks the source's provider for aliases, redirections, auto-replies, filters, delegations, "
        "groups, external contacts and footers of the plan's mailboxes and domains, and says of "
        "each whether it is carried with its account, made at the target on order, or left to a "
        "person; also what moves have taken away and not put up again. --csv writes the list for "
        "whoever does that. Changes nothing."
    ),
    operands=(PLAN,),
    groups=(
        WHERE,
        Group("output", (Option("--csv", "also write it as a table", "FILE"), *OUTPUT.options)),
    ),
    run=inventory,
    examples=("mailhaul accounts inventory", "mailhaul accounts inventory --csv by-hand.csv"),
    exits=EXITS,
)
