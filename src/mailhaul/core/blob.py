"""A whole message's bytes: sized, hashed, re-readable; in memory when small, else on disk.

Message bytes are never parsed and re-emitted. Line ends are CRLF, as in IMAP and RFC 5322.
The spool file is the only I/O in core; docs/decisions says why.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

CHUNK = 256 * 1024


class Blob(Protocol):
    """The whole message, readable any number of times until `close`."""

    @property
    def size(self) -> int:
        """Octets."""

    def digest(self) -> bytes:
        """SHA-256 of all octets, 32 bytes."""

    def head(self, limit: int) -> bytes:
        """The first `limit` octets (fewer when the message is shorter)."""

    def chunks(self) -> Iterator[bytes]:
        """All octets in order, in pieces of at most `CHUNK` unless they lie in memory anyway."""

    def close(self) -> None:
        """Frees the memory or the file; calling it again does nothing."""


class MemoryBlob:
    """A message held in memory."""

    __slots__ = ("_digest", "data", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self._digest: bytes | None = None

    def digest(self) -> bytes:
        if self._digest is None:
            self._digest = hashlib.sha256(self.data).digest()
        return self._digest

    def head(self, limit: int) -> bytes:
        return self.data[:limit]

    def chunks(self) -> Iterator[bytes]:
        yield self.data

    def close(self) -> None:
        pass


class FileBlob:
    """A message spooled to an unlinked file: nothing is left behind by a crash."""

    __slots__ = ("_digest", "file", "size")

    def __init__(self, file: BinaryIO, size: int, digest: bytes) -> None:
        self.file = file
        self.size = size
        self._digest = digest

    def digest(self) -> bytes:
        return self._digest

    def head(self, limit: int) -> bytes:
        return os.pread(self.file.fileno(), limit, 0)

    def chunks(self) -> Iterator[bytes]:
        offset = 0
        while data := os.pread(self.file.fileno(), CHUNK, offset):
            offset += len(data)
            yield data

    def close(self) -> None:
        self.file.close()


class Spool:
    """Makes blobs out of streams. `threshold` octets and more go to a file in `directory`."""

    def __init__(self, directory: Path | None = None, threshold: int = 2 * 1024 * 1024) -> None:
        self.directory = directory
        self.threshold = threshold

    def writer(self, expected: int) -> "BlobWriter":
        """A writer for a message of about `expected` octets."""
        return BlobWriter(self, expected)


class BlobWriter:
    """Takes a message's octets as they come; `finish` gives the blob, `discard` forgets it.

    Raises OSError when the spool's disk is full or unwritable (F14).
    """

    __slots__ = ("_digest", "_file", "_parts", "_size", "_spool")

    def __init__(self, spool: Spool, expected: int) -> None:
        self._spool = spool
        self._parts: list[bytes] = []
        self._size = 0
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        if expected >= spool.threshold:
            self._to_file()

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._file is not None:
            self._digest.update(data)
            self._file.write(data)
            return
        self._parts.append(data)
        if self._size >= self._spool.threshold:
            self._to_file()

    def finish(self) -> Blob:
        if self._file is None:
            return MemoryBlob(b"".join(self._parts))
        self._file.flush()
        return FileBlob(self._file, self._size, self._digest.digest())

    def discard(self) -> None:
        self._parts = []
        if self._file is not None:
            self._file.close()

    def _to_file(self) -> None:
        import tempfile  # noqa: PLC0415 - costs 6 ms at start-up, and most runs spool nothing

        self._file = tempfile.TemporaryFile(dir=self._spool.directory, prefix="mailhaul-")  # noqa: SIM115 - the blob owns it
        for part in self._parts:
            self._digest.update(part)
            self._file.write(part)
        self._parts = []
