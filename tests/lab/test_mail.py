"""Sample mail is the same for the same seed, odd where it says so, and of the sizes asked for."""

import re

import pytest

from mailhaul.lab.mail import (
    FOLDERS,
    SampleMessage,
    SizeChoice,
    between,
    log_normal,
    messages,
    sample_mailbox,
)

SAMPLE = sample_mailbox()


def test_the_same_seed_gives_the_same_mail() -> None:
    assert sample_mailbox(60, seed=3) == sample_mailbox(60, seed=3)
    assert sample_mailbox(60, seed=3) != sample_mailbox(60, seed=4)
    assert list(messages(40, between(500, 900))) == list(messages(40, between(500, 900)))


def test_every_folder_of_the_sample_holds_mail() -> None:
    assert len(SAMPLE) == 500
    assert {message.folder for message in SAMPLE} == set(FOLDERS)
    assert len(FOLDERS) == 15


def header(message: SampleMessage) -> bytes:
    return message.content.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        (lambda m: b"multipart/mixed" in header(m), 40),
        (lambda m: b"multipart/alternative" in header(m), 40),
        (lambda m: b"Message-ID:" not in header(m) and header(m).startswith(b"Received"), 3),
        (lambda m: b"always-the-same" in header(m), 3),
        (lambda m: not header(m).isascii(), 3),
        (lambda m: m.content.startswith(b"\r\n"), 3),
        (lambda m: not m.content.endswith(b"\r\n"), 3),
        (lambda m: m.content.endswith(b"\r\n\r\n"), 3),
        (lambda m: max(map(len, m.content.split(b"\r\n"))) == 20_000, 3),
        (lambda m: not m.flags, 40),
    ],
    ids=[
        *("attachment", "alternative", "no Message-ID", "shared Message-ID", "8-bit header"),
        *("no header", "no line end", "no body", "long line", "unread"),
    ],
)
def test_the_sample_holds_each_kind(kind: object, least: int) -> None:
    assert callable(kind)
    assert sum(bool(kind(message)) for message in SAMPLE) >= least


def test_the_sample_holds_twins_in_one_folder() -> None:
    places = [(message.folder, message.content) for message in SAMPLE]
    assert len(places) - len(set(places)) >= 3


@pytest.mark.parametrize(
    ("sizes", "smallest", "largest"),
    [(between(4_096, 8_192), 4_096, 8_192), (log_normal(8_000, 1.5, 100_000), 300, 100_000)],
    ids=["even", "log-normal"],
)
def test_messages_have_the_sizes_asked_for(sizes: SizeChoice, smallest: int, largest: int) -> None:
    lengths = [len(message) for message in messages(400, sizes)]
    assert min(lengths) >= smallest
    # A CR cut off at either end of a body is replaced by a whole line end.
    assert max(lengths) <= largest + 2
    assert len(set(lengths)) > 200


def test_all_line_ends_are_whole() -> None:
    plain = [*messages(300, between(400, 4_000)), *(message.content for message in SAMPLE)]
    assert not [m for m in plain if re.search(rb"\r(?!\n)|(?<!\r)\n", m)]


def test_shares_of_twins_and_of_nameless_are_kept() -> None:
    made = list(messages(2_000, between(500, 600), twins=0.1, nameless=0.2))
    twins = len(made) - len(set(made))
    nameless = sum(b"Message-ID" not in message for message in made)
    assert 150 < twins < 250
    assert 320 < nameless < 480
