"""Findings: one answer of one check, whoever checked."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How grave a finding is."""

    BLOCKS = "blocks"
    WARNS = "warns"
    TELLS = "tells"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code stands for, as a row of a table. `remedy` says what a person does; empty where
    nothing is to be done."""

    severity: Severity
    means: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. `code` stands in a table with its meaning; `evidence` and `remedy` are
    printable."""

    code: str
    severity: Severity
    evidence: str
    remedy: str
