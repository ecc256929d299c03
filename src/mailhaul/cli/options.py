"""What a command can be told, as data: shown by `--help`, quoted by its page, read by `parsing`.

The help text is laid out here, so that it is the same on every Python and the pages under docs/cli
can quote it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit

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
    """What is given without a name; it must be, unless it is optional."""

    name: str
    text: str
    optional: bool = False

    def __str__(self) -> str:
        return f"[{self.name}]" if self.optional else self.name


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


def help_text(command: Command) -> str:
    """The text of `mailhaul COMMAND --help`, ending in a line end."""
    words = [command.name, *map(str, command.operands)] + (["[options]"] if command.options else [])
    lines = [f"usage: mailhaul {' '.join(words)}", ""]
    lines += _wrapped(command.story)
    if command.operands:
        lines.append("")
    lines += [row for operand in command.operands for row in _row(str(operand), operand.text)]
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


def _word(code: Exit) -> str:
    return code.name.lower()


def _row(left: str, text: str) -> list[str]:
    """One entry of the help text: `left`, then `text` in its own column."""
    import textwrap  # noqa: PLC0415 - only help needs it

    body = textwrap.wrap(text, WIDTH - INDENT - 2, break_on_hyphens=False)
    indent = " " * (INDENT + 2)
    if len(left) > INDENT - 2:
        return [f"  {left}", *(indent + line for line in body)]
    return [f"  {left:<{INDENT}}{body[0]}", *(indent + line for line in body[1:])]


def _wrapped(text: str) -> list[str]:
    import textwrap  # noqa: PLC0415 - only help needs it

    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        if lines:
            lines.append("")
        lines += textwrap.wrap(paragraph, WIDTH, break_on_hyphens=False)
    return lines
