"""A message's octets come back as they were given, whatever its file has held before."""

import hashlib
from pathlib import Path

import pytest

from mailhaul.core.blob import Blob, FileBlob, MemoryBlob, Spool
from mailhaul.core.identity import HEADER_LIMIT, blob_identity, header_identity

LONG = bytes(range(256)) * 40
SHORT = b"Subject: short\r\n\r\n" + b"x" * 2000


def made(spool: Spool, octets: bytes, piece: int = 777) -> Blob:
    writer = spool.writer(len(octets))
    for at in range(0, len(octets), piece):
        writer.write(octets[at : at + piece])
    return writer.finish()


def assert_holds(blob: Blob, octets: bytes) -> None:
    assert blob.size == len(octets)
    assert b"".join(blob.chunks()) == octets
    assert blob.digest() == hashlib.sha256(octets).digest()
    for limit in (0, 1, 776, 777, 778, len(octets), len(octets) + 1, 10**6):
        assert blob.head(limit) == octets[:limit]


@pytest.mark.parametrize("threshold", [1000, 10**6], ids=["in a file", "in memory"])
@pytest.mark.parametrize("piece", [1, 777, 10**6])
def test_a_message_is_what_was_written(threshold: int, piece: int, tmp_path: Path) -> None:
    blob = made(Spool(tmp_path, threshold), SHORT, piece)
    assert isinstance(blob, FileBlob if threshold == 1000 else MemoryBlob)
    assert_holds(blob, SHORT)


def test_large_pieces_stay_apart_and_small_ones_are_put_together() -> None:
    large = made(Spool(), b"y" * 200_000, 100_000)
    small = made(Spool(), b"y" * 200_000, 1000)
    assert isinstance(large, MemoryBlob)
    assert isinstance(small, MemoryBlob)
    assert [len(piece) for piece in large.pieces] == [100_000, 100_000]
    assert len(small.pieces) == 1
    assert_holds(large, b"y" * 200_000)
    assert large.data == small.data


def test_nothing_shows_of_a_longer_message_that_had_the_file_before(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    first = spool.file()
    spool.put_by(first)
    made(spool, LONG).close()
    second = made(spool, SHORT)
    assert spool.file() is not first  # it is the second message's
    assert_holds(second, SHORT)


def test_a_file_is_given_on_once_and_only_when_its_message_is_closed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    long, short = made(spool, LONG), made(spool, SHORT)
    assert_holds(long, LONG)
    long.close()
    long.close()
    third, fourth = made(spool, SHORT[::-1]), made(spool, LONG[::-1])
    assert_holds(short, SHORT)
    assert_holds(third, SHORT[::-1])
    assert_holds(fourth, LONG[::-1])
    assert long.digest() == hashlib.sha256(LONG).digest()
    with pytest.raises(ValueError, match="closed"):
        list(long.chunks())


def test_what_a_message_cut_short_has_left_behind_is_written_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    writer = spool.writer(len(LONG))
    writer.write(LONG)
    writer.discard()
    writer.discard()
    assert_holds(made(spool, SHORT), SHORT)
    assert_holds(made(spool, SHORT), SHORT)


def test_little_room_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000)
    huge = [made(spool, bytes(9 * 1024 * 1024), 1024 * 1024) for _ in range(4)]
    for blob in huge:
        blob.close()
    files = [spool.file() for _ in range(3)]
    assert [file.seek(0, 2) for file in files] == [8 * 1024 * 1024, 8 * 1024 * 1024, 0]


@pytest.mark.parametrize("filler", [10, 60_000, 65_500, 70_000, 900_000, HEADER_LIMIT, 1_500_000])
def test_a_long_header_makes_the_same_identity_read_by_and_by(filler: int) -> None:
    header = b"X-Long: " + b"z" * filler + b"\r\nMessage-ID: <a@b>\r\nSubject: s\r\n\r\n"
    message = header + b"Subject: of the body\r\n\r\n" * 10
    assert blob_identity(MemoryBlob(message)) == header_identity(message[:HEADER_LIMIT])
