"""How the moves of accounts stand: to a person, and as lines of JSON. Pure; nothing here prints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.figures import duration, octets, plural
from mailhaul.core.text import printable
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.account_steps import StepState
from mailhaul.journey.switching import moment

if TYPE_CHECKING:
    from mailhaul.journey.account_rows import MoveRow
    from mailhaul.journey.account_steps import StepRow
    from mailhaul.journey.plans import PlanRow

LONGEST = 300
_MARKS = {
    StepState.PLANNED: ("·", Tone.FAINT),
    StepState.BEGUN: ("→", Tone.HEADING),
    StepState.DONE: ("✓", Tone.GOOD),
    StepState.REFUSED: ("✗", Tone.BAD),
    StepState.BROKEN: ("✗", Tone.BAD),
    StepState.TAKEN_BACK: ("←", Tone.WARNING),
    StepState.LEFT: ("!", Tone.WARNING),
}
_ENDED = frozenset({StepState.DONE, StepState.TAKEN_BACK, StepState.LEFT})

Steps = Mapping[int, "Sequence[StepRow]"]
"""The steps of each move, by its id."""


def status_blocks(
    plan: "PlanRow", rows: "Sequence[MoveRow]", steps: Steps, *, whole: bool
) -> list[Block]:
    """What is shown to a person: a line an account, then those that need one, step by step; with
    `whole` all of them."""
    title = f"{printable(plan.name, 80)}: {plural(len(rows), 'account')}"
    blocks: list[Block] = [Line(f"{title}: {_counted(rows)}", Tone.HEADING), Line()]
    if rows:
        heads = ("account", "state", "path", "step", "becomes", "meanwhile", "since")
        blocks.append(Table(heads, tuple(_row(plan, each, steps[each.id]) for each in rows)))
    for each in rows:
        if whole or each.state is MoveState.FAILED:
            blocks += [Line(), *_details(plan, each, steps[each.id])]
        elif each.reason and each.state in (MoveState.WAITING, MoveState.UNDONE):
            blocks.append(Line(f"{each.address}: {printable(each.reason, 500)}", Tone.FAINT))
        elif each.state is not MoveState.UNDONE:
            blocks += _left(each, steps[each.id])
    return blocks


def move_line(plan: str, row: "MoveRow") -> dict[str, Json]:
    """One account for `--json`."""
    return {
        "event": "account_move",
        "plan": plan,
        "address": row.address,
        "state": row.state.value,
        "ready": row.ready,
        "path": row.path,
        "placeholder": row.placeholder,
        "temporary": row.temporary,
        "octets": row.octets,
        "messages": row.messages,
        "reason": row.reason,
        "since": row.since_at,
        "looked_at": row.looked_at,
        "acknowledged_by": row.acknowledged_by,
        "acknowledged_at": row.acknowledged_at,
        "moved_at": row.moved_at,
        "nowhere": nowhere(row),
        "guarded": row.guarded,
        "retire_at": row.retire_at,
        "retired_at": row.retired_at,
    }


def step_line(address: str, step: "StepRow") -> dict[str, Json]:
    """One step for `--json`."""
    return {
        "event": "account_step",
        "address": address,
        "part": step.part.value,
        "number": step.position + 1,
        "side": step.side.value,
        "kind": step.kind,
        "words": step.words,
        "state": step.state.value,
        "task": step.task,
        "said": step.said,
        "by_person": step.by_person,
        "undoable": not step.last,
        "begun_at": step.begun_at,
        "ended_at": step.ended_at,
    }


def status_end(plan: str, rows: "Sequence[MoveRow]") -> dict[str, Json]:
    """The end for `--json`."""
    states = {state.value: sum(each.state is state for each in rows) for state in MoveState}
    return {"event": "accounts_status", "plan": plan, "accounts": len(rows), "states": states}


def nowhere(row: "MoveRow") -> float | None:
    """Seconds that the address was nowhere, at the most; None where it always was somewhere."""
    if row.nowhere_from is None or row.nowhere_until is None:
        return None
    return max(0.0, round(row.nowhere_until - row.nowhere_from, 3))


def _counted(rows: "Sequence[MoveRow]") -> str:
    counts = [(state, sum(each.state is state for each in rows)) for state in MoveState]
    return ", ".join(f"{number} {state}" for state, number in counts if number) or "none"


def _row(plan: "PlanRow", row: "MoveRow", steps: "Sequence[StepRow]") -> tuple[str, ...]:
    done = sum(each.state in _ENDED for each in steps)
    # What a look has picked for an account that can't be moved yet is not reserved for it.
    own = row.state is not MoveState.WAITING or row.ready or row.chosen
    return (
        printable(row.address, 120),
        "ready" if row.state is MoveState.WAITING and row.ready else row.state.value,
        row.path,
        f"{done}/{len(steps)}" if steps else "",
        printable(row.placeholder, 120) if own else "",
        printable(row.temporary, 120) if own else "",
        moment(plan.plan, row.since_at),
    )


def _details(plan: "PlanRow", row: "MoveRow", steps: "Sequence[StepRow]") -> Iterator[Line]:
    yield Line(f"{row.address}: {row.state}", Tone.HEADING)
    if row.reason:
        tone = Tone.BAD if row.state is MoveState.FAILED else Tone.PLAIN
        yield Line(f"  {printable(row.reason, 1000)}", tone)
    for text in row.evidence:
        yield Line(f"  {printable(text, LONGEST)}", Tone.FAINT)
    if row.octets is not None:
        yield Line(f"  {octets(row.octets)} at the source", Tone.FAINT)
    if row.acknowledged_by and row.acknowledged_at is not None:
        at = moment(plan.plan, row.acknowledged_at)
        yield Line(f"  agreed to by {row.acknowledged_by}, {at}", Tone.FAINT)
    for step in steps:
        yield from _step_lines(step)
    yield from _after(plan, row)


def _step_lines(step: "StepRow") -> Iterator[Line]:
    mark, tone = _MARKS[step.state]
    part = "" if step.part.value == "move" else f"{step.part}: "
    took = ""
    if step.begun_at is not None and step.ended_at is not None:
        took = f" ({duration(step.ended_at - step.begun_at)})"
    yield Line(f"  {mark} {step.position + 1}. {part}{step.words}{took}", tone)
    if step.said and (step.state not in _ENDED or step.state is StepState.LEFT):
        whose = "to be done by a person: " if step.by_person else ""
        yield Line(f"       {whose}{printable(step.said, 500)}", Tone.WARNING)


def _left(row: "MoveRow", steps: "Sequence[StepRow]") -> Iterator[Line]:
    """What nobody will do unless a person does."""
    for step in steps:
        if step.state is StepState.LEFT:
            why = f" ({printable(step.said, LONGEST)})" if step.said else ""
            said = f"{row.address}: left to a person: {printable(step.words, LONGEST)}{why}"
            yield Line(said, Tone.WARNING)


def _after(plan: "PlanRow", row: "MoveRow") -> Iterator[Line]:
    seconds = nowhere(row)
    if seconds is not None:
        whose = "its mail was taken meanwhile" if row.guarded else "nothing took its mail meanwhile"
        text = f"  the address was nowhere for {duration(seconds)} at the most; {whose}"
        yield Line(text, Tone.PLAIN if row.guarded else Tone.WARNING)
    if row.retired_at is not None:
        at = moment(plan.plan, row.retired_at)
        yield Line(f"  its old account was disabled by {row.retired_by}, {at}", Tone.FAINT)
    elif row.retire_at is not None:
        at = moment(plan.plan, row.retire_at)
        yield Line(f"  its old account may be disabled from {at} on", Tone.FAINT)
