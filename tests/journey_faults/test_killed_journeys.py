"""kill -9 of the worker at random instants of whole journeys on SQLite, Dovecot to Cyrus and to
Dovecot, while the owners go on using their mailboxes on both sides.

Each house is a plan of six mailboxes with two waves; its clock is wound, so that checks, the
initial copy, deltas, gates, final passes, sweeps, verification and sign-off all happen within
minutes. Houses go side by side, for they wait more than they work.
"""

import http.server
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import soaking
from tests.faults.soaking import KILLS, SEED
from tests.journey_faults.house import House, Wishes
from tests.journey_faults.judging import wrong_in_the_end
from tests.journey_faults.kills import Killer
from tests.journey_faults.nursery import Nursery
from tests.servers.process import RunningServer

HOUSES = 8
MESSAGES = 100
SHARES = {"copy": 0.27, "delta": 0.2, "final": 0.15, "sweep": 0.2, "verify": 0.08}
SWEPT_FOR = 1000
"""Hours, of which one is a second: none of the sweeps ends by itself, as long as mail comes in."""


@pytest.mark.soak
@pytest.mark.timeout(0 if soaking.SOAKING else 1200)
def test_killed_at_random_instants_journeys_end_exact_and_every_step_is_taken_once(
    dovecot: RunningServer, cyrus: RunningServer, nursery: Nursery, states: Path
) -> None:
    began = time.monotonic()
    each = -(-KILLS // HOUSES)
    with listening() as (url, heard), ThreadPoolExecutor(HOUSES) as pool:
        runs = []
        for number in range(HOUSES):
            draw = random.Random(f"journeys {SEED} {number}")
            wishes = Wishes(
                order="newest-first" if number % 3 == 1 else "oldest-first",
                objects=number % 2 == 0,
                webhook=url,
                sweeps_for=f"{SWEPT_FOR}h",
            )
            new = dovecot if number % 4 == 3 else cyrus
            house = House(states / f"house{number}", nursery, dovecot, new, wishes, draw)
            command = ("run", "plan.toml", "--quiet") if number % 3 == 2 else ("worker",)
            runs.append(pool.submit(journey, house, Killer(house, draw, command), each))
        killers = [run.result() for run in runs]
    kills = [kill for killer in killers for kill in killer.kills]
    wrong = [text for killer in killers for text in killer.wrong]
    phases = Counter(phase for kill in kills for phase in kill.phases)
    amid = sum(kill.amid for kill in kills)
    print(
        f"{len(kills)} kills of {HOUSES} journeys in {time.monotonic() - began:.0f} s, "
        f"{amid} amid carrying; under way were {dict(phases)}; {len(heard)} events were told"
    )
    assert not wrong, "\n".join(wrong[:20])
    assert len(kills) >= KILLS
    assert amid >= len(kills) // 5, "the kills miss what they should hit"
    if len(kills) >= 200:
        assert {"planned", "initial", "newest", "delta", "final", "sweep", "verifying"} <= {*phases}


def journey(house: House, killer: Killer, kills: int) -> Killer:
    """One house from its start to its end, with about so many kills."""
    try:
        _journey(house, killer, kills)
    finally:
        house.end()
    return killer


def _journey(house: House, killer: Killer, kills: int) -> None:
    def share(name: str) -> range:
        return range(max(1, round(kills * SHARES[name])))

    house.make()
    for owner in house.owners:
        owner.fill(MESSAGES)
    house.must("start", "plan.toml")
    killer.kill(most=1.0)
    killer.kill(killer.some("planned"))
    if house.wishes.objects:
        killer.until("checked", "ready", "copying", "synced")
        killer.kill(most=0.5)
        house.approve("objects")
    for _ in share("copy"):
        killer.kill(killer.amid("initial", "newest"), most=0.2)
    killer.until("synced")
    for _ in share("delta"):
        for owner in house.owners:
            owner.go_on(new=8, flagged=4, deleted=4)
        killer.kill(killer.amid("delta"), most=0.2)
    killer.work()
    killer.up_to_date()
    for wave in house.wishes.waves:
        owners = house.of_wave(wave)
        for owner in owners:
            owner.go_on(new=25)
            owner.switched()
        killer.work()
        house.approve("go", wave)
        for _ in share("final")[::2]:
            killer.kill(killer.amid("final"), most=0.2)
    killer.until("sweeping")
    for _ in share("sweep"):
        for owner in house.owners:
            owner.go_on(new=4)
            owner.at_the_new(1)
        killer.kill(killer.amid("sweep"), most=0.2)
    while len(killer.kills) < kills - len(share("verify")):
        killer.kill(killer.begun("sweep"), most=0.2)
    killer.lose(lambda: True, lambda house: house.later(SWEPT_FOR))
    for _ in share("verify"):
        killer.kill(killer.some("verifying"), most=0.05)
    killer.until("verified")
    while len(killer.kills) < kills:
        killer.kill(most=0.4)
    house.sign_off()
    killer.until("completed")
    killer.wrong += wrong_in_the_end(house)


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """A web address that events are told to, and what it has heard."""
    heard: list[bytes] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/told", heard
    finally:
        server.shutdown()
        server.server_close()
