"""Texts inside PowerShell that somebody else reviews and runs: nothing that a text says is ever a
command.

A text stands between single quotes, where PowerShell expands nothing. It takes four typographic
marks for the plain one (about_Quoting_Rules, and the tokenizer's `IsSingleQuote`), so that all five
are doubled. What can't be seen, or would make a line look like another, is refused and not escaped:
a runbook is for reading.
"""

import unicodedata
from collections.abc import Mapping, Sequence

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

_QUOTES = "'\u2018\u2019\u201a\u201b"
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LONGEST = 2000


def quoted(text: str) -> str:
    """The text as a literal. Raises `BadInput` for one that can't be read where it stands: control
    characters, invisible and right-to-left marks, more than 2,000 characters."""
    if len(text) > _LONGEST or any(unicodedata.category(each) in _UNSEEN for each in text):
        raise BadInput(
            f"“{printable(text, 200)}” can't stand in a runbook that people review; take out what "
            "can't be seen"
        )
    return "'" + "".join(each * 2 if each in _QUOTES else each for each in text) + "'"


def quoted_list(texts: Sequence[str]) -> str:
    """The texts as a list of literals."""
    return "@(" + ", ".join(map(quoted, texts)) + ")"


def command(name: str, **parameters: str | int | bool | Sequence[str] | Mapping[str, str]) -> str:
    """One command in one line: texts quoted, numbers as they are, yes and no as `$true` and
    `$false`, lists and tables (`@{Add='…'}`) as literals. `name` and the names of parameters and of
    a table's keys are the program's own words."""
    words = [name]
    for parameter, value in parameters.items():
        assert parameter.isalpha(), parameter
        words += [f"-{parameter}", _literal(value)]
    return " ".join(words)


def remark(text: str) -> str:
    """A comment of one line, whatever the text holds."""
    return f"# {printable(text, _LONGEST)}"


def _literal(value: str | int | bool | Sequence[str] | Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return f"${str(value).lower()}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        assert all(key.isalpha() for key in value), value
        return "@{" + "; ".join(f"{key}={quoted(text)}" for key, text in value.items()) + "}"
    return quoted_list(value)
