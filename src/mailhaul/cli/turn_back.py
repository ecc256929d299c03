"""`mailhaul return`: mailboxes whose mail has been switched go back to the old system."""

from typing import TYPE_CHECKING

from mailhaul.cli.answering import tell_nobody_works
from mailhaul.cli.approve import AS
from mailhaul.cli.blocks import Block, Line
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import (
    CHOSEN,
    PLAN,
    WHERE,
    installation,
    login_name,
    plan_meant,
    selection,
)
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import EXITS, OUTPUT, exit_code, result_line, told
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from mailhaul.journey.orders import Result

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def turn_back(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Gives the order, or with --dry-run says what it would do. Raises `BadInput`."""
    from mailhaul.journey import turning_back

    who, dry = arguments.text("--as"), arguments.given("--dry-run")
    if not who:
        raise BadInput("a person turns mail back; say who with --as NAME")
    chosen = selection(arguments)
    with installation(arguments, surroundings) as home:
        opened = home.database.read() if dry else home.database.begin()
        with opened as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
            result = turning_back.turn_back(
                connection,
                plan,
                chosen,
                who=who,
                login=login_name(surroundings.environ),
                at=home.clock.now(),
                dry=dry,
            )
        if arguments.given("--json"):
            surroundings.console.json({**result_line("return", plan.name, result), "dry_run": dry})
        else:
            surroundings.console.show(_would(result) if dry else told(result, "on its way back"))
            if result.done and not dry:
                tell_nobody_works(home, surroundings)
    return exit_code(result, chosen)


def _would(result: "Result") -> list[Block]:
    last = Line("this was a dry run: nothing was written; leave --dry-run out to do it")
    return [*told(result, "would go back"), last]


COMMAND = Command(
    name="return",
    summary="turn mail back to the old system, with what arrived on the new one meanwhile",
    story=(
        "The way back, until a mailbox is completed. The old records are brought back (with [dns] "
        "by the worker, or shown to whoever holds the zone; without it they are yours to change), "
        "and what arrived on the new side since the switch is carried to the old one by passes "
        "with a ledger of their own, over and over until nothing can come there any more. Nothing "
        "is removed on either side. Then the mailboxes are synced again and wait for a go of their "
        "own. Whoever may open the gate go may say so."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "who",
            (AS, Option("--dry-run", "only say what would be done, and for whom it can't be")),
        ),
        CHOSEN,
        WHERE,
        OUTPUT,
    ),
    run=turn_back,
    examples=(
        'mailhaul return acme --as "Olga Weiss" --dry-run',
        'mailhaul return acme --wave north --as "Olga Weiss"',
    ),
    exits=EXITS,
)
