"""The table of quirks, its page, and the two checks that tell lies from answers."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.imap.quirks import (
    LARGEST_SUBSTITUTE,
    QUIRKS,
    Quirk,
    QuirkName,
    appenduid_is_sound,
    as_markdown,
    looks_like_substitute,
    notices,
)

PAGE = Path(__file__).parents[2] / "docs" / "imap-quirks.md"


def test_every_name_has_one_row() -> None:
    names = [quirk.name for quirk in QUIRKS]
    assert len(names) == len(set(names))
    assert set(names) == set(QuirkName)


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: str(quirk.name))
def test_a_row_is_whole_and_cites_its_evidence(quirk: Quirk) -> None:
    evidence = r"(?:finding \d|[A-F]\d{1,2})"
    assert re.fullmatch(rf"{evidence}(?:, {evidence})*", quirk.evidence)
    for text in (quirk.server, quirk.wrong, quirk.answer):
        assert text and text.isprintable() and "|" not in text and not text.endswith(".")


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == as_markdown(), (
        "write it anew: python -c 'from mailhaul.imap.quirks import as_markdown; "
        'print(as_markdown(), end="")\' > docs/imap-quirks.md'
    )


def test_quirks_that_were_met_are_said_once_each() -> None:
    said = notices({QuirkName.NIL_BODY: 3, QuirkName.ID_REJECTED: 0, QuirkName.STALE_TAG: 1})
    assert len(said) == 2
    assert said[0].startswith("nil-body (3×): ")
    assert said[1].startswith("stale-tag (1×): ")


LETTER = (
    b'From: "Microsoft Exchange Server" <>\r\n'
    b"To: anna@example.org\r\n"
    b"Subject: Retrieval using the IMAP4 protocol failed for the following\r\n message: 12\r\n"
    b"Content-Type: text/plain\r\n"
    b"\r\n"
    b"The server couldn't retrieve the following message:\r\n\r\nSubject: hello\r\n"
)
QUOTING = (
    b"From: ben@example.org\r\nSubject: help\r\n\r\n"
    b"> From: Microsoft Exchange Server\r\n> Retrieval using the IMAP4 protocol failed\r\n"
)
BY_SENDER = (
    b"Subject: Abruf fehlgeschlagen\r\nFrom: Microsoft Exchange\r\n\r\n"
    b"Retrieval using the IMAP4 protocol failed for the following message: 7\r\n"
)


@pytest.mark.parametrize(
    ("why", "head", "size", "announced", "is_one"),
    [
        ("Exchange's letter (finding 5)", LETTER, 736, 48_211, True),
        ("its size was never announced", LETTER, 736, None, True),
        ("POP's words", LETTER.replace(b"IMAP4", b"POP3"), 736, 9, True),
        ("small letters", LETTER.lower(), 736, 9, True),
        ("known by sender and words", BY_SENDER, 300, 9, True),
        ("somebody kept such a letter", LETTER, 736, 736, False),
        ("a mail that quotes it", QUOTING, 200, 9, False),
        ("a mail of Exchange's own", BY_SENDER.replace(b"Retrieval", b"Delivery"), 300, 9, False),
        ("a mail of another size (D11)", b"From: a\r\n\r\nhello", 15, 44, False),
        ("too long for a letter", LETTER, LARGEST_SUBSTITUTE + 1, 9, False),
        ("nothing at all (D13)", b"", 0, 9, True),
        ("an empty message (D6)", b"", 0, 0, False),
        ("an empty message of unknown size", b"", 0, None, False),
    ],
)
def test_a_servers_letter_is_told_from_mail(
    *, why: str, head: bytes, size: int, announced: int | None, is_one: bool
) -> None:
    reason = looks_like_substitute(head, size, announced)
    assert (reason is not None) is is_one, why
    assert reason is None or reason.isprintable()


@given(head=st.binary(max_size=300), size=st.integers(1, 10**9))
def test_a_message_of_the_announced_size_is_never_suspected(head: bytes, size: int) -> None:
    assert looks_like_substitute(LETTER + head, size, size) is None


@pytest.mark.parametrize(
    ("why", "validity", "uids", "expected", "uidnext", "count", "is_sound"),
    [
        ("as it should be", 77, [10, 11, 12], 77, 10, 3, True),
        ("others' mail came between", 77, [10, 12, 15], 77, 10, 3, True),
        ("nothing is known of the folder", 77, [1], None, None, 1, True),
        ("a range is a sequence", 77, range(10, 13), 77, 10, 3, True),
        ("exchanged (DavMail, A18)", 10, [77], 77, 10, 1, False),
        ("another folder's", 78, [10], 77, 10, 1, False),
        ("UIDs that are old", 77, [9], 77, 10, 1, False),
        ("too few", 77, [10], 77, 10, 2, False),
        ("too many", 77, [10, 11, 12], 77, 10, 2, False),
        ("none", 77, [], 77, 10, 0, False),
        ("backwards", 77, [12, 11, 10], 77, 10, 3, False),
        ("one twice", 77, [10, 10], 77, 10, 2, False),
        ("UID nought", 77, [0], 77, None, 1, False),
        ("over 32 bits", 77, [2**32], 77, 10, 1, False),
        ("over 31 bits (C9)", 77, [2**31 + 5], 77, 2**31 + 5, 1, True),
    ],
)
def test_an_appenduid_is_believed_only_when_it_can_be_true(
    *,
    why: str,
    validity: int,
    uids: list[int] | range,
    expected: int | None,
    uidnext: int | None,
    count: int,
    is_sound: bool,
) -> None:
    assert appenduid_is_sound(validity, uids, expected, uidnext, count) is is_sound, why


def test_an_absurd_range_is_turned_down_without_being_walked() -> None:
    assert not appenduid_is_sound(77, range(10, 2**32), 77, 10, 3)
