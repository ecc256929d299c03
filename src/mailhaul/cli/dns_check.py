"""`mailhaul dns check`: what DNS says of a domain, beside what it should say for its move."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.plan_files import plan_path
from mailhaul.cli.sides import DEBUG, JSON
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from datetime import datetime

    from mailhaul.cli.stopping import Stop
    from mailhaul.dns.asking import Asking
    from mailhaul.dns.diagnosis import Aspect
    from mailhaul.dns.expected import Expected, Moment
    from mailhaul.dns.filters import Suffixes
    from mailhaul.dns.guard import Allowance
    from mailhaul.dns.resolver import Resolver
    from mailhaul.dns.ttl_plan import TtlPlan

# ruff: noqa: PLC0415 - what opens sockets and reads plans is imported once it is needed.

AT_ONCE = 32
"""So many domains are looked at beside each other."""
MOMENTS = ("before", "since", "end")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for: the domains, and whom to ask about them."""

    domains: tuple["Expected", ...]
    moment: "Moment"
    resolvers: tuple[str, ...]
    networks: tuple[str, ...]
    port: int
    filters: "Suffixes | None"
    cutover: "datetime | None" = None


def check(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Looks at the domains. Raises `BadInput` for what makes no sense."""
    asked = _asked(arguments, surroundings)

    from mailhaul.cli.stopping import run

    async def work(stop: "Stop") -> Exit:
        return await _check_all(arguments, surroundings, asked, stop)

    return run(work, surroundings.console, "interrupted; nothing was changed")


def _asked(arguments: Arguments, surroundings: Surroundings) -> Asked:
    from mailhaul.dns.expected import Moment
    from mailhaul.dns.filters import read_filters

    file = arguments.text("--filters")
    asked = Asked(
        domains=(),
        moment=Moment.SWITCH,
        resolvers=arguments.texts("--resolver"),
        networks=arguments.texts("--allow-network"),
        port=arguments.number("--port", 53),
        filters=read_filters(Path(file)) if file is not None else None,
    )
    if arguments.text("--plan") is not None:
        asked = _by_plan(arguments, surroundings, asked)
    else:
        asked = replace(asked, domains=(_told(arguments),))
    moment = arguments.text("--moment")
    if moment is not None:
        asked = replace(asked, moment=tuple(Moment)[MOMENTS.index(moment)])
    return asked


def _told(arguments: Arguments) -> "Expected":
    """What is expected of DOMAIN, by a file, a profile, or not at all."""
    from mailhaul.dns.expect_file import read_expect_file
    from mailhaul.dns.expected import Expected
    from mailhaul.dns.names import domain_name
    from mailhaul.dns.profiles import profile

    name, file = arguments.text("DOMAIN"), arguments.text("--expect")
    known = arguments.text("--profile")
    if name is None:
        raise BadInput("which domain? name it, or a plan with --plan")
    if file is not None and known is not None:
        raise BadInput("--expect and --profile both say what is expected; the file can name one")
    values = dict(map(_value, arguments.texts("--value")))
    if values and known is None:
        raise BadInput("--value fills in what a --profile leaves open; a file has [values]")
    if file is not None:
        return read_expect_file(Path(file), name)
    if known is not None:
        return profile(known, name, values)
    return Expected(domain_name(name))


def _value(text: str) -> tuple[str, str]:
    word, equals, value = text.partition("=")
    if not equals or not word or not value:
        raise BadInput(f"--value {printable(text, 80)} isn't written as WORD=VALUE")
    return word, value


def _by_plan(arguments: Arguments, surroundings: Surroundings, asked: Asked) -> Asked:
    from mailhaul.dns.expected import Moment
    from mailhaul.dns.names import domain_name
    from mailhaul.journey.domains import plan_domains
    from mailhaul.journey.zones import expected_of
    from mailhaul.plan.load import load_plan
    from mailhaul.plan.waves import resolved

    for option in ("--expect", "--profile"):
        if arguments.text(option) is not None:
            raise BadInput(f"{option} and --plan both say what is expected; leave one out")
    path = plan_path(arguments.text("--plan") or ".").absolute()
    plan = load_plan(path)
    if plan.dns is None:
        raise BadInput(f"{printable(plan.name, 80)} says nothing of DNS; write [dns] into it")
    boxes = resolved(plan, path.parent)
    names = plan_domains(plan, [each.address for each in boxes])
    only = arguments.text("DOMAIN")
    if only is not None:
        names = [name for name in names if name == domain_name(only)]
        if not names:
            raise BadInput(f"{printable(only, 120)} is none of the plan's domains")
    cutovers = [plan.cutover_of(wave) for wave in {each.wave for each in boxes}]
    ahead = [at for at in cutovers if at is not None and at > surroundings.now()]
    past = bool(cutovers) and all(at is not None and at <= surroundings.now() for at in cutovers)
    return replace(
        asked,
        domains=tuple(expected_of(plan, name) for name in names),
        moment=Moment.SWITCH if past else Moment.NOW,
        resolvers=asked.resolvers or plan.dns.resolvers,
        networks=(*plan.dns.allow_networks, *asked.networks),
        port=arguments.number("--port", plan.dns.port),
        cutover=min(ahead, default=None),
    )


async def _check_all(
    arguments: Arguments, surroundings: Surroundings, asked: Asked, stop: "Stop"
) -> Exit:
    import asyncio

    from mailhaul.cli.dns_report import (
        aspect_line,
        blocks_of,
        end_line,
        ttl_blocks,
        ttl_line,
        verdict,
    )
    from mailhaul.cli.exits import Interrupted
    from mailhaul.dns.asking import asking
    from mailhaul.dns.expected import Moment
    from mailhaul.dns.guard import allowance

    allowed = allowance(asked.networks)
    whom = asking(allowed, asked.resolvers, port=asked.port)
    free = asyncio.Semaphore(AT_ONCE)
    found: dict[str, Sequence[Aspect]] = {}
    ttls: dict[str, TtlPlan] = {}

    async def one(expected: "Expected") -> None:
        async with free:
            if not stop.asked:
                resolver = whom.own(expected.domain)
                found[expected.domain] = await _look(expected, asked, whom, resolver, allowed)
                if asked.cutover is not None and asked.moment is Moment.NOW:
                    now = surroundings.now()
                    ttls[expected.domain] = await _ttls(expected, resolver, asked.cutover, now)

    async with asyncio.TaskGroup() as group:
        for expected in asked.domains:
            group.create_task(one(expected))
    if stop.asked:
        raise Interrupted(f"interrupted after {len(found)} of {len(asked.domains)} domains")
    console = surroundings.console
    code = verdict([aspect for aspects in found.values() for aspect in aspects])
    for expected in asked.domains:
        aspects = found[expected.domain]
        if arguments.given("--json"):
            for aspect in aspects:
                console.json(aspect_line(expected.domain, aspect))
            if expected.domain in ttls:
                console.json(ttl_line(expected.domain, ttls[expected.domain]))
        else:
            console.show(blocks_of(expected, asked.moment, aspects))
            if expected.domain in ttls:
                console.show(ttl_blocks(ttls[expected.domain]))
    if arguments.given("--json"):
        console.json(end_line(found, asked.moment, code))
    return code


async def _look(
    expected: "Expected",
    asked: Asked,
    whom: "Asking",
    resolver: "Resolver",
    allowed: "Allowance",
) -> list["Aspect"]:
    """Who answers for the domain, and what is answered."""
    import asyncio

    from mailhaul.dns.check_domain import diagnose
    from mailhaul.dns.policy import Fetched, fetched
    from mailhaul.dns.server_checks import server_aspects

    async def fetch(domain: str) -> Fetched:
        return await fetched(domain, resolver, allowed.allowed)

    authority, aspects = await asyncio.gather(
        whom.delegations.survey(expected.domain),
        diagnose(
            resolver,
            expected,
            moment=asked.moment,
            allowance=allowed,
            fetch=fetch,
            filters=asked.filters,
        ),
    )
    return [*server_aspects(authority), *aspects]


async def _ttls(
    expected: "Expected", resolver: "Resolver", cutover: "datetime", now: "datetime"
) -> "TtlPlan":
    """When TTLs are to be lowered; of what is remembered from the look, nothing is asked again."""
    import asyncio

    from mailhaul.dns.desired import keys, present_of
    from mailhaul.dns.ttl_plan import ttl_plan

    answers = await asyncio.gather(*(resolver.look_up(*key) for key in keys(expected)))
    # The SPF record has no part in it, and may be one that can't be read.
    changed = replace(expected, spf=(), spf_old=(), spf_all="")
    return ttl_plan(changed, present_of(answers), cutover, now)


COMMAND = Command(
    name="dns check",
    summary="say what DNS says of a domain, what it should say, and what to write",
    story=(
        "Asks the domain's own name servers, and says of every record that the move of its mail "
        "needs what is expected, what is found, what is wrong with it and what to write instead: "
        "MX, SPF, DKIM, DMARC, autodiscover and other client set-up, ownership, MTA-STS, TLS-RPT, "
        "DANE, names that still lead to the old system, wildcards, TTLs. What is expected comes "
        "from --plan, --expect or --profile; without any, what is found is judged for itself. "
        "Changes nothing."
    ),
    operands=(
        Operand("DOMAIN", "the domain; with --plan all of the plan's unless one is named", True),
    ),
    groups=(
        Group(
            "what is expected",
            (
                Option("--plan", "by this plan's [dns]", "PLAN"),
                Option("--expect", "by this file (docs/dns.md)", "FILE"),
                Option(
                    "--profile",
                    "by what is known of a mail system",
                    "NAME",
                    choices=("exchange-online", "ovh-exchange", "google", "generic"),
                ),
                Option(
                    "--value",
                    "what the profile leaves open, as tenant=contoso; may be repeated",
                    "WORD=VALUE",
                    repeated=True,
                ),
                Option(
                    "--moment",
                    "how far the move is: before the switch, since it (unless told; by a plan's "
                    "cutover time), or at the end, after the sweeps",
                    "M",
                    choices=MOMENTS,
                ),
                Option("--filters", "more third-party filters to recognise, as TOML", "FILE"),
            ),
        ),
        Group(
            "whom to ask",
            (
                Option(
                    "--resolver",
                    "a recursive resolver for all that is not the domain's own, as 9.9.9.9 or "
                    "192.0.2.53@5353; may be repeated; unless told well-known public ones",
                    "IP",
                    repeated=True,
                ),
                Option(
                    "--allow-network",
                    "a network that isn't public and may be connected to nonetheless; may be "
                    "repeated",
                    "CIDR",
                    repeated=True,
                ),
                Option("--port", "of the name servers; 53", "N", lowest=1, highest=65535),
            ),
        ),
        Group("output", (JSON, DEBUG)),
    ),
    run=check,
    examples=(
        "mailhaul dns check example.org",
        "mailhaul dns check example.org --profile exchange-online --value tenant=contoso",
        "mailhaul dns check --plan plan.toml --moment before",
    ),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.INCOMPLETE, Exit.INTERRUPTED),
)
