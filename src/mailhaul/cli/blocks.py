"""What is printed, as values: lines with a tone, and tables. Commands make them, `render` prints
them; so that what a command says can be tested without a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.cli.figures import broken, columns, narrowest

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""A value of a line of JSON."""


class Tone(StrEnum):
    """How a line is meant; a terminal shows it as a colour, a file not at all."""

    PLAIN = "plain"
    HEADING = "heading"
    FAINT = "faint"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; one that is `whole` is never broken, for it is to be copied."""

    text: str = ""
    tone: Tone = Tone.PLAIN
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading, and perhaps a last row `foot`; the columns in `right` are aligned to
    the right."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    foot: tuple[str, ...] = ()


Block = Line | Table

NONE = "·"
"""A number of a table that is nought, so that the others stand out."""
EMPTY = frozenset({"", NONE})


def laid_out(blocks: Iterable[Block], width: int | None = None) -> Iterator[Line]:
    """The lines of `blocks`; tables are made to fit `width` columns, as far as they can, and longer
    lines are broken at blanks."""
    for block in blocks:
        if isinstance(block, Line) and block.whole:
            yield block
        elif isinstance(block, Line):
            yield from (Line(text, block.tone) for text in broken(block.text, width))
        else:
            yield from _table_lines(block, width)


def _without_empty(
    rows: list[tuple[str, ...]], right: frozenset[int], width: int
) -> tuple[list[tuple[str, ...]], frozenset[int]]:
    """The rows without those columns of numbers that tell nothing, from the last, as long as a
    line wouldn't fit into `width`."""
    for index in sorted(right, reverse=True):
        if narrowest(rows, right) <= width:
            break
        if {row[index] for row in rows[1:]} <= EMPTY:
            rows = [(*row[:index], *row[index + 1 :]) for row in rows]
            right = frozenset(i - (i > index) for i in right if i != index)
    return rows, right


def _table_lines(table: Table, width: int | None) -> Iterator[Line]:
    every = [table.heading, *table.rows, *([table.foot] if table.foot else [])]
    right = table.right
    if width is not None:
        every, right = _without_empty(every, right, width)
    first, *rest = columns(every, right, width)
    yield Line(first, Tone.FAINT)
    for number, text in enumerate(rest):
        yield Line(text, Tone.HEADING if number == len(table.rows) else Tone.PLAIN)
