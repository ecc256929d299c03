"""Questions to name servers, and what came of each.

An answer that did not come is an answer too: it has an outcome, and none of them is raised.
"""

from dataclasses import dataclass
from enum import StrEnum

from mailhaul.dns.records import Kind


class Outcome(StrEnum):
    """What came of asking one server one question."""

    RECORDS = "answered"
    NODATA = "no such record"
    NXDOMAIN = "no such name"
    SERVFAIL = "the server failed"
    REFUSED = "refused"
    LAME = "not authoritative for it"
    TIMEOUT = "no answer in time"
    UNREACHABLE = "can't be reached"
    MALFORMED = "the answer makes no sense"
    FORBIDDEN = "not asked: its address is not a public one"


SAID = frozenset({Outcome.RECORDS, Outcome.NODATA, Outcome.NXDOMAIN})
"""Outcomes that say something about the name."""


@dataclass(frozen=True, slots=True)
class Server:
    """A name server. `address` is an IP address; `host` is what it is called, or empty."""

    address: str
    port: int = 53
    host: str = ""

    def __str__(self) -> str:
        port = "" if self.port == 53 else f" port {self.port}"
        return f"{self.host} ({self.address}{port})" if self.host else f"{self.address}{port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server said. `values` are spelled as in `dns.records`, sorted.

    `ttl` is what was left of it at that server, in seconds; of an answer that there is nothing, how
    long that may be remembered (RFC 2308 section 5), where the server told. `aliases` are the
    CNAMEs that led from `name` to the values. `secure`: the server says that it has verified the
    signatures (AD). `said` is what else there is to say, printable.
    """

    name: str
    kind: Kind
    outcome: Outcome
    values: tuple[str, ...] = ()
    ttl: int | None = None
    aliases: tuple[str, ...] = ()
    server: Server | None = None
    authoritative: bool = False
    secure: bool = False
    said: str = ""
    seconds: float = 0.0

    @property
    def told(self) -> bool:
        """Whether it says something about the name, be it that there is nothing."""
        return self.outcome in SAID
