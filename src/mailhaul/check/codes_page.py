"""The tables of codes as docs/check.md shows them; a test holds the page to this."""

from collections.abc import Iterator

from mailhaul.check.codes import MEANINGS
from mailhaul.core.finding import Severity
from mailhaul.providers.obstacles import KNOWN


def codes_table() -> str:
    """Our own codes, in Markdown."""
    return "\n".join(
        _table(((c.value, m.severity, m.means, m.remedy) for c, m in MEANINGS.items()))
    )


def obstacles_table() -> str:
    """The codes of providers, in Markdown."""
    rows = ((code, k.severity, k.means, _remedy(k.remedy, k.passes)) for code, k in KNOWN.items())
    return "\n".join(_table(rows))


def _table(rows: Iterator[tuple[str, Severity, str, str]]) -> Iterator[str]:
    yield "| code | | means | what to do |"
    yield "|---|---|---|---|"
    for code, severity, means, remedy in rows:
        yield f"| `{code}` | {severity.value} | {means} | {remedy or 'nothing'} |"


def _remedy(remedy: str, passes: bool) -> str:
    return f"{remedy} (trying later helps)" if passes else remedy
