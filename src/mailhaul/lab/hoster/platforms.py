"""A mail platform of the hoster: real mailboxes, made to be as the hoster's books say."""

from dataclasses import dataclass
from typing import Protocol

from mailhaul.lab.hoster.books import Box
from mailhaul.lab.wire import PlainConnection
from mailhaul.providers.service import Verb


@dataclass(frozen=True, slots=True)
class Size:
    """What a mailbox holds."""

    messages: int
    octets: int


class NotDelivered(Exception):
    """The platform didn't take the message; `forever`: and won't."""

    def __init__(self, text: str, *, forever: bool) -> None:
        super().__init__(text)
        self.forever = forever


class BadScript(Exception):
    """The platform doesn't take such a script; the text is its own."""


class Platform(Protocol):
    """All verbs may be repeated, and wait until what they did is seen by everybody."""

    sieve: bool
    """Whether it acts on scripts."""
    beside: frozenset[Verb]
    """Redirections, auto-replies, filters: those that it acts on."""
    port: int
    """Of IMAP."""
    direct: int
    """Of IMAP too, where troubles can be made at `port`; else 0."""

    async def settle(self, box: Box) -> str:
        """The mailbox lies under the box's address, has its password and quota, and is open or
        locked as its state says. Returns the name under which the platform has it now, which was
        `box.placed` before ("": it wasn't there)."""

    async def acts(self, box: Box, script: str) -> None:
        """What comes in is treated by that script (RFC 5228); an empty one: simply kept. Raises
        `BadScript`."""

    async def checks(self, box: Box, script: str) -> None:
        """Raises `BadScript` for one that couldn't be set for the box."""

    async def drop(self, box: Box) -> None:
        """There is no such mailbox."""

    async def size(self, box: Box) -> Size:
        """What it holds."""

    async def deliver(self, box: Box, sender: str, content: bytes) -> None:
        """Mail comes in. Raises `NotDelivered`."""

    def connect(self, box: Box) -> PlainConnection:
        """A line to the mailbox by the hoster's own right, locked or not. It blocks."""

    async def start(self) -> None:
        """Makes ready, after the books have been opened."""

    async def close(self) -> None:
        """Ends what it started."""
