"""What a command can be told, as data: parsed, shown by `--help`, and quoted by its page.

Parsing is argparse's (docs/decisions says why not Typer); the help text is laid out here, so that
it is the same on every Python and the pages under docs/cli can quote it.
"""

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from mailhaul.cli.exits import Exit
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.cli.surroundings import Surroundings

WIDTH = 88
INDENT = 28


@dataclass(frozen=True, slots=True)
class Option:
    """One option. Without a `metavar` it is a switch; with `lowest` it takes a whole number."""

    name: str
    text: str
    metavar: str = ""
    repeated: bool = False
    choices: tuple[str, ...] = ()
    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True, slots=True)
class Operand:
    """What must be given without a name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Options that belong together, under one heading of the help text."""

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Arguments:
    """What was given. Asking for an option that the command doesn't declare is a defect."""

    command: str
    values: Mapping[str, str | int | bool | tuple[str, ...] | None]
    line: tuple[str, ...] = ()
    """The whole command line after `mailhaul`, to be shown again."""

    def text(self, name: str) -> str | None:
        value = self.values[name]
        assert value is None or isinstance(value, str)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    def number(self, name: str, default: int) -> int:
        value = self.values[name]
        assert value is None or (isinstance(value, int) and not isinstance(value, bool))
        return default if value is None else value

    def given(self, name: str) -> bool:
        value = self.values[name]
        assert isinstance(value, bool)
        return value


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it is told, and what it does with it.

    `run` gives the exit code; it raises `MailhaulError` for what a person must hear about.
    """

    name: str
    summary: str
    story: str
    operands: tuple[Operand, ...]
    groups: tuple[Group, ...]
    run: Callable[[Arguments, "Surroundings"], Exit]
    examples: tuple[str, ...] = ()
    exits: tuple[Exit, ...] = field(default=())

    @property
    def options(self) -> tuple[Option, ...]:
        return tuple(option for group in self.groups for option in group.options)


def parse(command: Command, words: Sequence[str]) -> Arguments:
    """What `words` (the command line after the command's name) tell `command`.

    Raises `BadInput` for anything that isn't declared; the text never repeats a value that
    follows an unknown option, for it may be a secret.
    """
    parser = _Parser(prog=f"mailhaul {command.name}", add_help=False, allow_abbrev=False)
    for operand in command.operands:
        parser.add_argument(operand.name)
    for option in command.options:
        if not option.metavar:
            parser.add_argument(option.name, action="store_true")
        elif option.repeated:
            parser.add_argument(option.name, action="append", default=[])
        else:
            parser.add_argument(option.name, action="append")
    _no_unknown_options(command, words)
    known, strange = parser.parse_known_args(list(words))
    given: dict[str, object] = vars(known)
    if strange:
        raise BadInput(
            f"{len(strange)} word(s) too many, from “{printable(strange[0], 80)}” on; "
            + _advice(command)
        )
    values: dict[str, str | int | bool | tuple[str, ...] | None] = {}
    for operand in command.operands:
        value = given[operand.name]
        if not isinstance(value, str) or not value:
            raise BadInput(f"{operand.name} is empty; {_advice(command)}")
        values[operand.name] = value
    for option in command.options:
        values[option.name] = _value(
            option, given[option.name.removeprefix("--").replace("-", "_")]
        )
    return Arguments(command.name, values, (command.name, *words))


def help_text(command: Command) -> str:
    """The text of `mailhaul COMMAND --help`, ending in a line end."""
    operands = " ".join(operand.name for operand in command.operands)
    lines = [f"usage: mailhaul {command.name} {operands} [options]", ""]
    lines += _wrapped(command.story)
    lines.append("")
    lines += [row for operand in command.operands for row in _row(operand.name, operand.text)]
    for group in command.groups:
        lines += ["", f"{group.title}:"]
        for option in group.options:
            left = f"{option.name} {option.metavar}".rstrip()
            lines += _row(left, option.text)
    if command.examples:
        lines += ["", "examples:"]
        lines += [f"  {example}" for example in command.examples]
    if command.exits:
        codes = " · ".join(f"{code.value} {_word(code)}" for code in command.exits)
        lines += ["", *_wrapped(f"exit codes: {codes}")]
    return "\n".join(lines) + "\n"


def closest(word: str, known: Sequence[str]) -> str:
    """`; did you mean …?` for a misspelt `word`, or nothing."""
    import difflib  # noqa: PLC0415 - only a typing error needs it

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


class _Parser(argparse.ArgumentParser):
    """argparse, but an error is raised for the edge to show instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.removeprefix("mailhaul ")
        raise BadInput(f"{_first_sentence(message)}; see mailhaul {name} --help")


def _first_sentence(message: str) -> str:
    """argparse's own complaint without the value in it, for a value may be a secret."""
    head, colon, tail = message.partition(": ")
    if tail.startswith("ignored explicit argument"):
        return f"{printable(head.removeprefix('argument '), 60)} takes no value"
    if tail.startswith("expected one argument"):
        return f"{printable(head.removeprefix('argument '), 60)} needs a value"
    if head == "the following arguments are required":
        return f"{printable(tail, 60)} is missing"
    return printable(head if colon else message, 200)


def _no_unknown_options(command: Command, words: Sequence[str]) -> None:
    """Before argparse looks: it would complain first about something that merely follows."""
    known = [option.name for option in command.options]
    takes_value = {option.name for option in command.options if option.metavar}
    value_next = False
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if value_next or not word.startswith("-") or name in known:
            value_next = not value_next and word in takes_value
            continue
        if "pass" in name.lower() and "file" not in name.lower():
            raise BadInput(
                f"{printable(name, 60)} is no option, for others on this machine can read a "
                "command line; use a password file, the environment, the keyring or the prompt "
                "(docs/secrets.md)"
            )
        raise BadInput(
            f"{printable(name, 60)} is no option of mailhaul {command.name}"
            + (closest(name, known) or f"; see mailhaul {command.name} --help")
        )


def _value(option: Option, given: object) -> str | int | bool | tuple[str, ...] | None:
    if not option.metavar:
        return bool(given)
    words = given if isinstance(given, list) else []
    if option.repeated:
        return tuple(str(word) for word in words)
    if not words:
        return None
    if len(words) > 1:
        raise BadInput(f"{option.name} is given {len(words)} times; give it once")
    word = str(words[0])
    if option.choices and word not in option.choices:
        raise BadInput(
            f"{option.name} {printable(word, 60)}: it is one of {', '.join(option.choices)}"
        )
    return _number(option, word) if option.lowest is not None else word


def _number(option: Option, word: str) -> int:
    assert option.lowest is not None
    highest = option.highest
    reach = f"from {option.lowest} to {highest}" if highest is not None else f"≥ {option.lowest}"
    if not (word.isascii() and word.isdigit()) or len(word) > 12:
        raise BadInput(f"{option.name} {printable(word, 60)}: it takes a whole number {reach}")
    number = int(word)
    if number < option.lowest or (highest is not None and number > highest):
        raise BadInput(f"{option.name} {number}: it takes a whole number {reach}")
    return number


def _advice(command: Command) -> str:
    operands = " ".join(operand.name for operand in command.operands)
    return f"write mailhaul {command.name} {operands} (more by --help)"


def _word(code: Exit) -> str:
    return code.name.lower()


def _row(left: str, text: str) -> list[str]:
    """One entry of the help text: `left`, then `text` in its own column."""
    body = textwrap.wrap(text, WIDTH - INDENT - 2, break_on_hyphens=False)
    indent = " " * (INDENT + 2)
    if len(left) > INDENT - 2:
        return [f"  {left}", *(indent + line for line in body)]
    return [f"  {left:<{INDENT}}{body[0]}", *(indent + line for line in body[1:])]


def _wrapped(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        if lines:
            lines.append("")
        lines += textwrap.wrap(paragraph, WIDTH, break_on_hyphens=False)
    return lines
