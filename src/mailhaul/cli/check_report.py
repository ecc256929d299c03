"""What a check of a plan says: to a person, and as lines of JSON. Pure; nothing here prints."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from mailhaul.check.checked import Checked, Rate, Server
from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import count, octets, plural, remaining
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.store import Capabilities
from mailhaul.core.text import printable
from mailhaul.plan.forecast import Amount, Forecast, Limits, forecast, latest_start
from mailhaul.plan.forecast import Rate as PlanRate
from mailhaul.plan.model import Plan
from mailhaul.plan.presets import Side, budget_of

EACH_CODE = 5
"""So much evidence is shown under one code."""
VERDICTS = {
    Severity.BLOCKS: "blocked",
    Severity.WARNS: "warnings",
    Severity.TELLS: "fine",
    None: "fine",
}
_TONES = {
    Severity.BLOCKS: Tone.BAD,
    Severity.WARNS: Tone.WARNING,
    Severity.TELLS: Tone.PLAIN,
    None: Tone.GOOD,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One mailbox and what was found."""

    address: str
    wave: str
    checked: Checked

    @property
    def rank(self) -> int:
        """0 is the worst."""
        worst = self.checked.worst
        return len(Severity) if worst is None else worst.rank


@dataclass(frozen=True, slots=True)
class WaveForecast:
    """How long one wave's first copy takes. `latest` is None where there is no cutover, and where
    it is `late` already. `written` says that writing was measured too. `uncounted` mailboxes are
    not in it."""

    wave: str
    cutover: datetime | None
    forecast: Forecast
    latest: datetime | None
    late: bool
    written: bool
    uncounted: int


def kept(row: Row) -> Row:
    """The row without what only its own line of JSON tells: ten thousand may be waiting for the
    table."""
    checked = row.checked
    return replace(
        row,
        checked=replace(
            checked,
            folders=(),
            map=(),
            fidelity=(),
            source=_named_only(checked.source),
            target=_named_only(checked.target),
        ),
    )


def row_remark(row: Row) -> str:
    """One mailbox in a few words."""
    found = row.checked.findings
    worst = f", {found[0].code}" if found and row.checked.worst is not Severity.TELLS else ""
    return f"{printable(row.address, 80)} {VERDICTS[row.checked.worst]}{worst}"


def summary(
    plan: Plan, rows: Sequence[Row], waves: Sequence[WaveForecast], *, probed: bool
) -> list[Block]:
    """Everything, for a person: the mailboxes, the worst first; each finding once with where it
    was found and what to do; the servers; how long it will take."""
    blocks: list[Block] = [*_heading(plan, rows), Line(), _mailboxes(rows)]
    blocks += _findings(rows)
    blocks += [Line(), *_servers(rows)]
    blocks += _histogram(rows)
    blocks += _forecast(plan, waves)
    if not probed:
        blocks.append(
            Line("--probe would try out what the target does with odd messages", Tone.FAINT)
        )
    return blocks


def forecasts(plan: Plan, rows: Sequence[Row], now: datetime) -> list[WaveForecast]:
    """Wave by wave, in the plan's order, from what could be counted; none where no speed could be
    measured."""
    rate = _rate([row.checked.rate for row in rows])
    if rate is None:
        return []
    limits = Limits(
        rate=rate,
        source=budget_of(plan.source, Side.SOURCE),
        target=budget_of(plan.target, Side.TARGET),
        connections_each=(plan.source.connections_each, plan.target.connections_each),
        hours=plan.hours,
        zone=plan.zone,
    )
    written = any(row.checked.rate.octets_written is not None for row in rows)
    found = []
    for wave in dict.fromkeys(row.wave for row in rows):
        own = [row for row in rows if row.wave == wave]
        counted = [row for row in own if row.checked.source is not None]
        amounts = [Amount(row.checked.messages, row.checked.octets) for row in counted]
        cutover = plan.cutover_of(wave)
        latest = None if cutover is None else latest_start(amounts, limits, cutover, now)
        found.append(
            WaveForecast(
                wave=wave,
                cutover=cutover,
                forecast=forecast(amounts, limits, now),
                latest=latest,
                late=cutover is not None and latest is None,
                written=written,
                uncounted=len(own) - len(counted),
            )
        )
    return found


def row_line(row: Row) -> dict[str, Json]:
    """One mailbox for `--json`."""
    checked = row.checked
    return {
        "event": "checked",
        "mailbox": row.address,
        "wave": row.wave,
        "blocked": checked.blocked,
        "messages": checked.messages,
        "bytes": checked.octets,
        "again_after": checked.again_after,
        "findings": [_finding_line(finding) for finding in checked.findings],
        "folders": [
            {
                "folder": list(folder.path),
                "messages": folder.messages,
                "bytes": folder.octets,
                "older": folder.older,
                "stated": folder.stated,
                "largest": folder.largest,
                "error": folder.problem,
            }
            for folder in checked.folders
        ],
        "map": [
            {"source": list(link.source), "target": list(link.target), "notes": list(link.notes)}
            for link in checked.map
        ],
        "sizes": [
            {"below": step.below, "messages": step.messages, "bytes": step.octets}
            for step in checked.histogram
        ],
        "source": _server_line(checked.source),
        "target": _server_line(checked.target),
        "rate": {
            "bytes_read": checked.rate.octets_read,
            "messages_read": checked.rate.messages_read,
            "bytes_written": checked.rate.octets_written,
            "messages_written": checked.rate.messages_written,
        },
        "fidelity": [
            {
                "message": each.oddity.value,
                "kept": each.kept,
                "refused": each.refused,
                "detail": each.detail,
                "date": each.date,
                "flags": each.flags,
            }
            for each in checked.fidelity
        ],
    }


def wave_line(wave: WaveForecast) -> dict[str, Json]:
    """One wave's forecast for `--json`."""
    ends = wave.forecast.ends
    return {
        "event": "forecast",
        "wave": wave.wave,
        "messages": wave.forecast.messages,
        "bytes": wave.forecast.octets,
        "seconds": None if ends is None else wave.forecast.seconds,
        "cutover": None if wave.cutover is None else wave.cutover.isoformat(),
        "latest_start": None if wave.latest is None else wave.latest.isoformat(),
        "too_late": wave.late,
        "writing_measured": wave.written,
        "uncounted": wave.uncounted,
        "reliefs": [
            {"limit": relief.limit, "seconds": _finite(relief.seconds)}
            for relief in wave.forecast.reliefs
        ],
    }


def end_line(name: str, rows: Sequence[Row], code: Exit) -> dict[str, Json]:
    """The end for `--json`."""
    return {
        "event": "check",
        "plan": name,
        "mailboxes": len(rows),
        "blocked": sum(row.checked.blocked for row in rows),
        "messages": sum(row.checked.messages for row in rows),
        "bytes": sum(row.checked.octets for row in rows),
        "exit": code.value,
    }


def _heading(plan: Plan, rows: Sequence[Row]) -> Iterator[Line]:
    messages = sum(row.checked.messages for row in rows)
    size = sum(row.checked.octets for row in rows)
    blocked = sum(row.checked.blocked for row in rows)
    verdict = f"{blocked} of {len(rows)} blocked" if blocked else "none is blocked"
    yield Line(
        f"{printable(plan.name, 80)}: {plural(len(rows), 'mailbox', 'mailboxes')}, "
        f"{plural(messages, 'message')}, {octets(size)}; {verdict}",
        Tone.BAD if blocked else Tone.GOOD,
    )


def _mailboxes(rows: Sequence[Row]) -> Table:
    waves = any(row.wave for row in rows)
    cells = []
    for row in sorted(rows, key=lambda row: row.rank):
        checked = row.checked
        serious = [f.code for f in checked.findings if f.severity is not Severity.TELLS]
        told = ", ".join(dict.fromkeys(serious))
        known = checked.source is not None
        cells.append(
            (
                printable(row.address, 120),
                *((printable(row.wave, 40),) if waves else ()),
                VERDICTS[checked.worst],
                count(checked.messages) if known else "?",
                octets(checked.octets) if known else "?",
                told,
            )
        )
    heading = ("mailbox", *(("wave",) if waves else ()), "verdict", "messages", "size", "findings")
    return Table(heading, tuple(cells), frozenset({3, 4} if waves else {2, 3}))


def _findings(rows: Sequence[Row]) -> Iterator[Line]:
    """Each code once, the worst first, with the mailboxes where it was found."""
    by_code: dict[tuple[int, str], list[tuple[Row, Finding]]] = {}
    for row in rows:
        for finding in row.checked.findings:
            key = (finding.severity.rank, finding.code)
            by_code.setdefault(key, []).append((row, finding))
    # In the order of severity; within it in that of the table.
    for (_, code), found in sorted(by_code.items(), key=lambda entry: entry[0][0]):
        severity = found[0][1].severity
        mailboxes = len({row.address for row, _ in found})
        yield Line()
        told = plural(mailboxes, "mailbox", "mailboxes")
        yield Line(f"{severity.value}: {code} ({told})", _TONES[severity])
        together: dict[str, list[str]] = {}
        for row, finding in found:
            together.setdefault(finding.evidence, []).append(row.address)
        for evidence, addresses in list(together.items())[:EACH_CODE]:
            yield Line(f"  {_named(addresses)}: {evidence}")
        if len(together) > EACH_CODE:
            yield Line(f"  and {count(len(together) - EACH_CODE)} more (all by --json)")
        remedy = found[0][1].remedy
        if remedy:
            yield Line(f"  → {remedy}", Tone.FAINT)


def _named(addresses: Sequence[str]) -> str:
    """The first of them by name."""
    first = ", ".join(printable(address, 80) for address in addresses[:2])
    more = len(addresses) - 2
    return f"{first} and {count(more)} more" if more > 0 else first


def _servers(rows: Sequence[Row]) -> Iterator[Line]:
    for title, servers in (
        ("source", [row.checked.source for row in rows]),
        ("target", [row.checked.target for row in rows]),
    ):
        names = dict.fromkeys(
            printable(server.capabilities.server, 120) for server in servers if server is not None
        )
        if names:
            yield Line(f"{title}  {', '.join(list(names)[:3])}")


def _histogram(rows: Sequence[Row]) -> list[Block]:
    """All mailboxes' messages by size."""
    sums: dict[int | None, list[int]] = {}
    for row in rows:
        for step in row.checked.histogram:
            counted = sums.setdefault(step.below, [0, 0])
            counted[0] += step.messages
            counted[1] += step.octets
    cells = tuple(
        ("larger" if below is None else f"below {octets(below)}", count(messages), octets(size))
        for below, (messages, size) in sums.items()
        if messages
    )
    if not cells:
        return []
    return [Line(), Table(("sizes", "messages", "in all"), cells, frozenset({1, 2}))]


def _forecast(plan: Plan, waves: Sequence[WaveForecast]) -> Iterator[Line]:
    if not waves:
        return
    yield Line()
    how = "" if waves[0].written else ", from the speed of reading alone (--probe measures writing)"
    yield Line(f"forecast of the first copies{how}", Tone.HEADING)
    for wave in waves:
        name = f"wave {printable(wave.wave, 40)}: " if wave.wave else ""
        ends = wave.forecast.ends
        takes = "never ends" if ends is None else remaining(wave.forecast.seconds)
        yield Line(f"  {name}{takes} for {octets(wave.forecast.octets)}{_left_out(wave)}")
        if wave.late and wave.cutover is not None:
            when = _moment(wave.cutover, plan)
            yield Line(f"    too late for the cutover at {when}; move it", Tone.BAD)
        elif wave.latest is not None and wave.cutover is not None:
            yield Line(
                f"    latest safe start {_moment(wave.latest, plan)} "
                f"for the cutover at {_moment(wave.cutover, plan)}"
            )
        reliefs = [
            f"{relief.limit}"
            + (f", by {remaining(relief.seconds)}" if _finite(relief.seconds) else "")
            for relief in wave.forecast.reliefs[:3]
        ]
        if reliefs:
            yield Line(f"    what would shorten it: {'; '.join(reliefs)}", Tone.FAINT)


def _left_out(wave: WaveForecast) -> str:
    if not wave.uncounted:
        return ""
    return f"; {plural(wave.uncounted, 'mailbox', 'mailboxes')} that couldn't be counted left out"


def _moment(moment: datetime, plan: Plan) -> str:
    return moment.astimezone(plan.zone).strftime("%Y-%m-%d %H:%M")


def _rate(rates: Sequence[Rate]) -> PlanRate | None:
    """What one connection pair carries: the middle one of all mailboxes measured, and of reading
    and writing the slower."""
    messages = _slower(
        [rate.messages_read for rate in rates], [rate.messages_written for rate in rates]
    )
    size = _slower([rate.octets_read for rate in rates], [rate.octets_written for rate in rates])
    if messages is None or size is None:
        return None
    return PlanRate(messages, size)


def _slower(*sides: Sequence[float | None]) -> float | None:
    middles = [median(known) for side in sides if (known := [value for value in side if value])]
    return min(middles, default=None)


def _finite(seconds: float) -> float | None:
    return seconds if seconds < timedelta.max.total_seconds() else None


def _named_only(server: Server | None) -> Server | None:
    return None if server is None else Server(Capabilities(server.capabilities.server))


def _finding_line(finding: Finding) -> dict[str, Json]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "evidence": finding.evidence,
        "remedy": finding.remedy,
    }


def _server_line(server: Server | None) -> dict[str, Json] | None:
    if server is None:
        return None
    can = server.capabilities
    return {
        "server": can.server,
        "append_limit": can.append_limit,
        "quota_used": None if can.quota is None else can.quota.used,
        "quota_limit": None if can.quota is None else can.quota.limit,
        "keeps_keywords": can.keeps_keywords,
        "keeps_received": can.keeps_received,
        "extensions": sorted(can.extensions),
        "notices": list(server.notices),
    }
