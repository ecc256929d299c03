"""`mailhaul pause`: mailboxes stop at the next message boundary."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments
from mailhaul.cli.ordering import carry_out, order
from mailhaul.cli.surroundings import Surroundings


def pause(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Pauses. Raises `BadInput`."""
    from mailhaul.journey import orders  # noqa: PLC0415 - needs the database

    return carry_out(
        arguments,
        surroundings,
        lambda connection, plan, chosen, at, actor: orders.pause(
            connection, plan, chosen, at=at, actor=actor
        ),
        "paused",
    )


COMMAND = order(
    "pause",
    "stop mailboxes of a plan at the next message boundary, until resume",
    "Stops what is under way within seconds, between two messages, and keeps it from going on. "
    "What waits for a person stays as it is. Nothing is lost: `mailhaul resume` goes on where it "
    "stopped.",
    pause,
    examples=("mailhaul pause plan.toml", "mailhaul pause acme --wave Monday"),
)
