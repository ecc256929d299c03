"""The pages say what the program says."""

import re
from pathlib import Path

import pytest

from mailhaul.cli.main import SUMMARIES, command_named, overview
from mailhaul.cli.options import help_text
from mailhaul.core.endpoint import DEFAULT_PORTS, FILE_SCHEMES, OPTIONS, parse_endpoint
from mailhaul.engine.role_names import NAMES
from mailhaul.imap.login import TEMPLATES
from mailhaul.imap.sasl import Mechanism

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def file_of(command: str) -> str:
    return command.replace(" ", "-")


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_has_a_page_that_quotes_its_help(name: str) -> None:
    quoted = f"```\n$ mailhaul {name} --help\n{help_text(command_named(name))}```\n"
    assert quoted in page(f"cli/{file_of(name)}.md")


def test_the_overview_is_quoted() -> None:
    assert f"```\n$ mailhaul --help\n{overview()}```\n" in page("cli/README.md")


def test_no_page_is_about_a_command_that_is_gone() -> None:
    assert {path.stem for path in (DOCS / "cli").glob("*.md")} == {
        *map(file_of, SUMMARIES),
        "README",
    }


def test_every_scheme_and_every_option_of_an_endpoint_is_explained() -> None:
    text = page("endpoints.md")
    for scheme in DEFAULT_PORTS:
        assert f"| `{scheme}://user@host[:port]` |" in text
    for scheme in FILE_SCHEMES:
        assert f"| `{scheme}:PATH` |" in text
    assert set(re.findall(r"^\| `([a-z]+)=", text, re.MULTILINE)) == OPTIONS


@pytest.mark.parametrize("word", [*TEMPLATES, *(m.value.lower() for m in Mechanism)])
def test_every_login_template_and_mechanism_is_named(word: str) -> None:
    assert f"`{word}`" in page("endpoints.md")


def test_the_users_in_the_table_are_written_as_they_are_read() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| `(imaps://[^`]+)` \|$", page("endpoints.md"), re.MULTILINE)
    assert len(rows) >= 5
    for user, written in rows:
        assert parse_endpoint(written).user == user


@pytest.mark.parametrize("path", ["docs/folders.md", "docs/cli/ls.md", "CHANGELOG.md"])
def test_as_many_languages_are_promised_as_there_are(path: str) -> None:
    text = (DOCS.parent / path).read_text(encoding="utf-8")
    assert re.findall(r"(\d+)\s+languages", text) == [str(len(NAMES))]


@pytest.mark.parametrize("name", ["copy", "verify", "ls"])
def test_every_way_of_giving_a_secret_is_in_its_table(name: str) -> None:
    text = page("secrets.md")
    for option in command_named(name).options:
        if option.name.endswith(("-password-file", "-token-command", "-oauth")):
            assert f"`{option.name} {option.metavar}`" in text


@pytest.mark.parametrize(
    "path",
    [*sorted(DOCS.rglob("*.md")), *sorted(DOCS.parent.glob("*.md"))],
    ids=lambda path: path.name,
)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
