"""Line ends on disk: LF, as mail programs on Unix keep them, and CRLF, as messages have them.

Reading puts CRLF where a LF has no CR before it and leaves every CR alone (failure-modes D2).
Writing chooses, for each message, the form from which reading gives back the very same octets:

- `Form.LF`: CRLF became LF. For messages whose every LF has exactly one CR before it.
- `Form.CRLF`: as it is. For those with CR CR LF, where the LF form would lose a CR (D3).
- `Form.RAW`: as it is, and to be read as it is. For those with a bare LF; whoever stores such a
  message must remember its form.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    LF = "lf"
    CRLF = "crlf"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Survey:
    """What a message's line ends are like; sizes in octets."""

    size: int
    stored: int
    """So many octets the message takes on disk in `form`."""
    form: Form


def survey(chunks: Iterable[bytes]) -> Survey:
    """Which form to store a message in; reads it once, in flat memory."""
    size = line_feeds = pairs = doubled = 0
    before = b""
    for chunk in chunks:
        size += len(chunk)
        window = before + chunk
        line_feeds += chunk.count(b"\n")
        pairs += window.count(b"\r\n") - before.count(b"\r\n")
        doubled += window.count(b"\r\r\n") - before.count(b"\r\r\n")
        before = window[-2:]
    if pairs < line_feeds:
        return Survey(size, size, Form.RAW)
    if doubled:
        return Survey(size, size, Form.CRLF)
    return Survey(size, size - pairs, Form.LF)


def to_disk(chunks: Iterable[bytes], form: Form) -> Iterator[bytes]:
    """The octets to store."""
    return _without_cr(chunks) if form is Form.LF else iter(chunks)


def from_disk(chunks: Iterable[bytes], form: Form = Form.LF) -> Iterator[bytes]:
    """The message's octets; `Form.LF` and `Form.CRLF` are read alike."""
    return iter(chunks) if form is Form.RAW else _with_cr(chunks)


def size_from_disk(chunks: Iterable[bytes]) -> int:
    """Octets of the message that `from_disk` would give."""
    return sum(len(chunk) for chunk in _with_cr(chunks))


def _without_cr(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        data = held + chunk
        held = b"\r" if data.endswith(b"\r") else b""
        yield data[: len(data) - len(held)].replace(b"\r\n", b"\n")
    if held:
        yield held


def _with_cr(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        data = held + chunk
        held = b"\r" if data.endswith(b"\r") else b""
        data = data[: len(data) - len(held)]
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        yield data.replace(b"\n", b"\r\n")
    if held:
        yield held
