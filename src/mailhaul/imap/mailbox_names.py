"""Folder names on the wire: modified UTF-7 (RFC 3501 5.1.3) both ways, and what to do with broken
ones.

A folder's native name is the wire's octets as Latin-1 text and is what commands get back, whatever
it is (failure-modes E4). Only what people see and what the other side is to create passes through
here. Unicode is never normalised: servers keep NFC and NFD names apart (E3).
"""

import base64
import binascii
import re
from functools import lru_cache

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

_SHIFTED = re.compile(r"&([^-]*)-")
_DIRECT = re.compile(r"[ -~]*")
_BASE64 = re.compile(r"[A-Za-z0-9+,]+")
_ENCODED_RUN = re.compile(r"[^ -~]+|&")
_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_NOT_SHOWN = re.compile(r"[^ -$'-~]")


@lru_cache(maxsize=1024)  # both sides have the same names, and they are looked at more than once
def decode(native: str) -> str | None:
    """What `native` says: modified UTF-7 in its one right spelling, or, where octets over 0x7f
    show that the server sends raw UTF-8, that. None when it is neither (`&AGE-`, `&`, lone
    surrogates, control characters in the clear): `encode` gives back the very same octets
    exactly when the name was modified UTF-7."""
    if not native.isascii():
        return _raw_utf8(native)
    if not _DIRECT.fullmatch(native):
        return None
    if "&" not in native:
        return native
    try:
        text = _SHIFTED.sub(lambda match: _unshifted(match[1]), native)
    except ValueError:
        return None
    # Re-encoding finds what a decoder lets pass: `&AGE-` for `a`, two runs where one would do,
    # bits left over, a `&` that opens nothing.
    return text if encode(text) == native else None


def encode(text: str) -> str:
    """`text` in modified UTF-7, shortest form. Raises `BadInput` for a lone surrogate (a file name
    that is no UTF-8), which no name can hold."""
    if "&" not in text and _DIRECT.fullmatch(text):
        return text
    try:
        return _ENCODED_RUN.sub(lambda match: _shifted(match[0]), text)
    except UnicodeEncodeError as error:
        raise BadInput(
            f"the name “{printable(text, 120)}” holds half a character; rename the folder"
        ) from error


def shown(native: str) -> str:
    """A name for every native name: `decode`, else the octets with `%`, `&` and whatever isn't
    printable ASCII escaped (`caf%E9`, `R%26D`); `opaque` goes back from that. Two broken names
    never look the same; a broken one may look like another folder that is truly called `caf%E9`,
    and raw UTF-8 like the same name in UTF-7."""
    text = decode(native)
    return _escaped(native) if text is None else text


def opaque(shown_name: str) -> str | None:
    """The native name behind the escaped form of a broken one; None when `shown_name` is no such
    form. For finding a folder again; never for making one: servers refuse broken names (E4)."""
    if not shown_name.isascii():
        return None
    native = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), shown_name)
    return native if decode(native) is None and _escaped(native) == shown_name else None


def is_raw_utf8(native: str) -> bool:
    """Whether the server wrote this name as UTF-8 without being asked to (failure-modes E4)."""
    return not native.isascii() and _raw_utf8(native) is not None


def _raw_utf8(native: str) -> str | None:
    try:
        text = native.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        return None
    return text


def _unshifted(run: str) -> str:
    if run == "":
        return "&"
    if not _BASE64.fullmatch(run):
        raise ValueError("no base64")
    padded = run.replace(",", "/") + "=" * (-len(run) % 4)
    try:
        return base64.b64decode(padded, validate=True).decode("utf-16-be")
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _shifted(run: str) -> str:
    if run == "&":
        return "&-"
    encoded = base64.b64encode(run.encode("utf-16-be")).decode("ascii")
    return "&" + encoded.rstrip("=").replace("/", ",") + "-"


def _escaped(native: str) -> str:
    return _NOT_SHOWN.sub(lambda match: f"%{ord(match[0]):02X}", native)
