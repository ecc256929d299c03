"""A user's plan made into one for stand-in servers: same waves, gates, hours, sweeps and budgets,
mailboxes of the same proportions but smaller, and nothing of the user's own systems in it. Pure.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mailhaul.journey.domains import domain_of
from mailhaul.plan.forecast import Amount, Limits, Rate, forecast
from mailhaul.plan.model import Budget, Plan, System
from mailhaul.plan.presets import Side, budget_of

MAILBOXES_A_MINUTE = 12
LEAST_MESSAGES, MOST_MESSAGES = 120, 2_400
A_SECOND = 60
"""Messages that the smallest machine carries."""
MEAN_OCTETS = 10_000
USUAL_MESSAGES = 3_000
"""Median of the mailboxes nobody has counted; sizes spread as in real ones."""
USUAL_SPREAD = 1.2
USUAL_OCTETS = 60_000
LARGEST = 200_000
LEAST_LEAD, LONGEST_LEAD = timedelta(hours=24), timedelta(days=14)
HEAD_START = 14.0
"""Real seconds that the plan begins earlier, for what no real plan has: programs that start, and
work that takes hours of a wound clock."""
FASTEST, SLOWEST = 20_000.0, 60.0
NIGHT = 6.0
"""Real seconds that a night's work lasts at the least: less, and nothing would be done in it."""
BESIDES = 25.0
"""Real seconds that starting, reporting and counting take."""
SUPPOSED = Rate(10.0, 1_000_000.0)


@dataclass(frozen=True, slots=True)
class Role:
    """A mailbox of the plan, and what stands in for it. `known`: its real size was counted."""

    address: str
    wave: str
    real: Amount
    known: bool
    messages: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Casting:
    """Who plays, out of whom."""

    roles: tuple[Role, ...]
    everybody: tuple[Role, ...]

    @property
    def counted(self) -> int:
        """How many of all mailboxes have been counted."""
        return sum(role.known for role in self.everybody)

    @property
    def messages(self) -> float:
        """By what factor there are fewer messages than in all real mailboxes."""
        real = sum(role.real.messages for role in self.everybody)
        return sum(role.messages for role in self.roles) / real if real else 1.0

    @property
    def octets(self) -> float:
        """By what factor there are fewer octets."""
        real = sum(role.real.octets for role in self.everybody)
        return sum(role.octets for role in self.roles) / real if real else 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The wound clock: what it shows at the begin, how fast it goes, and each wave's cutover."""

    begin: datetime
    speed: float
    cutovers: Mapping[str, datetime | None]
    seconds: float
    """Real ones, for all of it."""


def cast(
    plan: Plan, known: Mapping[str, Amount], most: int, most_messages: int = MOST_MESSAGES
) -> Casting:
    """As many mailboxes as fit, of each wave in proportion, each in proportion to its own size, so
    many messages together. Sizes that are not known are drawn, always the same ones for the same
    plan."""
    chance = random.Random(plan.name)  # noqa: S311 - reproducible, not secret
    every = []
    for each in plan.mailboxes:
        drawn = round(USUAL_MESSAGES * chance.lognormvariate(0, USUAL_SPREAD))
        amount = known.get(each.address, Amount(drawn, drawn * USUAL_OCTETS))
        every.append(Role(each.address, each.wave, amount, each.address in known))
    chosen = _chosen(every, most)
    messages = sum(role.real.messages for role in chosen)
    octets = sum(role.real.octets for role in chosen)
    fewer = min(1.0, most_messages / messages) if messages else 1.0
    smaller = min(1.0, most_messages * MEAN_OCTETS / octets) if octets else 1.0
    roles = tuple(
        replace(
            role,
            messages=max(1, round(role.real.messages * fewer)) if role.real.messages else 0,
            octets=round(role.real.octets * smaller),
        )
        for role in chosen
    )
    return Casting(roles, tuple(every))


def _chosen(every: Sequence[Role], most: int) -> list[Role]:
    """Of each wave its share, at least one, spread evenly over its sizes; in the plan's order."""
    if len(every) <= most:
        return [*every]
    waves: dict[str, list[Role]] = {}
    for role in every:
        waves.setdefault(role.wave, []).append(role)
    kept = set()
    for members in waves.values():
        count = max(1, len(members) * most // len(every))
        by_size = sorted(members, key=lambda role: role.real.messages)
        kept |= {by_size[(2 * place + 1) * len(by_size) // (2 * count)] for place in range(count)}
    return [role for role in every if role in kept]


def timed(plan: Plan, casting: Casting, minutes: float, now: datetime) -> Timing:
    """A clock that shows the whole plan within so many minutes: from some days before its first
    cutover (how many, the forecast says) to the end of its last sweeps."""
    cutovers = {wave: plan.cutover_of(wave) for wave in waves_of(plan, casting)}
    times = [each for each in cutovers.values() if each is not None]
    copying = predicted(plan, casting, min(times, default=now), None)
    needed = LONGEST_LEAD if copying is None else copying * 1.25
    lead = min(max(LEAST_LEAD, needed), LONGEST_LEAD)
    first = min(times, default=now + lead)
    after = plan.sweeps.for_ + plan.sweeps.every * (plan.sweeps.until_quiet + 2)
    span = lead + (max(times, default=first) - first) + after
    seconds = max(minutes * 60 - BESIDES - HEAD_START, 10.0)
    speed = min(max(span.total_seconds() / seconds, SLOWEST), FASTEST, _night(plan) / NIGHT)
    begin = first - lead - timedelta(seconds=HEAD_START * speed)
    return Timing(begin, speed, cutovers, span.total_seconds() / speed + HEAD_START + BESIDES)


def workable(plan: Plan, timing: Timing) -> int:
    """So many messages as are carried in one night of the wound clock, also by a machine that has
    other things to do."""
    seconds = _night(plan) / timing.speed
    return max(LEAST_MESSAGES, min(MOST_MESSAGES, round(A_SECOND * seconds)))


def _night(plan: Plan) -> float:
    """Seconds for which the plan may work without a break."""
    if plan.hours is None:
        return 24 * 3600.0
    start, end = (each.hour + each.minute / 60 for each in (plan.hours.start, plan.hours.end))
    return ((end - start) % 24 or 24.0) * 3600.0


def waves_of(plan: Plan, casting: Casting) -> list[str]:
    """The waves that are played, in the plan's order."""
    played = dict.fromkeys(role.wave for role in casting.roles)
    order = {wave.name: place for place, wave in enumerate(plan.waves)}
    return sorted(played, key=lambda wave: order.get(wave, len(order)))


def domains_of(casting: Casting) -> list[str]:
    """The domains of those who are played, in their order."""
    return [*dict.fromkeys(filter(None, (domain_of(role.address) for role in casting.roles)))]


def predicted(plan: Plan, casting: Casting, begin: datetime, wave: str | None) -> timedelta | None:
    """The forecast for a wave with all before it, from the real sizes and the plan's own limits;
    None for `wave`: for all. None: it never ends."""
    waves = waves_of(plan, casting)
    before = waves if wave is None else waves[: waves.index(wave) + 1]
    amounts = [role.real for role in casting.everybody if role.wave in before]
    limits = Limits(
        SUPPOSED,
        budget_of(plan.source, Side.SOURCE),
        budget_of(plan.target, Side.TARGET),
        (plan.source.connections_each, plan.target.connections_each),
        plan.hours,
        plan.zone,
    )
    found = forecast(amounts, limits, begin.astimezone(UTC))
    return None if found.ends is None else found.ends - found.start


UNPLAYED = ("folders", "exclude", "map", "since")
"""What [carry] says of folders and messages: the stand-ins have others."""


def unplayed(plan: Plan) -> list[str]:
    """What the plan says and `plan_text` leaves out, as a person finds it in plan.toml."""
    found = [f"carry.{name}" for name in UNPLAYED if getattr(plan.carry, name)]
    found += ["webhooks"] if plan.webhooks else []
    found += ["accounts"] if plan.accounts is not None else []
    return [*found, "canary"] if plan.canary is not None and plan.canary.on else found


def plan_text(plan: Plan, casting: Casting, places: tuple[str, str]) -> str:
    """plan.toml for the stand-ins at `places` (host:port of old and new). What is told elsewhere
    (webhooks), the real zones and control planes, and what chooses folders and messages is left
    out; budgets are as much smaller as the mail is, so that they bind as they would."""
    whole = plan.model_dump(mode="json", by_alias=True, exclude_none=True)
    left = ("mailboxes", "webhooks", "mailboxes_file", "dns", "canary", "accounts", "expect_text")
    for name in left:
        whole.pop(name, None)
    whole["gates"].pop("accounts", None)
    for name in UNPLAYED:
        whole["carry"].pop(name, None)
    sides = (
        ("source", plan.source, Side.SOURCE, "old"),
        ("target", plan.target, Side.TARGET, "new"),
    )
    for (name, system, side, secret), place in zip(sides, places, strict=True):
        whole[name] = {
            "url": f"imap://{{address}}@{place}",
            "secret": f"file:secrets/{secret}/{{address}}",
            "connections_each": min(system.connections_each, 4),
            "budget": _smaller(system, side, casting),
        }
    played = {role.wave for role in casting.roles}
    whole["waves"] = [each for each in whole["waves"] if each["name"] in played]
    return "# A rehearsal: nothing in here leads to a real mail system.\n" + "\n".join(_toml(whole))


def mailboxes_text(casting: Casting) -> str:
    """mailboxes.csv for the stand-ins."""
    rows = [f"{_cell(role.address)},{_cell(role.wave)}" for role in casting.roles]
    return "\n".join(["address,wave", *rows, ""])


def _smaller(system: System, side: Side, casting: Casting) -> dict[str, Any]:
    budget: Budget = budget_of(system, side)
    found: dict[str, Any] = {}
    if budget.connections is not None:
        found["connections"] = max(budget.connections, min(system.connections_each, 4))
    for name in ("messages_per_second", "messages_per_second_each"):
        if (rate := getattr(budget, name)) is not None:
            found[name] = rate * casting.messages
    for name in ("octets_per_day", "octets_per_day_each"):
        if (octets := getattr(budget, name)) is not None:
            # No less than the largest message, which could never go else.
            found[name] = max(round(octets * casting.octets), 2 * LARGEST)
    return found


def _toml(table: Mapping[str, Any], name: str = "") -> list[str]:
    """A table as TOML: its values, then its tables. JSON's strings are TOML's too."""
    values, tables = [], []
    for key, value in table.items():
        inner = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            tables += _toml(value, inner)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for each in value:
                tables += ["", f"[[{inner}]]", *_toml(each)]
        elif key == "cutover":
            values.append(f"cutover = {value}")
        else:
            values.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    heading = ["", f"[{name}]"] if name else []
    return [*heading, *values, *tables]


def _cell(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(each in text for each in ',";\n') else text
