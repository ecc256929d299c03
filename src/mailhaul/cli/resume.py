"""`mailhaul resume`: paused mailboxes go on where they were."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments
from mailhaul.cli.ordering import carry_out, order
from mailhaul.cli.surroundings import Surroundings


def resume(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Resumes. Raises `BadInput`."""
    from mailhaul.journey import orders  # noqa: PLC0415 - needs the database

    return carry_out(
        arguments,
        surroundings,
        lambda connection, plan, chosen, at, actor: orders.resume(
            connection, plan, chosen, at=at, actor=actor
        ),
        "resumed",
    )


COMMAND = order(
    "resume",
    "let paused mailboxes go on where they were",
    "Lets paused mailboxes go on where they were. One whose credentials had been refused waits "
    "for others as before.",
    resume,
    examples=("mailhaul resume plan.toml", "mailhaul resume acme --mailbox anna@acme.example"),
)
