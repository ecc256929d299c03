"""The demo's second story: a subsidiary whose accounts themselves move, from one service of its
hoster to another, while mail keeps coming in.

Each account is renamed, its address made anew from one that the hoster has delivered unconfigured,
and its mail copied; a redirection and an auto-reply go with them. The hoster is `lab.hosting`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.message import NO_FLAGS
from mailhaul.core.text import plural
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.states import State
from mailhaul.lab.directing import Director, Wrong
from mailhaul.lab.hoster.books import Line
from mailhaul.lab.hoster.exchange import stamp
from mailhaul.lab.hoster.setup import HOST
from mailhaul.lab.hosting import Hosting
from mailhaul.lab.mail import SampleMessage, sample_mailbox
from mailhaul.lab.people import Person, Where
from mailhaul.lab.stage import Moving, Seen, Stage
from mailhaul.providers.extras import Redirection, Responder

NAME, REPORT = "subsidiary", "subsidiary-report"
DOMAIN = "rosenberg-shop.example"
NAMES = ("ida", "jan", "kim")
REDIRECTED, ANSWERING = "jan", "kim"
BOOKS, FRIEND = "books@tax-office.example", "friend@elsewhere.example"
OLD, NEW = "mxplan-shop", "exchange-shop"
ELSEWHERE = "mx.elsewhere.example"
FOLDERS: tuple[FolderPath, ...] = (INBOX_PATH, ("Sent",), ("Archive",))
MESSAGES = 90
TASK = 0.2
"""Seconds that the hoster takes for each task: 12 minutes of the wound clock."""
WRITING = 0.4
"""Seconds from one message to the next while accounts move."""
WAIT = 20.0

_PLAN = """\
# The accounts themselves move, at their hoster.
name = "{name}"
time_zone = "UTC"
mailboxes_file = "subsidiary.csv"

[source]
url = "imap://{{address}}@{old}"
secret = "file:secrets/shop-old/{{address}}"
[source.provider]
kind = "lab"
service = "{old_service}"
url = "{url}"
secret = "file:secrets/hoster"

[target]
url = "imap://{{address}}@{new}"
secret = "file:secrets/shop-new/{{address}}"
[target.provider]
kind = "lab"
service = "{new_service}"
url = "{url}"
secret = "file:secrets/hoster"

[accounts]
extras = "carry"            # redirections and auto-replies go with their accounts
patience = "7d"             # three minutes of a clock on the wall

[deltas]
every = "2h"

[sweeps]
every = "1h"
for = "12h"

[gates]
accounts = ["{lead}"]
go = ["{lead}"]
sign_off = ["{lead}"]

[[waves]]
name = "shop"
"""


@dataclass(slots=True)
class Subsidiary:
    """See the module. `lead` gives the word."""

    hosting: Hosting
    lead: str
    people: tuple[Person, ...] = ()
    meanwhile: int = 0
    """Messages that were sent to the addresses while their accounts moved."""
    over: bool = False
    """Signed off."""

    def cast(self, stage: Stage) -> tuple[Person, ...]:
        """The services, the accounts with their mail, and what stands beside them."""
        hosting = self.hosting
        hosting.sell(OLD, Line.NEW, DOMAIN, seconds=TASK)
        hosting.sell(NEW, Line.EXCHANGE, DOMAIN, seconds=TASK)
        hosting.placeholders(NEW, [f"unused{number}" for number in range(len(NAMES) + 1)])
        stage.write_other_secret("hoster", hosting.token)
        self.people = tuple(self._person(stage, number) for number in range(len(NAMES)))
        hosting.put_up(OLD, Redirection(_address(REDIRECTED), BOOKS, copy=True))
        hosting.put_up(OLD, Responder(_address(ANSWERING), "Am Montag wieder da.", "Abwesend"))
        return self.people

    def _person(self, stage: Stage, number: int) -> Person:
        address = _address(NAMES[number])
        stage.write_secret("shop-old", address, _password("old", address))
        stage.write_secret("shop-new", address, _password("new", address))
        self.hosting.accounts(OLD, _password("old", address), address)
        line = self.hosting.connect(Line.NEW, address, _password("old", address))
        for folder in FOLDERS[1:]:
            line.create(folder)
        for folder in FOLDERS:
            line.subscribe(folder)
        person = Person(address, line, line, FOLDERS, where=Where.GONE_HOME)
        sample = sample_mailbox(MESSAGES, seed=50 + number, keywords=False)
        person.fill(each for each in sample if each.folder in FOLDERS)
        person.post = partial(self._brought, FRIEND, address)
        return person

    def _brought(self, sender: str, address: str, content: bytes) -> bytes | None:
        """As it lies where the hoster leads it; None: it was turned away."""
        taken = self.hosting.post(ELSEWHERE, sender, address, content)
        return stamp(ELSEWHERE) + content if taken else None

    def move(self, director: Director) -> None:
        """From the plan to the switch: each account is renamed, made anew, and its mail copied."""
        stage, screen = director.stage, director.screen
        up = self.hosting.up
        plan = _PLAN.format(
            name=NAME,
            old=f"{HOST}:{up.imap[Line.NEW]}",
            new=f"{HOST}:{up.imap[Line.EXCHANGE]}",
            old_service=OLD,
            new_service=NEW,
            url=up.url,
            lead=self.lead,
        )
        (stage.directory / "subsidiary.toml").write_text(plan, encoding="utf-8")
        listed = "\n".join(["address,wave", *(f"{_address(each)},shop" for each in NAMES), ""])
        (stage.directory / "subsidiary.csv").write_text(listed, encoding="utf-8")
        screen.tell(
            f"{DOMAIN} has its {len(NAMES)} mailboxes at a hoster, and stays there. But from its "
            "MX Plan to its Exchange the accounts themselves must move:"
        )
        director.order("start", "subsidiary.toml")
        director.until("the look at the accounts", lambda rows: _ready(stage.moves()))
        director.order("accounts", "move", NAME, "--go", "--as", self.lead, "--yes", lines=3)
        self._write_meanwhile(director)
        for person in self.people:
            password = _password("new", person.address)
            person.new = self.hosting.connect(Line.EXCHANGE, person.address, password)
        director.until("the copies", lambda rows: all(row.state is State.SYNCED for row in rows))
        addresses = [person.address for person in self.people]
        director.switch(addresses, "shop", self.lead, sync=False)

    def _write_meanwhile(self, director: Director) -> None:
        """People write to them until all have moved."""
        stage, screen = director.stage, director.screen
        told: set[str] = set()
        due = time.monotonic()

        def over(rows: Sequence[Seen]) -> bool:
            nonlocal due
            if time.monotonic() >= due:
                director.people.write_to(_address(NAMES[self.meanwhile % len(NAMES)]))
                self.meanwhile += 1
                due = time.monotonic() + WRITING
            moves = stage.moves()
            for each in moves:
                if each.state is MoveState.FAILED or each.state is MoveState.UNDONE:
                    raise Wrong(f"the account of {each.address} didn't move: {each.reason}")
                if each.state is MoveState.MOVED and each.address not in told:
                    told.add(each.address)
                    self._tell(director, each)
            return len(told) == len(NAMES)

        director.until("the accounts", over)
        screen.tell(
            f"{plural(self.meanwhile, 'message')} came in meanwhile, {self._turned_away()}."
        )

    def _tell(self, director: Director, move: Moving) -> None:
        name, temporary, placeholder = (
            each.partition("@")[0] for each in (move.address, move.temporary, move.placeholder)
        )
        seconds = self.hosting.nowhere(move.address)
        director.screen.tell(
            f"{name.title()}'s account is {temporary} now, and {placeholder} has become {name}; "
            f"by its hoster the address was nowhere for {seconds:.1f} s.",
            "good",
        )

    def _turned_away(self) -> str:
        """In the moments when their address was nowhere."""
        away = sum(person.done["turned away"] for person in self.people)
        return f"{plural(away, 'was', 'were')} sent back" if away else "none was sent back"

    def turn(self, director: Director) -> None:
        """Signs off once all is verified."""
        rows = director.stage.look(NAME)
        if not self.over and all(row.state is State.VERIFIED for row in rows):
            self.over = True
            director.order("complete", NAME, "--as", self.lead, "--yes", lines=1)
            director.order("report", NAME, "--out", REPORT, lines=1)

    def finish(self, director: Director) -> None:
        """Waits for that."""

        def over(rows: Sequence[Seen]) -> bool:
            self.turn(director)
            return self.over

        director.until("the end of the subsidiary's plan", over)

    def judge(self) -> list[str]:
        """What stands beside the accounts acts at the new service, once. In words what does not."""
        redirected, answered = _address(REDIRECTED), _address(ANSWERING)
        text = b"From: <auditor@elsewhere.example>\r\nSubject: One more\r\n\r\nIs it so?\r\n"
        auditor = f"auditor-{time.monotonic_ns()}@elsewhere.example"
        for person in self.people:
            if person.address in (redirected, answered):
                person.post = partial(self._brought, auditor, person.address)
                person.arrive(SampleMessage(INBOX_PATH, text, NO_FLAGS, datetime.now(UTC)))
        whole = (stamp(ELSEWHERE) + text).decode()
        wrong = []
        sent_on = self._outside(BOOKS, whole)
        if sent_on != 1:
            wrong.append(f"{redirected}: redirected {sent_on} times, and not once")
        answers = self._outside(auditor, "Am Montag wieder da.")
        if answers != 1:
            wrong.append(f"{answered}: answered {answers} times, and not once")
        return wrong

    def _outside(self, address: str, text: str) -> int:
        """How often that went to an address elsewhere, once it has."""
        deadline = time.monotonic() + WAIT
        while True:
            seen = self.hosting.seen(address)
            count = len([e for e in seen if e["event"] == "outside" and text in e["content"]])
            if count or time.monotonic() > deadline:
                return count
            time.sleep(0.05)

    def sum_up(self, director: Director) -> None:
        """In a line or two."""
        nowhere = max(self.hosting.nowhere(person.address) for person in self.people)
        director.screen.say(
            f"{plural(len(NAMES), 'account')} of {DOMAIN} renamed, made anew and copied; a "
            "redirection and an auto-reply went with them, and act. "
            f"{plural(self.meanwhile, 'message')} came while they moved, {self._turned_away()}; "
            f"no address was nowhere for more than {nowhere:.1f} s."
        )


def _ready(moves: Sequence[Moving]) -> bool:
    """Whether a worker has looked at all of them, and nothing is in the way."""
    return len(moves) == len(NAMES) and all(each.ready for each in moves)


def _address(name: str) -> str:
    return f"{name}@{DOMAIN}"


def _password(side: str, address: str) -> str:
    return f"{side}-{address.partition('@')[0]}-password"
