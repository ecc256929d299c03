"""The owner of a mailbox that moves: gets mail, flags and deletes at the old system; and after the
switch moves, deletes and marks mail at the new one. Knows what must be where in the end.

What is done at the new system is done to messages that no longer change at the old one, so that
there is one right answer whatever dies in between.
"""

import random
from collections import Counter
from dataclasses import dataclass, field, replace

from tests.faults.mailboxes import FOLDERS, Person
from tests.faults.oracle import Contents, Copy, read_folder, read_mailbox
from tests.faults.plain import Plain, quoted
from tests.servers.process import Account, RunningServer

Side = tuple[RunningServer, Account]
MARK = "$theirs"
"""Only ever set at the new system."""


@dataclass(slots=True)
class Owner:
    """See the module. `settled` are the contents of the old mailbox at the switch, `acts` what was
    done at the new one since, by digest: the folder it lies in now (None: deleted), and whether it
    is marked."""

    address: str
    source: Side
    target: Side
    draw: random.Random
    settled: Contents = field(default_factory=dict)
    acts: dict[str, tuple[str | None, bool]] = field(default_factory=dict)
    deleted: int = 0
    _person: Person | None = None

    @property
    def person(self) -> Person:
        if self._person is None:
            server, account = self.source
            self._person = Person(
                server.host, server.port, account.user, account.password, self.draw
            )
        return self._person

    def fill(self, messages: int) -> None:
        self.person.fill(messages)

    def go_on(self, new: int, flagged: int = 0, deleted: int = 0) -> None:
        """At the old system."""
        self.deleted += deleted
        self.person.go_on(new=new, flagged=flagged, deleted=deleted)

    def switched(self) -> None:
        """From here on nothing changes at the old system but that mail still comes in."""
        self.settled = contents(self.source)

    def at_the_new(self, count: int) -> int:
        """Moves, deletes or marks so many messages there, or as many as are there by now."""
        times = Counter(copy.digest for copies in self.settled.values() for copy in copies)
        places = {
            copy.digest: folder
            for folder, copies in self.settled.items()
            for copy in copies
            if times[copy.digest] == 1 and copy.digest not in self.acts
        }
        chosen = self.draw.sample(sorted(places), min(count, len(places)))
        server, account = self.target
        done = 0
        with Plain(server.host, server.port, account.user, account.password) as connection:
            for digest in chosen:
                done += self._act(connection, digest, places[digest])
        return done

    def _act(self, connection: Plain, digest: str, folder: str) -> bool:
        uid = _find(connection, folder, digest)
        if uid is None:
            return False
        connection.command(b"SELECT " + quoted(folder.encode()))
        what = self.draw.choice(("move", "delete", "mark"))
        if what == "mark":
            connection.command(b"UID STORE %d +FLAGS.SILENT (%b)" % (uid, MARK.encode()))
            self.acts[digest] = (folder, True)
        elif what == "move":
            other = self.draw.choice([each for each in FOLDERS if each.decode() != folder])
            connection.command(b"UID MOVE %d " % uid + quoted(other))
            self.acts[digest] = (other.decode(), False)
        else:
            connection.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
            connection.command(b"UID EXPUNGE %d" % uid)
            self.acts[digest] = (None, False)
        return True

    def expected(self) -> dict[str, Counter[Copy]]:
        """What the new mailbox must hold, by what the old one holds now and `acts`."""
        found: dict[str, Counter[Copy]] = {}
        for folder, copies in contents(self.source).items():
            for copy in copies:
                place, marked = self.acts.get(copy.digest, (folder, False))
                if place is None:
                    continue
                flags = copy.flags | ({MARK} if marked else set())
                found.setdefault(place, Counter())[replace(copy, flags=flags)] += 1
        return found

    def wrong(self) -> list[str]:
        """How the new mailbox differs from what must be there: by messages (digest and received
        date) lost and doubled, and by flags."""
        expected = self.expected()
        actual = {name: Counter(copies) for name, copies in contents(self.target).items()}
        wrong = []
        for folder in sorted({*expected, *actual}):
            ours, theirs = expected.get(folder, Counter()), actual.get(folder, Counter())
            wanted, found = _bare(ours), _bare(theirs)
            lost, doubled = wanted - found, found - wanted
            flags = (theirs - ours).total() - doubled.total()
            if lost or doubled or flags:
                wrong.append(
                    f"{self.address} {folder}: {lost.total()} lost, {doubled.total()} doubled, "
                    f"{flags} with other flags; first {[*lost, *doubled, *(theirs - ours)][:2]}"
                )
        return wrong

    def census(self) -> dict[str, int]:
        """How many messages each folder of the old mailbox holds."""
        return {name: len(copies) for name, copies in contents(self.source).items()}


def contents(side: Side) -> Contents:
    server, account = side
    return read_mailbox(server.host, server.port, account.user, account.password)


def _bare(copies: Counter[Copy]) -> Counter[tuple[str, int]]:
    bare: Counter[tuple[str, int]] = Counter()
    for copy, count in copies.items():
        bare[copy.digest, copy.received] += count
    return bare


def _find(connection: Plain, folder: str, digest: str) -> int | None:
    """The UID of that message there; None when it isn't there, or the folder isn't."""
    names = [copy.digest for copy in read_folder(connection, folder.encode())]
    uids = [
        int(answer.text.split(b"UID ")[1].rstrip(b")"))
        for answer in connection.answers(b"UID FETCH 1:* (UID)")
        if b"FETCH (UID" in answer.text
    ]
    return sorted(uids)[names.index(digest)] if digest in names else None
