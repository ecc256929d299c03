"""`mailhaul accounts retire`: old accounts disabled, after a verified move and by a named yes."""

from typing import TYPE_CHECKING

from mailhaul.cli.accounts_ordering import AS, GO, Order, give
from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.ordering import order
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.journey.orders import Result

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def retire(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Orders it. Raises `BadInput`."""
    by_hand = arguments.given("--by-hand")

    def act(given: Order) -> "Result":
        from mailhaul.journey.account_orders import retire as disable

        return disable(
            given.connection,
            given.plan,
            given.chosen,
            who=given.who,
            login=given.login,
            at=given.at,
            by_hand=by_hand,
            dry=given.dry,
        )

    return give(arguments, surroundings, act, "to be disabled", "would be disabled")


COMMAND = order(
    "accounts retire",
    "disable the renamed old accounts of verified mailboxes; --go does it",
    (
        "Disables the accounts that were renamed at the source, of mailboxes that are verified, "
        "and no sooner than the plan's `keep_temporary` after that. They are locked, not deleted. "
        "Nothing does this by itself or by time. Says for whom it would be done unless --go is "
        "given; a worker does it."
    ),
    retire,
    (
        Group(
            "how",
            (GO, AS, Option("--by-hand", "somebody has disabled them already; keep that")),
        ),
    ),
    ('mailhaul accounts retire acme --as "Olga Weiss" --go',),
)
