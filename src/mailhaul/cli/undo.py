"""`mailhaul undo`: what one pass wrote is removed again, message by message."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.ordering import carry_out, order
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput


def undo(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Orders it. Raises `BadInput`, also without a pass."""
    if arguments.values["--pass"] is None:
        raise BadInput(
            "say which pass with --pass N; mailhaul status PLAN --mailbox ADDRESS lists them"
        )
    number = arguments.number("--pass", 0)

    from mailhaul.journey import orders  # noqa: PLC0415 - needs the database

    return carry_out(
        arguments,
        surroundings,
        lambda connection, plan, chosen, at, actor: orders.request_undo(
            connection, plan, chosen, number, at=at, actor=actor
        ),
        f"to have pass {number} undone",
    )


COMMAND = order(
    "undo",
    "remove what one pass wrote, unless its user has touched it since",
    "Has the worker remove at the target what that pass itself put there. A message stays when its "
    "user has flagged, read or moved it since; flags that the pass changed and folders that it "
    "made stay too. Afterwards the mailbox is paused: resume carries the messages again.",
    undo,
    groups=(Group("which pass", (Option("--pass", "the pass of that number", "N", lowest=1),)),),
    examples=("mailhaul undo acme --pass 3 --mailbox anna@acme.example",),
)
