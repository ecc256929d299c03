"""The tables of codes as docs/dns.md shows them; a test holds the page to this."""

from collections.abc import Iterator, Mapping

from mailhaul.core.finding import Meaning
from mailhaul.dns.record_codes import MEANINGS as RECORDS
from mailhaul.dns.server_codes import MEANINGS as SERVERS


def codes_tables() -> tuple[str, str]:
    """The codes of servers and those of records, in Markdown."""
    return "\n".join(_table(SERVERS)), "\n".join(_table(RECORDS))


def _table(meanings: Mapping[str, Meaning]) -> Iterator[str]:
    yield "| code | | means | what to do |"
    yield "|---|---|---|---|"
    for code, meaning in meanings.items():
        remedy = meaning.remedy or "nothing"
        yield f"| `{code!s}` | {meaning.severity.value} | {meaning.means} | {remedy} |"
