"""Maildirs as source and target (docs/files.md says what is kept where).

Reading writes nothing: mail in `new` stays there. A folder's state is a digest of its file names,
so whatever happened shows; what happened is then told by a whole listing, which costs a look at
each file. A tail counts and sums the names up to the last one; a cursor is a state and a tail.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.errors import Closed, ClosedReason, CursorExpired, MailhaulError
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, NameRules, Role, State
from mailhaul.core.message import Entry, Identity, Key, Message, Unreadable
from mailhaul.core.store import Appended, Capabilities, Changes, FlagChange, Refused, Traffic
from mailhaul.core.text import printable
from mailhaul.stores import maildir_delivery, maildir_subscriptions, maildir_tree
from mailhaul.stores.file_messages import (
    BATCH_MESSAGES,
    BATCH_OCTETS,
    PAGE,
    Turns,
    blob_of,
    identity_of,
)
from mailhaul.stores.found_folders import DEEPEST, is_promised, with_inbox, with_promised_inbox
from mailhaul.stores.line_ends import from_disk
from mailhaul.stores.maildir_folder import (
    Scan,
    form_of,
    key_of,
    letters_for,
    letters_of,
    letters_of_flags,
    place_of,
    remove_file,
    rename_file,
    scan,
    size_of,
)
from mailhaul.stores.maildir_tree import Layout
from mailhaul.stores.safe_paths import (
    chunks_of,
    directory,
    folds_case,
    is_there,
    open_file,
    open_root,
    telling,
)

_PLACE = re.compile(r"(?:C [0-9a-f]{32} )?T ([0-9a-f]{32}) (\d{1,18}) (.*)", re.DOTALL)


class MaildirSource:
    """A `Source` over a Maildir tree."""

    def __init__(self, path: Path, spool: Spool | None = None) -> None:
        self.path = path
        self.traffic = Traffic()
        self.layout = Layout.PLUS
        self.root = -1
        self.folds_case = False
        self._spool = spool or Spool()
        self._scans: dict[str, Scan] = {}

    @property
    def capabilities(self) -> Capabilities:
        plus = self.layout is Layout.PLUS
        return Capabilities(
            server=f"{self.layout} at {printable(str(self.path), 200)}",
            keeps_subscriptions=plus,
            names=NameRules(
                delimiter=None,
                longest_path=254 if plus else None,
                longest_component=None if plus else 255,
                deepest=DEEPEST,
                folds_case=self.folds_case,
            ),
        )

    async def open(self) -> None:
        if self.root >= 0:
            return
        try:
            self.root = open_root(self.path)
            self.layout = maildir_tree.layout_of(self.path) or Layout.PLUS
            self.folds_case = folds_case(self.path)
        except OSError as error:
            raise Closed(
                f"“{printable(str(self.path), 200)}” can't be opened: "
                f"{printable((error.strerror or '').lower())}",
                ClosedReason.FORBIDDEN,
            ) from error
        self.traffic.connections += 1

    async def close(self) -> None:
        if self.root >= 0:
            os.close(self.root)
        self.root = -1
        self._scans.clear()

    async def folders(self) -> list[Folder]:
        subscribed = maildir_subscriptions.read(self.root)
        shown = []
        for each in maildir_tree.find_folders(self.root, self.traffic.notices):
            shown.append(self.shown(each.path, each.native, subscribed))
            await asyncio.sleep(0)
        return shown

    def shown(
        self, path: FolderPath, native: str | None, subscribed: frozenset[FolderPath]
    ) -> Folder:
        """The folder as it is now; without native, a level that holds only folders."""
        role = Role.INBOX if path == INBOX_PATH else None
        if native is None:
            name = "/".join(path)
            return Folder(path, f"?{name}", role, selectable=False, subscribed=path in subscribed)
        try:
            here = scan(self.root, maildir_tree.steps(native))
        except OSError as error:
            # It is there and can't be read: whoever looks inside is told so.
            self.notice(f"“{native}” can't be read: {(error.strerror or '').lower()}")
            return Folder(path, native, role, subscribed=path in subscribed)
        return Folder(
            path,
            native,
            role,
            subscribed=path in subscribed,
            count=len(here.names),
            state=State(here.state()),
            tail=_tail_of(here),
        )

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        here = self.scanned(folder)
        state = here.state()
        names, whole, end = here.names, True, Cursor(f"C {state} {_tail_of(here)}")
        if since is not None:
            tail = _read_tail(since)
            if tail is None:
                raise CursorExpired(f"folder “{printable(folder.native)}” never gave that cursor")
            if since.startswith("T "):
                names, whole = _after(here, tail)
                end = _tail_of(here)
            elif since == end:
                names, whole = [], False
        turns = Turns()
        for start in range(0, len(names), PAGE):
            entries = []
            for name in names[start : start + PAGE]:
                await turns.after()
                if (entry := self._entry(folder, here, name)) is not None:
                    entries.append(entry)
            yield Changes(entries, whole=whole)
        yield Changes((), whole=whole, cursor=end)

    async def identify(
        self, folder: Folder, keys: Sequence[Key]
    ) -> AsyncIterator[tuple[Key, Identity]]:
        turns = Turns()
        for key in keys:
            await turns.after()
            opened = self._opened(folder, key)
            if opened is None or isinstance(opened, str):
                continue
            descriptor, name = opened
            try:
                with telling(folder.native):
                    found = identity_of(descriptor, form_of(name))
            finally:
                os.close(descriptor)
            yield key, found

    async def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        turns = Turns()
        for entry in entries:
            await turns.after(entry.size or 0)
            opened = self._opened(folder, entry.key)
            if opened is None:
                continue
            if isinstance(opened, str):
                yield Unreadable(entry, opened)
                continue
            descriptor, name = opened
            try:
                with telling(folder.native):
                    expected = os.fstat(descriptor).st_size
                    chunks = from_disk(chunks_of(descriptor), form_of(name))
                    blob = await blob_of(chunks, expected, self._spool)
            finally:
                os.close(descriptor)
            self.traffic.octets_in += blob.size
            yield Message(entry, blob)

    def scanned(self, folder: Folder) -> Scan:
        """The folder's files as they are now. Raises `FolderFailed` when it is gone."""
        with telling(folder.native or "INBOX"):
            here = scan(self.root, maildir_tree.steps(folder.native))
        self._scans[folder.native] = here
        return here

    def known(self, folder: Folder) -> Scan:
        """The folder's files as they were when it was last looked at."""
        return self._scans.get(folder.native) or self.scanned(folder)

    def _entry(self, folder: Folder, here: Scan, name: str) -> Entry | None:
        part, plain = place_of(name)
        try:
            with directory(self.root, [*maildir_tree.steps(folder.native), part]) as inside:
                size, status = size_of(inside, plain)
        except FileNotFoundError:
            return None
        except PermissionError:
            # It is a message all the same; that it can't be read is told when it is asked for.
            return Entry(key_of(plain), here.flags(name), 0, None)
        except OSError as error:
            self.notice(f"“{folder.native}/{name}” was left out: {(error.strerror or '').lower()}")
            return None
        received = datetime.fromtimestamp(int(status.st_mtime), UTC)
        return Entry(key_of(plain), here.flags(name), size, received)

    def _opened(self, folder: Folder, key: Key) -> tuple[int, str] | str | None:
        """The message's file, or why it can't be read, or None when it is gone."""
        # A name may have changed since the listing: flags are part of it.
        for here in (self.known, self.scanned):
            name = here(folder).name(str(key))
            if name is None:
                continue
            part, plain = place_of(name)
            try:
                with directory(self.root, [*maildir_tree.steps(folder.native), part]) as inside:
                    return open_file(inside, plain), plain
            except FileNotFoundError:
                continue
            except OSError as error:
                return f"the file can't be read: {printable((error.strerror or '').lower())}"
        return None

    def notice(self, text: str) -> None:
        shown = printable(text)
        if shown not in self.traffic.notices:
            self.traffic.notices.append(shown)


class MaildirTarget:
    """A `Target` over a Maildir tree. Opening it makes nothing: where nothing is, the first write
    makes a Maildir++.

    `clock` gives microseconds since 1970, for the names of new files.
    """

    def __init__(
        self,
        path: Path,
        spool: Spool | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.path = path
        self._clock = clock
        self._source = MaildirSource(path, spool)
        self._stamp = 0
        self._begun = False

    @property
    def capabilities(self) -> Capabilities:
        return self._source.capabilities

    @property
    def traffic(self) -> Traffic:
        return self._source.traffic

    async def open(self) -> None:
        with telling(str(self.path)):
            there = is_there(self.path)
            self._source.folds_case = folds_case(self.path)
        if there:
            await self._source.open()

    async def close(self) -> None:
        await self._source.close()
        self._begun = False

    async def folders(self) -> list[Folder]:
        found = await self._source.folders() if self._source.root >= 0 else []
        layout = self._source.layout
        native = maildir_tree.native_of(INBOX_PATH, layout, root_is_inbox=layout is Layout.PLUS)
        return with_promised_inbox(found, native)

    def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        return self._source.changes(folder, since)

    def identify(self, folder: Folder, keys: Sequence[Key]) -> AsyncIterator[tuple[Key, Identity]]:
        return self._source.identify(folder, keys)

    def fetch(
        self, folder: Folder, entries: Sequence[Entry]
    ) -> AsyncIterator[Message | Unreadable]:
        return self._source.fetch(folder, entries)

    async def create(self, path: FolderPath, role: Role | None) -> Folder:
        path = with_inbox(path)
        maildir_tree.native_of(path, self._source.layout, root_is_inbox=True)
        await self._begin()
        root = self._source.root
        found = maildir_tree.find_folders(root, self.traffic.notices)
        there = {each.path: each.native for each in found}
        for depth in range(1, len(path) + 1):
            above = path[:depth]
            if there.get(above) is None:
                there[above] = self._made(above, {each.native for each in found})
        return self._source.shown(path, there[path], maildir_subscriptions.read(root))

    async def subscribe(self, folder: Folder) -> None:
        if self._source.layout is Layout.PLUS:
            await self._begin()
            with telling("subscriptions"):
                if maildir_subscriptions.add(self._source.root, folder.path):
                    self.traffic.writes += 1

    async def append(
        self, folder: Folder, messages: AsyncIterable[Message]
    ) -> AsyncIterator[Appended | Refused]:
        if is_promised(folder):
            folder = await self.create(folder.path, None)
        here = self._source.scanned(folder)
        self._stamp = max(self._stamp, maildir_delivery.last_stamp(here.names))
        batch = maildir_delivery.Batch(self._source.root, maildir_tree.steps(folder.native))
        try:
            async for message in messages:
                failure = await self._added(folder, here, batch, message)
                if failure or len(batch) >= BATCH_MESSAGES or batch.octets >= BATCH_OCTETS:
                    for answer in self._announced(folder, batch):
                        yield answer
                    await asyncio.sleep(0)
                if failure:
                    raise failure
            for answer in self._announced(folder, batch):
                yield answer
        finally:
            batch.discard()

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        tail = _read_tail(place)
        if tail is None:
            return place
        for key in keys:
            tail = tail.over(str(key))
        return tail.written()

    async def flag(self, folder: Folder, changes: Iterable[FlagChange]) -> None:
        here = self._source.scanned(folder)
        with (
            telling(folder.native),
            directory(self._source.root, maildir_tree.steps(folder.native)) as inside,
        ):
            turns = Turns()
            for change in changes:
                await turns.after()
                name = here.name(str(change.key))
                if name is None:
                    continue
                added, _ = letters_for(inside, here.keywords, change.add)
                gone = letters_of_flags(here.keywords, change.remove)
                letters = "".join(sorted(set(letters_of(name)) - set(gone) | set(added)))
                if letters != letters_of(name):
                    renamed = rename_file(inside, name, letters)
                    here.renamed(name, renamed)
                    self.traffic.writes += 1
            self._synced(inside)

    async def remove(self, folder: Folder, keys: Sequence[Key]) -> int:
        here = self._source.scanned(folder)
        removed = 0
        with (
            telling(folder.native),
            directory(self._source.root, maildir_tree.steps(folder.native)) as inside,
        ):
            turns = Turns()
            for key in keys:
                await turns.after()
                name = here.name(str(key))
                if name is not None and remove_file(inside, name):
                    here.renamed(name, None)
                    removed += 1
                    self.traffic.writes += 1
            self._synced(inside)
        return removed

    async def _begin(self) -> None:
        """Makes the root, and a Maildir++ of it when it holds no Maildir."""
        if self._begun:
            return
        with telling(str(self.path)):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._source.open()
        with telling(str(self.path)):
            if maildir_tree.layout_of(self.path) is None:
                maildir_tree.make_folder(self._source.root, "")
        self._begun = True

    def _made(self, path: FolderPath, taken: set[str | None]) -> str:
        root = self._source.root
        root_is_inbox = self._source.layout is Layout.PLUS or "" in taken
        native = maildir_tree.native_of(path, self._source.layout, root_is_inbox=root_is_inbox)
        with telling("/".join(path)):
            if maildir_tree.make_folder(root, native):
                self.traffic.writes += 1
        return native

    async def _added(
        self,
        folder: Folder,
        here: Scan,
        batch: maildir_delivery.Batch,
        message: Message,
    ) -> MailhaulError | None:
        """Writes the message beside the others; what prevents it comes back as an error, so that
        those before it are announced first."""
        self._stamp = max(self._stamp + 1, self._clock())
        try:
            with telling(folder.native):
                await batch.add(message, self._stamp, here.keywords)
            self.traffic.octets_out += message.blob.size
        except MailhaulError as error:
            return error
        finally:
            message.blob.close()
        return None

    def _announced(self, folder: Folder, batch: maildir_delivery.Batch) -> list[Appended]:
        with telling(folder.native):
            answers = batch.commit()
        self.traffic.writes += len(answers)
        return answers

    def _synced(self, inside: int) -> None:
        with directory(inside, ["cur"]) as current:
            os.fsync(current)


@dataclass(frozen=True, slots=True)
class _Tail:
    """How many messages there are up to the key `last`, and the sum of their keys' digests."""

    total: int
    count: int
    last: str

    def over(self, key: str) -> "_Tail":
        return _Tail((self.total + _digest(key)) % 2**128, self.count + 1, max(self.last, key))

    def written(self) -> Cursor:
        return Cursor(f"T {self.total:032x} {self.count} {self.last}")


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=16).digest(), "big")


def _keys(here: Scan) -> Iterator[str]:
    return (key_of(name.removeprefix("new/")) for name in here.names)


def _tail_of(here: Scan) -> Cursor:
    total = count = 0
    last = ""
    for last in _keys(here):
        total += _digest(last)
        count += 1
    return _Tail(total % 2**128, count, last).written()


def _read_tail(place: Cursor) -> _Tail | None:
    """The tail, or the one in a cursor; None for what no Maildir gave."""
    match = _PLACE.fullmatch(place)
    return None if match is None else _Tail(int(match[1], 16), int(match[2]), match[3])


def _after(here: Scan, tail: _Tail) -> tuple[list[str], bool]:
    """The files added since, and whether they are the whole folder: they are when something was
    added or removed before the tail's last, for what is between can't be told apart."""
    total = count = 0
    for key in _keys(here):
        if key > tail.last:
            break
        total += _digest(key)
        count += 1
    if count == tail.count and total % 2**128 == tail.total:
        return here.names[count:], False
    return here.names, True
