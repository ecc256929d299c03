"""An organisation on the night of its switch: two real mail systems with their exchanges, a real
zone and a real caching resolver, a plan that runs, and a world that keeps writing.

Dovecot is the old system and Cyrus the new one; Knot holds the zone, Unbound remembers what it
said for as long as its TTL allows.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.running import environment
from tests.cutover.post import Inbox, Senders, by_resolver, mark_of
from tests.faults.plain import Plain
from tests.journey_faults.nursery import Child, Nursery, Ran
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.knot import Knot
from tests.servers.mx import MailExchange
from tests.servers.process import Account, RunningServer, free_port
from tests.servers.unbound import Unbound

NAME = "town"
WHO = "Olga Weiss"
TTL = 3
"""Seconds that a resolver may remember the MX."""
BEFORE = 25
"""Messages that lie in each old mailbox when all begins."""
FOLDERS = (b"INBOX", b"Sent", b"Archive")


@dataclass
class Citizen:
    """An address and its two mailboxes."""

    address: str
    old: Inbox
    new: Inbox
    before: list[str] = field(default_factory=list)
    """Marks of what was there when all began."""


@dataclass
class Town:
    """See the module."""

    home: Path
    nursery: Nursery
    domain: str
    knot: Knot
    unbound: Unbound
    old: RunningServer
    new: RunningServer
    old_host: str
    new_host: str
    smtp: int
    citizens: list[Citizen]
    world: Senders
    laggards: Senders
    worker: Child | None = None

    def run(self, *words: str) -> Ran:
        """`mailhaul WORDS`."""
        return self.nursery.run(words, home=self.home, environ=environment(self.home))

    def order(self, *words: str) -> Ran:
        """`mailhaul WORDS`, which must be carried out."""
        ran = self.run(*words)
        assert ran.code == 0, f"mailhaul {' '.join(words)}: {ran.code}\n{ran.text}"
        return ran

    def insist(self, *words: str, seconds: float = 60) -> Ran:
        """`mailhaul WORDS`, again and again until it is carried out."""
        deadline = time.monotonic() + seconds
        while (ran := self.run(*words)).code:
            assert time.monotonic() < deadline, f"mailhaul {' '.join(words)}: {ran.text}"
            time.sleep(0.5)
        return ran

    def start_worker(self) -> None:
        self.worker = self.nursery.start(
            ("worker",), home=self.home, environ=environment(self.home), log=self.home / "worker"
        )

    def status(self) -> dict[str, Any]:
        """What `mailhaul status --json` says of the plan."""
        lines = self.run("status", NAME, "--json").lines
        return next(line for line in lines if line["event"] == "status")

    def until(self, what: str, over: Callable[[dict[str, Any]], bool], seconds: float = 90) -> None:
        """Waits. Raises `AssertionError` with how it stands when it takes too long."""
        deadline = time.monotonic() + seconds
        while not over(status := self.status()):
            assert self.worker is None or self.worker.poll() is None, self.said()
            if time.monotonic() > deadline:
                shown = self.run("status", NAME).text
                raise AssertionError(
                    f"waited {seconds} s for {what}: {status}\n{shown}\n{self.said()}"
                )
            time.sleep(0.3)

    def all_are(self, *states: str) -> Callable[[dict[str, Any]], bool]:
        return lambda status: (
            sum(status["states"].get(each, 0) for each in states) == len(self.citizens)
        )

    def said(self) -> str:
        """The end of what the worker said."""
        log = self.home / "worker"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    def canaries(self) -> list[dict[str, Any]]:
        """Every probe and marked message of the plan."""
        lines = self.run("canary", NAME, "--json").lines
        return [line for line in lines if line["event"] == "canary"]

    def mx(self) -> list[str]:
        """What the zone says, as its own server has it."""
        return self.knot.values(self.domain, "MX")

    def delivered(self, side: str) -> int:
        """How many messages have come in on that side."""
        return sum(len(getattr(citizen, side).marks) for citizen in self.citizens)

    @property
    def before(self) -> int:
        return sum(len(citizen.before) for citizen in self.citizens)

    def accounts_for(self, side: str) -> list[str]:
        """What is wrong with that side's mailboxes: everything that was there or has arrived on
        either side is to be in them once. Canaries are none of the new side's; nothing is ever
        removed at the old one."""
        wrong = []
        for citizen in self.citizens:
            inbox = citizen.old if side == "old" else citizen.new
            wanted = Counter([*citizen.before, *citizen.old.marks, *citizen.new.marks])
            del wanted[""]
            held = Counter(marks(inbox.server, inbox.account))
            strange = held.pop("", 0)
            faults = [f"{mark} is missing" for mark in wanted - held]
            faults += [f"{mark} is there {held[mark]} times" for mark in held - wanted]
            if strange and side == "new":
                faults.append(f"{strange} messages of ours have been left there")
            wrong += [f"{citizen.address}: {fault}" for fault in faults]
        return wrong


def marks(server: RunningServer, account: Account) -> list[str]:
    """Of every message of the mailbox."""
    found = []
    with Plain(server.host, server.port, account.user, account.password) as line:
        for folder in FOLDERS:
            line.command(b'SELECT "' + folder + b'"')
            for answer in line.answers(b"UID FETCH 1:* BODY.PEEK[HEADER]"):
                found += [mark_of(each + b"\r\n\r\n") for each in answer.literals]
    return found


@contextmanager
def town(
    home: Path, dovecot: Dovecot, cyrus: Cyrus, knot: Knot, unbound: Unbound, *, people: int = 4
) -> Iterator[Town]:
    """The plan is written and nothing has been started; the world begins to write at once."""
    domain = knot.fresh("town")
    old_host, new_host = (
        f"127.{random.randrange(64, 127)}.{random.randrange(256)}.9" for _ in "on"
    )
    smtp = free_port()
    knot.zone(
        domain,
        f"@ {TTL} MX 10 mx.old.{domain}.",
        f'@ {TTL} TXT "v=spf1 a:mx.old.{domain} a:mx.new.{domain} -all"',
        f"mx.old {TTL} A {old_host}",
        f"mx.new {TTL} A {new_host}",
    )
    unbound.serve(domain, [knot])
    citizens = [
        Citizen(
            f"p{number}@{domain}", Inbox(dovecot, dovecot.account()), Inbox(cyrus, cyrus.account())
        )
        for number in range(people)
    ]
    for citizen in citizens:
        _fill(citizen)
    addresses = tuple(each.address for each in citizens)
    with ExitStack() as stack:
        for host, side in ((old_host, "old"), (new_host, "new")):
            inboxes = {each.address: getattr(each, side) for each in citizens}
            stack.enter_context(
                MailExchange(inboxes, name=f"mx.{side}.{domain}", host=host, port=smtp)
            )
            for inbox in inboxes.values():
                stack.callback(inbox.close)
        route = by_resolver(unbound.address, unbound.port)
        found = Town(
            home=home,
            nursery=stack.enter_context(Nursery()),
            domain=domain,
            knot=knot,
            unbound=unbound,
            old=dovecot,
            new=cyrus,
            old_host=old_host,
            new_host=new_host,
            smtp=smtp,
            citizens=citizens,
            world=stack.enter_context(Senders("world", addresses, route, smtp, every=0.5)),
            laggards=stack.enter_context(
                Senders("laggard", addresses, lambda _: old_host, smtp, every=1.0)
            ),
        )
        _write_plan(found)
        yield found


def _fill(citizen: Citizen) -> None:
    account = citizen.old.account
    with Plain(
        citizen.old.server.host, citizen.old.server.port, account.user, account.password
    ) as line:
        for folder in FOLDERS[1:]:
            line.command(b'CREATE "' + folder + b'"')
        for number in range(BEFORE):
            mark = f"before-{number}-{citizen.address}"
            text = f"Subject: {mark}\r\nMessage-ID: <{mark}>\r\nX-Proof: {mark}\r\n\r\nOld.\r\n"
            line.append(FOLDERS[number % len(FOLDERS)], text.encode(), ["\\Seen"])
            citizen.before.append(mark)


def _write_plan(town: Town) -> None:
    secrets = town.home / "secrets"
    secrets.mkdir(parents=True)

    def secret(name: str, text: str) -> str:
        (secrets / name).write_text(f"{text}\n")
        (secrets / name).chmod(0o600)
        return f"file:secrets/{name}"

    rows = ["address,source,target,source_secret,target_secret"]
    for number, citizen in enumerate(town.citizens):
        old, new = citizen.old.account, citizen.new.account
        rows.append(
            f"{citizen.address},{town.old.url(old)},{town.new.url(new)},"
            f"{secret(f'old{number}', old.password)},{secret(f'new{number}', new.password)}"
        )
    (town.home / "mailboxes.csv").write_text("\n".join(rows) + "\n")
    key = town.knot.key
    (town.home / "plan.toml").write_text(f"""
name = "{NAME}"
[source]
url = "imap://{{user}}@{town.old.host}:{town.old.port}"
[target]
url = "imap://{{user}}@{town.new.host}:{town.new.port}"
[deltas]
every = "3s"
[sweeps]
every = "2s"
for = "25s"
until_quiet = 2
[gates]
go = ["{WHO}"]
sign_off = ["{WHO}"]
[dns]
mx = ["10 mx.new.{town.domain}"]
spf = ["a:mx.new.{town.domain}"]
ttl = "{TTL}s"
every = "2s"
resolvers = ["{town.unbound.address}@{town.unbound.port}"]
port = {town.knot.port}
allow_networks = ["127.0.0.0/8"]
[canary]
on = true
per_minute = 120.0
port = {town.smtp}
[dns.writer]
kind = "rfc2136"
server = "{town.knot.address}"
port = {town.knot.port}
key = "{key.name}"
algorithm = "{key.algorithm}"
secret = "{secret("tsig", key.secret)}"
""")
