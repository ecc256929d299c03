"""Sieve (RFC 5228) as people and their clients write it: read just so far that a redirection, an
auto-reply and a filter can be told apart, and a statement be taken out and put back to the octet.

Never evaluated. Whatever isn't plainly one of the first two is a filter as a whole: what stands
behind a test doesn't hold for all mail.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailhaul.core.errors import MailhaulError
from mailhaul.providers.effects import same_extra
from mailhaul.providers.extras import Extra, Redirection, Responder

LONGEST = 1_000_000
"""Characters of a script that is read; Pigeonhole's own limit is 1 MB (sieve_max_script_size)."""

Argument = str | int | tuple[str, ...]
"""A string, a number, a list of strings."""

_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]+|#[^\n]*(?:\n|\Z)|/\*.*?\*/)"
    r"|(?P<multiline>text:[ \t]*(?:#[^\n]*)?\r?\n"
    r"(?P<lines>(?:(?!\.\r?(?:\n|\Z))[^\n]*\n)*)\.\r?(?:\n|\Z))"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r"|(?P<tag>:[A-Za-z_]\w*)|(?P<number>\d+[KMGkmg]?)|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign>[\[\](){},;])",
    re.DOTALL,
)
_MULTIPLES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_NEUTRAL = frozenset({"require", "keep", "stop"})
_OUT_BEGINS = "/* mailhaul took this out: "
_OUT = re.compile(re.escape(_OUT_BEGINS) + r"([a-z]+) ([A-Za-z0-9+/=]+) ([A-Za-z0-9+/=]+) \*/")


class Unreadable(MailhaulError):
    """It is no Sieve."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One command at the top level, from `start` to `end` in the text. `tags` by name, each with
    what follows it; `plain` is false where it has a test or a block, which aren't read."""

    name: str
    start: int
    end: int
    plain: bool
    tags: dict[str, Argument | None]
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """What a script says. `plain`: nothing but `found`, in the order of the statements."""

    plain: bool
    found: tuple[tuple[Statement, Extra], ...] = ()
    redirects: bool = False
    """Whether any mail may be redirected by it, under whatever test."""


def statements(text: str) -> list[Statement]:
    """The commands at the top level. Raises `Unreadable`."""
    found: list[Statement] = []
    tokens = list(_tokens(text))
    at = 0
    while at < len(tokens):
        kind, name, start, _ = tokens[at]
        if kind != "word":
            raise Unreadable("a command has to begin with its name")
        statement, at = _statement(tokens, at + 1, str(name).lower(), start)
        found.append(statement)
    return found


def read(text: str, address: str) -> Script:
    """What the script says about all mail of that account; one that can't be read is not plain."""
    if len(text) > LONGEST:
        return Script(False)
    try:
        told = statements(text)
        redirects = any(
            kind == "word" and str(said).lower() == "redirect" for kind, said, _, _ in _tokens(text)
        )
    except Unreadable:
        return Script(False, redirects="redirect" in text.lower())
    keeps = any(each.name == "keep" for each in told)
    found: list[tuple[Statement, Extra]] = []
    for number, statement in enumerate(told):
        extra = _extra(statement, address, keeps)
        if extra is not None:
            found.append((statement, extra))
            continue
        ends_early = statement.name == "stop" and number < len(told) - 1
        if not statement.plain or statement.name not in _NEUTRAL or ends_early:
            return Script(False, redirects=redirects)
    return Script(True, tuple(found), redirects)


def without(text: str, address: str, extra: Extra) -> str:
    """The script with the statement of that extra taken out, as a remark that `restored` knows."""
    for statement, each in reversed(read(text, address).found):
        if same_extra(each, extra):
            said = text[statement.start : statement.end]
            out = f"{_name(extra)} {_packed(_key(extra))} {_packed(said)}"
            text = f"{text[: statement.start]}{_OUT_BEGINS}{out} */{text[statement.end :]}"
    return text


def restored(text: str, extra: Extra) -> str:
    """The script with what `without` took out for that extra back in its place; the same text
    where there is nothing of it."""

    def back(match: re.Match[str]) -> str:
        kind, key, said = match.groups()
        if kind == _name(extra) and _unpacked(key) == _key(extra):
            return _unpacked(said) or match[0]
        return match[0]

    return _OUT.sub(back, text)


def _extra(statement: Statement, address: str, keeps: bool) -> Extra | None:
    tags, arguments = statement.tags, statement.arguments
    value = arguments[0] if len(arguments) == 1 else None
    if not statement.plain or not isinstance(value, str):
        return None
    if statement.name == "redirect" and set(tags) <= {":copy"}:
        return Redirection(address, value, ":copy" in tags or keeps)
    subject = tags.get(":subject", "")
    if (
        statement.name == "vacation"
        and set(tags) <= {":subject", ":days", ":addresses", ":handle"}
        and isinstance(subject, str)
    ):
        return Responder(address, value, subject)
    return None


def _key(extra: Extra) -> str:
    match extra:
        case Redirection(to=to, copy=copy):
            return json.dumps([to.casefold(), copy])
        case Responder(text=text, subject=subject):
            return json.dumps([text.splitlines(), subject])
        case _:
            return ""


def _name(extra: Extra) -> str:
    return type(extra).__name__.lower()


def _packed(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _unpacked(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "surrogateescape")
    except ValueError:
        return ""


Token = tuple[str, Argument, int, int]


def _tokens(text: str) -> Iterator[Token]:
    """Kind, value, start and end of each. Raises `Unreadable`."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unreadable(f"character {at + 1} begins nothing that Sieve knows")
        at = match.end()
        kind = match.lastgroup or ""
        if match["blank"] is not None:
            continue
        if match["multiline"] is not None:
            lines = re.sub(r"(?m)^\.\.", ".", match["lines"])
            yield "string", lines, match.start(), at
        elif match["quoted"] is not None:
            yield "string", re.sub(r"(?s)\\(.)", r"\1", match["quoted"]), match.start(), at
        elif match["number"] is not None:
            digits, unit = match["number"], 1
            if not digits[-1].isdigit():
                digits, unit = digits[:-1], _MULTIPLES[digits[-1].upper()]
            if len(digits) > 18:
                raise Unreadable("a number of more than 18 digits")
            yield "number", int(digits) * unit, match.start(), at
        else:
            yield kind, match[0], match.start(), at


_VALUED = frozenset({":subject", ":days", ":addresses", ":handle", ":from", ":seconds"})
"""Tags that a value follows, of the commands that are looked into."""


def _statement(tokens: Sequence[Token], at: int, name: str, start: int) -> tuple[Statement, int]:
    """The statement whose arguments begin at that token, and where the next one begins."""
    tags: dict[str, Argument | None] = {}
    arguments: list[Argument] = []
    plain = True
    last: str | None = None
    while at < len(tokens):
        kind, value, _, end = tokens[at]
        if value == ";" and kind == "sign":
            return Statement(name, start, end, plain, tags, tuple(arguments)), at + 1
        if value == "{" and kind == "sign":
            at, end = _block_end(tokens, at)
            return Statement(name, start, end, False, tags, tuple(arguments)), at
        if kind == "sign" and value == "[":
            value, at = _list(tokens, at + 1)
            kind = "list"
        else:
            at += 1
        if kind == "tag":
            last = str(value).lower()
            tags[last] = None
            last = last if last in _VALUED else None
        elif kind in ("string", "number", "list"):
            if last is not None:
                tags[last] = value
                last = None
            else:
                arguments.append(value)
        else:
            plain = False
    raise Unreadable(f"the command {name} has no end")


def _list(tokens: Sequence[Token], at: int) -> tuple[tuple[str, ...], int]:
    found = []
    while at < len(tokens):
        kind, value, _, _ = tokens[at]
        at += 1
        if kind == "string":
            found.append(str(value))
        elif value == "]":
            return tuple(found), at
        elif value != ",":
            break
    raise Unreadable("a list of strings holds something else")


def _block_end(tokens: Sequence[Token], at: int) -> tuple[int, int]:
    depth = 0
    while at < len(tokens):
        kind, value, _, end = tokens[at]
        at += 1
        if kind == "sign" and value in ("{", "}"):
            depth += 1 if value == "{" else -1
            if depth == 0:
                return at, end
    raise Unreadable("a block has no end")
