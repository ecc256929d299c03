"""`make demo`: a weekend's migration of eight mailboxes, rehearsed on this machine in a minute and
a half, with the real command line, by a clock that is wound.

Two embedded servers; people at work while their mail moves; a throttle, a cut line, a full mailbox,
a wrong password, a message that nobody wants, a worker that dies. What is there in the end is
counted by other code than mailhaul's own. Returns 0 only when everything is where it should be.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.message import NO_FLAGS
from mailhaul.journey.states import State
from mailhaul.lab.mail import SampleMessage, sample_mailbox
from mailhaul.lab.oracle import Count, counted, report_faults
from mailhaul.lab.people import People, Where, close
from mailhaul.lab.screen import Screen
from mailhaul.lab.stage import Seen, Stage, stage

SPEED = 3600.0
"""An hour of the weekend in a second."""
PATIENCE = 150.0
"""Seconds after which what doesn't come is given up."""
DOMAIN = "rosenberg.example"
PILOT = ("ada", "ben")
OTHERS = ("carla", "dora", "emil", "frida", "gustav", "hanna")
THROTTLED, CUT, FULL, POISONED, FORGOTTEN = "ben", "carla", "dora", "emil", "hanna"
FOLDERS: tuple[FolderPath, ...] = (
    INBOX_PATH,
    ("Sent",),
    ("Archive",),
    ("Archive", "2025"),
    ("日本語",),
)
MARK = "X-Rehearsal: nobody wants this"
LEAD, WITNESS = "Ada Adler", "Ben Bauer"
ROOM = 20
QUIET = timedelta(hours=42)
"""So long after the switch nothing comes in any more: sweeps have to be empty to come to an end."""

_PLAN = """\
# Everything moves this weekend.
name = "rosenberg"
time_zone = "UTC"
cutover = {cutover:%Y-%m-%d %H:%M:%S}

[source]
url = "imap://{{address}}@{old}"
secret = "file:secrets/old/{{address}}"

[target]
url = "imap://{{address}}@{new}"
secret = "file:secrets/new/{{address}}"

[target.budget]
connections = 6             # of all mailboxes together
messages_per_second = 0.05  # 180 an hour

[carry]
delete = "mirror"           # until the switch; after it nothing is ever removed

[deltas]
every = "2h"

[sweeps]
every = "1h"
for = "48h"

[gates]
objects = ["{lead}"]
go = ["{lead}", "{witness}"]
sign_off = ["{lead}"]

[[waves]]
name = "pilot"
cutover = {pilot:%Y-%m-%d %H:%M:%S}

[[waves]]
name = "everybody"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo in this terminal; 0 when all of it came out right, else 1."""
    parser = argparse.ArgumentParser(prog="python -m mailhaul.lab.demo", description=__doc__)
    parser.add_argument("--directory", type=Path, help="where everything is kept afterwards")
    given = parser.parse_args(arguments).directory
    directory = given or Path(tempfile.mkdtemp(prefix="mailhaul-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    screen = Screen()
    try:
        with stage(directory, "old.example", "new.example") as found:
            wrong = _Story(found, screen).told()
    except (MailhaulError, TimeoutError) as error:
        wrong = [str(error)]
    finally:
        screen.pause()
    for each in wrong:
        screen.say(f"WRONG: {each}", "bad")
    seconds = time.monotonic() - started
    if wrong:
        screen.say(f"The demo failed ({seconds:.0f} s). Everything is in {directory}", "bad")
        return 1
    screen.say(f"The weekend took {seconds:.0f} seconds. Everything is kept in {directory}:")
    screen.say(f"  the report          {directory / 'rosenberg-report' / 'report.html'}")
    screen.say(
        f"  who did what when   mailhaul log rosenberg --state {directory / 'state/mailhaul'}"
    )
    screen.say("With a plan of your own: mailhaul init, then mailhaul rehearse plan.toml")
    return 0


class _Story:
    """The script."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._people: People | None = None
        self._met: set[tuple[str, str]] = set()
        self._begin = _next_friday(datetime.now(UTC))
        self._cutovers = {
            "pilot": self._begin + timedelta(hours=16),
            "everybody": self._begin + timedelta(hours=20),
        }
        screen.stage = stage
        screen.title = self._title

    def told(self) -> list[str]:
        """Tells it to its end or its first failure; returns what went wrong."""
        people = self._people = self._cast()
        try:
            return (
                self._prepare()
                or self._copy()
                or self._switch(PILOT, "pilot", WITNESS)
                or self._switch(OTHERS, "everybody", LEAD)
                or self._weekend()
                or self._monday_morning()
            )
        finally:
            people.stop()
            close(people.people.values())

    # before

    def _cast(self) -> People:
        messages = octets = 0
        cast = []
        for number, name in enumerate((*PILOT, *OTHERS)):
            person = self._stage.person(_address(name), FOLDERS)
            sample = sample_mailbox(110 + 70 * (number % 4), seed=number, keywords=False)
            kept = [each for each in sample if each.folder in FOLDERS]
            octets += person.fill(kept)
            messages += len(kept)
            cast.append(person)
            if name == POISONED:
                person.arrive(_poison(person.address), poison=True)
                messages += 1
        self._screen.say(
            f"Rosenberg AG moves to a new mail system this weekend: {len(cast)} mailboxes, "
            f"{messages} messages, {octets / 1e6:.1f} MB. Both systems run on this machine, in "
            f"memory. The plan and the list of mailboxes:"
        )
        return People(cast)

    def _prepare(self) -> list[str]:
        stage, screen = self._stage, self._screen
        plan = _PLAN.format(
            old=f"{stage.old.host}:{stage.old.port}",
            new=f"{stage.new.host}:{stage.new.port}",
            cutover=self._cutovers["everybody"],
            pilot=self._cutovers["pilot"],
            lead=LEAD,
            witness=WITNESS,
        )
        (stage.directory / "plan.toml").write_text(plan, encoding="utf-8")
        rows = [f"{_address(each)},pilot" for each in PILOT]
        rows += [f"{_address(each)},everybody" for each in OTHERS]
        listed = "\n".join(["address,wave", *rows, ""])
        (stage.directory / "mailboxes.csv").write_text(listed, encoding="utf-8")
        stage.write_secret("old", _address(FORGOTTEN), "her-password-of-last-year")
        stage.new.order("throttle", _address(THROTTLED), 1, 900)
        stage.new.order("cut", _address(CUT), 30)
        stage.new.order("room", _address(FULL), ROOM)
        stage.new.order("poison", MARK)
        for words, code in (
            (["plan", "check", "plan.toml"], 0),
            (["check", "plan.toml", "--quiet"], 3),
        ):
            ran = screen.run(words, shown=True)
            if ran.code != code:
                return [f"mailhaul {words[0]} ended with exit code {ran.code}, and not {code}"]
        screen.say(
            f"{FORGOTTEN.title()}'s password is wrong, and mailhaul will not try it again until it "
            "is another one. That holds nobody else up. So it begins: from here on an hour takes a "
            "second."
        )
        stage.wind(SPEED, self._begin.timestamp())
        if wrong := self._order("start", "plan.toml"):
            return wrong
        stage.start_worker()
        assert self._people is not None
        self._people.begin()
        screen.watch()
        self._until(
            "every mailbox to be checked",
            lambda rows: all(row.state in (State.CHECKED, State.WAITING) for row in rows),
        )
        return self._order("approve", "rosenberg", "--gate", "objects", "--as", LEAD, "--yes")

    def _copy(self) -> list[str]:
        stage, screen = self._stage, self._screen
        screen.tell("The copies begin, newest mail keeps coming in, and people go on working.")
        self._until(
            "the copies to be under way", lambda rows: sum(row.copied for row in rows) > 150
        )
        stage.kill_worker()
        screen.tell("The power fails: kill -9. Nobody was asked.", "trouble")
        stage.start_worker()
        self._until("the worker to be back", lambda rows: stage.count("delayed") >= 0)
        screen.tell(
            "The power is back; every mailbox goes on where the ledger says it stood.", "good"
        )
        self._until("the mailbox to be full", lambda rows: _one(rows, FULL).state is State.FAILED)
        stage.new.order("room", _address(FULL), -1)
        screen.tell(f"{FULL.title()} is given room, and a person says so:")
        if wrong := self._order("retry", "rosenberg", "--mailbox", _address(FULL)):
            return wrong
        self._until(
            "everybody but one to be synced",
            lambda rows: all(row.state is State.SYNCED for row in rows if row.user != FORGOTTEN),
        )
        tries = stage.old.seen().get((_address(FORGOTTEN), "refused login"), 0)
        stage.write_secret("old", _address(FORGOTTEN), f"old-password-of-{_address(FORGOTTEN)}")
        screen.tell(
            f"{FORGOTTEN.title()}'s password is corrected in its file. It had been tried {tries} "
            "times: once by the check, once by the plan. Nobody need say that it is right now.",
        )
        self._until(
            "everybody to be synced", lambda rows: all(row.state is State.SYNCED for row in rows)
        )
        after = stage.old.seen().get((_address(FORGOTTEN), "refused login"), 0)
        if after != tries or tries > 2:
            return [f"a wrong password was tried {after} times"]
        return []

    # the switch

    def _switch(self, names: Collection[str], wave: str, who: str) -> list[str]:
        addresses = [_address(each) for each in names]
        people, screen = self._people, self._screen
        assert people is not None
        self._until("the hour of the cutover", lambda rows: self._stage.now >= self._cutovers[wave])
        people.move(addresses, Where.GONE_HOME)
        screen.tell(
            f"Wave “{wave}” leaves the old system; one last pass, then go or no-go.", "head"
        )
        before = {row.address: row.passes for row in self._stage.look()}
        if wrong := self._order("sync", "rosenberg", "--wave", wave):
            return wrong
        self._until(
            "the last pass before the switch",
            lambda rows: (
                all(
                    row.state is State.SYNCED and row.passes > before[row.address]
                    for row in rows
                    if row.address in addresses
                )
                and self._idle(addresses)
            ),
        )
        words = ["approve", "rosenberg", "--gate", "go", "--wave", wave, "--as", who, "--yes"]
        if wrong := self._order(*words):
            return wrong
        self._until(
            "the final pass",
            lambda rows: all(
                row.state in (State.SWEEPING, State.VERIFYING, State.VERIFIED)
                for row in rows
                if row.address in addresses
            ),
        )
        people.move(addresses, Where.NEW)
        screen.tell(f"Wave “{wave}” works at the new system. Sweeps begin, every hour.", "good")
        return []

    def _idle(self, addresses: Collection[str]) -> bool:
        return not self._stage.under_way(addresses)

    def _weekend(self) -> list[str]:
        people, screen, stage = self._people, self._screen, self._stage
        assert people is not None
        begun = stage.now
        told = begun
        quiet = False

        def over(rows: Sequence[Seen]) -> bool:
            nonlocal told, quiet
            now = stage.now
            if now - told >= timedelta(hours=12):
                told = now
                done = people.done
                screen.tell(
                    f"{sum(row.sweeps for row in rows)} sweeps so far; meanwhile "
                    f"{done['arrived']} messages came in, {done['read or marked']} were read or "
                    f"marked, {done['moved']} moved, {done['deleted']} deleted."
                )
            if not quiet and now - begun >= QUIET:
                quiet = True
                people.move(people.people, Where.AWAY)
                screen.tell("Nobody writes to the old system any more.")
            return all(row.state is State.VERIFIED for row in rows)

        self._until("the sweeps and the verification", over)
        screen.tell(
            "Swept for 48 hours, then quiet; both sides compared, message by message.", "good"
        )
        return []

    # after

    def _monday_morning(self) -> list[str]:
        screen, stage, people = self._screen, self._stage, self._people
        assert people is not None
        people.stop()
        screen.pause()
        screen.table(stage.look())
        screen.say(
            "One message never got through: the new system takes it for malware. "
            f"{POISONED.title()}'s mailbox is graded “investigate” until a named person has "
            "looked at that."
        )
        words = ["approve", "rosenberg", "--mailbox", _address(POISONED), "--as", LEAD]
        if wrong := self._order(*words) or self._order(
            "complete", "rosenberg", "--as", LEAD, "--yes"
        ):
            return wrong
        if (code := stage.stop_worker()) != 130:
            return [f"the worker ended with exit code {code}"]
        if wrong := self._order("log", "rosenberg", "--proof", lines=1):
            return wrong
        for words in (
            ["status", "rosenberg"],
            ["report", "rosenberg"],
            ["report", "verify", "rosenberg-report"],
        ):
            if wrong := self._order(*words, shown=True):
                return wrong
        return self._judged([counted(each) for each in people.people.values()])

    def _judged(self, counts: Sequence[Count]) -> list[str]:
        screen = self._screen
        screen.say(
            "Is it true? Counted by other code, from what people did and nothing else:", "head"
        )
        screen.line(f"  {'mailbox':<10}{'old':>6}{'refused':>9}{'new':>7}{'should be':>11}")
        wrong = []
        for each in counts:
            verdict = "as it should be" if not each.wrong else "WRONG"
            screen.line(
                f"  {each.address.partition('@')[0]:<10}{each.old:>6}{each.refused:>9}{each.new:>7}"
                f"{each.expected:>11}  {verdict}"
            )
            wrong += [f"{each.address}: {what}" for what in each.wrong]
        met = {kind for _, kind in self._stage.new.seen()}
        for kind in ("throttle", "cut", "full", "poison"):
            if kind not in met:
                wrong.append(f"the new system's {kind} never came to pass")
        return wrong + report_faults(self._stage.directory / "rosenberg-report", counts)

    # how it goes on

    def _order(self, *words: str, shown: bool = False, lines: int | None = None) -> list[str]:
        ran = self._screen.run(words, shown=shown, lines=lines)
        if ran.code:
            return [f"mailhaul {words[0]} ended with exit code {ran.code}"]
        return []

    def _until(self, what: str, over: Callable[[Sequence[Seen]], bool]) -> None:
        """Waits, tells what happens meanwhile. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while True:
            rows = self._stage.look()
            self._tell_troubles(rows)
            self._screen.refresh(rows)
            if over(rows):
                return
            self._stage.check_worker()
            if time.monotonic() > deadline:
                stand = "; ".join(f"{row.user} {row.state} {row.reason}" for row in rows)
                raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}: {stand}")
            time.sleep(0.12)

    def _tell_troubles(self, rows: Sequence[Seen]) -> None:
        seen = [*self._stage.new.seen()]
        seen += [(row.address, row.state.value) for row in rows]
        for address, kind in seen:
            if (address, kind) in self._met or kind not in _TROUBLES:
                continue
            self._met.add((address, kind))
            name = address.partition("@")[0].title()
            self._screen.tell(_TROUBLES[kind].format(name=name), "trouble")

    def _title(self, rows: Sequence[Seen]) -> str:
        sweeps = max((row.sweeps for row in rows), default=0)
        swept = f", sweep {sweeps}" if sweeps else ""
        return f"Rosenberg AG, {SPEED:,.0f} times as fast{swept}"


_TROUBLES = {
    "throttle": "The new system asks to leave {name}'s mailbox alone for 15 minutes. So be it.",
    "cut": "{name}'s line is cut while the new system stores a message: has it got it, or not? "
    "mailhaul looks before it sends again.",
    "full": "{name}'s new mailbox is full. That is for a person; her journey stops, no other does.",
    "poison": "The new system refuses one message of {name}'s for good. It is kept on a list.",
    "waiting": "{name}'s old password is refused: the mailbox waits for another, and asks nobody.",
}


def _one(rows: Sequence[Seen], name: str) -> Seen:
    return next(row for row in rows if row.user == name)


def _address(name: str) -> str:
    return f"{name}@{DOMAIN}"


def _poison(address: str) -> SampleMessage:
    text = (
        f"From: <nobody@elsewhere.example>\r\nTo: <{address}>\r\nSubject: Invoice, urgent\r\n"
        f"Message-ID: <poison@rehearsal>\r\n{MARK}\r\n\r\nOpen this at once.\r\n"
    )
    received = datetime(2026, 1, 5, 9, tzinfo=UTC)
    return SampleMessage(INBOX_PATH, text.encode(), NO_FLAGS, received)


def _next_friday(now: datetime) -> datetime:
    """Five in the morning of the next Friday that is still to come."""
    day = now + timedelta(days=(4 - now.weekday()) % 7 or 7)
    return day.replace(hour=5, minute=0, second=0, microsecond=0)


if __name__ == "__main__":
    sys.exit(main())
