"""What `mailhaul cutover` shows: the runbook, the domains, and what would be written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.core.text import printable
from mailhaul.dns.names import shown
from mailhaul.journey.switching import moment

if TYPE_CHECKING:
    from mailhaul.journey.domains import DomainRow
    from mailhaul.journey.plans import PlanRow
    from mailhaul.journey.runbook import Step


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
    rows = [
        (
            each.state.value,
            each.key,
            each.words,
            each.owner.value,
            moment(plan.plan, each.due) if each.due is not None and each.state != "done" else "",
            printable(each.evidence, 300),
        )
        for each in steps
    ]
    blocks.append(Table(("", "step", "", "owner", "due", "evidence"), tuple(rows)))
    if zones:
        blocks += [Line(), _zone_table(plan, zones)]
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


def _zone_table(plan: "PlanRow", zones: "Sequence[DomainRow]") -> Table:
    def told(at: float | None) -> str:
        return "" if at is None else moment(plan.plan, at)

    return Table(
        ("domain", "state", "mx", "ttl", "looked at", "caches free", ""),
        tuple(
            (
                shown(row.name),
                row.state.value,
                row.mx,
                "" if row.ttl is None else str(row.ttl),
                told(row.looked_at),
                told(row.released_at if row.switched_at is not None else row.cached_until),
                printable(row.reason, 200),
            )
            for row in zones
        ),
        right=frozenset({3}),
    )


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
