"""Commands that go out behind a login before it is answered, and what becomes of them.

Refused, the login alone counts, and the connection is dropped with all that was said behind it.
Let in, what the server now says it can do has to hold all that was presumed, and every command has
to have been taken: else nothing of it counts, and everything goes the usual way.
"""

from collections.abc import Callable, Iterable

from mailhaul.imap import commands
from mailhaul.imap.client import Session
from mailhaul.imap.commands import Command
from mailhaul.imap.pending import Pending

Ask = Callable[[Command], Pending]
"""Has a command answered: sends it, or finds that it was sent."""
Ahead = Callable[[Ask, frozenset[str]], None]
"""Says what is to be said first, through `Ask`, to a server that can do what is presumed. It may
await nothing."""


def send_ahead(session: Session, ahead: Ahead, presumed: frozenset[str]) -> None:
    """Sends what `ahead` says, behind a login that is under way."""

    def ask(command: Command) -> Pending:
        pending = session.send(command)
        session.ahead.append(pending)
        return pending

    ahead(ask, presumed)


async def answered(flight: Iterable[Pending]) -> bool:
    """Waits for the answers, which come right behind the login's: what is asked after them is a
    round trip of its own, and counted. Whether all were taken; raises what ended the connection."""
    refused = [pending for pending in flight if (await pending.done()).kind != b"OK"]
    return not refused


def throw_away(session: Session) -> None:
    """Forgets what was sent ahead, as far as the server remembers it too."""
    selected = False
    for pending in session.ahead:
        opened = pending.command.verb in (b"SELECT", b"EXAMINE")
        selected |= opened and pending.status is not None and pending.status.kind == b"OK"
        pending.abandon()
    session.ahead.clear()
    if selected and "UNSELECT" in (session.capabilities or ()):
        session.send(commands.unselect())


def asked(session: Session, command: Command) -> Pending:
    """`command` as it was sent ahead, once; else it is sent now."""
    return taken(session, command) or session.send(command)


def taken(session: Session, command: Command) -> Pending | None:
    """`command` as it was sent ahead, once; None if it was not."""
    for pending in session.ahead:
        if pending.command == command:
            session.ahead.remove(pending)
            return pending
    return None
