"""An organisation whose accounts move at its hoster while the world writes to them: real servers, a
plan with `[accounts]`, a worker that is killed at every step, and a count of every message."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailhaul.lab.hoster.books import Line
from tests.cli.running import environment
from tests.cutover.post import Senders, mark_of
from tests.faults.plain import Plain
from tests.journey_faults.nursery import Child, Nursery, Ran
from tests.servers.hoster import PASSWORD, Hoster
from tests.servers.process import HOST

NAME = "estate"
WHO = "Olga Weiss"
FOLDERS = (b"INBOX", b"Sent", b"Archive")
WRITERS = 4
TASK = 0.3
"""Seconds that a task at the hoster takes at least."""
POLL = 0.01
TOLERANCE = 0.05
"""Seconds that two processes may see the same moment apart."""


@dataclass
class Estate:
    """See the module."""

    home: Path
    nursery: Nursery
    hoster: Hoster
    old: str
    new: str
    addresses: tuple[str, ...]
    world: list[Senders]
    before: dict[str, list[str]]
    """Marks of what lay in each account when all began."""
    worker: Child | None = None
    kills: list[tuple[str, str]] = field(default_factory=list)
    """Of what step, and how far it was, when the worker was killed."""

    def run(self, *words: str) -> Ran:
        """`mailhaul WORDS`."""
        return self.nursery.run(words, home=self.home, environ=environment(self.home))

    def order(self, *words: str) -> Ran:
        """`mailhaul WORDS`, which must be carried out."""
        ran = self.run(*words)
        assert ran.code == 0, f"mailhaul {' '.join(words)}: {ran.code}\n{ran.text}"
        return ran

    def insist(self, *words: str, seconds: float = 60) -> None:
        """`mailhaul WORDS`, again and again until it is carried out."""
        deadline = time.monotonic() + seconds
        while (ran := self.run(*words)).code:
            assert time.monotonic() < deadline, f"mailhaul {' '.join(words)}: {ran.text}"
            time.sleep(0.5)

    def start_worker(self) -> None:
        self.worker = self.nursery.start(
            ("worker",), home=self.home, environ=environment(self.home), log=self.home / "worker"
        )

    def kill_worker(self) -> None:
        assert self.worker is not None
        assert self.worker.kill() < 0, f"the worker ended by itself\n{self.said()}"

    def said(self) -> str:
        """The end of what the worker said."""
        log = self.home / "worker"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    # what the tables say

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the installation's database, without any lock."""
        file = self.home / "state" / "mailhaul" / "mailhaul.sqlite"
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            return connection.execute(question, values).fetchall()
        finally:
            connection.close()

    def moves(self) -> Counter[str]:
        """How many accounts are in which state of their move."""
        return Counter(state for (state,) in self.ask("SELECT state FROM account_move"))

    def mailboxes(self) -> Counter[str]:
        return Counter(state for (state,) in self.ask("SELECT state FROM mailbox"))

    def steps(self) -> set[tuple[str, str]]:
        """Which kinds of steps stand how far: told (the provider may have heard of it), waits (it
        has given a task), done."""
        rows = self.ask(
            "SELECT DISTINCT kind, CASE WHEN state = 'done' THEN 'done' WHEN task = '' THEN 'told' "
            "ELSE 'waits' END FROM account_step WHERE state IN ('begun', 'done')"
        )
        return {(kind, how) for kind, how in rows}

    def shown(self) -> str:
        """How everything stands, for whoever reads a failure."""
        moves = self.ask("SELECT state, step, reason, cause FROM account_move")
        steps = self.ask(
            "SELECT move_id, position, part, kind, state, task, said FROM account_step "
            "WHERE state <> 'done'"
        )
        boxes = self.ask("SELECT address, state, reason FROM mailbox")
        lines = [*map(str, moves), *map(str, steps), *map(str, boxes)]
        return "\n".join([*lines, self.said(), self.hoster.log()[-2000:]])

    def until(self, what: str, over: Callable[[], bool], seconds: float = 90) -> None:
        """Waits. Raises `AssertionError` with how it stands when it takes too long."""
        deadline = time.monotonic() + seconds
        while not over():
            assert self.worker is None or self.worker.poll() is None, self.said()
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}\n{self.shown()}"
            time.sleep(0.2)

    def killed_at_every_step(self, seconds: float) -> None:
        """Kills the worker whenever a kind of step is seen as far as it wasn't before, until every
        account has moved."""
        met: set[tuple[str, str]] = set()
        deadline = time.monotonic() + seconds
        while self.moves()["moved"] < len(self.addresses):
            assert time.monotonic() < deadline, f"not moved in {seconds} s\n{self.shown()}"
            if fresh := sorted(self.steps() - met):
                met.add(fresh[0])
                self.kill_worker()
                self.kills.append(fresh[0])
                self.start_worker()
            assert self.moves()["failed"] == 0, self.shown()
            time.sleep(POLL)

    # what the servers say

    def held(self, address: str) -> Counter[str]:
        """The marks of all that lies in the account at the new service."""
        server = self.hoster.server(self.new)
        found: Counter[str] = Counter()
        with Plain(server.host, server.port, address, PASSWORD) as line:
            for folder in FOLDERS:
                line.command(b'SELECT "' + folder + b'"')
                for answer in line.answers(b"UID FETCH 1:* BODY.PEEK[HEADER]"):
                    found.update(mark_of(each + b"\r\n\r\n") for each in answer.literals)
        return found

    def wrong(self) -> list[str]:
        """Everything that lay in an account, or was taken for it, is there once, and no more."""
        wrong = []
        for address in self.addresses:
            sent = (mark for each in self.world for mark, to in each.sent.items() if to == address)
            wanted, held = Counter([*self.before[address], *sent]), self.held(address)
            wrong += [f"{address}: {mark} is missing" for mark in wanted - held]
            wrong += [f"{address}: {mark} is there too often" for mark in held - wanted]
        return wrong

    def wrong_windows(self) -> list[str]:
        """What is reported of the time in which an address was nowhere is no less than it was, and
        mail was refused in that time only. An account that is handed over is never nowhere."""
        wrong = []
        told = {
            address: (until or 0.0) - (since or 0.0)
            for address, since, until in self.ask(
                "SELECT address, nowhere_from, nowhere_until FROM account_move "
                "JOIN mailbox ON mailbox.id = mailbox_id"
            )
        }
        for address in self.addresses:
            windows = self.hoster.windows(address)
            was = sum(end - begin for begin, end in windows)
            if was > told[address] + TOLERANCE:
                wrong.append(f"{address} was nowhere for {was:.2f} s, told: {told[address]:.2f} s")
            for each in self.hoster.seen(address):
                inside = any(begin <= each["at"] <= end for begin, end in windows)
                if each["event"] == "refused" and not inside:
                    wrong.append(f"{address}: mail was refused though the address was there")
        return wrong

    def longest(self) -> float:
        """The longest time for which an address was nowhere, in seconds."""
        times = [each for address in self.addresses for each in self.hoster.unreachable(address)]
        return max(times, default=0.0)

    def bounced(self) -> int:
        """How often mail was refused; its senders here tried again, others would get it back."""
        seen = [each for address in self.addresses for each in self.hoster.seen(address)]
        return sum(each["event"] == "refused" for each in seen)

    def all_are_ready(self) -> bool:
        """Whether each account has been looked at, and nothing stands in the way."""
        return self.ask("SELECT min(ready) FROM account_move") == [(1,)]

    def sent(self) -> int:
        return sum(len(each.sent) for each in self.world)

    def stop_world(self) -> None:
        for each in self.world:
            each.stop()


@contextmanager
def estate(
    home: Path,
    hoster: Hoster,
    line: Line,
    accounts: str,
    people: int,
    each: int,
    every: float,
) -> Iterator[Estate]:
    """The plan is written and nothing has been started; the world begins to write at once, to
    everybody once in `every` seconds. `accounts`: that section of the plan; `each`: messages in
    each account before."""
    domain = f"{line.value}.estate{time.monotonic_ns()}.test"
    old = hoster.sell(line, domain, seconds=TASK)
    new = hoster.sell(Line.EXCHANGE, domain, seconds=TASK)
    addresses = tuple(f"p{number}@{domain}" for number in range(people))
    hoster.accounts(old, *addresses)
    hoster.placeholders(new, people + 1)
    before = {address: _fill(hoster, old, address, each) for address in addresses}
    with ExitStack() as stack:
        nursery = stack.enter_context(Nursery())
        gap = every / people * WRITERS
        parts = [addresses[number::WRITERS] for number in range(WRITERS)]
        world = [
            stack.enter_context(
                Senders(f"world{number}", part, lambda _: HOST, hoster.smtp, every=gap)
            )
            for number, part in enumerate(parts)
            if part
        ]
        made = Estate(home, nursery, hoster, old, new, addresses, world, before)
        _write_plan(made, accounts)
        yield made
        made.stop_world()


def _fill(hoster: Hoster, service: str, address: str, each: int) -> list[str]:
    server = hoster.server(service)
    marks = []
    with Plain(server.host, server.port, address, PASSWORD) as line:
        for folder in FOLDERS[1:]:
            line.command(b'CREATE "' + folder + b'"')
        for number in range(each):
            mark = f"before-{number}-{address}"
            text = f"Subject: {mark}\r\nMessage-ID: <{mark}>\r\nX-Proof: {mark}\r\n\r\nOld.\r\n"
            line.append(FOLDERS[number % len(FOLDERS)], text.encode(), ["\\Seen"])
            marks.append(mark)
    return marks


def _write_plan(place: Estate, accounts: str) -> None:
    secrets = place.home / "secrets"
    secrets.mkdir(parents=True)
    for name, text in (("mailbox", PASSWORD), ("hoster", place.hoster.token)):
        (secrets / name).write_text(f"{text}\n")
        (secrets / name).chmod(0o600)
    rows = ["address", *place.addresses]
    (place.home / "mailboxes.csv").write_text("\n".join(rows) + "\n")
    sides = []
    for side, service in (("source", place.old), ("target", place.new)):
        server = place.hoster.server(service)
        sides.append(f"""
[{side}]
url = "imap://{{address}}@{server.host}:{server.port}"
secret = "file:secrets/mailbox"
[{side}.provider]
kind = "lab"
service = "{service}"
url = "{place.hoster.url}"
secret = "file:secrets/hoster"
""")
    (place.home / "plan.toml").write_text(f"""
name = "{NAME}"
{"".join(sides)}
[accounts]
{accounts}
[deltas]
every = "3s"
[sweeps]
every = "1s"
for = "4s"
until_quiet = 1
[gates]
accounts = ["{WHO}"]
go = ["{WHO}"]
sign_off = ["{WHO}"]
""")
