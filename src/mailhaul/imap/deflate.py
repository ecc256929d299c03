"""COMPRESS=DEFLATE (RFC 4978): whether it is worth it, and both directions of it.

A Dovecot deflates some 25 MB/s a connection, so that compression slows a fast link down and makes
a slow one two to four times as fast. So it is decided by what was measured, never by what is
offered: a link that is both slow and far away.
"""

import zlib
from dataclasses import dataclass

from mailhaul.imap.syntax import ProtocolFault

SLOW = 10 * 1000 * 1000
"""Octets a second; a faster link is left alone."""
PIECE = 256 * 1024
"""Most octets inflated at once."""

_FAR = 0.0015
"""Seconds for the quickest answer: a server nearer than that is slow itself, not the link."""
_ENOUGH = 2 * 1000 * 1000
_LEVEL = 3


@dataclass(slots=True)
class LinkSpeed:
    """What was seen of a connection while it was busy with messages."""

    quickest: float = float("inf")
    """Seconds of the quickest answer so far."""
    _octets: int = 0
    _seconds: float = 0.0

    def answered(self, seconds: float) -> None:
        """A command that went out alone was answered after so long."""
        self.quickest = min(self.quickest, seconds)

    def moved(self, octets: int, seconds: float) -> float | None:
        """So many octets passed while there was nothing to do but wait for the link. Gives its
        speed in octets a second once that is seen to be slow enough for compression."""
        self._octets += octets
        self._seconds += seconds
        if self._octets < _ENOUGH:
            return None
        speed = self._octets / self._seconds if self._seconds > 0 else float("inf")
        self._octets, self._seconds = 0, 0.0
        return speed if speed < SLOW and _FAR < self.quickest < float("inf") else None


class Inflater:
    """The server's octets, made large again a piece at a time: 1 octet may stand for 1,000."""

    __slots__ = ("_full", "_inflate", "_rest")

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._rest = b""
        self._full = False

    @property
    def pending(self) -> bool:
        """Whether `take` has more to give."""
        return bool(self._rest) or self._full

    def give(self, data: bytes) -> None:
        """Adds what came over the wire."""
        self._rest += data

    def take(self) -> bytes:
        """The next octets, `PIECE` at most. Raises `ProtocolFault` for what isn't deflated."""
        try:
            piece = self._inflate.decompress(self._rest, PIECE)
        except zlib.error as error:
            raise ProtocolFault("the server sends what is not compressed as it said") from error
        if self._inflate.eof:
            raise ProtocolFault("the server ended the compression")
        self._rest = self._inflate.unconsumed_tail
        self._full = len(piece) == PIECE
        return piece


class Deflater:
    """Our octets, made small; whatever was given can be read at once by the server."""

    __slots__ = ("_deflate",)

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)

    def small(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
