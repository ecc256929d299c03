"""How an mbox is written to: messages added at its end, and messages taken out.

What is added is durable in the file before the manifest names it. To take messages out the file is
written anew beside the old one, its manifest too; the new manifest names the new file's inode, so
that whichever of the two renames a crash prevents, it is known which manifest belongs to the file.
"""

import asyncio
import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from hashlib import sha256

from mailhaul.core.errors import RetryLater
from mailhaul.core.folder import FolderPath
from mailhaul.core.message import Entry, Message
from mailhaul.core.store import Appended
from mailhaul.stores import mbox_tree
from mailhaul.stores.file_messages import BATCH_OCTETS, Turns
from mailhaul.stores.line_ends import survey, to_disk
from mailhaul.stores.manifest import Manifest, Place, Record, kept, line_text, place_line
from mailhaul.stores.mbox_folder import View, covered, octets, token_of
from mailhaul.stores.mbox_format import from_line, quoted
from mailhaul.stores.safe_paths import (
    chunks_of,
    create_file,
    directory,
    open_file,
    open_log,
    write_all,
)


class Mbox:
    """The files of one folder: the mbox and its manifest."""

    def __init__(self, root: int, native: str) -> None:
        self.root = root
        self.steps, self.file = mbox_tree.steps(native)
        self.manifest_name = mbox_tree.manifest_name(self.file)

    def open(self) -> int:
        """The mbox for reading. Raises OSError."""
        with directory(self.root, self.steps) as here:
            return open_file(here, self.file)

    def manifest(self, descriptor: int) -> Manifest | None:
        """The manifest that belongs to the file; None when there is none."""
        pending = Manifest(self.root, self.steps, f"{self.manifest_name}.new")
        if pending.refresh() and pending.inode == os.fstat(descriptor).st_ino:
            return pending
        book = Manifest(self.root, self.steps, self.manifest_name)
        return book if book.refresh() else None

    def settle(self) -> None:
        """Ends what a crash has interrupted while messages were taken out."""
        descriptor = self.open()
        try:
            book = self.manifest(descriptor)
        finally:
            os.close(descriptor)
        with directory(self.root, self.steps) as here:
            pending = f"{self.manifest_name}.new"
            if book is not None and book.name == pending:
                os.rename(pending, self.manifest_name, src_dir_fd=here, dst_dir_fd=here)
            for leaving in (pending, f".{self.file}.new"):
                with suppress(FileNotFoundError):
                    os.unlink(leaving, dir_fd=here)
            os.fsync(here)

    def owned(self, path: FolderPath) -> Manifest:
        """The manifest with every message of the file in it, made anew when there is none that
        counts; the file ends where its last message does. Raises OSError."""
        self.settle()
        descriptor = self.open()
        try:
            view = View(descriptor, self.manifest(descriptor))
            for _ in view.reading(descriptor):
                pass
            book = view.book
            if book is None:
                with directory(self.root, self.steps) as here, suppress(FileNotFoundError):
                    os.unlink(self.manifest_name, dir_fd=here)
                book = Manifest(self.root, self.steps, self.manifest_name)
                book.begin("mbox", path)
            records = [self._adopted(descriptor, view, row, book) for row in range(len(view.index))]
            if records:
                book.add(records)
        finally:
            os.close(descriptor)
        if view.index.torn is not None:
            writing = self.open_for_writing()
            try:
                os.ftruncate(writing, view.index.torn)
                os.fsync(writing)
            finally:
                os.close(writing)
        return book

    async def take_out(self, book: Manifest, uids: Sequence[int]) -> None:
        """Writes the file anew without these messages. Raises OSError."""
        old = self.open_for_writing()
        fresh = f".{self.file}.new"
        try:
            lock(old)
            with directory(self.root, self.steps) as here:
                for leaving in (fresh, f"{self.manifest_name}.new"):
                    with suppress(FileNotFoundError):
                        os.unlink(leaving, dir_fd=here)
                new = create_file(here, fresh)
                try:
                    moved = await _copied(old, new, book, frozenset(uids))
                    os.fsync(new)
                    first: dict[str, object] = {"gone": sorted(uids), "inode": os.fstat(new).st_ino}
                finally:
                    os.close(new)
                pending = create_file(here, f"{self.manifest_name}.new")
                try:
                    write_all(pending, book.copied() + line_text(first) + b"".join(moved))
                    os.fsync(pending)
                finally:
                    os.close(pending)
                os.fsync(here)
                os.rename(fresh, self.file, src_dir_fd=here, dst_dir_fd=here)
                os.fsync(here)
        finally:
            os.close(old)
        self.settle()

    def open_for_writing(self) -> int:
        """The mbox for adding at its end. Raises OSError."""
        with directory(self.root, self.steps) as here:
            return open_log(here, self.file)

    def _adopted(self, descriptor: int, view: View, row: int, book: Manifest) -> Record:
        place, entry = view.index.place(row), view.index.entry(row)
        digest = sha256()
        for chunk in octets(descriptor, place):
            digest.update(chunk)
        size = entry.size or 0
        return Record(book.uidnext + row, size, digest.digest(), entry.received, entry.flags, place)


class Batch:
    """Messages added to an mbox and not yet announced. Keeps others out from the first on."""

    def __init__(self, mbox: Mbox, path: FolderPath) -> None:
        self._mbox = mbox
        self._path = path
        self._stack = ExitStack()
        self._book: Manifest | None = None
        self._descriptor = -1
        self._written: list[tuple[Entry, Record]] = []
        self.octets = 0

    def __len__(self) -> int:
        return len(self._written)

    async def add(self, message: Message) -> None:
        """Writes the message at the end of the file. What raises OSError leaves no trace."""
        book = self._begun()
        shape = survey(message.blob.chunks())
        line = os.fstat(self._descriptor).st_size
        head = from_line(token_of(book).decode(), message.entry.received)
        start = end = line + len(head)
        last = b""
        buffer = bytearray(head)
        try:
            for chunk in quoted(to_disk(message.blob.chunks(), shape.form)):
                end += len(chunk)
                last = chunk[-1:] or last
                buffer += chunk
                if len(buffer) > BATCH_OCTETS:
                    write_all(self._descriptor, bytes(buffer))
                    buffer.clear()
                    await asyncio.sleep(0)  # others take turns while a large one is written
            buffer += b"\n" if last in (b"", b"\n") else b"\n\n"
            write_all(self._descriptor, bytes(buffer))
        except BaseException:
            os.ftruncate(self._descriptor, line)
            raise
        uid = book.uidnext + len(self._written)
        place = Place(line, start, end, shape.form)
        flags = kept(message.entry.flags)
        digest, received = message.blob.digest(), message.entry.received
        record = Record(uid, shape.size, digest, received, flags, place)
        self._written.append((message.entry, record))
        self.octets += shape.stored

    def commit(self) -> list[Appended]:
        """Makes durable what was added and lets others in. Raises OSError."""
        written, self._written, self.octets = self._written, [], 0
        if self._book is not None and written:
            os.fsync(self._descriptor)
            self._book.add([record for _, record in written])
        self.close()
        return [
            Appended(entry, record.uid, entry.flags - record.flags) for entry, record in written
        ]

    def close(self) -> None:
        """Lets go; what was not committed counts for nothing."""
        self._stack.close()
        self._descriptor = -1

    def _begun(self) -> Manifest:
        if self._descriptor < 0:
            if self._book is None or not self._ends_with_ours(self._book):
                self._book = self._mbox.owned(self._path)
            self._stack.enter_context(self._book.locked())
            self._descriptor = self._mbox.open_for_writing()
            self._stack.callback(os.close, self._descriptor)
            lock(self._descriptor)
            size = os.fstat(self._descriptor).st_size
            if size > covered(self._descriptor, self._book):
                raise OSError(errno.EIO, "another program is writing to it")
            tail = os.pread(self._descriptor, 2, max(0, size - 2))
            if size and tail != b"\n\n":
                write_all(self._descriptor, b"\n" if tail.endswith(b"\n") else b"\n\n")
        assert self._book is not None
        return self._book

    def _ends_with_ours(self, book: Manifest) -> bool:
        """Whether nobody has added to the file, or written it anew, since our last batch."""
        descriptor = self._mbox.open()
        try:
            size = os.fstat(descriptor).st_size
            return book.refresh() and covered(descriptor, book) == size
        finally:
            os.close(descriptor)


def lock(descriptor: int) -> None:
    """Takes the lock that other mail programs ask for (fcntl, as Dovecot, mutt and procmail), until
    the mbox is closed. Raises `RetryLater` while another program has it; a disk that knows no locks
    is written without."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise RetryLater("another program has locked the mbox", after=2) from error


async def _copied(old: int, new: int, book: Manifest, without: frozenset[int]) -> list[bytes]:
    """Copies the other messages; returns the lines that say where they lie now."""
    lines = []
    at = 0
    turns = Turns()
    for record in book.records():
        place = record.place
        if record.uid in without or place is None:
            continue
        await turns.after(record.size)
        last = b""
        for chunk in chunks_of(old, place.line, place.end):
            write_all(new, chunk)
            last = chunk[-1:]
        ending = b"\n" if last == b"\n" else b"\n\n"
        write_all(new, ending)
        start = at + place.start - place.line
        end = at + place.end - place.line
        moved = Place(at, start, end, place.form)
        lines.append(line_text({"uid": record.uid, "place": place_line(moved)}))
        at = end + len(ending)
    return lines
