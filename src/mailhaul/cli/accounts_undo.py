"""`mailhaul accounts undo`: moves of accounts taken back, step by step."""

from typing import TYPE_CHECKING

from mailhaul.cli.accounts_ordering import AS, GO, Order, give
from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Group
from mailhaul.cli.ordering import order
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.journey.orders import Result

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def undo(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Orders it. Raises `BadInput`."""

    def act(given: Order) -> "Result":
        from mailhaul.journey.account_orders import undo as take_back

        return take_back(
            given.connection,
            given.plan,
            given.chosen,
            who=given.who,
            login=given.login,
            at=given.at,
            dry=given.dry,
        )

    return give(arguments, surroundings, act, "to be taken back", "would be taken back")


COMMAND = order(
    "accounts undo",
    "take moves of accounts back, step by step; --go does it",
    (
        "Takes back what was done for each account, the last step first: the new account becomes "
        "an unconfigured one again, the old one gets its address, what was removed beside it is "
        "put up again. Says for whom it would be done unless --go is given; a worker does it."
        "\n\n"
        "Refused once the provider itself has carried the account, once its old account is being "
        "disabled, and once mail that mailhaul hasn't carried would be left behind: then "
        "`mailhaul return` brings that back first."
    ),
    undo,
    (Group("how", (GO, AS)),),
    (
        'mailhaul accounts undo acme --mailbox anna@acme.example --as "Olga Weiss"',
        'mailhaul accounts undo acme --mailbox anna@acme.example --as "Olga Weiss" --go',
    ),
)
