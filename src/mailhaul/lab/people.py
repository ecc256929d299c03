"""People at work in the mailboxes of a rehearsal: mail arrives, is read, moved and deleted, at the
old system until the switch and at the new one after it.

Whatever happens is written down as it happens: what each new mailbox has to hold in the end is
known from that alone, and not from anything that mailhaul says.
"""

import hashlib
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.message import NO_FLAGS, Flags
from mailhaul.lab.mail import SampleMessage
from mailhaul.lab.wire import PlainConnection, wire_name

Held = Counter[tuple[str, Flags]]
"""Messages of a folder by SHA-256 and flags."""

_UID = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
FEWEST = 6
"""Nobody deletes from a folder that holds no more than this."""
MOST = 8
"""So many messages somebody moves or deletes at the new system: who tidies up more than a little
has to be asked whether that was they (`journey.grades`), and nobody is there to answer."""


class Where(StrEnum):
    """Where somebody works."""

    OLD = "at the old system"
    GONE_HOME = "nowhere; mail arrives all the same"
    NEW = "at the new system"
    AWAY = "nowhere, and no mail arrives"


@dataclass(slots=True)
class Person:
    """One mailbox and its owner. `expected` is what the new mailbox has to hold in the end."""

    address: str
    old: PlainConnection
    new: PlainConnection
    folders: tuple[FolderPath, ...]
    tidy: bool = True
    """Whether they move and delete at the old system too."""
    where: Where = Where.OLD
    expected: dict[FolderPath, Held] = field(default_factory=dict)
    refused: Held = field(default_factory=Counter)
    """What the new system never takes."""
    done: Counter[str] = field(default_factory=Counter)
    """How often they did what."""
    tidied: int = 0
    """Messages they have moved or deleted at the new system."""
    post: Callable[[bytes], bytes | None] | None = None
    """Brings mail for them to their hoster, wherever that leads it: what lies there then, or None
    when it was turned away, and whoever sent it knows. Else it arrives at the old system."""

    def holds(self, folder: FolderPath) -> Held:
        return self.expected.setdefault(folder, Counter())

    def arrive(self, message: SampleMessage, *, poison: bool = False) -> None:
        """A message arrives."""
        content: bytes | None = message.content
        if self.post is None:
            self.old.fill([message])
        else:
            content = self.post(message.content)
        if content is None:
            self.done["turned away"] += 1
            return
        held = self.refused if poison else self.holds(message.folder)
        held[digest(content), message.flags] += 1
        self.done["arrived"] += 1

    def fill(self, messages: Iterable[SampleMessage]) -> int:
        """What is in the old mailbox from the start; how many octets that is."""
        kept = list(messages)
        self.old.fill(kept)
        for message in kept:
            self.holds(message.folder)[digest(message.content), message.flags] += 1
        return sum(len(message.content) for message in kept)


@dataclass(slots=True)
class _Found:
    """A message somebody has before them."""

    uid: int
    digest: str
    flags: Flags


class People:
    """All of them, in a thread of their own from `begin` to `stop`."""

    def __init__(self, people: Iterable[Person], seed: int = 5, pause: float = 0.15) -> None:
        self.people: Mapping[str, Person] = {person.address: person for person in people}
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._pause = pause
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._failure: Exception | None = None
        self._number = 0

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Everybody goes home. Raises what went wrong with them."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def move(self, addresses: Iterable[str], where: Where) -> None:
        """From now on these work there; what was begun is over by then."""
        with self._lock:
            for address in addresses:
                self.people[address].where = where

    def write_to(self, address: str) -> None:
        """Somebody writes to them now."""
        with self._lock:
            self.people[address].arrive(self._mail(address))

    @property
    def done(self) -> Counter[str]:
        """How often what was done, by all of them."""
        found: Counter[str] = Counter()
        for person in self.people.values():
            found.update(person.done)
        return found

    def _live(self) -> None:
        everybody = [*self.people.values()]
        try:
            while not self._over.wait(self._pause):
                with self._lock:
                    self._act(self._random.choice(everybody))
        except (OSError, AssertionError, LookupError, ValueError) as error:
            self._failure = error

    def _act(self, person: Person) -> None:
        chance = self._random.random()
        if person.where is Where.AWAY:
            return
        # After the switch a stray still comes to the old system now and then.
        if chance < (0.12 if person.where is Where.NEW else 0.4):
            person.arrive(self._mail(person.address))
        elif person.where is not Where.GONE_HOME:
            self._work(person, chance)

    def _mail(self, address: str) -> SampleMessage:
        self._number += 1
        text = (
            f"From: <somebody@elsewhere.example>\r\nTo: <{address}>\r\n"
            f"Subject: News {self._number}\r\nMessage-ID: <news-{self._number}@rehearsal>\r\n\r\n"
            + f"What is new, number {self._number}.\r\n"
            * self._random.randint(1, 60)
        )
        return SampleMessage(INBOX_PATH, text.encode(), NO_FLAGS, datetime.now(UTC))

    def _work(self, person: Person, chance: float) -> None:
        folder = self._random.choice(person.folders)
        connection = person.new if person.where is Where.NEW else person.old
        found, count = self._look(connection, folder)
        # What the new system refuses is nothing that people there could touch.
        if found is None or (found.digest, found.flags) in person.refused:
            return
        held = person.holds(folder)
        new = person.where is Where.NEW
        tidies = person.tidied < MOST if new else person.tidy
        if chance < 0.75 or not tidies:
            flag = self._random.choice(("\\Seen", "\\Flagged", "\\Answered"))
            connection.store(folder, f"{found.uid} +FLAGS ({flag})")
            held[found.digest, found.flags] -= 1
            held[found.digest, found.flags | {flag}] += 1
            person.done["read or marked"] += 1
        elif chance < 0.9 and count > FEWEST:
            goal = self._random.choice([each for each in person.folders if each != folder])
            connection.command(b"UID MOVE %d %b" % (found.uid, wire_name(goal)))
            held[found.digest, found.flags] -= 1
            person.holds(goal)[found.digest, found.flags] += 1
            person.done["moved"] += 1
            person.tidied += new
        elif count > FEWEST:
            connection.store(folder, f"{found.uid} +FLAGS (\\Deleted)")
            connection.command(b"UID EXPUNGE %d" % found.uid)
            held[found.digest, found.flags] -= 1
            person.done["deleted"] += 1
            person.tidied += new

    def _look(self, connection: PlainConnection, folder: FolderPath) -> tuple[_Found | None, int]:
        """A message by chance, and how many there are."""
        count = connection.select(folder)
        if not count:
            return None, 0
        number = self._random.randint(1, count)
        for line in connection.command(b"FETCH %d (UID FLAGS BODY.PEEK[])" % number):
            uid, flags = _UID.search(line.text), _FLAGS.search(line.text)
            if uid is not None and flags is not None and line.literals:
                words = frozenset(flags[1].decode().split()) - {"\\Recent"}
                return _Found(int(uid[1]), digest(line.literals[0]), words), count
        return None, count


def digest(content: bytes) -> str:
    """By what a message is known again: its SHA-256."""
    return hashlib.sha256(content).hexdigest()


def close(people: Iterable[Person]) -> None:
    """Hangs up."""
    for person in people:
        for connection in (person.old, person.new):
            with suppress(OSError):
                connection.close()
