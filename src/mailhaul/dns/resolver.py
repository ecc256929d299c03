"""Who is asked: the two protocols that checks and tables stand on.

Nothing in this room asks a name server but `dns.network` (and `dns.rfc2136`, to change a zone);
everything else takes one of these.
"""

from typing import Protocol

from mailhaul.dns.answers import Answer, Server
from mailhaul.dns.records import Kind


class Resolver(Protocol):
    """Something that answers questions as one view of the DNS: a cache, a zone's own servers, or a
    dict in a test."""

    async def look_up(self, name: str, kind: Kind) -> Answer:
        """The answer, CNAMEs followed. Raises nothing that a server could cause; asking the same
        again may cost nothing."""


class Network(Protocol):
    """Something that asks one server one question, once."""

    async def ask(self, server: Server, name: str, kind: Kind, *, recursive: bool) -> Answer:
        """The answer by UDP, by TCP where it was cut short (RFC 7766), within a deadline. With
        `recursive` false, one that is not authoritative for the name is `LAME`."""
