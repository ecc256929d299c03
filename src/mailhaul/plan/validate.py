"""What can be wrong with a plan although every value is of its kind: checks across plan.toml.

Each check is a generator of mistakes; `cross_checks` is the list of them. What they look at may be
incomplete (`shape.UNKNOWN`), for everything is to be told at once.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.folder_text import folder_path
from mailhaul.plan.actions import ACTIONS
from mailhaul.plan.durations import duration_text
from mailhaul.plan.mistakes import Mistake, said, suggestion
from mailhaul.plan.model import Order, Plan, System
from mailhaul.plan.moments import wall_fault, zone_fault
from mailhaul.plan.presets import PRESETS, Side, budget_of
from mailhaul.plan.references import reference_fault
from mailhaul.plan.shape import UNKNOWN, Lines
from mailhaul.plan.templates import NAMES, filled_url, wrong_names
from mailhaul.plan.toml_lines import Place

SAMPLE = "somebody@example.org"
_NAMES = " and ".join((", ".join(f"{{{name}}}" for name in NAMES[:-1]), f"{{{NAMES[-1]}}}"))
_LONGEST_PART = 255
_PASSWORD = re.compile(r"://[^:/?#@]*:.*@")


def cross_checks(plan: Plan, lines: Lines, now: datetime | None) -> Iterator[Mistake]:
    """All that is wrong with `plan` but for its mailboxes. Without `now` (aware) nothing is told of
    times that are past."""
    for side in Side:
        yield from _system(plan, side, lines)
    yield from _moments(plan, lines, now)
    yield from _carry(plan, lines)
    yield from _schedule(plan, lines)
    yield from _waves(plan, lines)
    yield from _webhooks(plan, lines)


def url_faults(url: str) -> Iterator[tuple[str, str]]:
    """What is wrong with an endpoint that may have names in braces, each with its cure."""
    wrong = list(wrong_names(url))
    for name in wrong:
        if name in "{}":
            yield f"a {name} stands alone", f"write {_NAMES}, or %7B and %7D for braces"
        else:
            yield f"{name} means nothing", f"there are {_NAMES}"
    if wrong:
        return
    if _PASSWORD.search(url):
        yield (
            "a password stands in it",
            'take it out and say where it lies, by secret = "file:PATH"',
        )
        return
    try:
        parse_endpoint(filled_url(url, SAMPLE))
    except BadInput as error:
        fact, cure = said(error)
        yield fact, cure or "write imaps://{address}@host, or maildir:PATH"


def secret_faults(secret: str) -> Iterator[tuple[str, str]]:
    """What is wrong with a reference, each with its cure."""
    fault = reference_fault(secret)
    if fault is not None:
        yield fault
        return
    if not secret.startswith("command:"):
        for name in wrong_names(secret):
            yield f"{name} means nothing", f"there are {_NAMES}"


def _system(plan: Plan, side: Side, lines: Lines) -> Iterator[Mistake]:
    system = plan.source if side is Side.SOURCE else plan.target
    if system.url != UNKNOWN:
        for text, cure in url_faults(system.url):
            yield lines.mistake((side, "url"), system.url, text, cure)
    for text, cure in secret_faults(system.secret):
        yield lines.mistake((side, "secret"), system.secret, text, cure)
    if system.preset and system.preset not in PRESETS:
        cure = suggestion(system.preset, PRESETS) or f"there are {', '.join(PRESETS)}"
        yield lines.mistake((side, "preset"), system.preset, "this preset is not known", cure)
    yield from _budget(system, side, lines)


def _budget(system: System, side: Side, lines: Lines) -> Iterator[Mistake]:
    budget = budget_of(system, side)
    each = system.connections_each
    preset = PRESETS.get(system.preset)
    if budget.connections is not None and budget.connections < each:
        place: Place = (side, "budget", "connections")
        yield lines.mistake(
            place if system.budget.connections is not None else (side, "connections_each"),
            budget.connections,
            f"no mailbox could ever be opened, for each takes {each} connections",
            f"allow {each} or more, or lower {side}.connections_each",
        )
    if preset is not None and each > preset.connections_each:
        text = f"{system.preset} takes {preset.connections_each} connections to one mailbox"
        cure = f"write {preset.connections_each} or less"
        yield lines.mistake((side, "connections_each"), each, text, cure)


def _moments(plan: Plan, lines: Lines, now: datetime | None) -> Iterator[Mistake]:
    cure = zone_fault(plan.time_zone)
    if cure is not None:
        text = "this time zone is not known"
        yield lines.mistake(("time_zone",), plan.time_zone, text, cure)
    zone = plan.zone if cure is None else None
    stated = "time_zone" in plan.model_fields_set
    if plan.hours is not None and not stated:
        yield _no_zone(("hours",), None, lines)
    for place, moment in _every_moment(plan):
        if moment.tzinfo is None and not stated:
            yield _no_zone(place, moment, lines)
        elif zone is not None:
            yield from _moment(place, moment, zone, lines, now)
        elif now is not None:
            # What time it is there nobody knows; no zone is more than a day away from any other.
            yield from _past(
                place, moment, moment.replace(tzinfo=UTC), lines, now, timedelta(days=1)
            )


def _every_moment(plan: Plan) -> Iterator[tuple[Place, datetime]]:
    if plan.cutover is not None:
        yield ("cutover",), plan.cutover
    for number, wave in enumerate(plan.waves):
        if wave.cutover is not None:
            yield ("waves", number, "cutover"), wave.cutover
    if plan.carry.since is not None:
        yield ("carry", "since"), plan.carry.since
    if plan.accounts is not None and plan.accounts.begin is not None:
        yield ("accounts", "begin"), plan.accounts.begin


def _no_zone(place: Place, value: object, lines: Lines) -> Mistake:
    text = "this time names no time zone, and neither does the plan"
    cure = 'write time_zone = "Europe/Paris" (or yours) at the top'
    if value is None:
        text = "[hours] are in the plan's time zone, and it names none"
    return lines.mistake(place, value, text, cure)


def _moment(
    place: Place, moment: datetime, zone: ZoneInfo, lines: Lines, now: datetime | None
) -> Iterator[Mistake]:
    if moment.tzinfo is None:
        fault = wall_fault(moment, zone)
        if fault is not None:
            yield lines.mistake(place, moment, *fault)
            return
    if now is not None:
        real = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
        yield from _past(place, moment, real, lines, now.astimezone(zone), timedelta())


def _past(
    place: Place, written: datetime, real: datetime, lines: Lines, now: datetime, doubt: timedelta
) -> Iterator[Mistake]:
    """What is told of a time that lies on the wrong side of `now`, by more than `doubt`."""
    today = now.isoformat(sep=" ", timespec="minutes")
    if place[-1] == "begin" and real <= now - doubt:
        cure = f"write a time to come, or leave it out; now it is {today}"
        yield lines.mistake(place, written, "this lies in the past", cure)
    if place[-1] == "cutover" and real <= now - doubt:
        cure = f"write a time to come; now it is {today}"
        yield lines.mistake(place, written, "the cutover lies in the past", cure)
    if place[-1] == "since" and real > now + doubt:
        text = "this lies in the future, so nothing would be carried"
        yield lines.mistake(place, written, text, f"write a time before now, {today}")


def _carry(plan: Plan, lines: Lines) -> Iterator[Mistake]:
    carry = plan.carry
    for name, globs in (("folders", carry.folders), ("exclude", carry.exclude)):
        for number, glob in enumerate(globs):
            if not glob.strip():
                text, cure = "this matches no folder", 'write a pattern like "Projects/*"'
                yield lines.mistake(("carry", name, number), f"“{glob}”", text, cure)
    seen: dict[tuple[str, ...], str] = {}
    for source, target in carry.map.items():
        place = ("carry", "map", source)
        for text in (source, target):
            path = folder_path(text)
            if not all(path):
                fact = f"“{text}” has a part without a name"
                yield lines.mistake(place, target, fact, 'write it like Sent = "Archive/Sent"')
            elif any(len(part) > _LONGEST_PART for part in path):
                yield lines.mistake(place, target, "this name is too long", "shorten it")
            elif any(ord(letter) < 0x20 or letter == "\x7f" for part in path for letter in part):
                yield lines.mistake(place, target, "a control character", "take it out")
        first = seen.setdefault(folder_path(source), source)
        if first != source:
            text = f"this is the folder “{first}”, which is sent elsewhere already"
            yield lines.mistake(place, target, text, "choose one of the two")
    if carry.prestage_older_than is not None and carry.order is Order.NEWEST_FIRST:
        text = "what is old can't go first where the newest goes first"
        cure = 'leave this out, or write order = "oldest-first"'
        value = duration_text(carry.prestage_older_than)
        yield lines.mistake(("carry", "prestage_older_than"), value, text, cure)


def _schedule(plan: Plan, lines: Lines) -> Iterator[Mistake]:
    sweeps, hours = plan.sweeps, plan.hours
    if sweeps.for_ < sweeps.every:
        every = duration_text(sweeps.every)
        place = "for" if "for_" in sweeps.model_fields_set else "every"
        yield lines.mistake(
            ("sweeps", place),
            duration_text(sweeps.for_) if place == "for" else every,
            "the sweeps' time would be over before the first of them",
            f"sweep for {every} or longer, or more often",
        )
    if hours is None:
        return
    if hours.start == hours.end:
        text = "these hours never open"
        cure = "let end differ from start; to work always, leave [hours] out"
        yield lines.mistake(("hours", "end"), f"{hours.end:%H:%M}", text, cure)
    if not hours.days:
        cure = "name days, 1 is Monday; to work on all of them, leave days out"
        yield lines.mistake(("hours", "days"), [], "these hours never open", cure)


def _waves(plan: Plan, lines: Lines) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for number, wave in enumerate(plan.waves):
        place = ("waves", number, "name")
        line = lines.line(*place)
        if wave.name == UNKNOWN:
            continue
        first = seen.setdefault(wave.name.casefold(), line)
        if first != line:
            text = f"the wave of line {first} is called that too"
            yield lines.mistake(place, wave.name, text, "give each wave its own name")


def _webhooks(plan: Plan, lines: Lines) -> Iterator[Mistake]:
    for number, webhook in enumerate(plan.webhooks):
        if webhook.url != UNKNOWN:
            for text, cure in _hook_faults(webhook.url):
                yield lines.mistake(("webhooks", number, "url"), webhook.url, text, cure)
        for place_in_list, event in enumerate(webhook.events):
            if event not in ACTIONS:
                cure = suggestion(event, ACTIONS) or f"there are {', '.join(ACTIONS)}"
                place = ("webhooks", number, "events", place_in_list)
                yield lines.mistake(place, event, "the log tells of nothing by that name", cure)
        for text, cure in secret_faults(webhook.secret):
            yield lines.mistake(("webhooks", number, "secret"), webhook.secret, text, cure)


def _hook_faults(url: str) -> Iterator[tuple[str, str]]:
    cure = "write https://host/path"
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        yield "this is no web address", cure
        return
    if parts.scheme not in ("https", "http") or not host or not port_is_good:
        yield "this is no web address", cure
    elif parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
        yield "addresses of people would travel where anybody can read them", cure
    if parts.username or parts.password:
        yield "this holds a login", "take it out; webhooks are signed with `secret`"
