"""`mailhaul dns verify`: every server is asked whether it says what should stand now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.zone_desk import (
    DOMAIN,
    OPERANDS,
    PLACES,
    Domain,
    Outcome,
    each_domain,
    end_line,
    trouble_line,
)

if TYPE_CHECKING:
    from mailhaul.journey.plans import PlanRow
    from mailhaul.journey.zone_looks import Sighted

# ruff: noqa: PLC0415 - what opens sockets is imported once it is needed.

AT_ONCE = 8


def verify(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Asks. Raises `BadInput` for a plan or a domain that isn't there."""

    async def work(each: Domain) -> "Sighted":
        from mailhaul.journey.zone_looks import sighted

        return await sighted(each.desk, each.plan, each.row)

    def end(there: "PlanRow", found: Sequence[Outcome["Sighted"]]) -> Exit:
        return _told(arguments, surroundings, there, found)

    return each_domain(
        arguments,
        surroundings,
        work,
        end,
        farewell="interrupted; nothing was changed",
        at_once=AT_ONCE,
    )


def _told(
    arguments: Arguments,
    surroundings: Surroundings,
    there: "PlanRow",
    found: Sequence[Outcome["Sighted"]],
) -> Exit:
    from mailhaul.cli.zone_table import sight_blocks, sight_lines

    console, as_json = surroundings.console, arguments.given("--json")
    failed = 0
    for each in found:
        if each.found is None:
            failed += 1
            console.error(f"{each.domain}: {each.trouble}")
            if as_json:
                console.json(trouble_line(each.domain, each.trouble))
        elif as_json:
            for line in sight_lines(each.found):
                console.json(line)
        else:
            console.show(sight_blocks(each.found, there.plan.zone))
    sights = [each.found for each in found if each.found is not None]
    failed += sum(bool(each.trouble) for each in sights)
    records = [told for each in sights for told in each.told]
    wrong = sum(not each.good for each in records)
    code = Exit.INCOMPLETE if failed else Exit.DIFFERENT if wrong else Exit.COMPLETE
    if as_json:
        console.json(
            end_line(
                "verify",
                there.name,
                len(found),
                {"records": len(records), "wrong": wrong, "failed": failed},
                code,
            )
        )
    return code


COMMAND = Command(
    name="dns verify",
    summary="ask every server now whether it says what should stand at this moment",
    story=(
        "Asks each of the zones' own servers, and the plan's resolvers, for every record set of "
        "the move, and says of each whether it has the old one, the new one, something of both or "
        "nothing, beside what should stand at this moment: before the switch, or after it was "
        "taken back, the old system's records; since the switch, the new one's. Says until when a "
        "cache anywhere may hold what should not stand any more. Changes nothing, and needs no "
        "key. Exit code 0: every server asked says what should stand; 7: one of them doesn't."
    ),
    operands=OPERANDS,
    groups=(DOMAIN, *PLACES),
    run=verify,
    examples=("mailhaul dns verify acme", "mailhaul dns verify acme --domain acme.example"),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.DIFFERENT, Exit.INTERRUPTED),
)
