"""What a check gives: findings, the census of the source, the folder map, what both sides are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailhaul.check.codes import MEANINGS, Code
from mailhaul.check.oddities import Oddity
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.folder import FolderPath
from mailhaul.core.store import Capabilities
from mailhaul.engine.outcomes import FolderLink, Side

EDGES = (10_000, 100_000, 1_000_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 150_000_000)
"""Octets at which one step of the size histogram ends and the next begins: those at which mail
systems have their limits are among them."""


def found(code: Code, evidence: str, severity: Severity | None = None) -> Finding:
    """The finding of that code, with the table's remedy, and its severity unless it is given."""
    meaning = MEANINGS[code]
    return Finding(code.value, severity or meaning.severity, evidence, meaning.remedy)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the size histogram: messages of less than `below` octets (None: the rest) that
    stand in no step before it."""

    below: int | None
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class FolderCensus:
    """One source folder that would be carried. `messages` and `octets` are what would be carried,
    `older` is left out by date; `stated` is the server's own count. `problem` is why it could not
    be looked into, else empty."""

    path: FolderPath
    messages: int = 0
    octets: int = 0
    older: int = 0
    stated: int | None = None
    largest: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """One side as it presented itself."""

    capabilities: Capabilities
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """Measured over one connection; None where it wasn't."""

    octets_read: float | None = None
    """A second, from the source."""
    messages_read: float | None = None
    octets_written: float | None = None
    """A second, to the target; by a probe alone."""
    messages_written: float | None = None


UNMEASURED = Rate()


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What the target did with one odd message: `kept` octet for octet, or else `detail` says by
    name what it made of it, or why it was refused. `date` and `flags` tell what became of these,
    empty when they were kept."""

    oddity: Oddity
    kept: bool
    refused: bool = False
    detail: str = ""
    date: str = ""
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one mailbox's check. Findings are sorted, the worst first.

    `refused` are sides whose credentials were refused or missing: a person must correct them, and
    nothing is tried again before. `again_after` is set when nothing is known to be wrong but a
    server was away: so many seconds later it is worth trying again.
    """

    findings: tuple[Finding, ...] = ()
    messages: int = 0
    octets: int = 0
    folders: tuple[FolderCensus, ...] = ()
    histogram: tuple[Step, ...] = ()
    map: tuple[FolderLink, ...] = ()
    source: Server | None = None
    target: Server | None = None
    rate: Rate = UNMEASURED
    fidelity: tuple[Fidelity, ...] = ()
    refused: frozenset[Side] = frozenset()
    again_after: float | None = None

    @property
    def blocked(self) -> bool:
        return any(finding.severity is Severity.BLOCKS for finding in self.findings)

    @property
    def worst(self) -> Severity | None:
        """None when there is no finding."""
        return self.findings[0].severity if self.findings else None


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity, else in the order in which they were found."""
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))


def histogram(sizes: Sequence[tuple[int, int]]) -> tuple[Step, ...]:
    """The steps, of messages and octets for each edge in turn and for the rest."""
    edges = (*EDGES, None)
    assert len(sizes) == len(edges)
    return tuple(Step(edge, *counted) for edge, counted in zip(edges, sizes, strict=True))
