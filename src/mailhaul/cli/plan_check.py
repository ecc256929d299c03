"""`mailhaul plan check`: every mistake in a plan, by its line."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.sides import DEBUG, JSON
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput

if TYPE_CHECKING:
    from mailhaul.plan.mistakes import Mistake
    from mailhaul.plan.model import Plan

# ruff: noqa: PLC0415 - pydantic is imported once the command line is good.


def check(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Reads PLAN and its list of mailboxes; connects nothing."""
    from mailhaul.plan.load import load_plan
    from mailhaul.plan.mistakes import PlanErrors

    path = plan_file(arguments)
    console = surroundings.console
    mistakes: Sequence[Mistake] = ()
    plan = None
    try:
        plan = load_plan(path, now=surroundings.now())
        if (mistake := _dns_mistake(path, plan)) is not None:
            mistakes, plan = (mistake,), None
    except PlanErrors as error:
        mistakes = error.mistakes
    if arguments.given("--json"):
        for mistake in mistakes:
            console.json(mistake_line(mistake))
        console.json(plan_line(path, plan, len(mistakes)))
    else:
        console.show(mistake_blocks(mistakes) if plan is None else good_blocks(path, plan))
    return Exit.USAGE if plan is None else Exit.COMPLETE


def _dns_mistake(path: Path, plan: "Plan") -> "Mistake | None":
    """What those who know DNS find wrong with [dns]; its line is that of the key it is about."""
    if plan.dns is None:
        return None
    from mailhaul.journey.domains import plan_domains
    from mailhaul.journey.zones import check_expectations
    from mailhaul.plan.mistakes import Mistake, said
    from mailhaul.plan.toml_lines import lines_of

    try:
        check_expectations(plan, plan_domains(plan, [each.address for each in plan.mailboxes]))
    except BadInput as error:
        text, cure = said(error)
        lines = lines_of(path.read_text(encoding="utf-8-sig"))
        key = next((key for key in ("profile", "expect") if getattr(plan.dns, key)), "mx")
        line = lines.get(("dns", key)) or lines.get(("dns",), 1)
        return Mistake(path.name, line, f"dns.{key} = {getattr(plan.dns, key)}", text, cure)
    return None


def mistake_blocks(mistakes: "Sequence[Mistake]") -> list[Block]:
    """What is shown of mistakes: where and what, why, and the cure."""
    blocks: list[Block] = []
    for each in mistakes:
        blocks.append(Line(f"{each.file}:{each.line}  {each.value}".rstrip(), Tone.HEADING))
        blocks.append(Line(f"  {each.text}", Tone.BAD))
        blocks.append(Line(f"  {each.cure}"))
    blocks += [Line(), Line(f"{plural(len(mistakes), 'mistake')}; nothing was begun", Tone.BAD)]
    return blocks


def good_blocks(path: Path, plan: "Plan") -> list[Block]:
    """What is shown of a plan without mistakes."""
    mailboxes = plural(len(plan.mailboxes), "mailbox", "mailboxes")
    waves = f" in {plural(len(plan.waves), 'wave')}" if plan.waves else ""
    lines: list[Block] = [Line(f"{path}: no mistakes; {mailboxes}{waves}", Tone.GOOD)]
    if any(plan.cutover_of(wave) is None for wave in {each.wave for each in plan.mailboxes}):
        lines.append(Line("no cutover time is set yet; write cutover = 2030-01-31 20:00:00"))
    return lines


def mistake_line(mistake: "Mistake") -> dict[str, Json]:
    """One mistake for `--json`."""
    return {
        "event": "mistake",
        "file": mistake.file,
        "line": mistake.line,
        "value": mistake.value,
        "text": mistake.text,
        "cure": mistake.cure,
    }


def plan_line(path: Path, plan: "Plan | None", mistakes: int) -> dict[str, Json]:
    """The plan for `--json`; the last line."""
    return {
        "event": "plan_checked",
        "plan": str(path),
        "name": None if plan is None else plan.name,
        "mailboxes": None if plan is None else len(plan.mailboxes),
        "waves": None if plan is None else len(plan.waves),
        "mistakes": mistakes,
    }


COMMAND = Command(
    name="plan check",
    summary="read a plan and name every mistake by its line",
    story=(
        "Reads PLAN and the list of mailboxes that it names, as a whole, and names every mistake "
        "with its line, its value and its cure. Connects nothing and looks for no password; "
        "mailhaul check does."
    ),
    operands=(PLAN,),
    groups=(Group("output", (JSON, DEBUG)),),
    run=check,
    examples=("mailhaul plan check plan.toml", "mailhaul plan check move --json"),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
