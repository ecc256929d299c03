"""The header identity: the same from a whole message and from the four fields alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.identity import header_identity, subject_of

PLAIN = b"Message-ID: <1@x>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: a@x\r\nSubject: hi\r\n"

SAME = {
    "a body follows": PLAIN + b"\r\nbody\r\nSubject: not me\r\n",
    "other fields stand between": b"Received: by x\r\n\tfor y\r\n"
    + PLAIN
    + b"X-TUID: abc\r\n\r\nb",
    "order and case differ": b"SUBJECT: hi\r\nfrom: a@x\r\nDATE:Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    b"message-id:  <1@x>\r\n\r\n",
    "a value is folded": PLAIN.replace(b"1 Jan", b"1\r\n Jan") + b"\r\n",
    "a blank stands before the colon": PLAIN.replace(b"Subject:", b"Subject :") + b"\r\n",
    "a later field repeats the name": PLAIN + b"Subject: second\r\n\r\n",
}
OTHER = {
    "another message-id": PLAIN.replace(b"<1@x>", b"<2@x>"),
    "no message-id": PLAIN.split(b"\r\n", 1)[1],
    "another subject": PLAIN.replace(b": hi", b": ho"),
    "an empty subject is not a missing one": PLAIN.replace(b"Subject: hi\r\n", b""),
    "nothing": b"",
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_the_same_message(text: bytes) -> None:
    assert header_identity(text) == header_identity(PLAIN)
    assert header_identity(text).named


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_another_message(text: bytes) -> None:
    assert header_identity(text) != header_identity(PLAIN)


def test_octets_that_servers_alter_do_not_count() -> None:
    wild = b"Subject: caf\xe9 \x00\r\n\r\n"
    assert header_identity(wild) == header_identity(wild.replace(b"\xe9", b"X"))
    assert header_identity(wild) == header_identity(wild.replace(b"\x00", b"\x80"))


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (b"Subject: plain\r\n", "plain"),
        (b"Subject: =?utf-8?B?R3LDvMOfZQ==?= =?utf-8?Q?_aus_K=C3=B6ln?=\r\n", "Grüße aus Köln"),
        (b"Subject: =?no-such?B?R3I=?=\r\n", "=?no-such?B?R3I=?="),
        (b"Subject: \x1b[31mred\r\n", "\\x1b[31mred"),
        (b"From: x\r\n", ""),
    ],
)
def test_subjects_are_decoded_and_printable(header: bytes, shown: str) -> None:
    assert subject_of(header) == shown


@given(st.binary(max_size=400))
def test_any_octets_have_an_identity_and_a_subject(header: bytes) -> None:
    assert len(header_identity(header).digest) == 16
    assert subject_of(header).isprintable()
