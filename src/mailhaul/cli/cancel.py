"""`mailhaul cancel`: journeys end; what they carried is kept or undone, as asked."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.ordering import carry_out, order
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput


def cancel(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Cancels. Raises `BadInput`, also when it is not said what becomes of what was carried."""
    keep, undo = arguments.given("--keep"), arguments.given("--undo")
    if keep == undo:
        raise BadInput(
            "say what becomes of what has been carried: --keep leaves it at the target, --undo "
            "removes it there"
        )

    from mailhaul.journey import orders  # noqa: PLC0415 - needs the database

    return carry_out(
        arguments,
        surroundings,
        lambda connection, plan, chosen, at, actor: orders.cancel(
            connection, plan, chosen, undo=undo, at=at, actor=actor
        ),
        "cancelled, to be undone" if undo else "cancelled",
    )


COMMAND = order(
    "cancel",
    "end journeys for good; what was carried is kept or undone, as asked",
    "Ends the journeys of a plan, or of some of its mailboxes. The source is never touched; what "
    "has been carried stays at the target (--keep) or is removed there by the worker, message by "
    "message, unless its user has touched it since (--undo). What was kept can be undone later by "
    "the same command with --undo.",
    cancel,
    groups=(
        Group(
            "what becomes of what has been carried",
            (
                Option("--keep", "leave it at the target"),
                Option("--undo", "remove it at the target, unless its user has touched it since"),
            ),
        ),
    ),
    examples=(
        "mailhaul cancel acme --mailbox left@acme.example --keep",
        "mailhaul cancel acme --undo",
    ),
)
