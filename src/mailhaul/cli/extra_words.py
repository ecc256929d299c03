"""What stands beside an account, in words. Pure."""

from datetime import UTC, datetime

from mailhaul.core.text import printable
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Filter,
    Group,
    Redirection,
    Remark,
    Responder,
)

LONGEST = 300
"""Characters that are shown of what a person has written."""


def kind_of(extra: Extra) -> str:
    """What it is: `alias`, `auto-reply`; of a remark, as the provider calls it."""
    match extra:
        case Alias():
            return "alias"
        case Redirection():
            return "redirection"
        case Responder():
            return "auto-reply"
        case Filter():
            return "filter"
        case Delegation():
            return "delegation"
        case Group():
            return "group"
        case Remark(kind=kind):
            return printable(kind, 60)


def words_of(extra: Extra) -> str:
    """What it says, in one printable line."""
    match extra:
        case Alias(alias=alias):
            text = alias
        case Redirection(to=to, copy=copy):
            text = f"to {to}{', a copy stays' if copy else ''}"
        case Responder():
            text = _responder(extra)
        case Filter(name=name, words=words):
            text = f"{name}: {words}" if words else name
        case Delegation(to=to, right=right):
            text = f"{to}: {right}"
        case Group(members=members, name=name):
            head = f"{name}: " if name else ""
            text = f"{head}{len(members)} members: {', '.join(members)}"
        case Remark(text=said):
            text = said
    return printable(text, LONGEST)


def _responder(extra: Responder) -> str:
    when = [
        f"{word} {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
        for word, at in (("from", extra.begins), ("until", extra.ends))
        if at is not None
    ]
    copied = [f"a copy to {extra.copy_to}"] if extra.copy_to else []
    said = f"“{extra.subject or extra.text}”"
    return ", ".join([said, *when, *copied])
