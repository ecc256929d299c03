"""A whole message's bytes: sized, hashed, re-readable; in memory when small, else on disk.

Message bytes are never parsed and re-emitted. Line ends are CRLF, as in IMAP and RFC 5322.
The spool file is the only I/O in core; docs/decisions says why.
"""

import hashlib
import os
import weakref
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Protocol

CHUNK = 256 * 1024

_SMALL_PIECE = 16 * 1024
"""Pieces smaller than that, on average, are put together: each costs something by itself."""

_SPARE_FILES = 2
_SPARE_OCTETS = 8 * 1024 * 1024
"""Of one spare file: so much of its room is kept for the next message."""


class Blob(Protocol):
    """The whole message, readable any number of times until `close`."""

    @property
    def size(self) -> int:
        """Octets."""

    def digest(self) -> bytes:
        """SHA-256 of all octets, 32 bytes; told after `close` too."""

    def head(self, limit: int) -> bytes:
        """The first `limit` octets (fewer when the message is shorter)."""

    def chunks(self) -> Iterator[bytes]:
        """All octets in order, in pieces of at most `CHUNK` unless they lie in memory anyway."""

    def close(self) -> None:
        """Frees the memory or the file; calling it again does nothing."""


class MemoryBlob:
    """A message held in memory, in the pieces in which it came."""

    __slots__ = ("_digest", "pieces", "size")

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))
        self._digest: bytes | None = None

    @property
    def data(self) -> bytes:
        """All octets in one piece."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def digest(self) -> bytes:
        if self._digest is None:
            digest = hashlib.sha256()
            for piece in self.pieces:
                digest.update(piece)
            self._digest = digest.digest()
        return self._digest

    def head(self, limit: int) -> bytes:
        pieces = self.pieces
        if len(pieces) == 1 or (pieces and len(pieces[0]) >= limit):
            return pieces[0][:limit]
        return self.data[:limit]

    def chunks(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        pass


class FileBlob:
    """A message spooled to an unlinked file: nothing is left behind by a crash."""

    __slots__ = ("_digest", "_file", "_spool", "size")

    def __init__(self, spool: "Spool", file: FileIO, size: int, digest: bytes) -> None:
        self.size = size
        self._spool = spool
        self._file: FileIO | None = file
        self._digest = digest

    def digest(self) -> bytes:
        return self._digest

    def head(self, limit: int) -> bytes:
        return self._read(limit, 0)

    def chunks(self) -> Iterator[bytes]:
        offset = 0
        while data := self._read(CHUNK, offset):
            offset += len(data)
            yield data

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            self._spool.put_by(file)

    def _read(self, octets: int, offset: int) -> bytes:
        # Behind the message may lie the rest of a longer one, that had the file before.
        if self._file is None:
            raise ValueError("a closed message was read")
        return os.pread(self._file.fileno(), min(octets, self.size - offset), offset)


class Spool:
    """Makes blobs out of streams. `threshold` octets and more go to a file in `directory`.

    A file or two whose message is done with are kept for the next one: to find fresh room for
    every message costs a kernel several times what copying it there does.
    """

    def __init__(self, directory: Path | None = None, threshold: int = 2 * 1024 * 1024) -> None:
        self.directory = directory
        self.threshold = threshold
        self._spare: list[FileIO] = []
        weakref.finalize(self, _close, self._spare)

    def writer(self, expected: int) -> "BlobWriter":
        """A writer for a message of about `expected` octets."""
        return BlobWriter(self, expected)

    def file(self) -> FileIO:
        """An unlinked file to be written from its beginning, whatever it holds; it may be longer
        than what is written. Raises OSError."""
        if self._spare:
            return self._spare.pop()
        import tempfile  # noqa: PLC0415 - costs 6 ms at start-up, and most runs spool nothing

        return tempfile.TemporaryFile(dir=self.directory, prefix="mailhaul-", buffering=0)

    def put_by(self, file: FileIO) -> None:
        """The file's message is done with."""
        if len(self._spare) < _SPARE_FILES:
            try:
                if os.fstat(file.fileno()).st_size > _SPARE_OCTETS:
                    file.truncate(_SPARE_OCTETS)
                file.seek(0)
            except OSError:
                file.close()
            else:
                self._spare.append(file)
        else:
            file.close()


class BlobWriter:
    """Takes a message's octets as they come; `finish` gives the blob, `discard` forgets it.

    Raises OSError when the spool's disk is full or unwritable (F14).
    """

    __slots__ = ("_digest", "_file", "_parts", "_size", "_spool")

    def __init__(self, spool: Spool, expected: int) -> None:
        self._spool = spool
        self._parts: list[bytes] = []
        self._size = 0
        self._file: FileIO | None = None
        self._digest = hashlib.sha256()
        if expected >= spool.threshold:
            self._file = spool.file()

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._file is not None:
            self._spooled(self._file, data)
            return
        self._parts.append(data)
        if self._size >= self._spool.threshold:
            self._file = self._spool.file()
            for part in self._parts:
                self._spooled(self._file, part)
            self._parts = []

    def finish(self) -> Blob:
        file, self._file = self._file, None
        if file is not None:
            return FileBlob(self._spool, file, self._size, self._digest.digest())
        if len(self._parts) * _SMALL_PIECE > self._size:
            return MemoryBlob(b"".join(self._parts))
        return MemoryBlob(*self._parts)

    def discard(self) -> None:
        self._parts = []
        file, self._file = self._file, None
        if file is not None:
            self._spool.put_by(file)

    def _spooled(self, file: FileIO, data: bytes) -> None:
        self._digest.update(data)
        written = file.write(data)
        while written < len(data):  # a disk that is full takes a part, and then refuses the rest
            written += file.write(memoryview(data)[written:])


def _close(files: list[FileIO]) -> None:
    for file in files:
        file.close()
