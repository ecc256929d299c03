"""`mailhaul dns plan`: what is to be written to a plan's zones, moment by moment."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Line
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
    from mailhaul.journey.zone_orders import ZonePlan

# ruff: noqa: PLC0415 - what opens sockets is imported once it is needed.

AT_ONCE = 8


def plan(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows it. Raises `BadInput` for a plan or a domain that isn't there."""

    async def work(each: Domain) -> "ZonePlan":
        from mailhaul.journey.zone_orders import zone_plan

        return await zone_plan(each.desk, each.plan, each.row)

    def end(there: "PlanRow", found: Sequence[Outcome["ZonePlan"]]) -> Exit:
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
    found: Sequence[Outcome["ZonePlan"]],
) -> Exit:
    from mailhaul.cli.zone_report import GATE, plan_blocks, share_lines, to_write
    from mailhaul.dns.expected import Moment

    console, as_json = surroundings.console, arguments.given("--json")
    waiting, failed, switch = 0, 0, False
    for each in found:
        if each.found is None:
            failed += 1
            console.error(f"{each.domain}: {each.trouble}")
            if as_json:
                console.json(trouble_line(each.domain, each.trouble))
            continue
        waiting += to_write(each.found)
        failed += any(share.trouble for share in each.found.shares)
        switch = switch or any(
            share.moment is Moment.SWITCH and share.snapshot.edits for share in each.found.shares
        )
        if as_json:
            for line in share_lines(each.found):
                console.json(line)
        else:
            console.show(plan_blocks(each.found, there.plan.zone))
    code = Exit.INCOMPLETE if failed else Exit.DIFFERENT if waiting else Exit.COMPLETE
    if as_json:
        console.json(
            end_line("plan", there.name, len(found), {"to_write": waiting, "failed": failed}, code)
        )
    elif switch:
        console.show([Line(GATE)])
    return code


COMMAND = Command(
    name="dns plan",
    summary="show what is to be written to a plan's zones: now, with the switch, at the end",
    story=(
        "Reads the zones of the plan's domains and shows every record set that changes, old line "
        "and new line, at its moment: now (ownership, the new SPF terms beside the old ones, DKIM, "
        "TTLs lowered for the switch), with the switch (MX, autodiscover), after the sweeps (the "
        "old SPF terms taken out, TTLs raised again). Says who writes it; where that is a person, "
        "the lines are ready to be copied. Before the switch also: by when TTLs must be lowered, "
        "and until when caches may hold what was. Changes nothing."
    ),
    operands=OPERANDS,
    groups=(DOMAIN, *PLACES),
    run=plan,
    examples=("mailhaul dns plan acme", "mailhaul dns plan acme --domain acme.example --json"),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.DIFFERENT, Exit.INTERRUPTED),
)
