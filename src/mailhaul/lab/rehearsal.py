"""`mailhaul rehearse PLAN`: the user's own plan between two embedded servers, by a wound clock.

Waves, gates, hours, sweeps and budgets are the plan's; mailboxes, people and troubles are the
lab's. Nothing of the user's own systems is touched, and no secret is read. A program of its own
(`python -m mailhaul.lab.rehearsal`), for nothing of mailhaul imports the lab.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from mailhaul.cli.exits import Exit, exit_for
from mailhaul.cli.figures import octets as octets_text
from mailhaul.cli.figures import remaining
from mailhaul.cli.plan_sizes import database_of, sizes
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.core.message import NO_FLAGS
from mailhaul.core.text import printable
from mailhaul.journey.states import State
from mailhaul.lab import recast
from mailhaul.lab.directing import BACKOFF, Director, Wrong
from mailhaul.lab.mail import MARK, SampleMessage, between, messages, poison
from mailhaul.lab.people import People, Where, close
from mailhaul.lab.recast import Casting, Timing
from mailhaul.lab.screen import Screen, clock_text
from mailhaul.lab.stage import Seen, Stage, stage
from mailhaul.lab.tether import tether
from mailhaul.plan.durations import duration_text
from mailhaul.plan.forecast import Amount
from mailhaul.plan.load import load_plan
from mailhaul.plan.model import Plan

FOLDERS: tuple[FolderPath, ...] = (INBOX_PATH, ("Sent",), ("Archive",), ("Archive", "2025"))
REPORT = "rehearsal-report"
SOMEBODY = "Somebody"
"""Who opens gates for which the plan names nobody."""
DNS_EVERY = timedelta(hours=1)
"""The stand-ins' zones are looked at no more often."""
QUIET = 0.75
"""After so much of the sweeps' time nothing comes in at the old system any more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearses; an exit code of `mailhaul`."""
    parser = argparse.ArgumentParser(prog="python -m mailhaul.lab.rehearsal")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--census", type=Path)
    parser.add_argument("--state")
    parser.add_argument("--database")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--tethered", action="store_true", help="ends when standard input does")
    given = parser.parse_args(arguments)
    if given.tethered:
        tether()
    screen = Screen()
    try:
        plan = load_plan(given.plan)
        known = census_of(plan, given.census, given.state, given.database)
        temporary = TemporaryDirectory(prefix="mailhaul-rehearsal-")
        with temporary if given.keep is None else nullcontext(given.keep) as name:
            directory = Path(name).absolute()
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()):
                raise BadInput(f"{printable(str(directory), 200)} is not empty; name a new place")
            return _rehearsed(plan, known, given.minutes, directory, screen, given.keep is not None)
    except MailhaulError as error:
        screen.pause()
        screen.say(str(error), "bad")
        return Exit.INCOMPLETE if isinstance(error, Wrong) else exit_for(error)
    except KeyboardInterrupt:
        screen.pause()
        screen.say("interrupted; nothing of your own was touched", "bad")
        return Exit.INTERRUPTED
    finally:
        screen.pause()


def census_of(
    plan: Plan, census: Path | None, state: str | None, database: str | None
) -> dict[str, Amount]:
    """What is known of the mailboxes' sizes: by a file of `mailhaul check --json`, else by what the
    installation has counted. Raises `BadInput` for a file that is none."""
    if census is not None:
        return _read_census(census)
    import os  # noqa: PLC0415 - the one place where this machine's own installation is looked at

    found = database_of(state, database, os.environ)
    return {} if found is None else sizes(found, plan.name, 1)[0]


def _read_census(census: Path) -> dict[str, Amount]:
    found = {}
    try:
        for text in census.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line.get("event") == "checked" and line["messages"] is not None:
                found[line["mailbox"]] = Amount(line["messages"], line["bytes"] or 0)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BadInput(
            f"--census {printable(str(census), 200)} can't be read; write it with "
            "mailhaul check PLAN --json > census"
        ) from error
    return found


def _rehearsed(
    plan: Plan,
    known: dict[str, Amount],
    minutes: float,
    directory: Path,
    screen: Screen,
    kept: bool,
) -> int:
    started = time.monotonic()
    most = max(1, round(recast.MAILBOXES_A_MINUTE * minutes))
    casting = recast.cast(plan, known, most)
    timing = recast.timed(plan, casting, minutes, datetime.now(UTC))
    casting = recast.cast(plan, known, most, recast.workable(plan, timing))
    domains = recast.domains_of(casting) if plan.dns is not None else ()
    with stage(directory, "old.example", "new.example", domains) as found:
        screen.stage, found.zone = found, plan.zone
        _announce(screen, plan, casting, timing, minutes)
        people = _people(found, casting, plan)
        director = Director(found, screen, plan.name, people, patience=timing.seconds * 3 + 120)
        playing = _Playing(director, plan, casting, timing)
        screen.title = playing.title
        try:
            playing.prepare()
            director.until("the end of the plan", playing.turn)
            people.stop()
            playing.finish()
            wrong = director.judge(REPORT)
        finally:
            people.stop()
            close(people.people.values())
    playing.sum_up()
    for each in wrong:
        screen.say(f"WRONG: {each}", "bad")
    if kept:
        screen.say(f"The report: {directory / REPORT / 'report.html'}")
    seconds = time.monotonic() - started
    ending = "not everything was where it should be" if wrong else "everything was in its place"
    screen.say(
        f"Rehearsed in {seconds:.0f} seconds; {ending}. Nothing of your own was touched.",
        "bad" if wrong else "good",
    )
    return Exit.DIFFERENT if wrong else Exit.COMPLETE


def _announce(screen: Screen, plan: Plan, casting: Casting, timing: Timing, minutes: float) -> None:
    count, of = len(casting.roles), len(casting.everybody)
    messages = sum(role.messages for role in casting.roles)
    octets = sum(role.octets for role in casting.roles)
    who = f"all {of} mailboxes" if count == of else f"{count} of its {of} mailboxes"
    known = casting.counted
    counted = (
        "as they were counted"
        if known == of
        else f"{known} of {of} as counted, the others supposed"
        if known
        else "supposed, for nobody has counted them yet (mailhaul check PLAN --json > census)"
    )
    screen.say(
        f"A rehearsal of “{plan.name}”: {who}, with stand-ins for both mail systems on this "
        f"machine. Sizes: {counted}; scaled down to {messages:,} messages "
        f"({_ratio(casting.messages)}) and {octets_text(octets)} ({_ratio(casting.octets)}), and "
        "budgets with them."
    )
    if left_out := recast.unplayed(plan):
        screen.say(
            f"Not played: {', '.join(left_out)}. The stand-ins have folders of their own, all in "
            "them is carried, and nobody is told."
            + (
                " No provider is asked: accounts stay under their names, and “make demo” shows "
                "how they move."
                if "accounts" in left_out
                else ""
            )
        )
    screen.say(
        f"The clock begins on {timing.begin.astimezone(plan.zone):%a %d %b %Y %H:%M} and goes "
        f"{timing.speed:,.0f} times as fast: a second is {remaining(timing.speed)}. What takes a "
        "second of work here is that long in what follows."
    )
    if timing.seconds > minutes * 60 + 1:
        screen.say(
            f"It goes no faster: all of it will take about {remaining(timing.seconds)}.", "trouble"
        )


def _people(stage: Stage, casting: Casting, plan: Plan) -> People:
    """The stand-ins' mailboxes, and who works in them."""
    cast = []
    now = datetime.now(UTC)
    for number, role in enumerate(casting.roles):
        person = stage.person(role.address, FOLDERS)
        person.tidy = False
        person.fill(_mail(role.messages, role.octets, number, now))
        cast.append(person)
    return People(cast)


def _mail(count: int, octets: int, seed: int, now: datetime) -> list[SampleMessage]:
    """So many messages over the folders, received in the last two years."""
    usual = min(max(octets // count if count else 0, 400), recast.LARGEST)
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    every = messages(count, between(usual // 2, usual * 3 // 2), seed)
    flags = (NO_FLAGS, frozenset({"\\Seen"}), frozenset({"\\Seen", "\\Answered"}))
    return [
        SampleMessage(
            FOLDERS[number % len(FOLDERS)],
            content,
            chance.choice(flags),
            now - timedelta(days=730 * (1 - number / count)),
        )
        for number, content in enumerate(every)
    ]


@dataclass(slots=True)
class _Gate:
    """How a gate was waited at."""

    name: str
    wave: str
    who: tuple[str, ...]
    ready: datetime | None = None
    """When nothing but a person was lacking."""
    opened: datetime | None = None

    @property
    def by(self) -> str:
        return self.who[0] if self.who else SOMEBODY

    @property
    def people(self) -> str:
        return " or ".join(self.who) or "anybody by name"


@dataclass(slots=True)
class _Playing:
    """The plan as it is played: turn by turn, as people would who do it as it says."""

    director: Director
    plan: Plan
    casting: Casting
    timing: Timing
    gates: dict[tuple[str, str], _Gate] = field(default_factory=dict)
    copying_since: datetime | None = None
    _troubled: dict[str, str] = field(default_factory=dict)
    _waiting_since: datetime | None = None

    @property
    def now(self) -> datetime:
        return self.director.stage.now

    @property
    def waves(self) -> list[str]:
        return recast.waves_of(self.plan, self.casting)

    def title(self, rows: Sequence[Seen]) -> str:
        sweeps = max((row.sweeps for row in rows), default=0)
        swept = f", sweep {sweeps}" if sweeps else ""
        return f"{self.plan.name}, {self.timing.speed:,.0f} times as fast{swept}"

    def prepare(self) -> None:
        """Writes the plan, makes the troubles, winds the clock, starts."""
        director, stage, plan = self.director, self.director.stage, self.plan
        places = tuple(f"{each.host}:{each.port}" for each in (stage.old, stage.new))
        text = recast.plan_text(plan, self.casting, (places[0], places[1]))
        if plan.dns is not None:
            text += stage.dns_section(duration_text(max(plan.dns.every, DNS_EVERY)))
        (stage.directory / "plan.toml").write_text(text, encoding="utf-8")
        listed = recast.mailboxes_text(self.casting)
        (stage.directory / "mailboxes.csv").write_text(listed, encoding="utf-8")
        self._make_troubles()
        director.order("plan", "check", "plan.toml")
        # Before anything happens the worker needs some seconds of its own.
        stage.wind(self.timing.speed, self.timing.begin.timestamp())
        director.order("start", "plan.toml")
        stage.start_worker()
        director.people.begin()
        director.screen.watch()
        if plan.gates.objects is not None:
            self.gates["objects", ""] = _Gate("objects", "", plan.gates.objects)
        for wave in self.waves:
            self.gates["go", wave] = _Gate("go", wave, plan.gates.go)
        self.gates["sign-off", ""] = _Gate("sign-off", "", plan.gates.sign_off)

    def turn(self, rows: Sequence[Seen]) -> bool:
        """What is to be done now; True once there is nothing left but the sign-off."""
        self._answer(rows)
        objects = self.gates.get(("objects", ""))
        begun = all(row.state is not State.PLANNED for row in rows)
        if objects is None and self.copying_since is None and begun:
            self.copying_since = self.now
        if objects is not None and objects.opened is None:
            checked = (State.CHECKED, State.WAITING)
            if all(row.state in checked for row in rows):
                objects.ready = self.now
                self._open(objects)
                self.copying_since = self.now
            return False
        for wave in self.waves:
            self._go(wave, [row for row in rows if row.wave == wave])
        self._quieten()
        return all(row.state is State.VERIFIED for row in rows)

    def finish(self) -> None:
        """Approves what was refused, signs off, has the report written."""
        director, stage = self.director, self.director.stage
        director.screen.pause()
        rows = stage.look(self.plan.name)
        director.screen.table(rows)
        gate = self.gates["sign-off", ""]
        gate.ready = self.now
        for row in rows:
            if row.grade == "investigate":
                words = ("--mailbox", row.address, "--as", gate.by)
                director.order("approve", self.plan.name, *words)
        director.order("complete", self.plan.name, "--as", gate.by, "--yes")
        gate.opened = self.now
        if (code := stage.stop_worker()) != Exit.INTERRUPTED:
            raise Wrong(f"the worker ended with exit code {code}")
        director.report(REPORT)

    def sum_up(self) -> None:
        """Forecast and what was seen; which gate waited for whom."""
        screen, zone = self.director.screen, self.plan.zone
        screen.say("The first copies, with all waves before them:", "head")
        screen.line(f"  {'wave':<16}{'forecast':>14}{'seen':>14}  {'ready':<11}{'cutover':<11}")
        late = False
        for wave in self.waves:
            gate, cutover = self.gates["go", wave], self.timing.cutovers[wave]
            told = recast.predicted(self.plan, self.casting, self.timing.begin, wave)
            guess = "never ends" if told is None else remaining(told.total_seconds())
            seen = ready = ""
            if gate.ready is not None and self.copying_since is not None:
                seen = remaining((gate.ready - self.copying_since).total_seconds())
                ready = clock_text(gate.ready.astimezone(zone))
                late |= cutover is not None and gate.ready > cutover
            when = "" if cutover is None else clock_text(cutover.astimezone(zone))
            screen.line(
                f"  {(wave or '(all)')[:15]:<16}{guess:>14}{seen:>14}  {ready:<11}{when:<11}"
            )
        screen.say(
            f"A second of work here counts {remaining(self.timing.speed)}, however fast it is: "
            "what was seen is no less than that, and --minutes 10 looks closer."
            + (" A wave was ready only after its cutover, and went then." if late else "")
        )
        screen.say("Which gate waited for whom:", "head")
        for gate in self.gates.values():
            if gate.opened is None or gate.ready is None:
                continue
            name = f"{gate.name} {gate.wave}".strip()[:20]
            ready = clock_text(gate.ready.astimezone(zone))
            opened = clock_text(gate.opened.astimezone(zone))
            screen.item(f"  {name:<21}", f"ready {ready}, opened {opened}: {gate.people}")

    # what people do

    def _make_troubles(self) -> None:
        """One of each, for as many as there are mailboxes that are large enough."""
        stage = self.director.stage
        roles = sorted(self.casting.roles, key=lambda role: -role.messages)
        kinds = ("throttle", "cut", "poison", "full", "password")
        for role, kind in zip(roles, kinds[: max(1, len(roles) - 1)], strict=False):
            match kind:
                case "throttle":
                    stage.new.order("throttle", role.address, 1, BACKOFF)
                case "cut":
                    stage.new.order("cut", role.address, 1 + role.messages // 3)
                case "poison":
                    stage.new.order("poison", MARK)
                    self.director.people.people[role.address].arrive(
                        poison(role.address), poison=True
                    )
                case "full":
                    stage.new.order("room", role.address, role.messages // 2)
                    self._troubled[role.address] = "full"
                case _:
                    stage.write_secret("old", role.address, "a-password-of-last-year")
                    self._troubled[role.address] = "password"

    def _answer(self, rows: Sequence[Seen]) -> None:
        """People mend what is theirs to mend, once it has been seen for a while."""
        director, stage = self.director, self.director.stage
        stuck = [row for row in rows if row.state in (State.FAILED, State.WAITING)]
        for row in stuck:
            trouble = self._troubled.get(row.address)
            if trouble == "full" and row.state is State.FAILED:
                del self._troubled[row.address]
                stage.new.order("room", row.address, -1)
                director.screen.tell(f"{row.user}'s mailbox is given room, and a person says so:")
                director.order("retry", self.plan.name, "--mailbox", row.address)
            elif trouble == "password" and row.state is State.WAITING:
                self._waiting_since = self._waiting_since or self.now
                if self.now - self._waiting_since >= timedelta(hours=6):
                    del self._troubled[row.address]
                    stage.write_secret("old", row.address, f"old-password-of-{row.address}")
                    director.screen.tell(f"{row.user}'s password is corrected in its file.")
            elif trouble is None and row.state is State.FAILED:
                raise Wrong(f"{row.address} has failed: {row.reason}")

    def _open(self, gate: _Gate) -> None:
        assert gate.ready is not None
        director = self.director
        director.screen.tell(f"The gate “{gate.name}” waits for {gate.people}.", "head")
        words = ["approve", self.plan.name, "--gate", gate.name, "--as", gate.by, "--yes"]
        director.order(*words)
        gate.opened = self.now

    def _go(self, wave: str, rows: Sequence[Seen]) -> None:
        """Sends a wave once it is synced and its hour has come."""
        gate, cutover = self.gates["go", wave], self.timing.cutovers[wave]
        if gate.opened is not None:
            return
        if not rows or any(row.state is not State.SYNCED for row in rows):
            return
        director = self.director
        if gate.ready is None:
            gate.ready = self.now
            until = (
                "" if cutover is None else f", for {clock_text(cutover.astimezone(self.plan.zone))}"
            )
            called = f"Wave “{wave}”" if wave else "Everybody"
            director.screen.tell(
                f"{called} is synced; the gate “go” waits for {gate.people}{until}.", "head"
            )
        if cutover is not None and self.now < cutover:
            return
        gate.opened = self.now
        director.switch([row.address for row in rows], wave, gate.by, sync=False)

    def _quieten(self) -> None:
        """Late in a wave's sweeps nothing comes in any more, so that they come to an end."""
        people = self.director.people
        after = self.plan.sweeps.for_ * QUIET
        for wave in self.waves:
            opened = self.gates["go", wave].opened
            if opened is not None and self.now - opened >= after:
                here = [role.address for role in self.casting.roles if role.wave == wave]
                if any(people.people[each].where is not Where.AWAY for each in here):
                    people.move(here, Where.AWAY)


def _ratio(factor: float) -> str:
    return "all of them" if factor >= 1 else f"1 of {1 / factor:,.1f}"


if __name__ == "__main__":
    sys.exit(main())
