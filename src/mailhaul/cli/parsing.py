"""From the words of a command line to what they tell a command.

The loop is argparse's (docs/decisions/0020-argparse.md says why not Typer's); what may be said, and
what is said about a mistake, is ours. No value of an option is ever repeated where it could be a
secret.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from mailhaul.cli.figures import plural
from mailhaul.cli.options import Arguments, Command, Option
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

_UNUSED_HELP = partial(argparse.HelpFormatter, width=80)
"""Help is ours; argparse makes one of these for every argument, and without a width that costs 4 ms
to import shutil."""


def parse(command: Command, words: Sequence[str]) -> Arguments:
    """What `words` (the command line after the command's name) tell `command`.

    Raises `BadInput` for anything that isn't declared; the text never repeats a value that
    follows an unknown option, for it may be a secret.
    """
    parser = _Parser(
        prog=f"mailhaul {command.name}",
        add_help=False,
        allow_abbrev=False,
        formatter_class=_UNUSED_HELP,
    )
    for operand in command.operands:
        parser.add_argument(operand.name, nargs="?" if operand.optional else None)
    for option in command.options:
        if not option.metavar:
            parser.add_argument(option.name, action="store_true")
        elif option.repeated:
            parser.add_argument(option.name, action="append", default=[])
        else:
            parser.add_argument(option.name, action="append")
    _no_unknown_options(command, words)
    if any(operand.optional for operand in command.operands):
        # Otherwise an option before it makes argparse think that it was left out.
        known, strange = parser.parse_known_intermixed_args(list(words))
    else:
        known, strange = parser.parse_known_args(list(words))
    given: dict[str, object] = vars(known)
    if strange:
        raise BadInput(
            f"{plural(len(strange), 'word')} too many, from “{printable(strange[0], 80)}” on; "
            + _advice(command)
        )
    values: dict[str, str | int | bool | tuple[str, ...] | None] = {}
    for operand in command.operands:
        value = given[operand.name]
        if value is None and operand.optional:
            values[operand.name] = None
            continue
        if not isinstance(value, str) or not value:
            raise BadInput(f"{operand.name} is empty; {_advice(command)}")
        values[operand.name] = value
    for option in command.options:
        values[option.name] = _value(
            option, given[option.name.removeprefix("--").replace("-", "_")]
        )
    return Arguments(command.name, values, (*command.name.split(), *words))


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
        verb = "are" if ", " in tail else "is"
        return f"{printable(tail.replace(', ', ' and '), 60)} {verb} missing"
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
    words = [command.name, *map(str, command.operands)]
    return f"write mailhaul {' '.join(words)} (more by --help)"
