"""Numbers, sizes, times and paths as a person reads them. Pure; nothing here prints."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from mailhaul.core.message import Key
from mailhaul.core.text import octets as octets  # noqa: PLC0414 - one of ours
from mailhaul.core.text import plural as plural  # noqa: PLC0414 - one of ours
from mailhaul.core.text import printable

GAP = "  "
FURTHER_IN = "  "
NARROWEST = 12
WIDEST = 72
"""Where there is no width to keep to, one cell wider than that pushes its own line only."""

_COMMAND = re.compile(r"(?:: |^ *)(mailhaul [a-z])")


def count(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


def rate(per_second: float) -> str:
    """`12.3 MB/s`."""
    return f"{octets(per_second)}/s"


def duration(seconds: float) -> str:
    """`0.4 s`, `59 s`, `4:59`, `2:03:04`, `1 day 2:03`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{second:02d}"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}:{minute:02d}:{second:02d}"
    days, hour = divmod(hours, 24)
    return f"{plural(days, 'day')} {hour}:{minute:02d}"


def remaining(seconds: float) -> str:
    """A guess at what is left, no finer than it can be known: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 55:
        step = 1 if seconds < 10 else 5
        return f"{max(1, round(seconds / step) * step)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{max(1, minutes)} min"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minute // 10 * 10} min" if minute >= 10 else f"{hours} h"
    days, hour = divmod(hours, 24)
    return f"{plural(days, 'day')} {hour} h"


def key_text(key: Key) -> str:
    """A message's name in its folder as a person knows it: its UID, or the name of its file (what
    a Maildir puts before that is for order only)."""
    return f"UID {key}" if isinstance(key, int) else printable(key.rpartition("/")[2], 80)


def cells(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    width = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def fitted(text: str, width: int) -> str:
    """`text` in at most `width` columns, cut in its middle, for a path's ends tell the most."""
    if cells(text) <= width:
        return text
    head = _taken(text, (width - 1) // 2)
    tail = _taken(text[::-1], width - 1 - cells(head))[::-1]
    return f"{head}…{tail}"


def broken(text: str, width: int | None) -> Iterator[str]:
    """`text` in lines of at most `width` columns, broken at blanks only; what goes on stands a
    little further in. A longer word keeps its line, and so does a command that stands behind a
    colon or alone: it is copied as one."""
    further = " " * (len(text) - len(text.lstrip()) + len(FURTHER_IN))
    rest = text
    while width is not None and cells(rest) > width:
        command = _COMMAND.search(rest)
        end = len(rest) if command is None else command.start(1)
        begin = len(rest) - len(rest.lstrip())
        blanks = [place for place in range(begin, end) if rest[place] == " "]
        fitting = [place for place in blanks if cells(rest[:place]) <= width]
        if not blanks:
            break
        place = fitting[-1] if fitting else blanks[0]
        yield rest[:place].rstrip()
        rest = f"{further}{rest[place:].lstrip()}"
    yield rest


def columns(
    rows: Iterable[tuple[str, ...]], right: frozenset[int] = frozenset(), width: int | None = None
) -> list[str]:
    """`rows` as lines with aligned columns, those in `right` to the right. With a `width` the
    widest of the other columns are cut until a line fits, down to `NARROWEST` each; without one
    nothing is cut."""
    table = list(rows)
    if not table:
        return []
    widths = [max(cells(row[index]) for row in table) for index in range(len(table[0]))]
    if width is not None:
        _narrow(widths, right, width)
    else:
        widths = [wide if i in right else min(wide, WIDEST) for i, wide in enumerate(widths)]
    lines = []
    for row in table:
        parts = []
        for index, cell in enumerate(row):
            shown = cell if width is None else fitted(cell, widths[index])
            blank = " " * (widths[index] - cells(shown))
            parts.append(blank + shown if index in right else shown + blank)
        lines.append(GAP.join(parts).rstrip())
    return lines


def narrowest(rows: Sequence[tuple[str, ...]], right: frozenset[int]) -> int:
    """How many columns of a terminal a line of `columns` takes at the least."""
    widths = [max(cells(row[index]) for row in rows) for index in range(len(rows[0]))]
    least = [wide if i in right else min(wide, NARROWEST) for i, wide in enumerate(widths)]
    return sum(least) + len(GAP) * (len(least) - 1)


def _narrow(widths: list[int], right: frozenset[int], width: int) -> None:
    while sum(widths) + len(GAP) * (len(widths) - 1) > width:
        able = [i for i, wide in enumerate(widths) if i not in right and wide > NARROWEST]
        if not able:
            return
        widths[max(able, key=lambda index: widths[index])] -= 1


def _taken(text: str, width: int) -> str:
    taken = ""
    used = 0
    for character in text:
        used += cells(character)
        if used > width:
            break
        taken += character
    return taken
