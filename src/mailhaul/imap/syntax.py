"""IMAP's value syntax (RFC 9051 9) out of framed responses: atoms, strings, lists, literals.

Tolerant where servers err in ways that leave the meaning plain (failure-modes F10, E13): blanks
too many, tabs in atoms, list ends too many at the end. Bounded everywhere: depth, and the
reader has bounded the length.
"""

import re
from collections.abc import Sequence

from mailhaul.core.blob import Blob
from mailhaul.core.errors import Disconnected

DEEPEST = 64
"""Nested lists; FETCH of what mailhaul asks for needs three."""

Value = bytes | Blob | None | list["Value"]
"""An atom or string (bytes), a streamed literal (Blob), NIL (None) or a list."""

_TOKEN = re.compile(
    rb"[ \t]*(?:"
    rb"(?P<open>\()|(?P<close>\))"
    rb'|"(?P<quoted>[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*)"'
    rb"|(?P<atom>(?:BODY|BINARY)(?:\.[A-Z]{1,5})?\[[^\]\r\n]*\](?:<[0-9]{1,20}>)?"
    rb'|[^ ()"\r\n]+)'
    rb")",
    re.IGNORECASE,
)
_ESCAPED = re.compile(rb"\\(.)")
_BLANK = re.compile(rb"[ \t\r\n]*")


class ProtocolFault(Disconnected):
    """What the server sent can't be IMAP, or is beyond every bound: the connection is given up."""


def parse(fragments: Sequence[bytes | Blob]) -> list[Value]:
    """The values of one response. `fragments` alternate between text and literals, beginning and
    ending with text; a literal is a Blob, or bytes when it was small. Raises `ProtocolFault`."""
    top: list[Value] = []
    stack: list[list[Value]] = []
    current = top
    for index, fragment in enumerate(fragments):
        if index % 2:
            current.append(fragment)
            continue
        assert isinstance(fragment, bytes)
        at, end = 0, len(fragment)
        while at < end:
            token = _TOKEN.match(fragment, at)
            if token is None:
                if _BLANK.fullmatch(fragment, at):
                    break
                raise ProtocolFault("the server sent a malformed response")
            at = token.end()
            kind = token.lastgroup
            if kind == "atom":
                atom = token["atom"]
                current.append(None if atom.upper() == b"NIL" else atom)
            elif kind == "open":
                if len(stack) >= DEEPEST:
                    raise ProtocolFault("the server nests lists too deeply")
                stack.append(current)
                inner: list[Value] = []
                current.append(inner)
                current = inner
            elif kind == "close":
                if stack:
                    current = stack.pop()
                elif fragment[at:].strip(b") \t\r\n"):
                    raise ProtocolFault("the server closes a list that was never opened")
            else:
                current.append(_ESCAPED.sub(rb"\1", token["quoted"]))
    if stack:
        raise ProtocolFault("the server left a list open")
    return top


def number(value: Value) -> int | None:
    """The unsigned number that `value` writes; None for anything else (negative ones too, F12)."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= 20:
        return int(value)
    return None


def text(value: Value) -> str | None:
    """A string's octets as Latin-1, the way `Folder.native` keeps them."""
    return value.decode("latin-1") if isinstance(value, bytes) else None
