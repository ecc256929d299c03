"""The scenarios of the benchmark: what lies on the servers, and what each run has to do there.

Every contestant gets a target of its own. Runs are interleaved, and who begins changes from round
to round, because the first to touch what changed warms it for the others. After every run an
oracle that shares no code with any contestant reads both servers.
"""

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.contestants import Call, Contestant, Leg, Taken, run
from bench.generator import Shape, Writer, even_shape, fill, heavy_shape
from bench.link import delayed
from tests.faults.oracle import Contents, compare, read_mailbox
from tests.faults.plain import Plain, quoted
from tests.servers.dovecot import Dovecot, mail_owner
from tests.servers.process import Account

PASSWORD = "bench"
NEW, FLAGGED, DELETED = 100, 100, 50
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Scenario:
    """`delta`: what is measured is a pass over what has been copied before, after `mutate`."""

    name: str
    about: str
    shape: Callable[[], Shape]
    round_trip: int = 0
    delta: bool = False
    mutate: bool = False
    ratio: float | None = 1.5


SCENARIOS = (
    Scenario("S1", "10,000 mails of 4 to 8 KB", lambda: even_shape(10_000)),
    Scenario("S2", "5,000 mails, log-normal, 360 MB", lambda: heavy_shape(5_000)),
    Scenario("S3", "nothing changed", lambda: even_shape(10_000), delta=True),
    Scenario(
        "S4", "100 new, 100 flags, 50 gone", lambda: even_shape(10_000), delta=True, mutate=True
    ),
    Scenario("S5", "1,000 mails at 40 ms", lambda: even_shape(1_000), 40),
    Scenario("S1@40", "S1 at 40 ms", lambda: even_shape(10_000), 40),
    Scenario("S3@40", "S3 at 40 ms", lambda: even_shape(10_000), 40, delta=True, ratio=None),
    Scenario(
        *("S4@40", "S4 at 40 ms", lambda: even_shape(10_000), 40),
        delta=True,
        mutate=True,
        ratio=None,
    ),
)


@dataclass(frozen=True, slots=True)
class Shares:
    """How many messages of one folder change, and how."""

    new: int
    flagged: int
    deleted: int


@dataclass(slots=True)
class Result:
    """All runs of one scenario, by contestant in the order of the rounds; `wrong` are sentences."""

    scenario: Scenario
    runs: dict[str, list[Taken]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    altered: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Game:
    """One scenario being played: who takes part, how many rounds count, who is told of each run."""

    scenario: Scenario
    players: Sequence[Contestant]
    rounds: int
    tell: Callable[[str], None]
    result: Result

    def turn(self, number: int) -> Sequence[Contestant]:
        """Round 0 is there to warm up and doesn't count."""
        return self.players if number % 2 == 0 else self.players[::-1]

    def run(self, player: Contestant, call: Call, number: int) -> Taken:
        taken = run(call)
        self.tell(f"{self.scenario.name} {player.name} {taken.wall:.2f} s")
        if number:
            self.result.runs[player.name].append(taken)
        return taken


class Bench:
    """Two Dovecots, and the mailboxes on them."""

    def __init__(self, source: Dovecot, target: Dovecot) -> None:
        self.source = source
        self.target = target
        self._count = 0

    def play(
        self,
        scenario: Scenario,
        players: Sequence[Contestant],
        rounds: int,
        tell: Callable[[str], None],
    ) -> Result:
        """One round to warm up, then `rounds` that count."""
        result = Result(scenario, {player.name: [] for player in players})
        game = Game(scenario, players, rounds, tell, result)
        with ExitStack() as stack:
            account = self._source(scenario)
            stack.callback(shutil.rmtree, self.source.home(account), ignore_errors=True)
            port = self._port(self.source, scenario, stack)
            source = Leg(self.source.host, port, account.user, account.password)
            (self._deltas if scenario.delta else self._copies)(game, source, stack)
        return result

    def _copies(self, game: Game, source: Leg, stack: ExitStack) -> None:
        wanted = self._read(self.source, source)
        port = self._port(self.target, game.scenario, stack)
        for number in range(game.rounds + 1):
            for player in game.turn(number):
                account = self._account(self.target)
                target = Leg(self.target.host, port, account.user, account.password)
                with _directory() as state:
                    taken = game.run(player, player.call(source, target, state), number)
                self._judge(player, taken, wanted, target, game.result)
                shutil.rmtree(self.target.home(account))

    def _deltas(self, game: Game, source: Leg, stack: ExitStack) -> None:
        port = self._port(self.target, game.scenario, stack)
        calls: dict[str, Callable[[], Call]] = {}
        targets: dict[str, Leg] = {}
        for player in game.players:
            account = self._account(self.target)
            stack.callback(shutil.rmtree, self.target.home(account), ignore_errors=True)
            target = Leg(self.target.host, port, account.user, account.password)
            state = stack.enter_context(_directory())
            targets[player.name] = target
            calls[player.name] = partial(player.call, source, target, state)
            run(calls[player.name]())
        draw, writer = random.Random(game.scenario.name), Writer(4)
        for number in range(game.rounds + 1):
            if game.scenario.mutate:
                self._mutate(source, draw, writer)
            takens = {
                player.name: game.run(player, calls[player.name](), number)
                for player in game.turn(number)
            }
            if game.scenario.mutate or number in (0, game.rounds):
                wanted = self._read(self.source, source)
                for player in game.players:
                    taken, target = takens[player.name], targets[player.name]
                    self._judge(player, taken, wanted, target, game.result)

    def _judge(
        self, player: Contestant, taken: Taken, wanted: Contents, target: Leg, result: Result
    ) -> None:
        if taken.code == -signal.SIGKILL:
            result.wrong.append(f"{result.scenario.name}: {player.name} hung and was killed")
            return
        verdict = compare(wanted, self._read(self.target, target))
        if taken.code == 0 and verdict.exact:
            return
        if not player.exact:
            result.altered[player.name] = f"{verdict.lost} altered or lost"
            return
        result.wrong.append(
            f"{result.scenario.name}: {player.name} ended with {taken.code}: {verdict}\n"
            f"{taken.output[-2000:]}"
        )

    def _source(self, scenario: Scenario) -> Account:
        account = self._account(self.source)
        home = self.source.home(account)
        fill(home / "mail", scenario.shape(), seed=7)
        owner, group = mail_owner()
        for directory, _, files in os.walk(home):
            for path in (directory, *(f"{directory}/{name}" for name in files)):
                os.chown(path, owner.pw_uid, group.gr_gid)
        return account

    def _account(self, server: Dovecot) -> Account:
        self._count += 1
        return server.add_user(f"bench{self._count}", PASSWORD)

    def _port(self, server: Dovecot, scenario: Scenario, stack: ExitStack) -> int:
        if not scenario.round_trip:
            return server.port
        return stack.enter_context(delayed(server.host, server.port, scenario.round_trip))

    def _read(self, server: Dovecot, leg: Leg) -> Contents:
        """Straight from the server, around the wire."""
        return read_mailbox(server.host, server.port, leg.user, leg.password)

    def _mutate(self, leg: Leg, draw: random.Random, writer: Writer) -> None:
        """What a day does to a mailbox, evenly over its folders."""
        server = self.source
        with Plain(server.host, server.port, leg.user, leg.password) as connection:
            names = [
                answer.text.rpartition(b' "/" ')[2].strip(b'"')
                for answer in connection.answers(b'LIST "" "*"')
            ]
            for number, name in enumerate(names):
                shares = Shares(
                    _share(NEW, number, len(names)),
                    _share(FLAGGED, number, len(names)),
                    _share(DELETED, number, len(names)),
                )
                _mutate_folder(connection, name, shares, draw, writer)


@contextmanager
def opened() -> Iterator[Bench]:
    """Two fresh Dovecots, in memory where there is enough of it, else on the disk."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30:
        tempfile.tempdir = str(memory)
    with Dovecot() as source, Dovecot() as target:
        yield Bench(source, target)


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mailhaul-bench-") as directory:
        yield Path(directory)


def _share(total: int, number: int, of: int) -> int:
    return total * (number + 1) // of - total * number // of


def _mutate_folder(
    connection: Plain, name: bytes, shares: Shares, draw: random.Random, writer: Writer
) -> None:
    connection.command(b"SELECT " + quoted(name))
    uids = [
        int(answer.text.split(b"UID ")[1].rstrip(b")"))
        for answer in connection.answers(b"UID FETCH 1:* (UID)")
        if b"FETCH (UID" in answer.text
    ]
    chosen = draw.sample(uids, shares.flagged + shares.deleted)
    for uid in chosen[: shares.flagged]:
        change = draw.choice((b"+FLAGS.SILENT (\\Flagged)", b"FLAGS.SILENT ($Label1)"))
        connection.command(b"UID STORE %d %b" % (uid, change))
    for uid in chosen[shares.flagged :]:
        connection.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
        connection.command(b"UID EXPUNGE %d" % uid)
    for _ in range(shares.new):
        content = writer.message(draw.randint(4096, 8192), named=True).replace(b"\n", b"\r\n")
        date = f"{draw.randint(1, 28):02}-{draw.choice(MONTHS)}-2025 12:00:00 +0000"
        connection.append(name, content, ("\\Seen",), date)
