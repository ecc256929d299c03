"""docs/switch.md says what the code and the tests' own servers do."""

from pathlib import Path

from mailhaul.dns.switch_codes import MEANINGS
from tests.servers.names import MAIL_KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "switch.md").read_text(encoding="utf-8")


def test_the_page_has_every_code() -> None:
    for code, meaning in MEANINGS.items():
        remedy = meaning.remedy or "nothing"
        row = f"| `{code!s}` | {meaning.severity.value} | {meaning.means} | {remedy} |"
        assert f"\n{row}\n" in PAGE


def test_the_keys_of_the_page_are_those_that_are_tested() -> None:
    assert f"update-type: [ {', '.join(MAIL_KINDS)} ]" in PAGE
    assert f"zonesub {' '.join(MAIL_KINDS)};" in PAGE
