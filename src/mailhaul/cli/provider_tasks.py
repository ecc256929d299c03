"""`mailhaul provider tasks`: what a plan's providers are at, as they say now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import PLAN, WHERE, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.provider_desk import EXITS, OUTPUT, SIDE, close, opened, sections_meant
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from mailhaul.cli.stopping import Stop
    from mailhaul.journey.plans import PlanRow
    from mailhaul.plan.model import Plan
    from mailhaul.providers.provider import Provider, Task

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


@dataclass(frozen=True, slots=True)
class Asked:
    """One task: its step where it is a move's, what the provider says of it, or why it doesn't."""

    side: str
    number: str
    address: str = ""
    words: str = ""
    task: "Task | None" = None
    why: str = ""


def tasks(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows them. Raises `BadInput`."""
    from mailhaul.cli.stopping import run
    from mailhaul.cli.tasks_report import task_blocks, task_line, tasks_end

    numbers, side = arguments.texts("--task"), arguments.text("--side")
    if numbers and side is None:
        raise BadInput("a task is known at one side; say which with --side")
    with installation(arguments, surroundings) as home, home.database.read() as connection:
        plan = plan_meant(connection, arguments.text("PLAN"))
        found = _waited_for(connection, plan)
    if numbers and side is not None:
        known = {each.number: each for each in found}
        found = [known.get(number, Asked(side, number)) for number in numbers]
    elif side is not None:
        found = [each for each in found if each.side == side]
    console = surroundings.console

    async def work(stop: "Stop") -> Exit:
        told = await _ask_all(surroundings, plan.plan, plan.directory, found)
        failed = sum(bool(each.why) for each in told)
        code = Exit.INCOMPLETE if failed else Exit.COMPLETE
        if arguments.given("--json"):
            for each in told:
                console.json(task_line(each))
            console.json(tasks_end(plan.name, told, code))
        else:
            console.show(task_blocks(told))
        return code

    return run(work, console, "interrupted; nothing was changed")


def _waited_for(connection: "Connection", plan: "PlanRow") -> list[Asked]:
    """The tasks that the plan's moves have begun and that aren't known to be over."""
    from mailhaul.journey.account_rows import moves
    from mailhaul.journey.account_steps import StepState, steps_of

    return [
        Asked(step.side.value, step.task, row.address, step.words)
        for row in moves(connection, plan.id)
        for step in steps_of(connection, row)
        if step.task and step.state is StepState.BEGUN
    ]


async def _ask_all(
    surroundings: Surroundings, plan: "Plan", directory: "Path", found: Sequence[Asked]
) -> list[Asked]:
    told: list[Asked] = []
    for side in dict.fromkeys(each.side for each in found):
        provider = opened(surroundings, sections_meant(plan, side)[side], directory)
        try:
            told += [await _ask(provider, each) for each in found if each.side == side]
        finally:
            await close(provider)
    return told


async def _ask(provider: "Provider", each: Asked) -> Asked:
    try:
        task = await provider.task(each.number)
    except MailhaulError as error:
        why = printable(str(error), 500)
        return Asked(each.side, each.number, each.address, each.words, why=why)
    return Asked(each.side, each.number, each.address, each.words, task)


COMMAND = Command(
    name="provider tasks",
    summary="ask the providers how far the tasks are that a plan waits for",
    story=(
        "Asks the providers about every task that a move of an account in this plan has begun and "
        "that isn't known to be over, or about the one that --task names: todo, doing, done, "
        "error or cancelled, and what the provider says; also what a person has to do where a "
        "provider can't. Changes nothing."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "which",
            (
                SIDE,
                Option("--task", "this task, by the provider's number (repeatable)", "ID", True),
            ),
        ),
        WHERE,
        OUTPUT,
    ),
    run=tasks,
    examples=("mailhaul provider tasks acme", "mailhaul provider tasks --side target --task 4711"),
    exits=EXITS,
)
