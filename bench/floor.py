"""The floor: as fast as plain Python can carry mail, for mailhaul to be measured against.

A throw-away client that presumes what a Dovecot offers and knows no error: one connection a side,
everything pipelined, FETCH in bulk straight into MULTIAPPENDs of 100, UIDs from APPENDUID,
LIST-STATUS to see which folders moved and QRESYNC to see what moved in them. What it carries is
exact in bytes, flags, dates, order and subscriptions; where anything at all is odd it dies. It is
no product: it keeps no ledger, checks no hash, and a cut connection leaves a mess behind.

    floor.py HOST:PORT USER HOST:PORT USER STATE      the password is in FLOOR_PASSWORD

It runs as a script, imports nothing of this repository, and keeps its imports few: they are part
of what is measured.
"""

import asyncio
import marshal
import os
import re
import sys
import time
from array import array

BATCH = 100
TARGET_BACKLOG = 1 << 20
STATUS = b"(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"
LIST = b'LIST "" "*" RETURN (SUBSCRIBED STATUS ' + STATUS + b")\r\n"

STATUS_LINE = re.compile(
    rb"\* STATUS (.+) \(MESSAGES (\d+) UIDNEXT (\d+) UIDVALIDITY (\d+) HIGHESTMODSEQ (\d+)\)"
)
LIST_LINE = re.compile(rb'\* LIST \(([^)]*)\) "." (.+)')
BODY = re.compile(
    rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) (?:MODSEQ \(\d+\) )?"
    rb'INTERNALDATE ("[^"]*") BODY\[\] \{(\d+)\}\r\n'
)
FLAGS = re.compile(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)(?: MODSEQ \(\d+\))?\)")
VANISHED = re.compile(rb"\* VANISHED \(EARLIER\) ([\d,:]+)")
APPENDED = re.compile(rb"a OK \[APPENDUID \d+ ([\d,:]+)\]")

# What is known of a folder between passes:
# (source status, target status, source UIDs, target UIDs), a status being
# (messages, uidnext, uidvalidity, highestmodseq) and UIDs being packed arrays.
Status = tuple[int, int, int, int]
Known = tuple[Status, Status, bytes, bytes]


class Side(asyncio.Protocol):
    """One connection: cuts what arrives into lines; answers are matched by order, not by tag."""

    def __init__(self, user: str, password: str) -> None:
        self.user = user
        self.password = password
        self.buffer = b""
        self.statuses: dict[bytes, Status] = {}
        self.subscribed: set[bytes] = set()
        self.lists = 0
        self.listed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        login = f'l LOGIN "{self.user}" "{self.password}"\r\ne ENABLE QRESYNC\r\ns '
        transport.write(login.encode() + LIST)

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self.listed, self.done):
            if not future.done():
                future.set_exception(error or ConnectionError(f"{self.user}: cut"))
                future.exception()  # nobody waits for it when the end was wanted

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        end = data.rfind(b"\n") + 1
        self.buffer = data[end:]
        for line in data[:end].split(b"\r\n"):
            if line:
                self.line(line)

    def line(self, line: bytes) -> None:
        if line.startswith(b"* STATUS"):
            found = STATUS_LINE.match(line)
            assert found, line
            name, messages, uidnext, validity, modseq = found.groups()
            self.statuses[name] = (int(messages), int(uidnext), int(validity), int(modseq))
        elif line.startswith(b"* LIST"):
            found = LIST_LINE.match(line)
            assert found, line
            if b"\\Subscribed" in found[1]:
                self.subscribed.add(found[2])
        elif line.startswith(b"* "):
            self.untagged(line)
        else:
            assert line[1:5] == b" OK ", line
            self.tagged(line)

    def untagged(self, line: bytes) -> None:
        pass

    def tagged(self, line: bytes) -> None:
        if line.startswith(b"s"):
            if self.listed.done():
                self.done.set_result(None)
            else:
                self.listed.set_result(None)


class Reader(Side):
    """The source: bodies leave for `target` the moment they arrive, be they whole or not."""

    def __init__(self, user: str, password: str) -> None:
        super().__init__(user, password)
        self.writer: Writer
        self.folders: list[bytes] = []
        self.literal = 0
        self.changed: dict[bytes, dict[int, bytes]] = {}
        self.vanished: dict[bytes, list[int]] = {}

    def data_received(self, data: bytes) -> None:
        writer, view = self.writer, memoryview(data)
        out = writer.out
        position = 0
        if self.literal:
            position = min(self.literal, len(data))
            out.append(view[:position])
            self.literal -= position
        elif self.buffer:
            data = self.buffer + data
            view = memoryview(data)
        self.buffer = b""
        end = len(data)
        match = BODY.match
        while position < end:
            found = match(data, position)
            if found is not None:
                uid, flags, date, size = found.groups()
                writer.begin(self.folders[0], int(uid), flags, date, size)
                start = found.end()
                position = start + int(size)
                if position > end:
                    self.literal = position - end
                    out.append(view[start:])
                    break
                out.append(view[start:position])
                continue
            stop = data.find(b"\n", position)
            if stop < 0:
                self.buffer = data[position:]
                break
            line = data[position : stop - 1]
            position = stop + 1
            if line != b")":
                self.line(line)
        writer.flush()

    def untagged(self, line: bytes) -> None:
        if found := FLAGS.match(line):
            self.changed.setdefault(self.folders[0], {})[int(found[1])] = found[2]
        elif found := VANISHED.match(line):
            self.vanished.setdefault(self.folders[0], []).extend(numbers(found[1]))

    def tagged(self, line: bytes) -> None:
        if line.startswith(b"f"):
            self.writer.finish(self.folders.pop(0))
            if not self.folders:
                self.done.set_result(None)
        super().tagged(line)


class Writer(Side):
    """The target: one APPEND is open at most, and takes up to `BATCH` messages."""

    def __init__(self, user: str, password: str) -> None:
        super().__init__(user, password)
        self.reader: Reader
        self.out: list[bytes | memoryview] = []
        self.open = 0
        self.sent: list[tuple[bytes, array[int]]] = []
        self.map: dict[bytes, tuple[array[int], array[int]]] = {}
        self.answered = 0

    def pause_writing(self) -> None:
        self.reader.transport.pause_reading()

    def resume_writing(self) -> None:
        self.reader.transport.resume_reading()

    def begin(self, folder: bytes, uid: int, flags: bytes, date: bytes, size: bytes) -> None:
        if self.open == BATCH:
            self.close()
        if self.open == 0:
            self.out.append(b"a APPEND " + folder)
            self.sent.append((folder, array("I")))
        self.sent[-1][1].append(uid)
        self.open += 1
        if b"\\Recent" in flags:
            flags = without_recent(flags)
        self.out.append(b" (%b) %b {%b+}\r\n" % (flags, date, size))

    def close(self) -> None:
        if self.open:
            self.out.append(b"\r\n")
            self.open = 0

    def flush(self) -> None:
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()

    def finish(self, folder: bytes) -> None:
        """The source has told all of `folder`: what was not new there is done here."""
        self.close()
        changed = self.reader.changed.pop(folder, {})
        vanished = self.reader.vanished.pop(folder, [])
        if not changed and not vanished:
            return
        source, target = self.map[folder]
        place = dict(zip(source, target, strict=True))
        commands = [b"x SELECT %b\r\n" % folder]
        groups: dict[bytes, list[int]] = {}
        for uid, flags in changed.items():
            if uid in place:
                groups.setdefault(without_recent(flags), []).append(place[uid])
        for flags, uids in groups.items():
            text = ",".join(map(str, sorted(uids))).encode()
            commands.append(b"x UID STORE %b FLAGS.SILENT (%b)\r\n" % (text, flags))
        gone = [place.pop(uid) for uid in vanished if uid in place]
        if gone:
            text = ",".join(map(str, sorted(gone))).encode()
            commands.append(b"x UID STORE %b +FLAGS.SILENT (\\Deleted)\r\n" % text)
            commands.append(b"x UID EXPUNGE %b\r\n" % text)
        self.map[folder] = (array("I", place.keys()), array("I", place.values()))
        self.out.append(b"".join(commands))

    def tagged(self, line: bytes) -> None:
        if line.startswith(b"a"):
            found = APPENDED.match(line)
            assert found, line
            folder, uids = self.sent[self.answered]
            self.answered += 1
            source, target = self.map[folder]
            source.extend(uids)
            target.extend(numbers(found[1]))
        super().tagged(line)


def numbers(text: bytes) -> list[int]:
    """The UIDs of a set: `3,5:7` is 3, 5, 6, 7."""
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def without_recent(flags: bytes) -> bytes:
    return b" ".join(flag for flag in flags.split() if flag != b"\\Recent")


def load(path: str) -> dict[bytes, Known]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs milliseconds to import
            return marshal.load(file)  # type: ignore[no-any-return]
    except FileNotFoundError:
        return {}


def plan(reader: Reader, writer: Writer, known: dict[bytes, Known]) -> list[bytes]:
    """The commands for the source, one block for each folder in which anything happened."""
    commands: list[bytes] = []
    for name, status in reader.statuses.items():
        seen = known.get(name)
        if seen is not None and seen[0] == status and seen[1] == writer.statuses.get(name):
            continue
        if seen is None:
            if name not in writer.statuses:
                writer.out.append(b"c CREATE %b\r\n" % name)
            if name in reader.subscribed and name not in writer.subscribed:
                writer.out.append(b"c SUBSCRIBE %b\r\n" % name)
            if status[0] == 0:
                continue
            writer.map[name] = (array("I"), array("I"))
            commands.append(b"x EXAMINE %b\r\n" % name)
            first = 1
        else:
            assert seen[0][2] == status[2], f"{name!r} was renumbered"
            writer.map[name] = (array("I", seen[2]), array("I", seen[3]))
            _, first, validity, modseq = seen[0]
            commands.append(b"x EXAMINE %b (QRESYNC (%d %d))\r\n" % (name, validity, modseq))
        if status[1] > first:
            wanted = b"f UID FETCH %d:* (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n" % first
        else:
            wanted = b"f NOOP\r\n"
        commands.append(wanted)
        reader.folders.append(name)
    return commands


async def run(arguments: list[str]) -> tuple[int, int]:
    """One pass; returns how many messages were appended and how many folders looked into."""
    source, source_user, target, target_user, state = arguments
    password = os.environ["FLOOR_PASSWORD"]
    known = load(state)
    loop = asyncio.get_running_loop()
    reader, writer = Reader(source_user, password), Writer(target_user, password)
    reader.writer, writer.reader = writer, reader
    host, port = source.rsplit(":", 1)
    await loop.create_connection(lambda: reader, host, int(port))
    host, port = target.rsplit(":", 1)
    await loop.create_connection(lambda: writer, host, int(port))
    writer.transport.set_write_buffer_limits(TARGET_BACKLOG)
    await asyncio.gather(reader.listed, writer.listed)
    commands = plan(reader, writer, known)
    folders = len(reader.folders)
    if commands or writer.out:
        writer.flush()
        if commands:
            reader.transport.write(b"".join(commands))
            await reader.done
        writer.out.append(b"s " + LIST)
        writer.flush()
        await writer.done
        save(state, reader, writer, known)
    reader.transport.abort()
    writer.transport.abort()
    return sum(len(uids) for _, uids in writer.sent), folders


def save(path: str, reader: Reader, writer: Writer, known: dict[bytes, Known]) -> None:
    for name, status in reader.statuses.items():
        seen = known.get(name)
        source, target = (seen[2], seen[3]) if seen else (b"", b"")
        if name in writer.map:
            source, target = (uids.tobytes() for uids in writer.map[name])
        known[name] = (status, writer.statuses[name], source, target)
    with open(f"{path}.new", "wb") as file:  # noqa: PTH123
        marshal.dump(known, file)
    os.replace(f"{path}.new", path)  # noqa: PTH105


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print("floor")
        return
    begun = time.monotonic()
    appended, folders = asyncio.run(run(sys.argv[1:]))
    seconds = time.monotonic() - begun
    print(f'{{"carried": {appended}, "folders": {folders}, "seconds": {seconds:.6f}}}')


if __name__ == "__main__":
    main()
