"""The table of codes as docs/canary.md shows it; a test holds the page to this."""

from mailhaul.canary.codes import MEANINGS


def codes_table() -> str:
    """Every code, in Markdown."""
    rows = (
        f"| `{code}` | {each.severity} | {each.means} | {each.remedy or 'nothing'} |"
        for code, each in MEANINGS.items()
    )
    return "\n".join(("| code | | means | what to do |", "|---|---|---|---|", *rows))
