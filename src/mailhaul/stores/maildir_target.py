"""Maildirs as target: what is written, and when it counts (docs/files.md says what is kept where).

What is read of a target is read as of a source (stores/maildir.py).
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role
from mailhaul.core.message import Key
from mailhaul.core.store import FlagChange
from mailhaul.stores import maildir_delivery, maildir_subscriptions, maildir_tree
from mailhaul.stores.file_messages import (
    Turns,
)
from mailhaul.stores.file_target import FileTarget
from mailhaul.stores.maildir import MaildirSource
from mailhaul.stores.maildir_folder import (
    letters_for,
    letters_of,
    letters_of_flags,
    remove_file,
    rename_file,
)
from mailhaul.stores.maildir_tail import read_tail
from mailhaul.stores.maildir_tree import Layout
from mailhaul.stores.safe_paths import (
    directory,
    folds_case,
    telling,
)


def maildir_target(
    path: Path,
    spool: Spool | None = None,
    clock: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> FileTarget:
    """A `Target` over a Maildir tree; where nothing is, the first write makes a Maildir++.

    `clock` gives microseconds since 1970, for the names of new files.
    """
    source = MaildirSource(path, spool)
    return FileTarget(source, MaildirWriting(source, clock))


class MaildirWriting:
    """The `Writing` of Maildirs."""

    def __init__(self, source: MaildirSource, clock: Callable[[], int]) -> None:
        self._source = source
        self._clock = clock
        self._stamp = 0

    def look(self) -> None:
        self._source.folds_case = folds_case(self._source.path)

    def inbox(self) -> str:
        layout = self._source.layout
        return maildir_tree.native_of(INBOX_PATH, layout, root_is_inbox=layout is Layout.PLUS)

    def check(self, path: FolderPath) -> None:
        maildir_tree.native_of(path, self._source.layout, root_is_inbox=True)

    def begin(self) -> None:
        with telling(str(self._source.path)):
            if maildir_tree.layout_of(self._source.path) is None:
                maildir_tree.make_folder(self._source.root, "")

    async def made(self, path: FolderPath, role: Role | None) -> Folder:
        del role  # a Maildir keeps none
        root = self._source.root
        found = maildir_tree.find_folders(root, self._source.traffic.notices)
        there = {each.path: each.native for each in found}
        for depth in range(1, len(path) + 1):
            above = path[:depth]
            if there.get(above) is None:
                there[above] = self._make(above, {each.native for each in found})
        return self._source.shown(path, there[path], maildir_subscriptions.read(root))

    async def subscribe(self, folder: Folder) -> None:
        with telling("subscriptions"):
            if maildir_subscriptions.add(self._source.root, folder.path):
                self._source.traffic.writes += 1

    async def batch(self, folder: Folder) -> maildir_delivery.Batch:
        here = self._source.scanned(folder)
        self._stamp = max(self._stamp, maildir_delivery.last_stamp(here.names))
        steps = maildir_tree.steps(folder.native)
        return maildir_delivery.Batch(self._source.root, steps, here.keywords, self._next_stamp)

    def past(self, place: Cursor, keys: Iterable[Key]) -> Cursor:
        tail = read_tail(place)
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
                    self._source.traffic.writes += 1
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
                    self._source.traffic.writes += 1
            self._synced(inside)
        return removed

    def _make(self, path: FolderPath, taken: set[str | None]) -> str:
        root = self._source.root
        root_is_inbox = self._source.layout is Layout.PLUS or "" in taken
        native = maildir_tree.native_of(path, self._source.layout, root_is_inbox=root_is_inbox)
        with telling("/".join(path)):
            if maildir_tree.make_folder(root, native):
                self._source.traffic.writes += 1
        return native

    def _next_stamp(self) -> int:
        self._stamp = max(self._stamp + 1, self._clock())
        return self._stamp

    def _synced(self, inside: int) -> None:
        with directory(inside, ["cur"]) as current:
            os.fsync(current)
