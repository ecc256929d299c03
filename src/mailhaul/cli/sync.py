"""`mailhaul sync`: another delta or sweep, now."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments
from mailhaul.cli.ordering import carry_out, order
from mailhaul.cli.surroundings import Surroundings


def sync(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Has another pass run. Raises `BadInput`."""
    from mailhaul.journey import orders  # noqa: PLC0415 - needs the database

    return carry_out(
        arguments,
        surroundings,
        lambda connection, plan, chosen, at, actor: orders.sync(
            connection, plan, chosen, at=at, actor=actor
        ),
        "synced once more",
    )


COMMAND = order(
    "sync",
    "have what is new carried now, instead of at the next time due",
    "Has the next delta (before the cutover) or sweep (after it) run now. A mailbox that has been "
    "verified is swept and verified once more, and an approval of its grade is asked for again.",
    sync,
    examples=("mailhaul sync acme --wave Monday",),
)
