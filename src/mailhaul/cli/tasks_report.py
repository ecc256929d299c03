"""What providers say of their tasks: to a person, and as lines of JSON. Pure; nothing prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Block, Json, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.provider_report import task_tone, task_words
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.cli.provider_tasks import Asked

LONGEST = 300


def task_blocks(told: "Sequence[Asked]") -> list[Block]:
    """Two lines a task: whose it is and what for; how far it is."""
    if not told:
        return [Line("no task is waited for", Tone.GOOD)]
    blocks: list[Block] = []
    for each in told:
        what = f": {each.words}" if each.words else ""
        number = printable(each.number, 120)
        blocks.append(Line(f"{each.side} {number}{what}", Tone.HEADING))
        if each.task is None:
            blocks.append(Line(f"  {each.why}", Tone.WARNING))
        else:
            blocks.append(Line(f"  {task_words(each.task)}", task_tone(each.task.state)))
    return blocks


def task_line(each: "Asked") -> dict[str, Json]:
    """One task for `--json`."""
    task = each.task
    return {
        "event": "provider_task",
        "side": each.side,
        "task": printable(each.number, LONGEST),
        "address": each.address,
        "words": each.words,
        "state": None if task is None else task.state.value,
        "said": "" if task is None else printable(task.said, LONGEST),
        "by_person": task is not None and task.by_person,
        "why": each.why,
    }


def tasks_end(plan: str, told: "Sequence[Asked]", code: Exit) -> dict[str, Json]:
    """The end for `--json`."""
    return {
        "event": "provider_tasks",
        "plan": plan,
        "tasks": len(told),
        "failed": sum(bool(each.why) for each in told),
        "exit": code.value,
    }
