"""How messages get into a Maildir: written to `tmp`, made durable, renamed into `cur`.

A batch shares the directory's fsync. Nothing is announced before it; what a crash leaves in `tmp`
is no message to anyone, and what it leaves in `cur` is whole.
"""

import os
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mailhaul.core.message import Entry, Flags, Message
from mailhaul.core.store import Appended
from mailhaul.stores.file_messages import store_blob
from mailhaul.stores.line_ends import Form, Survey, survey
from mailhaul.stores.maildir_folder import key_of, letters_for
from mailhaul.stores.safe_paths import create_file, directory

_HOST = re.compile(r"[^A-Za-z0-9.-]")
_STAMPED = re.compile(r"(\d{12})\.(\d{6})\.")
_FURTHEST = 4102444800 * 10**6
"""2100: a stamp beyond is nonsense and not followed."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A message in `tmp`, and what it is to be called in `cur`."""

    entry: Entry
    name: str
    letters: str
    lost: Flags
    descriptor: int


class Batch:
    """Messages written to one folder and not yet announced. `stamp` gives microseconds since 1970,
    more at each call; `keywords` are the folder's."""

    def __init__(
        self, root: int, steps: Sequence[str], keywords: list[str], stamp: Callable[[], int]
    ) -> None:
        self._root = root
        self._steps = steps
        self._keywords = keywords
        self._stamp = stamp
        self._written: list[_Written] = []
        self.octets = 0

    def __len__(self) -> int:
        return len(self._written)

    async def add(self, message: Message) -> None:
        """Writes the message to `tmp`, with its date. Raises OSError."""
        stamp = self._stamp()
        with directory(self._root, self._steps) as here:
            letters, lost = letters_for(here, self._keywords, message.entry.flags)
        shape = survey(message.blob.chunks())
        name = _name(stamp, shape)
        with directory(self._root, [*self._steps, "tmp"]) as temporary:
            descriptor = create_file(temporary, name)
            try:
                await store_blob(descriptor, message.blob, shape.form)
                if message.entry.received is not None:
                    seconds = int(message.entry.received.timestamp())
                    os.utime(descriptor, (seconds, seconds))
            except BaseException:
                os.close(descriptor)
                os.unlink(name, dir_fd=temporary)
                raise
        self._written.append(_Written(message.entry, name, letters, lost, descriptor))
        self.octets += shape.stored

    def commit(self) -> list[Appended]:
        """Moves what was added into `cur`, durably; the batch is empty then. Raises OSError."""
        if not self._written:
            return []
        # All at once: the first fsync makes the file system write down what the others need.
        for each in self._written:
            os.fsync(each.descriptor)
        answers = []
        with (
            directory(self._root, [*self._steps, "tmp"]) as temporary,
            directory(self._root, [*self._steps, "cur"]) as current,
        ):
            for each in self._written:
                final = f"{each.name}:2,{each.letters}"
                os.rename(each.name, final, src_dir_fd=temporary, dst_dir_fd=current)
                answers.append(Appended(each.entry, key_of(final), each.lost))
            os.fsync(current)
        self._forget()
        return answers

    def close(self) -> None:
        """Takes back what was not committed."""
        if not self._written:
            return
        with suppress(OSError), directory(self._root, [*self._steps, "tmp"]) as temporary:
            for each in self._written:
                with suppress(FileNotFoundError):
                    os.unlink(each.name, dir_fd=temporary)
        self._forget()

    def _forget(self) -> None:
        for each in self._written:
            os.close(each.descriptor)
        self._written = []
        self.octets = 0


def last_stamp(names: Sequence[str]) -> int:
    """The stamp of the last message, in microseconds: what we add sorts after it even when this
    machine's clock is behind the one that wrote it (F13)."""
    for name in reversed(names):
        stamp = _STAMPED.match(key_of(name.removeprefix("new/")))
        if stamp is not None and (last := int(stamp[1] + stamp[2])) < _FURTHEST:
            return last
    return 0


def _name(stamp: int, shape: Survey) -> str:
    seconds, microseconds = divmod(stamp, 10**6)
    host = _HOST.sub("_", socket.gethostname())[:60] or "localhost"
    sizes = f",S={shape.stored}" + (",V=1" if shape.form is Form.RAW else f",W={shape.size}")
    return f"{seconds}.M{microseconds:06d}P{os.getpid()}.{host}{sizes}"
