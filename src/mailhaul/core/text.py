"""Foreign words (of a server, a mail, a person) made safe to show; secrets that never show; and how
many of what, in words."""

import re
import unicodedata

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLAIN = re.compile(r"[ -~]*")


def printable(text: str | bytes, limit: int = 500) -> str:
    """`text` in one line, safe for a terminal, a log and a report, at most `limit` characters.

    Bytes are read as UTF-8, else Latin-1. Control, bidirectional and zero-width characters are
    shown as `\\x1b`-like escapes, never acted on (security.md 6).
    """
    if isinstance(text, bytes):
        text = _decoded(text[: limit * 4])
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_shown(character) for character in text)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def plural(number: int, one: str, many: str = "") -> str:
    """`1 message`, `2,000 messages`; `1 message was` where `many` is `messages were`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def octets(number: float) -> str:
    """`999 B`, `61.0 MB`: decimal units, as providers sell and quotas count them."""
    unit = 0
    while number >= 999.95 and unit < len(_UNITS) - 1:
        number /= 1000
        unit += 1
    return f"{number:.0f} B" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"


class Secret:
    """A password or token. Shows as `***` in every output; `reveal()` is for the wire only."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")
