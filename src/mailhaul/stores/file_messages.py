"""What all file stores do with a message's octets: into a blob, onto the disk, to an identity."""

import asyncio
import os
from collections.abc import Iterator

from mailhaul.core.blob import Blob, Spool
from mailhaul.core.identity import HEADER_LIMIT, header_identity
from mailhaul.core.message import Identity
from mailhaul.stores.line_ends import Form, from_disk, to_disk
from mailhaul.stores.safe_paths import chunks_of, write_all

PAGE = 1000
"""Entries on a page of `changes`."""
BATCH_MESSAGES = 64
BATCH_OCTETS = 4 * 1024 * 1024
"""Messages written before the directory or manifest is made durable and they are announced."""

_HEADS = (8 * 1024, 64 * 1024, HEADER_LIMIT)


class Turns:
    """Lets others run after each batch of messages or octets: file calls are made in line, so that
    nobody else would until all is done."""

    def __init__(self) -> None:
        self._messages = 0
        self._octets = 0

    async def after(self, octets: int = 0) -> None:
        """Takes note of one message more."""
        self._messages += 1
        self._octets += octets
        if self._messages >= BATCH_MESSAGES or self._octets >= BATCH_OCTETS:
            self._messages = self._octets = 0
            await asyncio.sleep(0)


async def blob_of(chunks: Iterator[bytes], expected: int, spool: Spool) -> Blob:
    """The message that `chunks` give, in flat memory."""
    writer = spool.writer(expected)
    try:
        for chunk in chunks:
            writer.write(chunk)
            if expected >= spool.threshold:
                await asyncio.sleep(0)
    except BaseException:
        writer.discard()
        raise
    return writer.finish()


async def store_blob(descriptor: int, blob: Blob, form: Form) -> None:
    """Writes the message in this form; others take turns while a large one is written."""
    for chunk in to_disk(blob.chunks(), form):
        write_all(descriptor, chunk)
        if blob.size > BATCH_OCTETS:
            await asyncio.sleep(0)


def identity_of(
    descriptor: int, form: Form = Form.LF, start: int = 0, end: int | None = None
) -> Identity:
    """The identity of the message that lies there; reads little more than its header."""
    size = os.fstat(descriptor).st_size if end is None else end
    head = b""
    for limit in _HEADS:
        stop = min(size, start + limit)
        head = b"".join(from_disk(chunks_of(descriptor, start, stop), form))
        if b"\r\n\r\n" in head or stop == size:
            break
    return header_identity(head)
