"""What is wrong with a plan: every mistake by file and line, with its value and its cure."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

HIDDEN = "***"
SHOWN = 80
MOST = 200
"""So many mistakes are told at most: a file of the wrong kind has one a line."""
_PASSWORD = re.compile(r"(://[^:/?#]*:).*@")
_VALUE = re.compile(r"^“[^”]*” ")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. `value` is what was written, printable, with secrets hidden; empty where
    something is missing. `text` is the fact, `cure` what to write instead."""

    file: str
    line: int
    value: str
    text: str
    cure: str

    def __str__(self) -> str:
        value = f"{self.value}: " if self.value else ""
        return f"{self.file}:{self.line}: {value}{self.text}; {self.cure}"


class PlanErrors(BadInput):
    """All that is wrong with a plan, in the order of its files and lines."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = in_order(mistakes)
        first, *rest = (str(mistake) for mistake in self.mistakes[:MOST])
        left = len(self.mistakes) - MOST
        lines = [first, *rest] + ([f"and {left} more"] if left > 0 else [])
        super().__init__("\n".join(lines))


def in_order(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    """Each once, the plan's own file first, then by line."""
    every = tuple(dict.fromkeys(mistakes))
    files = {mistake.file for mistake in every}
    order = sorted(files, key=lambda name: (not name.endswith(".toml"), name))
    return tuple(sorted(every, key=lambda mistake: (order.index(mistake.file), mistake.line)))


def shown(value: object) -> str:
    """What a person wrote, fit for a message: a password in an endpoint is hidden."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(_PASSWORD.sub(rf"\1{HIDDEN}@", str(value)), SHOWN)


def said(error: BadInput) -> tuple[str, str]:
    """The fact and the cure of an error, without the value that it begins with."""
    fact, _, cure = str(error).partition("; ")
    return _VALUE.sub("", fact), cure


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for a misspelt `word`, or nothing."""
    by_fold = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return f"did you mean {by_fold[found[0]]}?" if found else ""
