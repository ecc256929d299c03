"""`mailhaul dns apply`: what does no harm is written ahead of the switch, what is over tidied."""

from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import login_name
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.zone_desk import AS, DOMAIN, OPERANDS, PLACES, Domain, named
from mailhaul.cli.zone_dry import shown_only
from mailhaul.cli.zone_ordering import EXITS, WATCH, carry_out
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from mailhaul.journey.zone_orders import Written

# ruff: noqa: PLC0415 - what opens sockets is imported once it is needed.


def apply(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Writes it. Raises `BadInput` without a name, and for a plan or a domain that isn't there."""
    who = named(arguments)
    if arguments.given("--dry-run"):
        if arguments.given("--watch"):
            raise BadInput("--watch waits for what is written, and --dry-run writes nothing")
        return shown_only(arguments, surroundings)
    login = login_name(surroundings.environ)

    async def order(each: Domain) -> list["Written"]:
        from mailhaul.journey.zone_orders import write_ahead

        return await write_ahead(each.desk, each.plan, each.row, who=who, login=login)

    from mailhaul.cli.zone_report import GATE
    from mailhaul.journey.watching import AHEAD

    return carry_out(arguments, surroundings, "apply", order, (AHEAD, GATE))


COMMAND = Command(
    name="dns apply",
    summary="write what does no harm ahead of the switch, and tidy up after the sweeps",
    story=(
        "Before the switch: ownership, the new SPF terms beside the old ones, DKIM, and the TTLs "
        "of what the switch will change, lowered with their values as they are. Once every "
        "mailbox of a domain is verified: the old SPF terms are taken out, TTLs raised to what "
        "they were. The records of the switch itself are never written here: they go with the "
        "gate go."
        "\n\n"
        "What stood before is kept first, and what somebody else has changed meanwhile is never "
        "overwritten. Interrupted anywhere, give the same order again. Where a person holds the "
        "zone (writer manual), it prints the lines to be written; with --watch it waits until "
        "every server of the zone has them."
    ),
    operands=OPERANDS,
    groups=(
        Group(
            "how",
            (AS, Option("--dry-run", "only show what would be written now"), WATCH),
        ),
        DOMAIN,
        *PLACES,
    ),
    run=apply,
    examples=(
        'mailhaul dns apply acme --as "Olga Weiss" --dry-run',
        'mailhaul dns apply acme --as "Olga Weiss" --watch',
    ),
    exits=EXITS,
)
