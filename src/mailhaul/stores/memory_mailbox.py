"""A mailbox that lives in memory: what a mail server keeps, and how a particular server behaves.

Several stores may open one mailbox at once (`stores.memory`), and the methods here are the person
who uses it meanwhile: mail arrives, is read, moved, deleted; folders are made anew. Nothing in it
is random and nothing reads a clock unless it is given one, so a run can be repeated exactly.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import INBOX_PATH, FolderPath, NameRules, Role
from mailhaul.core.message import NO_FLAGS, SYSTEM_FLAGS, Flags
from mailhaul.core.text import printable
from mailhaul.stores.found_folders import with_inbox

FIRST_VALIDITY = 1000
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Habits:
    """How this server behaves; the defaults are the best one there is."""

    announces_keys: bool = True
    """Appended carries a key (UIDPLUS)."""
    tells_state: bool = True
    tells_tail: bool = True
    tells_modseq: bool = True
    """When false, `changes` lists the whole folder each time (no CONDSTORE)."""
    keeps_keywords: bool = True
    keeps_received: bool = True
    keeps_subscriptions: bool = True
    keeps_roles: bool = True
    """`create` declares the role (CREATE-SPECIAL-USE)."""
    most_keywords: int | None = None
    """So many different keywords a folder; more are lost (B13)."""
    longest_keyword: int | None = None
    page: int = 1000
    """Entries on a page of `changes`."""
    window: int = 1
    """Messages that `append` stores before it says so; a fault among them leaves those already
    stored unannounced, like a cut pipeline."""
    append_limit: int | None = None
    most_messages: int | None = None
    """When the mailbox holds so many, it is full (B7)."""
    refuses: Callable[[bytes], str | None] = lambda data: None
    """The server's words when it will never take these octets (D1–D6)."""
    unreadable: Callable[[bytes], str | None] = lambda data: None
    """The server's words when it won't hand these octets out (B14, D13)."""
    alters: Callable[[bytes], bytes] = lambda data: data
    """What it stores instead of these octets (finding 3)."""
    names: NameRules = field(default_factory=lambda: NameRules(delimiter=None))


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as the mailbox holds it now."""

    uid: int
    data: bytes
    flags: Flags
    received: datetime
    modseq: int


@dataclass(slots=True)
class MemoryFolder:
    """One folder; `vanished` logs each expunged UID with the MODSEQ at which it went."""

    path: FolderPath
    uidvalidity: int
    role: Role | None = None
    subscribed: bool = False
    selectable: bool = True
    uidnext: int = 1
    modseq: int = 1
    messages: dict[int, Stored] = field(default_factory=dict)
    vanished: list[tuple[int, int]] = field(default_factory=list)
    keywords: dict[str, str] = field(default_factory=dict)
    """Keyword, folded, to the spelling it was first seen in (D18)."""


class MemoryMailbox:
    """The mailbox. It always has an INBOX. `written` counts what stores have changed, by verb."""

    def __init__(self, habits: Habits | None = None, clock: Callable[[], datetime] | None = None):
        self.habits = habits or Habits()
        self.clock = clock or (lambda: EPOCH)
        self.written: Counter[str] = Counter()
        self._folders: dict[FolderPath, MemoryFolder] = {}
        self._validity = FIRST_VALIDITY
        self.make(INBOX_PATH, Role.INBOX)

    def clone(self, habits: Habits | None = None) -> "MemoryMailbox":
        """A mailbox of its own with the same content, numbers and (unless given) habits."""
        twin = MemoryMailbox(habits or self.habits, self.clock)
        twin._validity = self._validity
        twin._folders = {
            path: replace(
                folder,
                messages=dict(folder.messages),
                vanished=list(folder.vanished),
                keywords=dict(folder.keywords),
            )
            for path, folder in self._folders.items()
        }
        return twin

    @property
    def paths(self) -> list[FolderPath]:
        """Every folder, INBOX first, parents before children."""
        return sorted(self._folders, key=lambda path: (path[0] != "INBOX", path))

    def folder(self, path: FolderPath) -> MemoryFolder:
        """Raises `FolderFailed` when there is none."""
        found = self._folders.get(with_inbox(path))
        if found is None:
            raise FolderFailed(f"folder “{printable('/'.join(path))}” is gone")
        return found

    def messages(self, path: FolderPath = INBOX_PATH) -> list[Stored]:
        """The folder's messages in order."""
        return list(self.folder(path).messages.values())

    def make(
        self,
        path: FolderPath,
        role: Role | None = None,
        *,
        subscribed: bool = False,
        selectable: bool = True,
    ) -> MemoryFolder:
        """The folder at `path` with parents; one that is there is just returned. Knows no rules:
        they hold for `MemoryTarget.create`."""
        path = with_inbox(path)
        for depth in range(1, len(path)):
            if path[:depth] not in self._folders:
                self.make(path[:depth])
        if path not in self._folders:
            self._validity += 1
            self._folders[path] = MemoryFolder(path, self._validity, role, subscribed, selectable)
        return self._folders[path]

    def deliver(
        self,
        data: bytes,
        path: FolderPath = INBOX_PATH,
        flags: Flags = NO_FLAGS,
        received: datetime | None = None,
    ) -> int:
        """Adds a message as it is and returns its UID."""
        folder = self.folder(path)
        uid = folder.uidnext
        folder.uidnext += 1
        folder.modseq += 1
        when = (received or self.clock()).replace(microsecond=0)
        folder.messages[uid] = Stored(uid, data, self.kept(folder, flags), when, folder.modseq)
        return uid

    def flag(
        self,
        uid: int,
        add: Flags = NO_FLAGS,
        remove: Flags = NO_FLAGS,
        path: FolderPath = INBOX_PATH,
    ) -> bool:
        """Adds and removes flags; true when that changed anything."""
        folder = self.folder(path)
        stored = folder.messages.get(uid)
        if stored is None:
            return False
        unwanted = {flag.lower() for flag in remove}
        left = frozenset(flag for flag in stored.flags if flag.lower() not in unwanted)
        flags = left | self.kept(folder, add)
        if flags == stored.flags:
            return False
        folder.modseq += 1
        folder.messages[uid] = replace(stored, flags=flags, modseq=folder.modseq)
        return True

    def expunge(self, *uids: int, path: FolderPath = INBOX_PATH) -> int:
        """Removes these for good; returns how many were there."""
        folder = self.folder(path)
        present = [uid for uid in uids if uid in folder.messages]
        for uid in present:
            folder.modseq += 1
            del folder.messages[uid]
            folder.vanished.append((folder.modseq, uid))
        return len(present)

    def move(self, uid: int, path: FolderPath, to: FolderPath) -> int:
        """Moves a message to the end of another folder and returns its UID there."""
        stored = self.folder(path).messages[uid]
        moved = self.deliver(stored.data, to, stored.flags, stored.received)
        self.expunge(uid, path=path)
        return moved

    def renumber(self, path: FolderPath = INBOX_PATH, gap: int = 0) -> None:
        """The server lost its index: a new UIDVALIDITY, messages numbered from `gap` + 1 (C1)."""
        folder = self.folder(path)
        self._validity += 1
        folder.uidvalidity = self._validity
        folder.uidnext = gap + 1
        folder.vanished.clear()
        kept, folder.messages = list(folder.messages.values()), {}
        for stored in kept:
            self.deliver(stored.data, path, stored.flags, stored.received)

    def rename(self, path: FolderPath, to: FolderPath) -> None:
        """Renames a folder and what lies below; UIDVALIDITY stays (C2)."""
        assert to not in self._folders
        for old in [known for known in self._folders if known[: len(path)] == path]:
            new = to + old[len(path) :]
            self._folders[new] = self._folders.pop(old)
            self._folders[new].path = new

    def delete(self, path: FolderPath) -> None:
        """Removes a folder with its messages and with what lies below."""
        for known in [known for known in self._folders if known[: len(path)] == path]:
            del self._folders[known]

    def total(self) -> int:
        """Messages in all folders."""
        return sum(len(folder.messages) for folder in self._folders.values())

    def kept(self, folder: MemoryFolder, flags: Flags) -> Flags:
        """Those of `flags` that this server keeps here, as it spells them."""
        spelled = (self._spelled(folder, flag) for flag in sorted(flags))
        return frozenset(flag for flag in spelled if flag is not None)

    def _spelled(self, folder: MemoryFolder, flag: str) -> str | None:
        name = flag.lower()
        if name.startswith("\\"):
            return SYSTEM_FLAGS.get(name)
        if not self.habits.keeps_keywords:
            return None
        if name not in folder.keywords:
            most, longest = self.habits.most_keywords, self.habits.longest_keyword
            if most is not None and len(folder.keywords) >= most:
                return None
            if longest is not None and len(flag) > longest:
                return None
            folder.keywords[name] = flag
        return folder.keywords[name]
