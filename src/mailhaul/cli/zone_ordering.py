"""What `dns apply` and `dns return` have in common: an order for each domain, and, where it is
wanted, waiting until every server of the zone says so."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.options import Arguments, Option
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.zone_desk import Domain, Outcome, each_domain, end_line, trouble_line

if TYPE_CHECKING:
    from mailhaul.dns.watching import Seen
    from mailhaul.dns.zone import Edit
    from mailhaul.journey.plans import PlanRow
    from mailhaul.journey.zone_orders import Written

# ruff: noqa: PLC0415 - what opens sockets is imported once it is needed.

EVERY = 5.0
"""Seconds between two rounds of asking."""
LOOK = 0.2
WATCH = Option(
    "--watch", "then ask every server of the zone until all say so; Ctrl-C ends only the watching"
)
EXITS = (Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.INTERRUPTED)

Order = Callable[[Domain], Awaitable[list["Written"]]]
Remark = tuple[str, str]


def carry_out(
    arguments: Arguments, surroundings: Surroundings, name: str, order: Order, remark: Remark
) -> Exit:
    """Carries it out for each domain, tells at once what came of it, and watches where that is
    asked for; `name` is apply or return, `remark` a last line for a person: the moment for which
    it is said, and the text."""
    from mailhaul.cli.zone_report import written_blocks, written_line
    from mailhaul.dns.switch import Result

    console, as_json = surroundings.console, arguments.given("--json")

    def tell(domain: str, done: Sequence["Written"]) -> None:
        if as_json:
            for each in done:
                console.json(written_line(name, domain, each))
        else:
            console.show(written_blocks(domain, done, back=name == "return"))

    async def work(each: Domain) -> list["Written"]:
        done = await order(each)
        tell(each.row.name, done)
        watching = arguments.given("--watch")
        while watching and not each.stop.asked and _waiting(done):
            await _pause(each)
            again = await order(each)
            # Nothing more is to be done: what was waited for stands.
            now = again or [replace(one, result=Result.DONE, lines=(), why="") for one in done]
            if [(one.result, one.lines) for one in now] != [(o.result, o.lines) for o in done]:
                tell(each.row.name, now)
            done = now
        if watching and all(one.result is Result.DONE for one in done):
            edits = tuple(edit for one in done for edit in one.edits)
            if edits:
                await _watched(arguments, surroundings, each, edits)
        return done

    def end(there: "PlanRow", found: Sequence[Outcome[list["Written"]]]) -> Exit:
        for each in found:
            if each.found is None:
                console.error(f"{each.domain}: {each.trouble}")
                if as_json:
                    console.json(trouble_line(each.domain, each.trouble))
        written = [one for each in found for one in each.found or ()]
        done = sum(each.result is Result.DONE for each in written)
        waits = sum(each.result is Result.WAITS for each in written)
        failed = len(written) - done - waits + sum(each.found is None for each in found)
        code = Exit.INCOMPLETE if waits or failed else Exit.COMPLETE
        if as_json:
            console.json(
                end_line(
                    name,
                    there.name,
                    len(found),
                    {"done": done, "waits": waits, "failed": failed},
                    code,
                )
            )
            return code
        if waits and not arguments.given("--watch"):
            console.show(
                [Line(f"Once that is written: mailhaul dns {name} again, or with --watch at once.")]
            )
        if any(each.moment == remark[0] for each in written):
            console.show([Line(remark[1], Tone.FAINT)])
        return code

    return each_domain(
        arguments,
        surroundings,
        work,
        end,
        farewell="interrupted; what was written stands, and the same order may be given again",
    )


async def _watched(
    arguments: Arguments, surroundings: Surroundings, each: Domain, edits: Sequence["Edit"]
) -> None:
    """Asks all of the zone's own servers until they say so; each change of what they say is
    told."""
    from mailhaul.dns.watching import everywhere
    from mailhaul.journey.zone_orders import heard

    told: dict[tuple[str, str], str] = {}
    while not each.stop.asked:
        seen = await heard(each.desk, each.plan, each.row, edits)
        for one in seen:
            _tell_heard(arguments, surroundings, each.row.name, one, told)
        if seen and everywhere(seen):
            servers = plural(len({one.server for one in seen}), "server")
            if not arguments.given("--json"):
                text = f"{each.row.name}: {servers} of the zone asked, and all say so"
                surroundings.console.show([Line(text, Tone.GOOD)])
            return
        await _pause(each)


async def _pause(each: Domain) -> None:
    import asyncio

    for _ in range(int(EVERY / LOOK)):
        if not each.stop.asked:
            await asyncio.sleep(LOOK)


def _waiting(done: Sequence["Written"]) -> bool:
    """Whether it may go on by itself, or by somebody's hand."""
    from mailhaul.dns.switch import Result

    results = {one.result for one in done}
    return Result.WAITS in results and results <= {Result.WAITS, Result.DONE}


def _tell_heard(
    arguments: Arguments,
    surroundings: Surroundings,
    domain: str,
    one: "Seen",
    told: dict[tuple[str, str], str],
) -> None:
    name, kind = one.edit.key
    key = f"{kind} {name}", str(one.server)
    if told.get(key) == one.standing.value:
        return
    told[key] = one.standing.value
    if arguments.given("--json"):
        surroundings.console.json(heard_line(domain, one))
    else:
        surroundings.console.tell(f"  {kind} {name} at {one.server}: {one.standing}")


def heard_line(domain: str, one: "Seen") -> dict[str, str]:
    """What one server said while it was watched, for `--json`."""
    return {
        "event": "zone_heard",
        "domain": domain,
        "name": one.edit.key[0],
        "kind": one.edit.key[1].value,
        "server": str(one.server),
        "says": one.standing.value,
    }
