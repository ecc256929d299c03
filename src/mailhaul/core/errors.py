"""Errors, named for what the caller does next.

Every text is for the person who reads it: lower case; the fact, the value, the cure.
Server-supplied words inside a text have been through `core.text.printable`.
"""

from enum import StrEnum


class MailhaulError(Exception):
    """Anything mailhaul itself raises; `str()` is one sentence for a person.

    `side` says which mailbox it is about, "source" or "target", where the engine knows.
    """

    side: str | None = None


class BadInput(MailhaulError):
    """What the user gave can't be used. Nothing was begun; say the fact and the cure."""


class Busy(BadInput):
    """Somebody else works on the same thing; the text says who. It is free again when they end."""


class Superseded(MailhaulError):
    """Another worker has taken over what this one was doing; whatever it was, it is theirs now."""


class RetryLater(MailhaulError):
    """Not now: try the same again after `after` seconds. Never counted against a message.

    `throttled` is true when the server asked for the pause (failure-modes B1–B5), false when it
    just failed; a throttle is waited out however often it comes, a failure only so many times.
    """

    def __init__(self, text: str, *, after: float = 1.0, throttled: bool = False) -> None:
        super().__init__(text)
        self.after = after
        self.throttled = throttled


class Disconnected(RetryLater):
    """The connection is gone; what was in flight may or may not have happened (A1–A5)."""


class TooManyConnections(RetryLater):
    """The server allows fewer connections than are open (A14): go on with fewer."""


class FolderFailed(MailhaulError):
    """This folder can't be carried now; the others go on. The text says why."""


class CursorExpired(MailhaulError):
    """The folder was renumbered or made anew: the cursor means nothing any more (C1, C2)."""


class ClosedReason(StrEnum):
    """Why a mailbox stays closed until a person has changed something."""

    CREDENTIALS = "credentials"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    FULL = "full"
    FORBIDDEN = "forbidden"
    PROTOCOL = "protocol"


class Closed(MailhaulError):
    """This mailbox can't be used until a person changes something; never tried again by itself."""

    def __init__(self, text: str, reason: ClosedReason) -> None:
        super().__init__(text)
        self.reason = reason
