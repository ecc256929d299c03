"""Alterations: what servers are known to do is named, and nothing else is."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.blob import Blob, FileBlob, MemoryBlob, Spool
from mailhaul.engine.alterations import EXPLAIN_LIMIT, RULES, compare, explain, similar

HEAD = b"From: a@x\r\nSubject: hi\r\n"
MAIL = HEAD + b"\r\nline one\r\nline two\r\n"

EXPLAINED = {
    "Cyrus munges 8-bit header octets": (
        b"Subject: caf\xc3\xa9\r\n\r\n\xc3\xa9\r\n",
        b"Subject: cafXX\r\n\r\n\xc3\xa9\r\n",
        ("8-bit header octets → X",),
    ),
    "Dovecot gives 0x80 for NUL": (HEAD + b"\r\na\0b\0", HEAD + b"\r\na\x80b\x80", ("NUL → 0x80",)),
    "a server leaves NUL out": (HEAD + b"\r\na\0b\r\n", HEAD + b"\r\nab\r\n", ("NUL left out",)),
    "Dovecot takes one CR": (
        HEAD + b"\r\na\r\r\nb\r\r\n",
        HEAD + b"\r\na\r\nb\r\n",
        ("CRCRLF → CRLF",),
    ),
    "bare LF": (HEAD + b"\r\na\nb\r\n", HEAD + b"\r\na\r\nb\r\n", ("LF → CRLF",)),
    "bare CR": (HEAD + b"\r\na\rb\r\n", HEAD + b"\r\na\r\nb\r\n", ("CR → CRLF",)),
    "a last line end": (MAIL + b"end", MAIL + b"end\r\n", ("last line end added",)),
    "mbox quoting": (
        HEAD + b"\r\nFrom me\r\n>From you\r\n",
        HEAD + b"\r\n>From me\r\n>>From you\r\n",
        ("From → >From",),
    ),
    "mbsync adds a field": (MAIL, b"X-TUID: abcdefghijkl\r\n" + MAIL, ("added header X-TUID",)),
    "a field amid the others": (
        MAIL,
        MAIL.replace(b"Subject", b"X-MS-One: 1\r\n 2\r\nSubject", 1),
        ("added header X-MS-One",),
    ),
    "a field in a message without a body": (
        HEAD,
        HEAD + b"X-TUID: a\r\n",
        ("added header X-TUID",),
    ),
    "an mbox's own fields go": (b"Status: RO\r\n" + MAIL, MAIL, ("left out Status",)),
    "two at once": (
        b"Subject: \xe9\r\n\r\na\0\r\n",
        b"Subject: X\r\n\r\na\x80\r\n",
        ("8-bit header octets → X", "NUL → 0x80"),
    ),
    "a field and an octet": (
        b"Subject: \xe9\r\n\r\na\r\n",
        b"X-TUID: a\r\nSubject: X\r\n\r\na\r\n",
        ("8-bit header octets → X", "added header X-TUID"),
    ),
}

UNEXPLAINED = {
    "one letter": (MAIL, MAIL.replace(b"one", b"ode"), "46 octets; 1 of them differ, the first at"),
    "cut short": (MAIL, MAIL[:-8], "46 octets, 38 at the target; they differ from octet 38 on"),
    "longer": (MAIL, MAIL + b"more", "they differ from octet 46 on"),
    "only one of two NULs": (b"\r\na\0b\0", b"\r\na\x80b\0", "1 of them differ"),
    "the other way round": (b"Subject: X\r\n\r\n", b"Subject: \xe9\r\n\r\n", "1 of them differ"),
    "8-bit in the body": (HEAD + b"\r\n\xe9", HEAD + b"\r\nX", "1 of them differ"),
    "a field is gone": (MAIL, MAIL.replace(b"Subject: hi\r\n", b""), "they differ from octet 11"),
    "fields in another order": (MAIL, b"Subject: hi\r\nFrom: a@x\r\n\r\nline", "at the target"),
    "a line that is no field": (MAIL, b"junk\r\n" + MAIL, "they differ from octet 0"),
    "a field and a letter": (MAIL, b"X-A: b\r\n" + MAIL.replace(b"one", b"ode"), "octet 0"),
    "all gone": (MAIL, b"", "46 octets, 0 at the target; they differ from octet 0 on"),
}


@pytest.mark.parametrize(("source", "target", "names"), EXPLAINED.values(), ids=EXPLAINED)
def test_a_known_alteration_is_named(source: bytes, target: bytes, names: tuple[str, ...]) -> None:
    found = explain(source, target)
    assert found is not None
    assert found.names == names
    assert compare(MemoryBlob(source), MemoryBlob(target)) == found


@pytest.mark.parametrize(("source", "target", "words"), UNEXPLAINED.values(), ids=UNEXPLAINED)
def test_anything_else_stays_unexplained(source: bytes, target: bytes, words: str) -> None:
    assert explain(source, target) is None
    found = compare(MemoryBlob(source), MemoryBlob(target))
    assert found is not None
    assert not found.explained
    assert words in found.detail


def test_counts_are_told() -> None:
    found = explain(b"\r\n\0\0\0", b"\r\n\x80\x80\x80")
    assert found is not None
    assert found.detail == "NUL → 0x80 (3)"


def test_the_same_is_no_alteration() -> None:
    assert explain(MAIL, MAIL) is None
    assert compare(MemoryBlob(MAIL), MemoryBlob(MAIL)) is None


@given(st.binary(max_size=200), st.integers(min_value=0), st.integers(1, 255))
def test_compare_tells_same_from_different(data: bytes, at: int, change: int) -> None:
    assert compare(MemoryBlob(data), MemoryBlob(data)) is None
    if data:
        place = at % len(data)
        other = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
        assert compare(MemoryBlob(data), MemoryBlob(other)) is not None


def test_a_flipped_letter_is_never_explained() -> None:
    chance = random.Random(1)
    wild = b"Subject: \xe9\0 a\r\r\nX: b\nFrom: c\r\n\r\nFrom \0 me\r\r\n\rFrom you\nend"
    letters = [place for place, octet in enumerate(wild) if chr(octet).isalpha() and octet < 128]
    assert len(letters) >= 20
    for place in letters:
        other = chance.choice([octet for octet in b"acegikmoq" if octet != wild[place]])
        assert explain(wild, wild[:place] + bytes([other]) + wild[place + 1 :]) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_does_nothing_where_it_counts_nothing(
    rule: object,
) -> None:
    found = next(each for each in RULES if each is rule)
    assert found.count(MAIL) == 0
    assert found.apply(MAIL) == MAIL or found.name == "last line end added"


def test_a_huge_message_is_compared_without_being_held() -> None:
    size = EXPLAIN_LIMIT + 100_000
    ours = filled(size)
    theirs = filled(size, at=size - 5)
    found = compare(ours, theirs)
    assert found is not None
    assert not found.explained
    assert found.detail == f"{size} octets; they differ, the first at {size - 5}"
    assert isinstance(ours, FileBlob)
    assert compare(ours, filled(size)) is None
    shorter = compare(ours, filled(size - 10))
    assert shorter is not None
    assert f"from octet {size - 10} on" in shorter.detail


def filled(size: int, at: int | None = None) -> Blob:
    writer = Spool(threshold=1024).writer(size)
    stream = io.BytesIO(b"a" * size)
    if at is not None:
        stream.seek(at)
        stream.write(b"b")
        stream.seek(0)
    while chunk := stream.read(65_521):
        writer.write(chunk)
    return writer.finish()


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (MAIL.replace(b"Subject: hi", b"Subject: ho"), True),
        (b"X-TUID: a\r\n" + MAIL * 9, False),
        (b"From: b@y\r\nSubject: no\r\n\r\nquite another text, and longer\r\n", False),
        (b"", False),
    ],
)
def test_similar_messages_share_nearly_all_octets(other: bytes, expected: bool) -> None:
    assert similar(MemoryBlob(MAIL), MemoryBlob(other)) is expected
