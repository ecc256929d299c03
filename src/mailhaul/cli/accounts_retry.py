"""`mailhaul accounts retry`: accounts tried again where a person had to act."""

from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.ordering import carry_out, order
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailhaul.journey.orders import Result, Selection
    from mailhaul.journey.plans import PlanRow

# ruff: noqa: PLC0415 - the database is imported once the command line is good.


def retry(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Orders it. Raises `BadInput`."""
    leave = arguments.given("--leave")

    def act(
        connection: "Connection", plan: "PlanRow", chosen: "Selection", at: float, login: str
    ) -> "Result":
        from mailhaul.journey.account_orders import retry as again

        return again(connection, plan, chosen, at=at, actor=login, leave=leave)

    return carry_out(arguments, surroundings, act, "tried again")


COMMAND = order(
    "accounts retry",
    "try accounts again where a person had to act",
    (
        "A move that has failed goes on where it stopped: the step is begun once more, or found "
        "done. A move that was taken back is looked at anew, and waits for another yes."
    ),
    retry,
    (
        Group(
            "how",
            (Option("--leave", "go on without the step that can't be done; it is left as it is"),),
        ),
    ),
    ("mailhaul accounts retry acme --mailbox anna@acme.example",),
)
