"""Where a rehearsal takes place: a directory with everything in it, two embedded servers, the real
command line, a worker in the background, and an installation whose clock is wound."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from mailhaul.core.errors import BadInput
from mailhaul.core.folder import INBOX_PATH, FolderPath
from mailhaul.db.database import FILE, open_database
from mailhaul.db.migrate import migrate
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.clock import Clock, wind, wound_clock
from mailhaul.journey.states import State
from mailhaul.lab.name_server import KEY_NAME, NameServer, name_server
from mailhaul.lab.people import Person
from mailhaul.lab.servers import EmbeddedServer, embedded_server
from mailhaul.lab.wire import PlainConnection

STOPPING = 25.0
TTL = 300
OLD_MX, NEW_MX = "mx.old-mail.example", "mx.new-mail.example"
_SEEN = (
    "address, wave, state, resume_state, reason, passes, sweeps, census, copied, adopted, skipped, "
    "refused, missing, octets, expected_messages, grade, failures"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A mailbox as its row says; see `db.tables.mailbox`."""

    address: str
    wave: str
    state: State
    resume_state: str | None
    reason: str
    passes: int
    sweeps: int
    census: int
    copied: int
    adopted: int
    skipped: int
    refused: int
    missing: int
    octets: int
    expected: int | None
    grade: str
    failures: int

    @property
    def user(self) -> str:
        return self.address.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Moving:
    """An account that moves at its provider, as its row says; see `db.account_tables`. `nowhere`:
    seconds of the wound clock, None before it was."""

    address: str
    state: MoveState
    ready: bool
    reason: str
    temporary: str
    placeholder: str
    nowhere: float | None


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it said where it was not to be seen."""

    code: int
    text: str


@dataclass(slots=True)
class Stage:
    """See the module."""

    directory: Path
    old: EmbeddedServer
    new: EmbeddedServer
    zones: NameServer
    clock: Clock = field(default_factory=lambda: wound_clock(1.0, 0.0, 0.0))
    zone: tzinfo = UTC
    _worker: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        """Where the commands keep what they keep, unless told otherwise."""
        return self.directory / "state" / "mailhaul"

    # what a person has on their disk

    def write_secret(self, side: str, address: str, password: str) -> None:
        """Where the plan's `file:secrets/SIDE/ADDRESS` leads."""
        self._write(f"secrets/{side}", address, password)

    def write_other_secret(self, name: str, secret: str) -> None:
        """Where `file:secrets/NAME` leads."""
        self._write("secrets", name, secret)

    def _write(self, place: str, name: str, secret: str) -> None:
        folder = self.directory / place
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / name
        file.write_text(f"{secret}\n", encoding="utf-8")
        file.chmod(0o600)

    def person(self, address: str, folders: Sequence[FolderPath]) -> Person:
        """An account on both servers, with those folders at the old one, and its owner."""
        sides = []
        for name, server in (("old", self.old), ("new", self.new)):
            password = f"{name}-password-of-{address}"
            server.add_user(address, password)
            self.write_secret(name, address, password)
            sides.append(PlainConnection(server.host, server.direct, address, password))
        for folder in folders:
            if folder != INBOX_PATH:
                sides[0].create(folder)
            sides[0].subscribe(folder)
        return Person(address, sides[0], sides[1], tuple(folders))

    def dns_section(self, every: str) -> str:
        """What a plan says to have the domains of its mailboxes switched at the name server of this
        stage, which is looked at so often."""
        where = f"{self.zones.host}@{self.zones.port}"
        self.write_other_secret("zone", self.zones.secret)
        return f"""
[dns]
mx = ["10 {NEW_MX}"]
spf = ["a:{NEW_MX}"]
every = "{every}"
resolvers = ["{where}"]
port = {self.zones.port}
allow_networks = ["127.0.0.0/8"]

[dns.writer]
kind = "rfc2136"
server = "{self.zones.host}"
port = {self.zones.port}
key = "{KEY_NAME}"
secret = "file:secrets/zone"
"""

    def mail_goes(self, domain: str) -> str:
        """Where the domain's MX leads, as its zone says it."""
        _, values = self.zones.stands(domain, "MX")
        return ", ".join(value.removesuffix(".") for value in values)

    # the clock

    def wind(self, speed: float, origin: float) -> None:
        """From now on the installation's clock goes that fast; it shows `origin` at this moment."""
        began = time.time()
        database = open_database(None, self.state)
        try:
            migrate(database)
            with database.begin() as connection:
                wind(connection, speed, origin, began)
        finally:
            database.close()
        self.clock = wound_clock(speed, origin, began)

    @property
    def now(self) -> datetime:
        """What the wound clock shows, in the plan's time zone."""
        return datetime.fromtimestamp(self.clock.now(), self.zone)

    # commands

    @property
    def environ(self) -> Mapping[str, str]:
        """Nothing of this machine's own mailhaul is read or written."""
        kept = {name: value for name, value in os.environ.items() if name[:9] != "MAILHAUL_"}
        return {
            **kept,
            "XDG_STATE_HOME": str(self.directory / "state"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    def run(self, words: Sequence[str], *, shown: bool = False) -> Ran:
        """Runs `mailhaul WORDS` to its end; `shown`: in this terminal."""
        pipe = None if shown else subprocess.PIPE
        done = subprocess.run(  # noqa: S603 - our own module, our own arguments
            _command(words),
            check=False,
            cwd=self.directory,
            encoding="utf-8",
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=None if shown else subprocess.STDOUT,
        )
        return Ran(done.returncode, done.stdout or "")

    def start_worker(self) -> None:
        """`mailhaul worker`, in the background; what it says is in `worker.log`. It stops when this
        process is no more, however that ended."""
        with (self.directory / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "mailhaul.lab.tether", "worker"],
                cwd=self.directory,
                env=self.environ,
                # Nothing is ever written to it: see `lab.tether`.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def kill_worker(self) -> None:
        """As when the power fails."""
        assert self._worker is not None
        self._worker.kill()
        _waited_for(self._worker, None)

    def stop_worker(self) -> int:
        """Asks it to stop; its exit code."""
        worker = self._worker
        if worker is None:
            return 0
        self._worker = None
        worker.send_signal(signal.SIGTERM)
        try:
            return _waited_for(worker, STOPPING)
        except subprocess.TimeoutExpired:
            worker.kill()
            return _waited_for(worker, None)

    def check_worker(self) -> None:
        """Raises `BadInput` when the worker has ended by itself."""
        if self._worker is not None and self._worker.poll() is not None:
            log = (self.directory / "worker.log").read_text(encoding="utf-8", errors="replace")
            raise BadInput(f"the worker ended by itself; the end of its log: {log[-1500:]}")

    # what is seen

    def look(self, plan: str) -> list[Seen]:
        """Every mailbox of the plan as it stands; nothing before it was loaded."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_SEEN} FROM mailbox WHERE plan_id = "  # noqa: S608 - our own names
                "(SELECT id FROM plan WHERE name = ?) ORDER BY position",
                (plan,),
            ).fetchall()
        return [Seen(row[0], row[1], State(row[2]), *row[3:]) for row in rows]

    def moves(self) -> list[Moving]:
        """Every account that moves at its provider, as it stands."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT address, account_move.state, ready, account_move.reason, temporary, "
                "placeholder, nowhere_until - nowhere_from FROM account_move "
                "JOIN mailbox ON mailbox.id = mailbox_id ORDER BY position"
            ).fetchall()
        return [Moving(row[0], MoveState(row[1]), bool(row[2]), *row[3:]) for row in rows]

    def under_way(self, addresses: Collection[str]) -> bool:
        """Whether a pass of one of them has begun and not ended."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT address FROM mailbox JOIN passes ON mailbox_id = id AND number = passes "
                "WHERE ended_at IS NULL"
            ).fetchall()
        return any(address in addresses for (address,) in rows)

    def count(self, action: str) -> int:
        """How many events of that kind the log holds."""
        with self._reading() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM event WHERE action = ?", (action,)
            ).fetchone()
        return int(count)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The database without any lock that a worker would have to wait for."""
        connection = sqlite3.connect(f"file:{self.state / FILE}?mode=ro", uri=True)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def stage(directory: Path, old: str, new: str, domains: Sequence[str] = ()) -> Iterator[Stage]:
    """Two running servers that greet by those names, zones for the domains in which MX leads to the
    old one, and an empty installation in `directory`."""
    with ExitStack() as stack:
        found = Stage(
            directory,
            stack.enter_context(embedded_server(old)),
            stack.enter_context(embedded_server(new)),
            stack.enter_context(name_server(dict(_zones(domains)))),
        )
        # Else the worker would outlive us.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield found
        finally:
            signal.signal(signal.SIGTERM, before)
            with suppress(OSError):
                found.stop_worker()


def _zones(domains: Sequence[str]) -> Iterator[tuple[str, list[RecordSet]]]:
    """Each domain's zone, and those above them and of the mail hosts, which delegate."""
    above: dict[str, list[RecordSet]] = {}
    for host, address in ((OLD_MX, "127.0.0.2"), (NEW_MX, "127.0.0.3")):
        above.setdefault(host.partition(".")[2], []).append(
            RecordSet(host, Kind.A, TTL, (address,))
        )
    for domain in domains:
        parent = domain.partition(".")[2] or "example"
        delegation = RecordSet(domain, Kind.NS, TTL, (f"ns.{domain}",))
        above.setdefault(parent, []).append(delegation)
        yield (
            domain,
            [
                RecordSet(domain, Kind.MX, TTL, (f"10 {OLD_MX}",)),
                RecordSet(domain, Kind.TXT, TTL, (f"v=spf1 a:{OLD_MX} a:{NEW_MX} -all",)),
            ],
        )
    yield from ((name, sets) for name, sets in above.items() if name not in domains)


def _waited_for(worker: subprocess.Popen[bytes], seconds: float | None) -> int:
    code = worker.wait(seconds)
    if worker.stdin is not None:
        worker.stdin.close()
    return code


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "mailhaul.cli", *words]
