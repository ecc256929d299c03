"""Servers known so well by their greeting that the first flight goes out behind the login at once.

Waiting for the login's OK, to read off it what everybody knows this server can do, costs a round
trip a connection. What is presumed here is checked against what the server then says; `ahead` has
the rest. Unlike a quirk, a row is no excuse for anything: a server that is in none, or hides what
it is, is asked step by step.
"""

import re
from dataclasses import dataclass

from mailhaul.imap.responses import Status
from mailhaul.imap.sasl import Mechanism


@dataclass(frozen=True, slots=True)
class Known:
    """One row. `greeting` is searched for in a greeting's code and text, `behind` are the ways to
    log in that the server reads commands behind, `extensions` what it can do once we are in, as
    far as the first flight makes use of it."""

    server: str
    greeting: bytes
    behind: frozenset[Mechanism]
    extensions: frozenset[str]
    early: bool
    reason: str


_BOTH = frozenset(
    (
        *("ID", "ENABLE", "CONDSTORE", "QRESYNC", "NAMESPACE", "UNSELECT"),
        *("LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "STATUS=SIZE"),
    )
)

KNOWN: tuple[Known, ...] = (
    Known(
        "Dovecot 2.3 and later",
        rb"^CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL\+( |$)",
        frozenset({Mechanism.PLAIN, Mechanism.LOGIN_COMMAND}),
        _BOTH,
        True,
        "its words are often changed (login_greeting), the order of its capabilities is its own; "
        "what its login process has read too much it hands over to the mailbox's process",
    ),
    Known(
        "Cyrus 3.6 and later",
        rb" Cyrus IMAP 3\.([6-9]|\d\d)\.",
        frozenset({Mechanism.LOGIN_COMMAND}),
        _BOTH | {"QUOTA"},
        False,
        "behind AUTHENTICATE nothing may be sent: it takes what it has read already for the "
        "beginning of a security layer, reads it twice and loses the end",
    ),
)


def presumed(greeting: Status, mechanism: Mechanism) -> frozenset[str]:
    """What the server will be able to do once it has let us in by `mechanism`, in one step; empty
    when nothing may be sent behind that. A token's refusal takes two steps: a challenge, which the
    command behind it would answer; so no row names such a mechanism."""
    known = _known(greeting)
    return known.extensions if known is not None and mechanism in known.behind else frozenset()


def hears_early(greeting: Status) -> bool:
    """Whether the server that greets so hears what was said before."""
    known = _known(greeting)
    return known is not None and known.early


def _known(greeting: Status) -> Known | None:
    said = b"%b %b %b" % (greeting.code, greeting.arguments, greeting.text)
    return next((known for known in KNOWN if re.search(known.greeting, said)), None)
