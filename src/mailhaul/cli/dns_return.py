"""`mailhaul dns return`: the records that were written last are put back as they were."""

from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import login_name
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.zone_desk import AS, DOMAIN, OPERANDS, PLACES, Domain, named
from mailhaul.cli.zone_ordering import EXITS, WATCH, carry_out

if TYPE_CHECKING:
    from mailhaul.journey.zone_orders import Written

# ruff: noqa: PLC0415 - what opens sockets is imported once it is needed.

REMARK = "Mail that has arrived at the new system is carried back by mailhaul return."

ALL = Option("--all", "after the switch's records also put back what was written ahead of it")


def give_back(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Puts them back. Raises `BadInput` without a name, and for a plan or a domain that isn't
    there."""
    who, login = named(arguments), login_name(surroundings.environ)
    everything = arguments.given("--all")

    async def order(each: Domain) -> list["Written"]:
        from mailhaul.journey.zone_orders import bring_back

        return await bring_back(
            each.desk, each.plan, each.row, who=who, login=login, everything=everything
        )

    from mailhaul.journey.watching import SWITCH

    return carry_out(arguments, surroundings, "return", order, (SWITCH, REMARK))


COMMAND = Command(
    name="dns return",
    summary="put the records back that were written last, exactly as they were",
    story=(
        "Of a domain that has been switched, or is being: the records from before the switch, and "
        "with them what was tidied since; what was written ahead of it stays, for it does no harm "
        "and the next switch needs it. Of one that never was switched: what mailhaul dns apply "
        "wrote. It may be given any number of times."
        "\n\n"
        "It is done here and now, whether or not a worker is running: both may do it at the same "
        "time, and one of them finds it done. Records that somebody else has changed since are "
        "told and left as they are. Whoever may open the gate go may take a switch back. Mail "
        "that has arrived at the new system is carried back by mailhaul return, which brings the "
        "records back too."
    ),
    operands=OPERANDS,
    groups=(Group("how", (AS, ALL, WATCH)), DOMAIN, *PLACES),
    run=give_back,
    examples=(
        'mailhaul dns return acme --as "Olga Weiss"',
        'mailhaul dns return acme --domain acme.example --as "Olga Weiss" --watch',
    ),
    exits=EXITS,
)
