"""`mailhaul dns apply --dry-run`: what would be written now, and nothing is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Line
from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.zone_desk import Domain, Outcome, each_domain, trouble_line

if TYPE_CHECKING:
    from mailhaul.journey.plans import PlanRow
    from mailhaul.journey.zone_orders import ZonePlan

# ruff: noqa: PLC0415 - what opens sockets is imported once it is needed.


def shown_only(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows what is due. Raises `BadInput` for a plan or a domain that isn't there."""
    from mailhaul.cli.zone_report import due_blocks, share_lines

    console, as_json = surroundings.console, arguments.given("--json")

    async def work(each: Domain) -> "ZonePlan":
        from mailhaul.journey.zone_orders import zone_plan

        return await zone_plan(each.desk, each.plan, each.row)

    def end(there: "PlanRow", found: Sequence[Outcome["ZonePlan"]]) -> Exit:
        for each in found:
            if each.found is None:
                console.error(f"{each.domain}: {each.trouble}")
                if as_json:
                    console.json(trouble_line(each.domain, each.trouble))
            elif as_json:
                for line in share_lines(each.found):
                    if line["event"] == "zone_change" and line["due"]:
                        console.json(line)
            else:
                console.show(due_blocks(each.found))
        if not as_json:
            console.show([Line("This was a dry run: nothing was written.")])
        failed = any(each.found is None for each in found)
        return Exit.INCOMPLETE if failed else Exit.COMPLETE

    return each_domain(
        arguments, surroundings, work, end, farewell="interrupted; nothing was changed", at_once=8
    )
