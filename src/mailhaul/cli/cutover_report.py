"""What `mailhaul cutover` shows: the runbook, the domains, and what would be written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Tone
from mailhaul.core.text import printable
from mailhaul.dns.names import shown
from mailhaul.journey.switching import moment

if TYPE_CHECKING:
    from mailhaul.journey.domains import DomainRow
    from mailhaul.journey.plans import PlanRow
    from mailhaul.journey.runbook import Step


_MARKS = {
    "done": ("✓", Tone.GOOD),
    "now": ("→", Tone.HEADING),
    "later": ("·", Tone.FAINT),
    "trouble": ("✗", Tone.BAD),
}


@dataclass(frozen=True, slots=True)
class Intended:
    """What the switch of a domain would write now, as `dns.zone.difference`; or why that is not
    known."""

    name: str
    lines: tuple[str, ...] = ()
    trouble: str = ""


def report_blocks(
    plan: "PlanRow",
    wave: str,
    steps: "Sequence[Step]",
    zones: "Sequence[DomainRow]",
    intended: Sequence[Intended],
    now: float,
) -> list[Block]:
    """What is shown to a person."""
    title = f"{plan.name}{f', wave {wave}' if wave else ''}: cutover"
    blocks: list[Block] = [Line(printable(title, 200), Tone.HEADING), Line()]
    blocks += [line for each in steps for line in _step_lines(plan, each)]
    if zones:
        blocks += [Line(), *(line for row in zones for line in _zone_lines(plan, row))]
    blocks += [block for each in intended for block in _intended_blocks(each)]
    told = [each for each in steps if each.by_word and each.state == "now"]
    if told:
        keys = ", ".join(each.key for each in told)
        blocks += [Line(), Line(f"a person says when these are done, with --done: {keys}")]
    blocks += [
        Line(f"undo of {each.key}: {each.undo}", Tone.FAINT)
        for each in steps
        if each.undo and each.state == "now"
    ]
    return blocks


def report_lines(
    plan: "PlanRow",
    wave: str,
    steps: "Sequence[Step]",
    zones: "Sequence[DomainRow]",
    intended: Sequence[Intended],
) -> Iterator[dict[str, Json]]:
    """The same for `--json`: steps, then domains."""
    for each in steps:
        yield {
            "event": "cutover_step",
            "plan": plan.name,
            "wave": wave,
            "step": each.key,
            "words": each.words,
            "owner": each.owner.value,
            "state": each.state.value,
            "due": each.due,
            "evidence": each.evidence,
            "undo": each.undo,
            "by_word": each.by_word,
        }
    would = {each.name: each for each in intended}
    for row in zones:
        write = would.get(row.name)
        yield {
            "event": "cutover_domain",
            "plan": plan.name,
            "domain": row.name,
            "state": row.state.value,
            "reason": row.reason,
            "mx": row.mx,
            "ttl": row.ttl,
            "looked_at": row.looked_at,
            "switched_at": row.switched_at,
            "settled_at": row.settled_at,
            "released_at": row.released_at,
            "write": None if write is None or write.trouble else list(write.lines),
            "trouble": "" if write is None else write.trouble,
        }


def step_done_line(plan: str, wave: str, step: str, fresh: bool) -> dict[str, Json]:
    """A step that a person has said to be done, for `--json`."""
    return {"event": "step_done", "plan": plan, "wave": wave, "step": step, "new": fresh}


def sweeps_ended_line(plan: str, wave: str, mailboxes: Sequence[str]) -> dict[str, Json]:
    """Sweeps that a person has ended, for `--json`."""
    return {"event": "sweeps_ended", "plan": plan, "wave": wave, "mailboxes": [*mailboxes]}


def _step_lines(plan: "PlanRow", step: "Step") -> Iterator[Line]:
    """Two lines: which step and what it is; whose it is, by when, and what is known of it."""
    mark, tone = _MARKS[step.state.value]
    yield Line(f"{mark} {step.key:<10}{step.words}", tone)
    due = step.due if step.state != "done" else None
    told = [step.owner.value, "" if due is None else f"due {moment(plan.plan, due)}", step.evidence]
    yield Line(f"{'':12}{printable(', '.join(filter(None, told)), 400)}", Tone.FAINT)


def _zone_lines(plan: "PlanRow", row: "DomainRow") -> Iterator[Line]:
    """Two lines: how the domain stands; when it was looked at, and by when caches let go."""
    ttl = "" if row.ttl is None else f", TTL {row.ttl} s"
    mx = f", MX {row.mx}" if row.mx else ""
    yield Line(f"{shown(row.name)}: {row.state.value}{mx}{ttl}")
    free = row.released_at if row.switched_at is not None else row.cached_until
    told = [
        "" if row.looked_at is None else f"looked at {moment(plan.plan, row.looked_at)}",
        "" if free is None else f"caches free {moment(plan.plan, free)}",
        row.reason,
    ]
    if any(told):
        yield Line(f"  {printable(', '.join(filter(None, told)), 400)}", Tone.FAINT)


def _intended_blocks(each: Intended) -> Iterator[Block]:
    yield Line()
    if each.trouble:
        yield Line(f"what would be written for {shown(each.name)} is not known:", Tone.WARNING)
        yield Line(f"  {printable(each.trouble, 500)}", Tone.WARNING)
        return
    if not each.lines:
        yield Line(f"nothing is to be written for {shown(each.name)}", Tone.GOOD)
        return
    yield Line(f"would be written for {shown(each.name)}:", Tone.HEADING)
    for line in each.lines:
        yield Line(f"  {printable(line, 1000)}", Tone.BAD if line[0] == "-" else Tone.GOOD)
