"""`make demo`: a weekend's migration of eight mailboxes, rehearsed on this machine in a minute and
a half, with the real command line, by a clock that is wound.

Two embedded servers; people at work while their mail moves; a throttle, a cut line, a full mailbox,
a wrong password, a message that nobody wants, a worker that dies. A subsidiary's accounts move too,
at its hoster (`lab.subsidiary`). What is there in the end is counted by other code than mailhaul's
own. Returns 0 only when everything is where it should be.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailhaul.cli.exits import Exit
from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.journey.states import State
from mailhaul.lab.directing import BACKOFF, Director, Wrong
from mailhaul.lab.hosting import hosting
from mailhaul.lab.mail import MARK, poison, sample_mailbox
from mailhaul.lab.people import People, Where, close
from mailhaul.lab.screen import Screen
from mailhaul.lab.stage import NEW_MX, Seen, Stage, stage
from mailhaul.lab.subsidiary import NAME as SUBSIDIARY
from mailhaul.lab.subsidiary import REPORT as SUBSIDIARY_REPORT
from mailhaul.lab.subsidiary import Subsidiary

SPEED = 3600.0
"""An hour of the weekend in a second."""
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
NAME, REPORT = "rosenberg", "rosenberg-report"
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

{dns}
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
        with (
            stage(directory, "old.example", "new.example", [DOMAIN]) as found,
            hosting(directory / "hoster") as hoster,
        ):
            wrong = _story(found, screen, Subsidiary(hoster, LEAD))
    except MailhaulError as error:
        wrong = [str(error)]
    except KeyboardInterrupt:
        wrong = ["interrupted"]
    finally:
        screen.pause()
    for each in wrong:
        screen.say(f"WRONG: {each}", "bad")
    seconds = time.monotonic() - started
    if wrong:
        screen.say(f"The demo failed ({seconds:.0f} s). Everything is in {directory}", "bad")
        return 1
    screen.say(
        f"Everything is where it should be. The weekend took {seconds:.0f} seconds; it is kept in "
        f"{directory}:",
        "good",
    )
    screen.line(f"  the report     {directory / REPORT / 'report.html'}")
    screen.line(f"  what happened  mailhaul log --state {directory / 'state' / 'mailhaul'}")
    screen.say("With a plan of your own: mailhaul init, then mailhaul rehearse plan.toml")
    return 0


def _story(stage: Stage, screen: Screen, subsidiary: Subsidiary) -> list[str]:
    """Tells it to its end or its first failure; returns what is not where it should be."""
    people = _cast(stage, screen, subsidiary)
    director = Director(stage, screen, NAME, people)
    second = replace(director, plan=SUBSIDIARY)
    screen.stage, screen.title = stage, _title
    friday = _next_friday(datetime.now(UTC))
    pilot, everybody = friday + timedelta(hours=16), friday + timedelta(hours=20)
    try:
        _prepare(director, friday, pilot, everybody)
        _copy(director)
        director.until("the pilot's cutover", lambda rows: stage.now >= pilot)
        director.switch([_address(each) for each in PILOT], "pilot", WITNESS, sync=True)
        director.until("the cutover", lambda rows: stage.now >= everybody)
        _cutover(director)
        _weekend(director, subsidiary, second)
        people.stop()
        _monday_morning(director, subsidiary, second)
        wrong = [*_unmet(stage), *subsidiary.judge()]
        wrong += director.judge(REPORT, SUBSIDIARY_REPORT)
        subsidiary.sum_up(director)
        return wrong
    finally:
        people.stop()
        close(people.people.values())


def _cast(stage: Stage, screen: Screen, subsidiary: Subsidiary) -> People:
    """Everybody with their mailbox, and what is in it."""
    messages = octets = 0
    cast = []
    for number, name in enumerate((*PILOT, *OTHERS)):
        person = stage.person(_address(name), FOLDERS)
        sample = sample_mailbox(110 + 70 * (number % 4), seed=number, keywords=False)
        kept = [each for each in sample if each.folder in FOLDERS]
        octets += person.fill(kept)
        messages += len(kept)
        cast.append(person)
        if name == POISONED:
            person.arrive(poison(person.address), poison=True)
            messages += 1
    screen.say(
        f"Rosenberg AG moves to a new mail system this weekend: {len(cast)} mailboxes, "
        f"{messages} messages, {octets / 1e6:.1f} MB. Both systems run on this machine, in "
        "memory. There are a plan and a list of mailboxes:"
    )
    return People([*cast, *subsidiary.cast(stage)])


def _prepare(director: Director, friday: datetime, pilot: datetime, everybody: datetime) -> None:
    """The plan is written, looked at and started; the objects gate is opened."""
    stage, screen = director.stage, director.screen
    plan = _PLAN.format(
        old=f"{stage.old.host}:{stage.old.port}",
        new=f"{stage.new.host}:{stage.new.port}",
        cutover=everybody,
        pilot=pilot,
        lead=LEAD,
        witness=WITNESS,
        dns=stage.dns_section("2h"),
    )
    (stage.directory / "plan.toml").write_text(plan, encoding="utf-8")
    rows = [f"{_address(each)},pilot" for each in PILOT]
    rows += [f"{_address(each)},everybody" for each in OTHERS]
    listed = "\n".join(["address,wave", *rows, ""])
    (stage.directory / "mailboxes.csv").write_text(listed, encoding="utf-8")
    stage.write_secret("old", _address(FORGOTTEN), "her-password-of-last-year")
    stage.new.order("throttle", _address(THROTTLED), 1, BACKOFF)
    stage.new.order("cut", _address(CUT), 30)
    stage.new.order("room", _address(FULL), ROOM)
    stage.new.order("poison", MARK)
    director.order("plan", "check", "plan.toml", shown=True)
    director.order("check", "plan.toml", "--quiet", shown=True, code=3)
    screen.say(
        f"{FORGOTTEN.title()}'s password is wrong, and mailhaul will not try it again until it "
        "is another one. That holds nobody else up. So it begins: from here on an hour takes a "
        "second."
    )
    stage.wind(SPEED, friday.timestamp())
    director.order("start", "plan.toml")
    stage.start_worker()
    director.people.begin()
    screen.watch()
    director.until(
        "every mailbox to be checked",
        lambda rows: all(row.state in (State.CHECKED, State.WAITING) for row in rows),
    )
    director.order("approve", NAME, "--gate", "objects", "--as", LEAD, "--yes")


def _copy(director: Director) -> None:
    """The initial copies, with all that goes wrong meanwhile, until everybody is synced."""
    stage, screen = director.stage, director.screen
    screen.tell("The copies begin; mail keeps coming in, and people go on working.")
    director.until(
        "the copies to be under way",
        lambda rows: sum(row.copied for row in rows) > 150 and _one(rows, FULL) is State.FAILED,
    )
    stage.kill_worker()
    screen.tell("The power fails: kill -9. Nobody was asked.", "trouble")
    stage.start_worker()
    screen.tell("It is back; every mailbox goes on from where its ledger says it stood.", "good")
    stage.new.order("room", _address(FULL), -1)
    screen.tell(f"{FULL.title()}'s mailbox is given room, and a person says so:")
    director.order("retry", NAME, "--mailbox", _address(FULL))
    director.until(
        "everybody but one to be synced",
        lambda rows: all(row.state is State.SYNCED for row in rows if row.user != FORGOTTEN),
    )
    tries = _tries(stage)
    stage.write_secret("old", _address(FORGOTTEN), f"old-password-of-{_address(FORGOTTEN)}")
    screen.tell(
        f"{FORGOTTEN.title()}'s password is corrected in its file. The wrong one was tried "
        f"{tries} times: by the check, and by the plan. The journey goes on by itself."
    )
    director.until(
        "everybody to be synced", lambda rows: all(row.state is State.SYNCED for row in rows)
    )
    if tries != 2 or _tries(stage) != tries:
        raise Wrong(f"a wrong password was tried {_tries(stage)} times")


def _cutover(director: Director) -> None:
    """Everybody else goes, and with them the domain's records: a real zone, a signed update."""
    stage, screen = director.stage, director.screen
    before = stage.mail_goes(DOMAIN)
    screen.tell(f"Mail for {DOMAIN} still goes to {before}. The night, step by step:")
    director.order("cutover", NAME, "--wave", "everybody", shown=True)
    screen.watch()
    director.switch([_address(each) for each in OTHERS], "everybody", LEAD, sync=True)
    director.until("the new records", lambda rows: stage.mail_goes(DOMAIN) != before)
    after = stage.mail_goes(DOMAIN)
    if after != f"10 {NEW_MX}":
        raise Wrong(f"MX of {DOMAIN} is {after}")
    screen.tell(f"The zone says {after} now. Until 48 hours later, or `mailhaul return`.", "good")


def _weekend(director: Director, subsidiary: Subsidiary, second: Director) -> None:
    """48 hours of sweeps; in the first of them the subsidiary's accounts move."""
    stage, screen, people = director.stage, director.screen, director.people
    begun = told = stage.now
    subsidiary.move(second)
    quiet = False

    def over(rows: Sequence[Seen]) -> bool:
        nonlocal told, quiet
        subsidiary.turn(second)
        if stage.now - told >= timedelta(hours=12):
            told = stage.now
            done = people.done
            screen.tell(
                f"{sum(row.sweeps for row in rows)} sweeps so far; meanwhile "
                f"{done['arrived']} messages came in, {done['read or marked']} were read or "
                f"marked, {done['moved']} moved, {done['deleted']} deleted."
            )
        if not quiet and stage.now - begun >= QUIET:
            quiet = True
            people.move(people.people, Where.AWAY)
            screen.tell("Nobody writes to the old system any more.")
        return all(row.state is State.VERIFIED for row in rows)

    director.until("the sweeps and the verification", over)
    screen.tell("Swept for 48 hours; both sides compared, message by message.", "good")


def _monday_morning(director: Director, subsidiary: Subsidiary, second: Director) -> None:
    """What is left for people, and the reports."""
    stage, screen = director.stage, director.screen
    subsidiary.finish(second)
    screen.pause()
    screen.table(stage.look(NAME))
    screen.say(
        "One message never got through: the new system takes it for malware. "
        f"{POISONED.title()}'s mailbox is graded “investigate” until a named person has "
        "looked at that."
    )
    director.order("approve", NAME, "--mailbox", _address(POISONED), "--as", LEAD)
    director.order("complete", NAME, "--as", LEAD, "--yes")
    if (code := stage.stop_worker()) != Exit.INTERRUPTED:
        raise Wrong(f"the worker ended with exit code {code}")
    director.report(REPORT)


def _unmet(stage: Stage) -> list[str]:
    """Troubles that never came to pass: then nothing has been shown."""
    met = {kind for _, kind in stage.new.seen()}
    return [
        f"the new system's {kind} never came to pass"
        for kind in ("throttle", "cut", "full", "poison")
        if kind not in met
    ]


def _title(rows: Sequence[Seen]) -> str:
    sweeps = max((row.sweeps for row in rows), default=0)
    swept = f", sweep {sweeps}" if sweeps else ""
    return f"Rosenberg AG, {SPEED:,.0f} times as fast{swept}"


def _tries(stage: Stage) -> int:
    """How often the wrong password was tried."""
    return stage.old.seen().get((_address(FORGOTTEN), "refused login"), 0)


def _one(rows: Sequence[Seen], name: str) -> State:
    return next(row.state for row in rows if row.user == name)


def _address(name: str) -> str:
    return f"{name}@{DOMAIN}"


def _next_friday(now: datetime) -> datetime:
    """Five in the morning of the next Friday that is still to come."""
    day = now + timedelta(days=(4 - now.weekday()) % 7 or 7)
    return day.replace(hour=5, minute=0, second=0, microsecond=0)


if __name__ == "__main__":
    sys.exit(main())
