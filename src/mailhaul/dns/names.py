"""Domain names as they are asked for: A-labels, lower case, without the final dot.

Everything in this room that holds a name holds it so; `shown` makes it a person's again.
"""

import re

import idna

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

_LABEL = re.compile(r"[a-z0-9_*]([a-z0-9_-]*[a-z0-9_])?")


def domain_name(text: str) -> str:
    """The name that a person wrote, as it stands in DNS (UTS 46, RFC 5891; underscores as in
    RFC 8552). Raises `BadInput` for what no name can be."""
    written = text.strip().rstrip(".")
    lowered = written.casefold()
    if not lowered.isascii():
        try:
            lowered = idna.encode(written, uts46=True, transitional=False).decode("ascii")
        except idna.IDNAError as error:
            raise BadInput(
                f"{printable(text, 200)} is no domain name: {printable(str(error), 200)}"
            ) from error
    labels = lowered.split(".")
    if len(lowered) > 253 or not all(
        len(label) <= 63 and _LABEL.fullmatch(label) for label in labels
    ):
        raise BadInput(f"{printable(text, 200) or 'an empty text'} is no domain name")
    return lowered


def shown(name: str) -> str:
    """The name for a person: umlauts and all where it has them, and the A-labels beside them."""
    if "xn--" not in name:
        return printable(name, 253)
    try:
        unicode = idna.decode(name)
    except (idna.IDNAError, UnicodeError):
        return printable(name, 253)
    return f"{printable(unicode, 253)} ({printable(name, 253)})"


def inside(name: str, domain: str) -> bool:
    """Whether the name is the domain or lies under it."""
    return name == domain or name.endswith(f".{domain}")
