"""`mailhaul accounts status`: how the moves of a plan's accounts stand, step by step."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import CHOSEN, PLAN, WHERE, installation, plan_meant, selection
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def status(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows it. Raises `BadInput`."""
    from mailhaul.cli.moves_report import move_line, status_blocks, status_end, step_line
    from mailhaul.journey.account_orders import chosen_moves
    from mailhaul.journey.account_rows import moves_accounts
    from mailhaul.journey.account_states import MoveState
    from mailhaul.journey.account_steps import steps_of

    with installation(arguments, surroundings) as home, home.database.read() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
        pairs = chosen_moves(connection, plan, selection(arguments))
        rows = [row for _, row in pairs if row is not None]
        if not rows and not moves_accounts(plan.plan):
            raise BadInput(
                f"plan {printable(plan.name, 80)} moves no accounts; write [accounts] into it and "
                "give it to mailhaul start again (docs/accounts.md)"
            )
        steps = {row.id: steps_of(connection, row) for row in rows}
    console = surroundings.console
    whole = arguments.given("--steps") or len(rows) == 1
    if arguments.given("--json"):
        for row in rows:
            console.json(move_line(plan.name, row))
            if whole:
                for step in steps[row.id]:
                    console.json(step_line(row.address, step))
        console.json(status_end(plan.name, rows))
    else:
        console.show(status_blocks(plan, rows, steps, whole=whole))
    failed = any(row.state is MoveState.FAILED for row in rows)
    return Exit.INCOMPLETE if failed else Exit.COMPLETE


COMMAND = Command(
    name="accounts status",
    summary="show how the moves of a plan's accounts stand, step by step",
    story=(
        "Shows of each account of the plan that is moved at its providers how far it is: which "
        "path, which step, what the provider said last, who agreed to it and when, what it waits "
        "for. Of those that have failed, and of a single --mailbox, every step; and how long the "
        "address was nowhere. Asks no provider and changes nothing. Exit code 3: one has failed."
    ),
    operands=(PLAN,),
    groups=(
        Group("what", (Option("--steps", "every step of every account"),)),
        CHOSEN,
        WHERE,
        OUTPUT,
    ),
    run=status,
    examples=("mailhaul accounts status", "mailhaul accounts status --mailbox anna@acme.example"),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE),
)
