"""Findings of providers: to a person, once a code with all whom it concerns, and for JSON. Pure."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from mailhaul.cli.blocks import Json, Line, Tone
from mailhaul.cli.figures import plural
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.text import printable
from mailhaul.providers.obstacles import KNOWN

SHOWN = 10
"""So many accounts are named under one finding."""
_TONES = {Severity.BLOCKS: Tone.BAD, Severity.WARNS: Tone.WARNING, Severity.TELLS: Tone.PLAIN}


def finding_lines(findings: Iterable[Finding]) -> Iterator[Line]:
    """Findings of providers, the worst first: code, meaning, evidence, cure."""
    for each in sorted(findings, key=lambda one: one.severity.rank):
        means = _means(each)
        said = f"{means}: {each.evidence}" if means not in ("", each.evidence) else each.evidence
        yield Line(f"  {each.severity}: {each.code}: {said}", _TONES[each.severity])
        yield _cure(each)


def shared_findings(
    found: Mapping[str, Sequence[Finding]], known: Container[str] = ()
) -> Iterator[Line]:
    """The findings of many accounts, each code once with those whom it concerns, the worst first;
    `known` codes have been told of already."""
    by_code: dict[str, list[tuple[str, Finding]]] = {}
    for address, findings in found.items():
        for each in findings:
            if each.code not in known:
                by_code.setdefault(each.code, []).append((address, each))
    for those in sorted(by_code.values(), key=lambda those: those[0][1].severity.rank):
        first = those[0][1]
        means = _means(first)
        yield Line(f"{first.severity}: {first.code}: {means}", _TONES[first.severity])
        for address, each in those[:SHOWN]:
            plain = each.evidence in (means, address)
            shown = printable(address, 120)
            yield Line(f"  {shown}" if plain else f"  {shown}: {each.evidence}")
        if len(those) > SHOWN:
            yield Line(f"  and {plural(len(those) - SHOWN, 'other')}")
        yield _cure(first)
        yield Line()


def _means(each: Finding) -> str:
    known = KNOWN.get(each.code)
    return known.means if known is not None else each.evidence


def _cure(each: Finding) -> Line:
    known = KNOWN.get(each.code)
    later = " (trying again later helps too)" if known is not None and known.passes else ""
    return Line(f"  → {each.remedy}{later}", Tone.FAINT)


def findings_json(findings: Iterable[Finding]) -> list[Json]:
    """The same for `--json`."""
    return [
        {
            "code": each.code,
            "severity": each.severity.value,
            "evidence": each.evidence,
            "remedy": each.remedy,
        }
        for each in findings
    ]
