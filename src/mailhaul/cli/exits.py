"""Exit codes: what a script that calls mailhaul can rely on (docs/exit-codes.md)."""

from enum import IntEnum

from mailhaul.core.errors import BadInput, Closed, ClosedReason, MailhaulError, RetryLater


class Exit(IntEnum):
    """Why mailhaul ended."""

    COMPLETE = 0
    DEFECT = 1
    USAGE = 2
    INCOMPLETE = 3
    CREDENTIALS = 4
    UNREACHABLE = 5
    FULL = 6
    DIFFERENT = 7
    INTERRUPTED = 130


MEANINGS = {
    Exit.COMPLETE: "complete",
    Exit.DEFECT: "a defect of mailhaul; a report was written",
    Exit.USAGE: "usage: what was asked can't be done as written; nothing was begun",
    Exit.INCOMPLETE: "incomplete; all that is missing is listed",
    Exit.CREDENTIALS: "credentials refused",
    Exit.UNREACHABLE: "unreachable, or TLS failed",
    Exit.FULL: "the target is full",
    Exit.DIFFERENT: "verification found differences",
    Exit.INTERRUPTED: "interrupted; the state is kept",
}

_CLOSED = {
    ClosedReason.CREDENTIALS: Exit.CREDENTIALS,
    # Logged in but not let in (A7: no licence, no rights): a person at the account must act.
    ClosedReason.FORBIDDEN: Exit.CREDENTIALS,
    ClosedReason.UNREACHABLE: Exit.UNREACHABLE,
    ClosedReason.TLS: Exit.UNREACHABLE,
    # Something answers, but it does not speak IMAP as we need it.
    ClosedReason.PROTOCOL: Exit.UNREACHABLE,
    ClosedReason.FULL: Exit.FULL,
}


class Interrupted(MailhaulError):
    """A person, or the system, asked us to stop, and it is done. The text says how to go on."""


class StateFailed(MailhaulError):
    """What has been carried can't be noted down or read any more; what arrived is found again."""


def exit_for(error: MailhaulError) -> Exit:
    """The code that `error` ends the program with."""
    match error:
        case BadInput():
            return Exit.USAGE
        case Closed(reason=reason):
            return _CLOSED[reason]
        case Interrupted():
            return Exit.INTERRUPTED
        case RetryLater():
            # It has been tried as often as it may be.
            return Exit.UNREACHABLE
        case _:
            return Exit.INCOMPLETE
