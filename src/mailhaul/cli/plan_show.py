"""`mailhaul plan show`: what a plan says, how much it is, and how long it will take."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import count, octets, plural, rate, remaining
from mailhaul.cli.installation import WHERE
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.sides import DEBUG, JSON
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.plan.forecast import Amount, Forecast, Limits, Rate
    from mailhaul.plan.model import Dns, Plan, System
    from mailhaul.plan.presets import Side
    from mailhaul.plan.waves import WaveOf

# ruff: noqa: PLC0415 - pydantic and SQLAlchemy are imported once the command line is good.

SHOWN = 40
SUPPOSED = (8.0, 1_000_000.0)
"""Messages and octets a second of one connection where nothing has been measured yet."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the installation knows of the plan: mailboxes' sizes, and what passes have carried a
    second. Empty where nothing has been checked or carried."""

    amounts: "Mapping[str, Amount]"
    rate: "Rate | None" = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """One wave with what is known of it. `latest` is the latest safe start; `forecast` begins now
    and counts all waves before it in, as far as their sizes are known."""

    wave: "WaveOf"
    messages: int | None
    octets: int | None
    unknown: int
    forecast: "Forecast | None"
    latest: datetime | None


def show(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows PLAN; connects nothing. Raises `PlanErrors`."""
    from mailhaul.plan.load import load_plan

    path = plan_file(arguments)
    plan = load_plan(path)
    known = known_of(plan, arguments, surroundings)
    now = surroundings.now()
    outlooks = list(outlooks_of(plan, path.parent, known, now))
    if arguments.given("--json"):
        for line in lines_of(plan, outlooks, known):
            surroundings.console.json(line)
    else:
        whole = arguments.given("--all")
        surroundings.console.show(blocks_of(plan, outlooks, known, now, whole))
    return Exit.COMPLETE


def known_of(plan: "Plan", arguments: Arguments, surroundings: Surroundings) -> Known:
    """What the database of the installation knows; nothing when there is none yet."""
    from mailhaul.cli.plan_sizes import database_of, sizes

    found = database_of(
        arguments.text("--state"), arguments.text("--database"), surroundings.environ
    )
    lanes = min(plan.source.connections_each, plan.target.connections_each)
    return Known({}) if found is None else Known(*sizes(found, plan.name, lanes))


def outlooks_of(plan: "Plan", directory: Path, known: Known, now: datetime) -> Iterator[Outlook]:
    """The waves in their order, each with its forecast."""
    from mailhaul.plan.forecast import forecast, latest_start
    from mailhaul.plan.waves import waves

    limits = limits_of(plan, known)
    before: list[Amount] = []
    for wave in waves(plan, directory):
        found = [known.amounts.get(each.address) for each in wave.mailboxes]
        amounts = [amount for amount in found if amount is not None]
        before += amounts
        if not amounts:
            yield Outlook(wave, None, None, len(found), None, None)
            continue
        latest = None
        if wave.cutover is not None:
            latest = latest_start(before, limits, wave.cutover, now)
        yield Outlook(
            wave,
            sum(amount.messages for amount in amounts),
            sum(amount.octets for amount in amounts),
            len(found) - len(amounts),
            forecast(before, limits, now),
            latest,
        )


def limits_of(plan: "Plan", known: Known) -> "Limits":
    """What the plan's systems and hours allow, at the measured rate or the supposed one."""
    from mailhaul.plan.forecast import Limits, Rate
    from mailhaul.plan.presets import Side, budget_of

    return Limits(
        known.rate or Rate(*SUPPOSED),
        budget_of(plan.source, Side.SOURCE),
        budget_of(plan.target, Side.TARGET),
        (plan.source.connections_each, plan.target.connections_each),
        plan.hours,
        plan.zone,
    )


def blocks_of(
    plan: "Plan", outlooks: Sequence[Outlook], known: Known, now: datetime, whole: bool
) -> list[Block]:
    """What is shown to a person."""
    from mailhaul.plan.presets import Side

    blocks: list[Block] = [Line(printable(plan.name, 200), Tone.HEADING), Line()]
    rows = [
        ("from", f"{printable(plan.source.url, 200)}{_limits_text(plan.source, Side.SOURCE)}"),
        ("to", f"{printable(plan.target.url, 200)}{_limits_text(plan.target, Side.TARGET)}"),
        ("times", plan.time_zone + _hours_text(plan)),
        ("sweeps", _sweeps_text(plan)),
        ("gates", _gates_text(plan)),
        *([] if plan.dns is None else [("dns", _dns_text(plan.dns))]),
    ]
    width = max(len(name) for name, _ in rows)
    blocks += [Line(f"{name:<{width}}  {text}") for name, text in rows]
    blocks += [Line(), _wave_table(plan, outlooks, now)]
    blocks += [Line(), *_outlook_lines(outlooks, known)]
    blocks += [Line(), _mailbox_table(outlooks, known, whole)]
    total = sum(len(outlook.wave.mailboxes) for outlook in outlooks)
    if not whole and total > SHOWN:
        blocks.append(Line(f"and {count(total - SHOWN)} more; --all shows them", Tone.FAINT))
    return blocks


def lines_of(plan: "Plan", outlooks: Sequence[Outlook], known: Known) -> Iterator[dict[str, Json]]:
    """The plan for `--json`: a line a wave, a line a mailbox, the plan last."""
    for outlook in outlooks:
        for each in outlook.wave.mailboxes:
            amount = known.amounts.get(each.address)
            yield {
                "event": "plan_mailbox",
                "address": each.address,
                "wave": each.wave,
                "source": str(each.source),
                "target": str(each.target),
                "messages": None if amount is None else amount.messages,
                "bytes": None if amount is None else amount.octets,
            }
    for outlook in outlooks:
        forecast = outlook.forecast
        yield {
            "event": "plan_wave",
            "wave": outlook.wave.name,
            "mailboxes": len(outlook.wave.mailboxes),
            "unknown": outlook.unknown,
            "messages": outlook.messages,
            "bytes": outlook.octets,
            "cutover": _iso(outlook.wave.cutover),
            "ready_if_started_now": None if forecast is None else _iso(forecast.ends),
            "latest_start": _iso(outlook.latest),
            "binding": [
                {"limit": each.limit, "saves_seconds": _seconds(each.seconds)}
                for each in (() if forecast is None else forecast.reliefs)
            ],
        }
    yield {
        "event": "plan",
        "name": plan.name,
        "time_zone": plan.time_zone,
        "source": plan.source.url,
        "target": plan.target.url,
        "mailboxes": sum(len(outlook.wave.mailboxes) for outlook in outlooks),
        "rate_measured": known.rate is not None,
    }


def _wave_table(plan: "Plan", outlooks: Sequence[Outlook], now: datetime) -> Table:
    heading = ("wave", "mailboxes", "messages", "size", "takes", "start by", "cutover")
    rows = tuple(
        (
            printable(outlook.wave.name, 60) or "(all)",
            count(len(outlook.wave.mailboxes)),
            _figure(outlook.messages, outlook.unknown),
            "?" if outlook.octets is None else octets(outlook.octets),
            _takes(outlook.forecast),
            _start_by(outlook, plan, now),
            _moment(outlook.wave.cutover, plan, now) or "not set",
        )
        for outlook in outlooks
    )
    # Aligned to the right, a time is never cut.
    return Table(heading, rows, frozenset({1, 2, 3, 4, 5, 6}))


def _mailbox_table(outlooks: Sequence[Outlook], known: Known, whole: bool) -> Table:
    rows = []
    for outlook in outlooks:
        for each in outlook.wave.mailboxes:
            amount = known.amounts.get(each.address)
            rows.append(
                (
                    printable(each.address, 120),
                    printable(each.wave, 60),
                    "?" if amount is None else count(amount.messages),
                    "?" if amount is None else octets(amount.octets),
                    str(each.source),
                    str(each.target),
                )
            )
    kept = rows if whole else rows[:SHOWN]
    heading = ("mailbox", "wave", "messages", "size", "from", "to")
    return Table(heading, tuple(kept), frozenset({2, 3}))


def _outlook_lines(outlooks: Sequence[Outlook], known: Known) -> Iterator[Line]:
    last = next((each for each in reversed(outlooks) if each.forecast is not None), None)
    if last is None or last.forecast is None:
        yield Line("sizes are not known yet; mailhaul check counts them, and forecasts follow")
        return
    pace = known.rate
    if pace is None:
        said = f"{SUPPOSED[0]:g} messages and {rate(SUPPOSED[1])} a connection"
        yield Line(f"forecast: supposes {said}; passes will measure it", Tone.FAINT)
    else:
        said = f"{pace.messages_per_second:.1f} messages/s and {rate(pace.octets_per_second)}"
        yield Line(f"forecast: {said} a connection, as measured", Tone.FAINT)
    for relief in last.forecast.reliefs[:3]:
        saved = (
            "it could never end" if relief.seconds == float("inf") else remaining(relief.seconds)
        )
        yield Line(f"what binds: {relief.limit} (without it {saved} less)")


def _seconds(seconds: float) -> float | None:
    """JSON knows no infinity."""
    return None if seconds == float("inf") else round(seconds, 3)


def _figure(number: int | None, unknown: int) -> str:
    if number is None:
        return "?"
    return f"{count(number)} + ?" if unknown else count(number)


def _takes(forecast: "Forecast | None") -> str:
    if forecast is None:
        return "?"
    return "never ends" if forecast.ends is None else remaining(forecast.seconds)


def _start_by(outlook: Outlook, plan: "Plan", now: datetime) -> str:
    if outlook.forecast is None or outlook.wave.cutover is None:
        return ""
    return _moment(outlook.latest, plan, now) or "too late"


def _moment(moment: datetime | None, plan: "Plan", now: datetime) -> str:
    """In the plan's time zone; with its year where that isn't plain."""
    if moment is None:
        return ""
    near = abs((moment - now).days) < 300
    local = moment.astimezone(plan.zone)
    return f"{local:%a %d %b %H:%M}" if near else f"{local:%d %b %Y %H:%M}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _limits_text(system: "System", side: "Side") -> str:
    from mailhaul.plan.presets import budget_of

    budget = budget_of(system, side)
    parts = [system.preset] if system.preset else []
    if budget.connections:
        parts.append(plural(budget.connections, "connection"))
    if budget.messages_per_second:
        parts.append(f"{budget.messages_per_second:g} messages/s")
    if budget.octets_per_day:
        parts.append(f"{octets(budget.octets_per_day)} a day")
    if budget.messages_per_second_each:
        parts.append(f"{budget.messages_per_second_each:g} messages/s a mailbox")
    if budget.octets_per_day_each:
        parts.append(f"{octets(budget.octets_per_day_each)} a day a mailbox")
    return f"  ({', '.join(parts)})" if parts else ""


def _hours_text(plan: "Plan") -> str:
    if plan.hours is None:
        return "; works at all hours"
    days = (
        "" if len(plan.hours.days) == 7 else f" on {', '.join(_DAYS[d] for d in plan.hours.days)}"
    )
    return f"; works from {plan.hours.start:%H:%M} to {plan.hours.end:%H:%M}{days}"


def _sweeps_text(plan: "Plan") -> str:
    from mailhaul.plan.durations import duration_text

    every, length = duration_text(plan.sweeps.every), duration_text(plan.sweeps.for_)
    quiet = plan.sweeps.until_quiet
    after = f", until {quiet} in a row found nothing" if quiet else ""
    return f"every {every} for {length} after the cutover{after}"


def _gates_text(plan: "Plan") -> str:
    gates = (
        ("objects", plan.gates.objects),
        ("go", plan.gates.go),
        ("sign-off", plan.gates.sign_off),
    )
    return "; ".join(
        f"{name}: {', '.join(printable(who, 60) for who in names) or 'anybody by name'}"
        for name, names in gates
        if names is not None
    )


def _dns_text(dns: "Dns") -> str:
    from mailhaul.plan.durations import duration_text

    aim = dns.profile or dns.expect or ", ".join(dns.mx) or "as it is"
    parts = [f"MX stays, {dns.filter} is in front" if dns.filter else f"mail goes to {aim}"]
    if dns.domains:
        parts.append(f"of {', '.join(dns.domains)}")
    parts.append(f"TTL lowered to {duration_text(dns.ttl)}")
    parts.append(
        "the zone is written by hand"
        if dns.writer.kind == "manual"
        else f"the zone is written at {dns.writer.server or 'OVHcloud'}"
    )
    return printable("; ".join(parts), 400)


_DAYS = {1: "Mon", 2: "Tue", 3: "Wed", 4: "Thu", 5: "Fri", 6: "Sat", 7: "Sun"}

COMMAND = Command(
    name="plan show",
    summary="show a plan: waves, mailboxes, sizes, how long it will take",
    story=(
        "Shows what PLAN says: systems with their limits, waves, mailboxes. Where mailhaul check "
        "has counted the mailboxes, it shows their sizes, how long each wave will take if it is "
        "begun now (with all waves before it), the latest safe start for its cutover, and which "
        "limit binds. Connects nothing."
    ),
    operands=(PLAN,),
    groups=(
        WHERE,
        Group("output", (Option("--all", "every mailbox, however many"), JSON, DEBUG)),
    ),
    run=show,
    examples=("mailhaul plan show plan.toml",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
