"""What an action comes to at Graph: the calls, what is against them, and the task to ask after.

Graph knows no keys of ours and no tasks. A task's name therefore says what to look at (whose
account, which address), so that any process can ask after it, and a key finds its task by being
prepared again: what holds isn't done twice.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.providers.fields import Fields
from mailhaul.providers.microsoft365_graph import Call, GraphRefusal
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.provider import Task, TaskState

CREATE, RENAME, DELETE = "create", "rename", "delete"
LOCK, UNLOCK = "lock", "unlock"
ATTACH, DETACH, EXTRA = "attach", "detach", "extra"
STOOD = "stood"
"""Of what there was nothing to do about, nor anybody to look at."""
_LENGTHS = {
    CREATE: 2,
    RENAME: 3,
    DELETE: 2,
    LOCK: 2,
    UNLOCK: 2,
    ATTACH: 2,
    DETACH: 2,
    EXTRA: 3,
    STOOD: 1,
}
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Prepared:
    """`calls` do it, in that order; none: there is nothing to ask for. `against` is why it would be
    refused now. `task` tells how far it is; empty while it needs the first call's answer. `notes`
    are told and don't block. `holds`: it stands already, and is over."""

    task: str = ""
    calls: tuple[Call, ...] = ()
    against: tuple[Obstacle, ...] = ()
    notes: tuple[Obstacle, ...] = ()
    holds: bool = False


def task_name(kind: str, *about: str) -> str:
    """The name of a task."""
    return ":".join((kind, *(quote(each, safe="@.-") for each in about)))


def task_parts(name: str) -> tuple[str, ...]:
    """Kind and what it is about. Raises `BadInput` for what is no name of a task."""
    found = tuple(unquote(each) for each in name.split(":"))
    kind = found[0]
    people = kind not in (ATTACH, DETACH, STOOD)
    if (
        len(name) > _LONGEST
        or len(found) != _LENGTHS.get(kind)
        or (people and not _ID.fullmatch(found[1]))
        or not all(found)
        or task_name(*found) != name
    ):
        raise BadInput(
            f"“{printable(name, 80)}” is no task of Microsoft 365's; look at the account"
        )
    return found


def at_once(name: str, said: str = "") -> Task:
    """The task of what Graph has done when it answers."""
    return Task(name, TaskState.DONE, said)


def refusal_of(call: Call, refusal: GraphRefusal) -> Obstacle:
    """What Graph's no to the call means, in the words of `obstacle_codes`."""
    said = refusal.said.casefold()
    domains = call.path.startswith("/domains")
    if domains and call.method == "POST":
        code = "DOMAIN_CLAIMED"
    elif domains:
        code = "DOMAIN_IN_USE"
    elif refusal.status == 404:
        code = "ACCOUNT_EMPTY"
    elif "already exists" in said or refusal.code in ("ObjectConflict", "Request_ResourceConflict"):
        code = "ADDRESS_TAKEN"
    elif "available licenses" in said:
        code = "NO_LICENCE"
    elif "password" in said:
        code = "PASSWORD_UNFIT"
    else:
        code = "UNKNOW"
    return Obstacle(code, str(refusal))


def is_id(text: str) -> bool:
    """Whether it is an id of the directory's."""
    return _ID.fullmatch(text) is not None


def new_id(answer: Fields) -> str:
    """The id of what was just made."""
    found = answer.text("id")
    if not is_id(found):
        raise BadInput(f"Graph made something and calls it “{printable(found, 80)}”, no id")
    return found
