"""Answers of OVHcloud's API, read by type: no other type than asked for goes on from here.

A field that isn't there is read like one that is null: OVHcloud adds and leaves out fields as it
goes, and unknown ones are passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.text import printable

_INTEGER_DIGITS = 18
"""More is no number that OVHcloud counts by."""


@dataclass(frozen=True, slots=True)
class Fields:
    """One object of an answer; `where` says of which, for people. What has another type than is
    asked for raises `Closed` (protocol)."""

    where: str
    values: Mapping[str, object]

    def text(self, name: str) -> str:
        """Empty where there is none."""
        found = self.values.get(name)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise wrong(self.where, f"{name} is no text")
        return found

    def flag(self, name: str) -> bool:
        """False where there is none."""
        found = self.values.get(name)
        if found is None:
            return False
        if not isinstance(found, bool):
            raise wrong(self.where, f"{name} is neither true nor false")
        return found

    def number(self, name: str) -> int | None:
        """Whole; None where there is none."""
        found = self.values.get(name)
        return None if found is None else _whole(found, self.where, name)

    def texts(self, name: str) -> tuple[str, ...]:
        """Empty where there are none."""
        return texts(self.values.get(name), f"{self.where}: {name}")

    def moment(self, name: str) -> int | None:
        """Seconds since 1970; None where there is none."""
        written = self.text(name)
        if not written:
            return None
        try:
            return int(datetime.fromisoformat(written).timestamp())
        except (ValueError, OverflowError) as error:
            raise wrong(self.where, f"{name} is no date and time") from error


def fields(answer: object, where: str) -> Fields:
    """The answer, which is an object."""
    if not isinstance(answer, dict):
        raise wrong(where, "the answer is no object")
    return Fields(where, answer)


def objects(answer: object, where: str) -> tuple[Fields, ...]:
    """The answer, which is a list of objects; none where it is null."""
    return tuple(fields(each, where) for each in _list(answer, where))


def texts(answer: object, where: str) -> tuple[str, ...]:
    """The answer, which is a list of texts; none where it is null."""
    found = _list(answer, where)
    for each in found:
        if not isinstance(each, str):
            raise wrong(where, "there is something else than texts in the list")
    return tuple(each for each in found if isinstance(each, str))


def numbers(answer: object, where: str) -> tuple[int, ...]:
    """The answer, which is a list of numbers; none where it is null. Numbers in quotes count:
    OVHcloud has both for the tasks of redirections."""
    return tuple(_whole(each, where, "a number of the list") for each in _list(answer, where))


def written(moment: int) -> str:
    """Seconds since 1970 as OVHcloud writes a date and time."""
    return datetime.fromtimestamp(moment, UTC).isoformat()


def wrong(where: str, why: str) -> Closed:
    """The error for an answer that makes no sense."""
    said = f"OVHcloud's answer to {printable(where, 300)} makes no sense: {printable(why, 200)}"
    return Closed(f"{said}; try later, and tell OVHcloud's support", ClosedReason.PROTOCOL)


def _list(answer: object, where: str) -> list[object]:
    if answer is None:
        return []
    if not isinstance(answer, list):
        raise wrong(where, "the answer is no list")
    return answer


def _whole(found: object, where: str, name: str) -> int:
    if isinstance(found, str) and found.isascii() and found.isdecimal():
        if len(found) <= _INTEGER_DIGITS:
            return int(found)
    elif isinstance(found, int) and not isinstance(found, bool):
        if abs(found) < 10**_INTEGER_DIGITS:
            return found
    elif isinstance(found, float) and found.is_integer() and abs(found) < 10**_INTEGER_DIGITS:
        return int(found)
    raise wrong(where, f"{name} is no number")
