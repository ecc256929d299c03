"""What a report says after faults is what an oracle counts that reads both servers.

Every run is a plan of its own with one mailbox, worked on by `mailhaul run` until only people are
waited for; on the way its process is killed, its connections are cut, its target refuses large
messages, or its password is wrong until somebody mends that. Runs go side by side.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from tests.faults import soaking
from tests.faults.cutting_proxy import Action, Cut, CuttingProxy
from tests.faults.framing import Moment, Place
from tests.faults.oracle import Contents
from tests.faults.plain import Plain, quoted
from tests.faults.soaking import SEED
from tests.journey_faults.house import NAME, House, Wishes
from tests.journey_faults.kills import WAITS_FOR_PEOPLE, Killer
from tests.journey_faults.nursery import Nursery
from tests.journey_faults.owner import Side, contents
from tests.servers.dovecot import Dovecot
from tests.servers.process import RunningServer

RUNS = soaking.KILLS * 26 // 50
AT_ONCE = 10
MESSAGES = 25
LARGEST = 60_000
CREDENTIALS = 4

TARGET_CUTS = (
    Moment(Place.COMMAND, "APPEND"),
    Moment(Place.LITERAL_HALF, "APPEND"),
    Moment(Place.SENT, "APPEND"),
    Moment(Place.ANSWER, "APPEND"),
    Moment(Place.ANSWER_HALF, "APPEND"),
)
SOURCE_CUTS = (
    Moment(Place.BODY, "FETCH"),
    Moment(Place.BODY_HALF, "FETCH"),
    Moment(Place.UNTAGGED_HALF, "FETCH"),
)


class Fault(StrEnum):
    KILLED = "killed"
    CUT = "cut"
    REFUSED = "refused"
    PASSWORD = "a wrong password"


@dataclass(slots=True)
class Tally:
    """What runs met, and what was wrong with their reports."""

    met: Counter[str]
    wrong: list[str]


@pytest.fixture(scope="module")
def narrow() -> Iterator[Dovecot]:
    """A target that takes no large messages."""
    with Dovecot(largest_message=LARGEST) as server:
        yield server


@pytest.mark.soak
@pytest.mark.timeout(0 if soaking.SOAKING else 1200)
def test_the_figures_are_the_oracle_s_whatever_happened_on_the_way(
    dovecot: RunningServer, narrow: Dovecot, nursery: Nursery, states: Path
) -> None:
    began = time.monotonic()
    tally = Tally(Counter(), [])

    def one(number: int) -> None:
        fault = [*Fault][number % len(Fault)]
        draw = random.Random(f"reports {SEED} {number}")
        new = narrow if fault is Fault.REFUSED else dovecot
        wishes = Wishes(people=1, waves=("one",), objects=False)
        house = House(states / str(number), nursery, dovecot, new, wishes, draw)
        try:
            with _fault(house, fault, tally):
                tally.wrong += [f"run {number} ({fault}): {each}" for each in _wrong(house)]
        finally:
            house.end()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for run in [pool.submit(one, number) for number in range(RUNS)]:
            run.result()
    print(f"{RUNS} runs in {time.monotonic() - began:.0f} s, of which met: {dict(tally.met)}")
    assert not tally.wrong, "\n".join(tally.wrong[:20])
    for fault in Fault:
        assert tally.met[fault] >= RUNS // len(Fault) // 2, f"{fault}: the faults do not bite"


@contextmanager
def _fault(house: House, fault: Fault, tally: Tally) -> Iterator[None]:
    """Works on the house until only people are waited for, meeting the fault on the way."""
    house.make()
    (owner,) = house.owners
    owner.fill(MESSAGES)
    match fault:
        case Fault.KILLED:
            house.must("start", "plan.toml")
            killer = Killer(house, house.draw, ("run", "plan.toml", "--quiet"))
            for _ in range(2):
                killer.kill(killer.begun("initial"), most=0.1)
            tally.met[fault] += bool(killer.kills)
            tally.wrong += killer.wrong
            _worked(house, WAITS_FOR_PEOPLE)
            yield
        case Fault.CUT:
            at_source = house.draw.random() < 0.4
            server = house.old if at_source else house.new
            cut = Cut(
                house.draw.choice(SOURCE_CUTS if at_source else TARGET_CUTS),
                house.draw.randint(1, 6),
                house.draw.choice((Action.FIN, Action.RST)),
            )
            with CuttingProxy(server.host, server.port, cut=cut) as proxy:
                house.by_way_of(owner.source if at_source else owner.target, proxy.port)
                _worked(house, WAITS_FOR_PEOPLE)
                tally.met[fault] += proxy.fired
                yield
        case Fault.REFUSED:
            _deliver_large(owner.source, 1 + house.draw.randrange(3))
            _worked(house, WAITS_FOR_PEOPLE)
            tally.met[fault] += 1
            yield
        case Fault.PASSWORD:
            side = house.draw.choice(("old", "new"))
            account = (owner.source if side == "old" else owner.target)[1]
            house.write_secret(side, 0, "wrong")
            _worked(house, CREDENTIALS)
            tally.met[fault] += house.seen.states()["waiting"]
            house.write_secret(side, 0, account.password)
            _worked(house, WAITS_FOR_PEOPLE)
            yield


def _worked(house: House, code: int) -> None:
    ran = house.run("run", "plan.toml", "--quiet")
    assert ran.code == code, f"{house.home.name}: {ran.code} {ran.text}\n{house.crashes}"


def _wrong(house: House) -> Iterator[str]:
    """Where the report and the oracle differ."""
    (owner,) = house.owners
    out = house.home / "report"
    house.must("report", NAME, "--out", str(out))
    house.must("report", "verify", str(out), where=False)
    (told,) = json.loads((out / "report.json").read_text())["mailboxes"]
    old, new = contents(owner.source), contents(owner.target)
    there = {name: _arrived(old, new, name) for name in old}
    counted = {
        name.replace("M&AOQ-rz", "März"): (len(old[name]), count) for name, count in there.items()
    }
    shown = {
        each["source"]: (each["account"]["census"], each["account"]["copied"])
        for each in told["folders"]
    }
    if shown != counted:
        yield f"folders {shown}, counted {counted}"
    census, copied = sum(map(len, old.values())), sum(there.values())
    wanted = {"census": census, "copied": copied, "refused": census - copied}
    wanted |= {"adopted": 0, "skipped": 0, "missing": 0}
    if told["account"] != wanted:
        yield f"shown {told['account']}, counted {wanted}"
    surplus = sum(len(copies) for copies in new.values()) - copied
    if surplus:
        yield f"{surplus} messages too many at the target"
    if len(told["leftovers"]) != census - copied:
        yield f"{len(told['leftovers'])} leftovers for {census - copied} that are not there"
    carried = sum(each["carried"] for each in told["passes"])
    octets = _octets(owner.target)
    if carried != copied:
        passes = [(each["kind"], each["outcome"], each["carried"]) for each in told["passes"]]
        yield f"passes carried {carried}, counted {copied}: {passes}"
    if told["octets"] != octets:
        yield f"{told['octets']} octets, counted {octets}"
    if (passed := sum(each["octets"] for each in told["passes"])) != octets:
        yield f"passes carried {passed} octets, counted {octets}"


def _arrived(old: Contents, new: Contents, name: str) -> int:
    """How many messages of that folder are at the target, exactly as they were."""
    return (Counter(old[name]) & Counter(new.get(name, ()))).total()


def _octets(side: Side) -> int:
    """Of all messages there."""
    server, account = side
    total = 0
    with Plain(server.host, server.port, account.user, account.password) as connection:
        for name in contents(side):
            connection.command(b"EXAMINE " + quoted(name.encode()))
            for answer in connection.answers(b"UID FETCH 1:* (RFC822.SIZE)"):
                if b"RFC822.SIZE " in answer.text:
                    total += int(answer.text.split(b"RFC822.SIZE ")[1].split(b")")[0].split()[0])
    return total


def _deliver_large(side: Side, count: int) -> None:
    server, account = side
    with Plain(server.host, server.port, account.user, account.password) as connection:
        for number in range(count):
            lines = "x" * 76 + "\r\n"
            text = f"Subject: large {number}\r\nMessage-ID: <large{number}@faults.example>\r\n\r\n"
            connection.append(b"INBOX", (text + lines * (LARGEST // 70)).encode())
