"""What is printed, as values: lines with a tone, and tables. Commands make them, `render` prints
them; so that what a command says can be tested without a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mailhaul.cli.figures import columns

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
    """One line of text."""

    text: str = ""
    tone: Tone = Tone.PLAIN


def table(
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    foot: Sequence[str] = (),
    widest: int = 60,
) -> list[Line]:
    """A table as lines: `heading`, `rows`, and a last row `foot`; columns in `right` are aligned
    to the right, cells wider than `widest` are cut in their middle."""
    every = [tuple(heading), *(tuple(row) for row in rows)]
    if foot:
        every.append(tuple(foot))
    texts = columns(every, frozenset(right), widest)
    lines = [Line(texts[0], Tone.FAINT), *(Line(text) for text in texts[1 : len(rows) + 1])]
    if foot:
        lines.append(Line(texts[-1], Tone.HEADING))
    return lines
