"""Requests that change something at OVHcloud, as values; and tasks by a name that outlives us.

A step is shown as it is sent, without its secret. A ticket names a task: in which of OVHcloud's
queues, its number, and, where the queue doesn't say how tasks end or more steps follow, the action
that it is for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.providers.actions import Action
from mailhaul.providers.actions_text import action_of, written
from mailhaul.providers.ovh_answers import Fields
from mailhaul.providers.ovh_api import Api
from mailhaul.providers.provider import Task, TaskState

Field = str | int | bool | Secret | None | Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `str()` shows it to a person."""

    method: str
    path: tuple[str, ...]
    body: Mapping[str, Field] = field(default_factory=dict)

    def __str__(self) -> str:
        written = ", ".join(f"{name}: {_shown(value)}" for name, value in self.body.items())
        line = f"{self.method} /{'/'.join(self.path)}"
        return printable(f"{line} {{{written}}}" if written else line, 1000)


class Queue(StrEnum):
    """Where OVHcloud keeps a task. LOOK: nowhere; what stands tells."""

    TASK = "task"
    ACCOUNT = "account"
    REDIRECTION = "redirection"
    RESPONDER = "responder"
    FILTER = "filter"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A task. Without `action` its queue tells all there is to know."""

    queue: Queue
    number: int = 0
    action: Action | None = None

    def __str__(self) -> str:
        action = "" if self.action is None else f"/{written(self.action)}"
        return f"{self.queue}/{self.number}{action}"


async def send(api: Api, step: Step) -> object:
    """OVHcloud's answer to the step."""
    body = {name: _revealed(value) for name, value in step.body.items()}
    match step.method:
        case "POST":
            return await api.post(*step.path, body=body or None)
        case "PUT":
            return await api.put(*step.path, body=body)
        case _:
            return await api.delete(*step.path)


def ticket(text: str) -> Ticket:
    """The ticket that `str` wrote. Raises `BadInput` for what is none."""
    queue, _, rest = text.partition("/")
    number, slash, action = rest.partition("/")
    if queue in tuple(Queue) and number.isascii() and number.isdecimal() and len(number) < 19:
        return Ticket(Queue(queue), int(number), action_of(action) if slash else None)
    raise BadInput(f"OVHcloud knows no task “{printable(text, 80)}”; look at what stands")


def shown(its: Ticket, found: Fields) -> Task:
    """The task as the newer platforms tell of it (email.pro.Task, email.exchange.Task)."""
    word = found.text("status")
    # A word that we don't know is no end: patience ends it.
    state = TaskState(word) if word in tuple(TaskState) else TaskState.DOING
    said = f"{found.text('function')} {word}".strip()
    return Task(str(its), state, printable(f"OVHcloud's task {its.number}: {said}", 200))


def _revealed(value: Field) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    return dict(value) if isinstance(value, Mapping) else value


def _shown(value: Field) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "{" + ", ".join(f"{name}: {_shown(each)}" for name, each in value.items()) + "}"
        case _:
            return str(value)
