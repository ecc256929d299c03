"""What the commands about a plan's zones have in common: the plan's domains, each looked after by
itself, so that one that can't be read stops no other."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from mailhaul.cli.blocks import Json
from mailhaul.cli.exits import Exit, Interrupted
from mailhaul.cli.installation import PLAN, WHERE, installation, plan_meant
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.sides import DEBUG, JSON
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.cli.stopping import Stop
    from mailhaul.journey.domains import DomainRow
    from mailhaul.journey.plans import PlanRow
    from mailhaul.journey.zone_reach import Desk

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

DOMAIN = Group(
    "for which domains (for all of the plan's unless told)",
    (Option("--domain", "only this domain (repeatable)", "DOMAIN", repeated=True),),
)
OUTPUT = Group("output", (JSON, DEBUG))
OPERANDS = (PLAN,)
PLACES = (WHERE, OUTPUT)
AS = Option("--as", "who says so; it is kept with the time and the login", "NAME")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain at hand. `stop` is set when a person wants it to end."""

    desk: "Desk"
    plan: "PlanRow"
    row: "DomainRow"
    stop: "Stop"


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Found]):
    """What came of one domain: what was found, or why nothing could be."""

    domain: str
    found: Found | None
    trouble: str = ""


def named(arguments: Arguments) -> str:
    """Who says so. Raises `BadInput` when nobody does."""
    who = arguments.text("--as")
    if not who:
        raise BadInput("zones are changed by a person's word; say who with --as NAME")
    return who


def each_domain(
    arguments: Arguments,
    surroundings: Surroundings,
    work: Callable[[Domain], Awaitable[Found]],
    end: Callable[["PlanRow", Sequence[Outcome[Found]]], Exit],
    *,
    farewell: str,
    at_once: int = 1,
) -> Exit:
    """Does `work` for each domain that is meant, `at_once` beside each other, then `end`. Raises
    `BadInput` for a plan or a domain that isn't there, and `Interrupted` with `farewell`."""
    from mailhaul.cli.stopping import run
    from mailhaul.journey.domain_orders import chosen_domains
    from mailhaul.journey.shop import zones_of
    from mailhaul.journey.zone_reach import Desk

    with installation(arguments, surroundings) as home:
        with home.database.read() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
            rows = chosen_domains(connection, plan, arguments.texts("--domain"))
        if plan.plan.dns is None:
            raise BadInput(
                f"plan {printable(plan.name, 80)} says nothing of DNS; write [dns] into it and "
                "give it to mailhaul start again"
            )
        zones = zones_of(
            surroundings.environ,
            learn=surroundings.scrubber.learn,
            warn=surroundings.console.warn,
        )
        desk = Desk(home.database, home.clock, zones)

        async def working(stop: "Stop") -> Exit:
            found = await _all(work, [Domain(desk, plan, row, stop) for row in rows], at_once)
            if stop.asked:
                raise Interrupted(farewell)
            return end(plan, found)

        return run(working, surroundings.console, farewell)


def trouble_line(domain: str, why: str) -> dict[str, Json]:
    """A domain of which nothing could be found, for `--json`."""
    return {"event": "zone_trouble", "domain": domain, "why": why}


def end_line(
    name: str, plan: str, domains: int, figures: Mapping[str, int], code: Exit
) -> dict[str, Json]:
    """The end of one of the commands, for `--json`."""
    return {
        "event": f"dns_{name}",
        "plan": plan,
        "domains": domains,
        **figures,
        "exit": code.value,
    }


async def _all(
    work: Callable[[Domain], Awaitable[Found]], domains: Sequence[Domain], at_once: int
) -> list[Outcome[Found]]:
    import asyncio

    free = asyncio.Semaphore(at_once)

    async def one(each: Domain) -> Outcome[Found]:
        async with free:
            if each.stop.asked:
                return Outcome(each.row.name, None, "not looked at")
            try:
                return Outcome(each.row.name, await work(each))
            except Interrupted:
                raise
            except MailhaulError as error:
                return Outcome(each.row.name, None, printable(str(error), 1000))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(each)) for each in domains]
    return [task.result() for task in tasks]
