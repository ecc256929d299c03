"""`python -m bench --only journeys`: a whole plan of real mailboxes, from its start until all are
synced, by one worker on SQLite, beside bare `copy` runs of a sample of the same mailboxes.

Throughput of the copies is that of the sample's runs one after the other, as a shell's loop would
run them. Afterwards the oracle reads another sample on both servers.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.contestants import Call, Contestant, Leg, Taken, contestants, run
from bench.generator import even_shape, fill
from bench.scenarios import opened
from tests.faults.oracle import Contents, compare, read_mailbox
from tests.servers.dovecot import Dovecot, mail_owner
from tests.servers.process import Account

NAME = "journeys"
MAILBOXES, MESSAGES = 1_000, 50
FOLDERS = ("INBOX", "Sent", "Archiv", "Archiv/2023", "Projekte")
SAMPLE, COMPARED = 40, 25
LONGEST = 3600
RATIO, MEMORY = 0.8, 400
"""The goals: the copies' throughput, MiB of a worker."""
WAITS_FOR_PEOPLE = 3
"""The exit code of a plan that is synced and waits for its go gate."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates are messages a second, sizes MiB."""

    mailboxes: int
    messages: int
    seconds: float
    cpu: float
    rate: float
    copies_rate: float
    worker_peak: float
    copy_peak: float
    database: float
    engine: float
    ledgers: float

    @property
    def ratio(self) -> float:
        return self.rate / self.copies_rate

    @property
    def missed(self) -> bool:
        return self.ratio < RATIO or self.worker_peak > MEMORY


def play(tell: Callable[[str], None], *, as_json: bool, strict: bool) -> int:
    """Plays it, prints the figures, and returns the exit code."""
    (player,) = contestants(["mailhaul"])
    figures, wrong = measured(player, MAILBOXES, tell)
    if as_json:
        print(json.dumps({**asdict(figures), "ratio": figures.ratio, "wrong": list(wrong)}))
    else:
        print(
            f"\n{figures.mailboxes:,} mailboxes of {MESSAGES} messages:"
            f" {figures.seconds:.1f} s ({figures.cpu:.1f} s of CPU),"
            f" {figures.rate:,.0f} messages/s;"
            f" copies one by one {figures.copies_rate:,.0f}: {100 * figures.ratio:.0f} %\n"
            f"peak {figures.worker_peak:.0f} MiB (a copy {figures.copy_peak:.0f}); database"
            f" {figures.database:.1f} MiB, the engine's {figures.engine:.1f}, ledgers"
            f" {figures.ledgers:.1f}"
        )
        for sentence in wrong:
            print(f"\nNOT EXACT: {sentence}")
    return 1 if wrong or (strict and figures.missed) else 0


def measured(
    player: Contestant, mailboxes: int, tell: Callable[[str], None]
) -> tuple[Figures, Sequence[str]]:
    """The figures, and what was wrong, as sentences."""
    with opened() as bench, ExitStack() as stack:
        pairs = [
            (_filled(bench.source, number), bench.target.account()) for number in range(mailboxes)
        ]
        home = Path(stack.enter_context(TemporaryDirectory(prefix="mailhaul-bench-")))
        tell(f"{mailboxes} mailboxes are filled")
        copies = [_copied(player, bench.source, bench.target, pair) for pair in pairs[:SAMPLE]]
        copies_rate = MESSAGES * len(copies) / sum(each.wall for each in copies)
        tell(f"copies: {copies_rate:.0f} messages/s")
        taken = run(_plan(player, bench.source, bench.target, pairs, home), LONGEST)
        messages, synced = _counted(home)
        wrong = [] if all(each.code == 0 for each in copies) else ["a copy was not complete"]
        if (taken.code, synced, messages) != (WAITS_FOR_PEOPLE, mailboxes, mailboxes * MESSAGES):
            wrong.append(
                f"the plan ended with {taken.code}; {synced} mailboxes are synced, {messages}"
                f" messages copied\n{taken.output[-2000:]}"
            )
        for source, target in pairs[:: max(1, mailboxes // COMPARED)]:
            verdict = compare(_read(bench.source, source), _read(bench.target, target))
            if not verdict.exact:
                wrong.append(f"{source.user}: {verdict}")
        figures = Figures(
            mailboxes=mailboxes,
            messages=messages,
            seconds=taken.wall,
            cpu=taken.cpu,
            rate=messages / taken.wall,
            copies_rate=copies_rate,
            worker_peak=taken.peak,
            copy_peak=max(each.peak for each in copies),
            database=_size(home / "state", "mailhaul.sqlite*"),
            engine=_size(home / "state", "engine.sqlite*"),
            ledgers=_size(home / "state" / "ledgers", "**/*"),
        )
        return figures, wrong


def _filled(server: Dovecot, number: int) -> Account:
    account = server.account()
    home = server.home(account)
    fill(home / "mail", even_shape(MESSAGES, seed=number), seed=number, folders=FOLDERS)
    owner, group = mail_owner()
    for directory, _, files in os.walk(home):
        for path in (directory, *(f"{directory}/{name}" for name in files)):
            os.chown(path, owner.pw_uid, group.gr_gid)
    return account


def _copied(
    player: Contestant, source: Dovecot, target: Dovecot, pair: tuple[Account, Account]
) -> Taken:
    with TemporaryDirectory(prefix="mailhaul-bench-") as state:
        taken = run(player.call(_leg(source, pair[0]), _leg(target, pair[1]), Path(state)))
    shutil.rmtree(target.home(pair[1]))
    return taken


def _plan(
    player: Contestant,
    source: Dovecot,
    target: Dovecot,
    pairs: Sequence[tuple[Account, Account]],
    home: Path,
) -> Call:
    rows = ["address,source,target"]
    rows += [
        f"{old.user}@bench.example,{_url(source, old.user)},{_url(target, new.user)}"
        for old, new in pairs
    ]
    (home / "mailboxes.csv").write_text("\n".join(rows) + "\n")
    (home / "plan.toml").write_text(
        'name = "bench"\n'
        f'[source]\nurl = "{_url(source, "{user}")}"\nsecret = "env:SOURCE"\n'
        f'[target]\nurl = "{_url(target, "{user}")}"\nsecret = "env:TARGET"\n'
    )
    program = player.start.command[0]
    words = (program, "run", str(home / "plan.toml"), "--state", str(home / "state"), "--quiet")
    return Call(words, {"SOURCE": source.password, "TARGET": target.password})


def _url(server: Dovecot, user: str) -> str:
    return f"imap://{user}@{server.host}:{server.port}"


def _leg(server: Dovecot, account: Account) -> Leg:
    return Leg(server.host, server.port, account.user, account.password)


def _read(server: Dovecot, account: Account) -> Contents:
    return read_mailbox(server.host, server.port, account.user, account.password)


def _counted(home: Path) -> tuple[int, int]:
    """Messages that are copied and mailboxes that are synced, as the database says."""
    connection = sqlite3.connect(home / "state" / "mailhaul.sqlite")
    try:
        copied, synced = connection.execute(
            "SELECT sum(copied), sum(state = 'synced') FROM mailbox"
        ).fetchone()
    finally:
        connection.close()
    return int(copied), int(synced)


def _size(directory: Path, pattern: str) -> float:
    return sum(each.stat().st_size for each in directory.glob(pattern) if each.is_file()) / 2**20
