"""Small mailboxes that still hold what a cut could spoil, and a person who goes on using them.

Everything is acceptable to Cyrus and Dovecot alike, so that a copy must be exact, not explained.
"""

import random
from dataclasses import dataclass

from tests.faults.plain import Plain, quoted

FOLDERS = (b"INBOX", b"Sent", b"Archiv", b"Archiv/M&AOQ-rz", b"Lists")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FLAGS = ((), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Flagged", "$Label1"), ("\\Seen", "work"))
CHANGES = (b"+FLAGS.SILENT (\\Seen)", b"-FLAGS.SILENT (\\Seen)", b"+FLAGS.SILENT ($Label1)")


@dataclass(slots=True)
class Person:
    """The owner of a mailbox: fills it, then adds, flags and deletes; the same for one seed."""

    host: str
    port: int
    user: str
    password: str
    draw: random.Random
    count: int = 0

    def fill(self, messages: int) -> None:
        """Makes the folders and puts `messages` into them, byte-identical twins among them."""
        with Plain(self.host, self.port, self.user, self.password) as connection:
            for folder in FOLDERS[1:]:
                connection.command(b"CREATE " + quoted(folder))
                connection.command(b"SUBSCRIBE " + quoted(folder))
            self._add(connection, messages)

    def go_on(self, new: int, flagged: int, deleted: int) -> None:
        """What happens between two passes, spread over the folders by chance."""
        with Plain(self.host, self.port, self.user, self.password) as connection:
            places = []
            for folder in FOLDERS:
                places += [(folder, uid) for uid in _uids(connection, folder)]
            chosen = self.draw.sample(places, min(flagged + deleted, len(places)))
            for position, (folder, uid) in enumerate(chosen):
                connection.command(b"SELECT " + quoted(folder))
                if position < flagged:
                    connection.command(b"UID STORE %d %b" % (uid, self.draw.choice(CHANGES)))
                else:
                    connection.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
                    connection.command(b"UID EXPUNGE %d" % uid)
            self._add(connection, new)

    def _add(self, connection: Plain, messages: int) -> None:
        draw = self.draw
        for _ in range(messages):
            folder, content, date = draw.choice(FOLDERS), self._message(), self._date()
            twins = 2 if draw.random() < 0.1 else 1
            for _ in range(twins):
                connection.append(folder, content, draw.choice(FLAGS), date)

    def _message(self) -> bytes:
        draw = self.draw
        self.count += 1
        lines = [
            f"From: person{draw.randrange(9)}@faults.example",
            "To: someone@faults.example",
            f"Subject: message {self.count}",
            "Date: Wed, 01 Jan 2025 12:00:00 +0000",
        ]
        # Some have no Message-ID, and some share one with mails that are not the same.
        if draw.random() < 0.8:
            name = self.count if draw.random() < 0.9 else "shared"
            lines.append(f"Message-ID: <{name}@faults.example>")
        size = draw.choice((200, 1000, 1000, 3000, 3000, 9000))
        if draw.random() < 0.02:
            size = 150_000
        body = ["", *(f"{draw.getrandbits(240):060x}" for _ in range(size // 62 + 1))]
        return "".join(f"{line}\r\n" for line in lines + body).encode()

    def _date(self) -> str:
        draw = self.draw
        return (
            f"{draw.randint(1, 28):02}-{draw.choice(MONTHS)}-{draw.randint(2005, 2025)} "
            f"{draw.randrange(24):02}:{draw.randrange(60):02}:{draw.randrange(60):02} +0000"
        )


def _uids(connection: Plain, folder: bytes) -> list[int]:
    connection.command(b"EXAMINE " + quoted(folder))
    return [
        int(answer.text.split(b"UID ")[1].rstrip(b")"))
        for answer in connection.answers(b"UID FETCH 1:* (UID)")
        if b"FETCH (UID" in answer.text
    ]
