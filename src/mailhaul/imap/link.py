"""What is seen of a connection's speed while it is in use, and whether that is slow enough for
COMPRESS. The measure itself is `deflate.LinkSpeed`; here is when the clock is looked at."""

from mailhaul.imap.commands import Command
from mailhaul.imap.deflate import LinkSpeed

_AS_MUCH_AS_WE_TAKE = 128 * 1024
"""Octets that come at once when they have waited for us: no measure of the link."""


class Link:
    """`came` and `appended` give the speed in octets a second once it is seen to be slow."""

    __slots__ = ("_asked", "_heard", "_speed", "_stored")

    def __init__(self) -> None:
        self._speed = LinkSpeed()
        self._asked: tuple[bytes, float] | None = None  # what went out alone, and when
        self._heard: float | None = None  # when something came, and more of it is to come
        self._stored: float | None = None  # when an APPEND was answered with one more behind it

    def asked_alone(self, tag: bytes, now: float) -> None:
        """A command goes out while no other is under way."""
        self._asked = tag, now
        self._heard = None

    def answered(self, tag: bytes, now: float) -> None:
        """A command has its answer."""
        if self._asked is not None and self._asked[0] == tag:
            self._speed.answered(now - self._asked[1])
            self._asked = None

    def came(self, octets: int, now: float, more: bool) -> float | None:
        """Octets came. `more`: they are a message's, and the network is read for the rest."""
        heard, self._heard = self._heard, now if more else None
        if heard is not None and octets < _AS_MUCH_AS_WE_TAKE:
            return self._speed.moved(octets, now - heard)
        return None

    def rested(self) -> None:
        """The network isn't read for a while."""
        self._heard = None

    def appended(self, command: Command, now: float, more: bool) -> float | None:
        """An APPEND has its answer. `more`: the next is on its way behind it."""
        stored, self._stored = self._stored, now if more else None
        if stored is None:
            return None
        octets = sum(0 if isinstance(part, bytes) else part.blob.size for part in command.parts)
        return self._speed.moved(octets, now - stored)
