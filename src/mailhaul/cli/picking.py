"""Which of several a person means: `all`, `2`, `1,3-5`. Pure."""

import re

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

_PART = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")


def picked(answer: str, count: int) -> list[int]:
    """The places from 0 on, each once, in their order. Raises `BadInput`."""
    text = answer.strip()
    if text.casefold() == "all":
        return list(range(count))
    found: set[int] = set()
    for part in filter(None, re.split(r"[,;\s]+", text)):
        fit = _PART.fullmatch(part)
        if fit is None:
            raise BadInput(f"“{printable(part, 40)}” is no number; write them as 1,3-5, or all")
        first, last = int(fit[1]), int(fit[2] or fit[1])
        if not 1 <= first <= last <= count:
            raise BadInput(f"“{printable(part, 40)}” is none of 1 to {count}")
        found.update(range(first - 1, last))
    if not found:
        raise BadInput("nothing was picked; write numbers as 1,3-5, or all")
    return sorted(found)
