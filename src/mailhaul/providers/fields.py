"""JSON that a control plane sent, read with types: a wrong type is told by its place, and what is
missing or null is empty.

What comes out is still foreign: whoever shows it makes it printable.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.text import printable


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object. `where` says which, for people. Every verb raises `Closed` (protocol) for a
    value of another type."""

    where: str
    found: Mapping[str, object] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A string; empty where there is none."""
        value = self.found.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "no text")
        return value

    def number(self, name: str) -> int | None:
        """A whole number; None where there is none."""
        value = self.found.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "no whole number")
        return value

    def truth(self, name: str) -> bool | None:
        """Yes or no; None where it isn't said."""
        value = self.found.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "neither true nor false")
        return value

    def one(self, name: str) -> "Fields":
        """The object in that field; an empty one where there is none."""
        value = self.found.get(name)
        if value is None:
            return Fields(f"{self.where}.{name}")
        return _fields(f"{self.where}.{name}", value)

    def each(self, name: str) -> Iterator["Fields"]:
        """The objects in the list of that name."""
        for number, value in enumerate(self._list(name)):
            yield _fields(f"{self.where}.{name}[{number}]", value)

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings in the list of that name."""
        found = self._list(name)
        if not all(isinstance(each, str) for each in found):
            raise self._wrong(name, "no list of texts")
        return tuple(str(each) for each in found)

    def says(self, name: str) -> bool:
        """Whether there is anything but null, false and emptiness in that field."""
        return self.found.get(name) not in (None, False, "", [], {})

    def _list(self, name: str) -> list[object]:
        value = self.found.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(name, "no list")
        return value

    def _wrong(self, name: str, what: str) -> Closed:
        return _senseless(f"{self.where}.{printable(name, 100)}", what)


def json_fields(where: str, body: bytes) -> Fields:
    """The object that the body writes; an empty body is an empty object. Raises `Closed`
    (protocol) for anything else."""
    if not body.strip():
        return Fields(where)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _senseless(where, "no JSON") from error
    return _fields(where, value)


def _fields(where: str, value: object) -> Fields:
    if not isinstance(value, dict):
        raise _senseless(where, "no object")
    return Fields(where, value)


def _senseless(where: str, what: str) -> Closed:
    return Closed(
        f"the control plane's answer makes no sense: {where} is {what}; check the address in the "
        "plan, and tell mailhaul's makers if it is right",
        ClosedReason.PROTOCOL,
    )
