"""What `mailhaul status` shows, as blocks and as lines of JSON. Pure; see `journey.status`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.canary_figures import canary_words, figures_json
from mailhaul.cli.figures import count, octets, plural, rate, remaining

if TYPE_CHECKING:
    from mailhaul.journey.details import Details
    from mailhaul.journey.rows import MailboxRow
    from mailhaul.journey.status import Figures, Status

SHOWN = 20


def status_blocks(found: "Status") -> list[Block]:
    """All of it, for a person."""
    zone = found.plan.plan.zone
    blocks: list[Block] = [Line(f"plan {found.plan.name}: {_summary(found)}", Tone.HEADING), Line()]
    blocks += [_milestones(found), Line(), *_figures(found)]
    if len(found.waves) > 1 or any(wave.name for wave in found.waves):
        blocks += [Line(), _waves(found)]
    if found.waits:
        blocks += [Line(), Line("waiting", Tone.HEADING)]
        for wait in found.waits[:SHOWN]:
            who = f"{plural(wait.mailboxes, 'mailbox', 'mailboxes')}: " if wait.mailboxes else ""
            names = f" ({', '.join(wait.examples)})" if 0 < len(wait.examples) <= 2 else ""
            cure = f"; {wait.cure}" if wait.cure else ""
            blocks.append(Line(f"  {who}{wait.what}{names}{cure}", Tone.WARNING))
    if found.next_due:
        blocks += [Line(), Line("next", Tone.HEADING)]
        blocks += [
            Line(f"  {moment(due.at, zone)}  {due.address}, {due.state}") for due in found.next_due
        ]
    if found.gates:
        blocks += [Line(), Line("gates opened", Tone.HEADING)]
        for gate in found.gates:
            wave = f" of wave “{gate.wave}”" if gate.wave else ""
            again = f", round {gate.round}" if gate.round > 1 else ""
            blocks.append(Line(f"  {moment(gate.at, zone)}  {gate.gate}{wave}{again}, {gate.by}"))
    return blocks


def watch_text(found: "Status") -> str:
    """One line that says where it stands."""
    states = ", ".join(f"{number} {state}" for state, number in found.states.items())
    figures = found.figures
    return (
        f"{moment(found.at, found.plan.plan.zone)}  {_summary(found)}: {states}; "
        f"{count(figures.account.copied)} messages copied, {octets(figures.octets)}"
    )


def status_line(found: "Status") -> dict[str, Json]:
    """All of it, for `--json`."""
    return {
        "event": "status",
        "plan": found.plan.name,
        "state": found.plan.state.value,
        "at": found.at,
        "loaded_at": found.plan.loaded_at,
        "started_at": found.plan.started_at,
        "ended_at": found.plan.ended_at,
        "mailboxes": found.mailboxes,
        "states": {state.value: number for state, number in found.states.items()},
        "milestones": dict(found.milestones),
        **_sums(found.figures),
        "waves": [
            {
                "wave": wave.name,
                "states": {state.value: number for state, number in wave.states.items()},
                "cutover": wave.cutover,
                "gone_at": None if wave.gone is None else wave.gone.at,
                **_sums(wave.figures),
            }
            for wave in found.waves
        ],
        "gates": [
            {
                "gate": gate.gate.value,
                "wave": gate.wave,
                "round": gate.round,
                "at": gate.at,
                "by": gate.by,
                "login": gate.login,
                "text": gate.text,
            }
            for gate in found.gates
        ],
        "waits": [
            {
                "what": wait.what,
                "mailboxes": wait.mailboxes,
                "cure": wait.cure,
                "examples": list(wait.examples),
            }
            for wait in found.waits
        ],
        "next": [
            {"at": due.at, "mailbox": due.address, "state": due.state.value}
            for due in found.next_due
        ],
        "due": found.overdue,
        "running": found.running,
        "messages_per_second": None if found.pace is None else round(found.pace.messages, 3),
        "bytes_per_second": None if found.pace is None else round(found.pace.octets, 1),
        "synced_at": found.synced_at,
        "grades": dict(found.grades),
        "grade": None if found.grade is None else found.grade.value,
        "workers": found.workers,
        "canary": None if found.canary is None else figures_json(found.canary),
    }


def mailbox_table(rows: Sequence["MailboxRow"]) -> Table:
    """Every mailbox in one line."""
    heading = ("mailbox", "wave", "state", "census", "carried", "left", "grade", "why")
    cells = tuple(
        (
            row.address,
            row.wave,
            row.state.value,
            count(row.census),
            octets(row.octets),
            count(row.refused + row.missing),
            row.grade,
            row.reason,
        )
        for row in rows
    )
    return Table(heading, cells, frozenset({3, 4, 5}))


def mailbox_blocks(found: "Details", zone: ZoneInfo) -> list[Block]:
    """One mailbox in detail, for a person."""
    row = found.row
    since = moment(row.since_at, zone)
    blocks: list[Block] = [Line(f"{row.address}: {row.state} since {since}", Tone.HEADING)]
    if row.reason:
        blocks.append(Line(f"  {row.reason}", Tone.WARNING))
    blocks.append(Line(f"  from {row.source} to {row.target}"))
    if row.grade:
        by = f", approved by {row.approved_by}" if row.approved_by else ""
        blocks.append(Line(f"  grade {row.grade}{by}"))
    names = ("copied", "adopted", "skipped", "refused", "missing")
    parts = ", ".join(f"{count(getattr(row, name))} {name}" for name in names)
    blocks.append(Line(f"  {plural(row.census, 'message')}: {parts}; {octets(row.octets)} carried"))
    if row.due_at is not None:
        blocks.append(Line(f"  due {moment(row.due_at, zone)}"))
    if found.passes:
        blocks.append(_passes(found, zone))
    for left in found.leftovers[:SHOWN]:
        approved = f" (approved by {left.approved_by})" if left.approved_by else ""
        text = f"  {left.fate}: {left.folder}, {left.subject or 'no subject'}: {left.reason}"
        blocks.append(Line(f"{text}; key {left.key}{approved}", Tone.WARNING))
    if len(found.leftovers) > SHOWN:
        blocks.append(Line(f"  and {len(found.leftovers) - SHOWN} more", Tone.WARNING))
    for each in (*found.findings, *found.differences)[:SHOWN]:
        cure = f"; {each.remedy}" if each.remedy else ""
        blocks.append(Line(f"  {each.severity}: {each.what}: {each.text}{cure}"))
    return blocks


def row_line(row: "MailboxRow") -> dict[str, Json]:
    """A mailbox's row for `--json`."""
    return {
        "event": "mailbox_status",
        "address": row.address,
        "wave": row.wave,
        "source": row.source,
        "target": row.target,
        "state": row.state.value,
        "resume_state": None if row.resume_state is None else row.resume_state.value,
        "since": row.since_at,
        "due": row.due_at,
        "reason": row.reason,
        "left_out": row.left_out,
        "passes": row.passes,
        "sweeps": row.sweeps,
        "census": row.census,
        "copied": row.copied,
        "adopted": row.adopted,
        "skipped": row.skipped,
        "refused": row.refused,
        "missing": row.missing,
        "bytes": row.octets,
        "expected_messages": row.expected_messages,
        "expected_bytes": row.expected_octets,
        "grade": row.grade,
        "approved_by": row.approved_by,
        "approved_at": row.approved_at,
    }


def mailbox_line(found: "Details") -> dict[str, Json]:
    """One mailbox in detail, for `--json`."""
    return {
        **row_line(found.row),
        "event": "mailbox_details",
        "history": [_in_bytes(asdict(each)) for each in found.passes],
        "leftovers": [asdict(each) for each in found.leftovers],
        "findings": [asdict(each) for each in found.findings],
        "differences": [asdict(each) for each in found.differences],
    }


def moment(at: float, zone: ZoneInfo) -> str:
    """`2026-11-21 14:05` in that zone."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M")


def _summary(found: "Status") -> str:
    if found.plan.ended_at is not None or found.plan.state != "running":
        return found.plan.state.value
    if found.plan.started_at is None:
        return "not started"
    words = [f"{count(found.running)} under way"] if found.running else []
    if found.workers == 0:
        words.append("no worker runs")
    return ", ".join(["running", *words])


def _milestones(found: "Status") -> Table:
    rows = tuple(
        (name, count(number), f"of {count(found.mailboxes)}")
        for name, number in found.milestones.items()
    )
    return Table(("", "mailboxes", ""), rows, frozenset({1}))


def _figures(found: "Status") -> list[Block]:
    figures = found.figures
    names = ("copied", "adopted", "skipped", "refused", "missing")
    parts = ", ".join(
        f"{count(number)} {name}" for name in names if (number := getattr(figures.account, name))
    )
    # Later more may have come than the check had counted.
    expected = f" of {octets(figures.expected_octets)}" if figures.left_octets else ""
    text = f"{plural(figures.account.census, 'message')}{': ' if parts else ''}{parts}"
    blocks: list[Block] = [Line(f"{text}; {octets(figures.octets)}{expected} carried")]
    if found.pace is not None:
        line = f"pace of the last hour: {rate(found.pace.octets)}, "
        line += f"{found.pace.messages:,.1f} messages/s"
        if found.synced_at is not None:
            left = remaining(found.synced_at - found.at)
            when = moment(found.synced_at, found.plan.plan.zone)
            line += f"; copies done in about {left}, {when}"
        blocks.append(Line(line))
    if found.grades:
        grades = ", ".join(f"{count(number)} {grade}" for grade, number in found.grades.items())
        blocks.append(Line(f"grades: {grades}"))
    if found.canary is not None:
        blocks.append(Line(f"canary mail: {canary_words(found.canary)}"))
    return blocks


def _waves(found: "Status") -> Table:
    zone = found.plan.plan.zone
    rows = tuple(
        (
            wave.name or "(no wave)",
            count(wave.mailboxes),
            "" if wave.cutover is None else moment(wave.cutover, zone),
            "" if wave.gone is None else f"{moment(wave.gone.at, zone)}, {wave.gone.by}",
            ", ".join(f"{number} {state}" for state, number in wave.states.items()),
        )
        for wave in found.waves
    )
    return Table(("wave", "mailboxes", "cutover", "gone", "states"), rows, frozenset({1}))


def _passes(found: "Details", zone: ZoneInfo) -> Table:
    rows = tuple(
        (
            str(each.number),
            each.kind,
            moment(each.began_at, zone),
            each.outcome or "under way" if each.undone_at is None else "undone",
            count(each.carried),
            octets(each.octets),
            count(each.flagged),
            count(each.removed),
        )
        for each in found.passes
    )
    heading = ("pass", "kind", "began", "outcome", "carried", "size", "flagged", "removed")
    return Table(heading, rows, frozenset({0, 4, 5, 6, 7}))


def _sums(figures: "Figures") -> dict[str, Json]:
    found = asdict(figures)
    del found["mailboxes"]
    return _in_bytes({**found.pop("account"), **found})


def _in_bytes(values: dict[str, Json]) -> dict[str, Json]:
    """Lines of JSON say bytes."""
    return {name.replace("octets", "bytes"): value for name, value in values.items()}
