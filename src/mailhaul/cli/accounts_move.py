"""`mailhaul accounts move`: accounts moved at their providers, in three steps: where to, what to
know, and the check with the passwords."""

from typing import TYPE_CHECKING

from mailhaul.cli.accounts_ordering import AS
from mailhaul.cli.approve import YES
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import CHOSEN, PLAN, WHERE, installation, plan_meant, selection
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.cli.wizard import Desk

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def move(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Goes through the steps. Raises `BadInput`, and `Shut` when something is lacking."""
    from mailhaul.cli.wizard import Desk, go_through

    if arguments.given("--go") and not arguments.text("--as"):
        raise BadInput("accounts are moved by a person's word; say who with --as NAME")
    with installation(arguments, surroundings) as home:
        with home.database.read() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
        desk = Desk(arguments, surroundings, home, plan)
        if arguments.text("--placeholder") is not None:
            return _choose(arguments, desk)
        return go_through(desk, selection(arguments))


def _choose(arguments: Arguments, desk: "Desk") -> Exit:
    """That placeholder for the only mailbox named; a worker then looks whether it is fit."""
    from mailhaul.cli.answering import tell_nobody_works
    from mailhaul.cli.moves_report import move_line
    from mailhaul.journey.account_orders import choose

    named = arguments.texts("--mailbox")
    if len(named) != 1 or arguments.texts("--wave"):
        raise BadInput("a placeholder is for one account; name it with --mailbox")
    if arguments.given("--go"):
        raise BadInput("choose first, look at what the check says of it, then give --go")
    placeholder = arguments.text("--placeholder") or ""
    with desk.home.database.begin() as connection:
        row = choose(connection, desk.plan, named[0], placeholder, at=desk.home.clock.now())
    console = desk.surroundings.console
    if arguments.given("--json"):
        console.json(move_line(desk.plan.name, row))
    else:
        console.tell(f"{row.address} takes the place of {printable(row.placeholder, 200)}")
        tell_nobody_works(desk.home, desk.surroundings)
    return Exit.COMPLETE


COMMAND = Command(
    name="accounts move",
    summary="move a plan's accounts at their providers, in three steps; --go does it",
    story=(
        "Goes through three steps for the accounts that wait: where each goes and how many "
        "unconfigured accounts remain; what to know before, while and after, with the point of no "
        "return; and a check at this moment, with the passwords that the move needs. Changes "
        "nothing unless told."
        "\n\n"
        "With --go, opens the gate accounts: your yes is kept with your name, the time and the "
        "text, and a worker moves them, from the time on that the plan names (`begin`). On a "
        "terminal you pick the accounts, and are asked for the yes and for passwords that are "
        "nowhere yet. A wrong password, an obstacle, a missing right: nothing is begun. `mailhaul "
        "accounts status` shows how far it is, `mailhaul accounts undo` takes it back."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what",
            (
                Option("--go", "move them"),
                AS,
                YES,
                Option(
                    "--placeholder",
                    "only choose which unconfigured account the one --mailbox becomes",
                    "ADDRESS",
                ),
            ),
        ),
        CHOSEN,
        WHERE,
        OUTPUT,
    ),
    run=move,
    examples=(
        "mailhaul accounts move acme",
        'mailhaul accounts move acme --go --as "Olga Weiss"',
        'mailhaul accounts move acme --mailbox anna@acme.example --go --as "Olga Weiss" --yes',
    ),
    exits=(
        *(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.CREDENTIALS),
        *(Exit.UNREACHABLE, Exit.INTERRUPTED),
    ),
)
