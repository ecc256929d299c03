"""What the orders about accounts have in common: a dry run unless --go is given, a named person,
one transaction, and who it was for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.answering import tell_nobody_works
from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import installation, login_name, plan_meant, selection
from mailhaul.cli.options import Arguments, Option
from mailhaul.cli.ordering import exit_code, tell
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailhaul.journey.orders import Result, Selection
    from mailhaul.journey.plans import PlanRow

GO = Option("--go", "do it; without, only say for whom it would be done")
AS = Option("--as", "who says so; it is kept with the time and the login", "NAME")


@dataclass(frozen=True, slots=True)
class Order:
    """For whom an order is given, by whom, and whether it is only to be said."""

    connection: "Connection"
    plan: "PlanRow"
    chosen: "Selection"
    who: str
    login: str
    at: float
    dry: bool


def give(
    arguments: Arguments,
    surroundings: Surroundings,
    act: "Callable[[Order], Result]",
    done: str,
    would: str,
) -> Exit:
    """Gives the order, or says for whom it would be; `done` and `would` go before the number of
    mailboxes, as “to be undone” and “would be undone”. Raises `BadInput`."""
    dry = not arguments.given("--go")
    who = arguments.text("--as") or ""
    if not who:
        raise BadInput(f"{arguments.command} is ordered by a person; say who with --as NAME")
    chosen = selection(arguments)
    with installation(arguments, surroundings) as home:
        with home.database.begin() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
            login, at = login_name(surroundings.environ), home.clock.now()
            result = act(Order(connection, plan, chosen, who, login, at, dry))
        tell(arguments, surroundings, plan.name, result, would if dry else done)
        if not arguments.given("--json") and result.done:
            if dry:
                surroundings.console.show([Line("nothing was changed; --go does it", Tone.FAINT)])
            else:
                tell_nobody_works(home, surroundings)
    return exit_code(result, chosen)
