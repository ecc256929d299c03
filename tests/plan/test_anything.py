"""Whatever stands in the two files, a plan comes of it or a list of mistakes, and no secret."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailhaul.plan.dialects import read_rows
from mailhaul.plan.load import load_plan
from mailhaul.plan.mistakes import PlanErrors
from mailhaul.plan.references import KINDS, reference_fault
from tests.plan.test_load import LIST, PLAN
from tests.plan.test_schema import example as page_example

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PLANS = [PLAN, page_example()[0]]
PIECES = [
    *('"', "'", "[", "]", "{", "}", "=", "#", "\n", ",", ".", "\\", "{user}", "{", "é", "\x00"),
    *("[[waves]]\n", "[carry.map]\n", "secret = 'hunter2'\n", "1", "true", "-1", "1e400", "nan"),
    *("2026-01-01", "2030-03-31 02:30:00", "25:00", "[[[", "a.b.c = 1\n", "\ufeff", "[source]\n"),
    *("url = 5\n", "for = '1s'\n", "[[webhooks]]\n", "[gates]\n", "x = [1, {y = 2}]\n", '"""'),
]
edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(PIECES)), min_size=1, max_size=4
)


def edited(text: str, changes: list[tuple[float, int, str]]) -> str:
    """`text` with a piece put in here and there, in place of so many characters."""
    for where, cut, piece in changes:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + cut :]
    return text


def loaded(plan: str, mailboxes: bytes) -> str:
    """What is said of the two files; nothing when they are a plan."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "plan.toml").write_text(plan, encoding="utf-8")
        (Path(directory) / "mailboxes.csv").write_bytes(mailboxes)
        try:
            load_plan(Path(directory) / "plan.toml", now=NOW)
        except PlanErrors as error:
            assert error.mistakes
            assert all(each.line >= 1 and each.text and each.cure for each in error.mistakes)
            return str(error)
    return ""


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLANS), edits)
def test_any_plan(text: str, changes: list[tuple[float, int, str]]) -> None:
    assert "hunter2" not in loaded(edited(text, changes), LIST.encode())


CELLS = [
    *(
        "address,wave\n",
        "EmailAddress,UserName,Password\n",
        "host1;user1;password1;host2;user2;p\n",
    ),
    *("a@x.example", ",", ";", "\t", '"', "\n", "\r", "imaps://a:hunter2@h", "../x@y", "{user}"),
    *("{", "maildir:", "file:", "#", "sep=;\n", "hunter2", "\x00", "é", "@", "first", "   ", "a@b"),
]


@settings(max_examples=300, deadline=None)
@example(["host1;user1;password1;host2;user2;p\n", "h;a@b;hunter2;g;a@b;hunter2\n"], "utf-8")
@given(
    st.lists(st.sampled_from(CELLS), max_size=25),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"]),
)
def test_any_list(cells: list[str], codec: str) -> None:
    text = "".join(cells)
    assert "imaps://a:hunter2@h" not in loaded(PLAN, text.encode(codec))
    repr_of_rows = repr(read_rows(text, "x.csv"))
    assert "password=hunter2" not in repr_of_rows


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_octets(raw: bytes) -> None:
    loaded(PLAN, raw)


def test_what_is_a_reference_is_one_for_the_vault_too() -> None:
    from mailhaul.core.errors import BadInput
    from mailhaul.vault.references import Kind, parse_reference

    assert set(KINDS) == {kind.value for kind in Kind}
    texts = [f"{kind}:{place}" for kind in KINDS for place in ("", " ", "a", "a/b", "/b", "a/")]
    for text in [*texts, "hunter2", "imaps://a@h", ":", "mbox:x", "FILE:x"]:
        try:
            parse_reference(text)
        except BadInput:
            assert reference_fault(text) is not None, text
        else:
            assert reference_fault(text) is None, text
