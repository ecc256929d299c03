"""`mailhaul provider done`: a named person says that a task is done which only a person can do."""

from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.provider_desk import EXITS, OPERANDS, OUTPUT, SIDE, Reached, each_side
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.providers.provider import Task

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.

TASK = Option("--task", "the task, by the number that `provider tasks` shows", "ID")
AS = Option("--as", "who says so; the name is kept with the task", "NAME")
REFUSED = Option("--refused", "it is not done, and won't be, for this reason", "REASON")


def done(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Keeps the word. Raises `BadInput`."""
    number, who, why = (arguments.text(name) for name in ("--task", "--as", "--refused"))
    if not number:
        raise BadInput("say which task with --task ID; `mailhaul provider tasks` lists them")
    if not who:
        raise BadInput("a word is given by a person; say who with --as NAME")

    async def look(each: Reached) -> "Task":
        from mailhaul.providers.static import StaticProvider

        if not isinstance(each.provider, StaticProvider):
            raise BadInput(
                f"{printable(each.service.name, 100)} does its tasks itself, and says when they "
                "are done; a person's word counts where the kind is static"
            )
        return await each.provider.told(number, who, done=why is None, said=why or "")

    def tell(side: str, task: "Task") -> Exit:
        from mailhaul.cli.blocks import Line
        from mailhaul.cli.provider_report import task_tone, task_words

        if arguments.given("--json"):
            surroundings.console.json(
                {
                    "event": "provider_task",
                    "side": side,
                    "task": task.id,
                    "address": "",
                    "words": "",
                    "state": task.state.value,
                    "said": task.said,
                    "by_person": task.by_person,
                    "why": "",
                }
            )
        else:
            line = f"{side} {task.id}: {task_words(task)}"
            surroundings.console.show([Line(line, task_tone(task.state))])
        return Exit.COMPLETE

    return each_side(arguments, surroundings, look, tell, usual="source")


COMMAND = Command(
    name="provider done",
    summary="say by name that a task is done which only a person can do",
    story=(
        "Where a plan's provider is a list and a person (kind static), each step is told to "
        "somebody who does it in the hoster's panel. mailhaul sees much of that by itself; the "
        "rest is said here, at the source unless --side says target. The list is then changed "
        "accordingly, and the move goes on. The first word on a task counts."
    ),
    operands=OPERANDS,
    groups=(Group("what", (TASK, AS, REFUSED, SIDE)), OUTPUT),
    run=done,
    examples=(
        'mailhaul provider done --task 3 --as "Ann Example"',
        'mailhaul provider done plan.toml --task 4 --as Ann --refused "the hoster can\'t rename"',
    ),
    exits=EXITS,
)
