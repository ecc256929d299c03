"""One of three workers on PostgreSQL is killed again and again, or sleeps for longer than it may
and then goes on: others have its mailboxes in half a minute, and nothing is written twice.

Mail comes in all the while, but never to a mailbox that will not be swept any more: the sweeps go
on until the clock is put forward, which nobody who works lives to see.
"""

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import soaking
from tests.faults.soaking import SEED
from tests.journey_faults.house import House, Wishes
from tests.journey_faults.judging import wrong_in_the_end
from tests.journey_faults.kills import NOTICED, Killer
from tests.journey_faults.nursery import Nursery
from tests.servers.postgres import Postgres
from tests.servers.process import RunningServer

CREW = 3
KILLS = soaking.KILLS * 3 // 20
"""30 always, 150 by `make soak`."""
MESSAGES = 60
SLEEP = 3.5
FENCED = 70
"""How a worker ends that has lost its slot."""
SWEPT_FOR = 1000
"""Hours, of which one is a second: none of the sweeps ends by itself."""


@pytest.mark.soak
@pytest.mark.timeout(0 if soaking.SOAKING else 600)
def test_one_of_three_workers_dies_again_and_again_and_its_mailboxes_go_on_elsewhere(
    dovecot: RunningServer,
    cyrus: RunningServer,
    postgres: Postgres,
    nursery: Nursery,
    states: Path,
) -> None:
    began = time.monotonic()
    draw = random.Random(f"three workers {SEED}")
    wishes = Wishes(people=4, sweeps_for=f"{SWEPT_FOR}h")
    house = House(states / "three", nursery, dovecot, cyrus, wishes, draw, postgres.database())
    killer = Killer(house, draw, crew=CREW, bearable=frozenset({FENCED}))
    try:
        _journey(house, killer)
    finally:
        house.end()
        (house.home / "postgres.log").write_text(postgres.log())
    kills = killer.kills
    noticed = sorted(kill.noticed for kill in kills if kill.runs)
    went_on = sorted(kill.went_on for kill in kills if kill.went_on)
    phases = Counter(phase for kill in kills for phase in kill.phases)
    print(
        f"{len(kills)} kills of one of {CREW} in {time.monotonic() - began:.0f} s, "
        f"{len(noticed)} of them at work, {sum(kill.amid for kill in kills)} amid carrying: "
        f"{dict(phases)}; taken over within {noticed[len(noticed) // 2]:.1f} s, "
        f"at most {noticed[-1]:.1f} s, and gone on with within {went_on[len(went_on) // 2]:.1f} s, "
        f"at most {went_on[-1]:.1f} s; ended by themselves: {dict(killer.ended)}"
    )
    assert not killer.wrong, "\n".join(killer.wrong[:20])
    assert len(kills) >= KILLS
    assert len(noticed) >= len(kills) // 2, "the kills miss who is at work"
    assert went_on[-1] < NOTICED


def _journey(house: House, killer: Killer) -> None:
    house.make()
    for owner in house.owners:
        owner.fill(MESSAGES)
    house.must("start", "plan.toml")
    killer.kill(killer.some("planned"))
    killer.until("checked")
    house.approve("objects")
    killer.kill(killer.amid("initial"))
    killer.freeze(killer.amid("initial"), seconds=SLEEP, lost=True)
    killer.freeze(killer.amid("initial"), seconds=SLEEP, lost=False)
    while len(killer.kills) < KILLS // 6 and house.seen.states()["copying"]:
        killer.kill(killer.amid("initial"))
    killer.until("synced")
    for number in range(KILLS // 5):
        for owner in house.owners:
            owner.go_on(new=8, flagged=2, deleted=2)
        killer.kill(killer.amid("delta", most=6))
        if number % 10 == 1:
            for owner in house.owners:
                owner.go_on(new=8)
            killer.freeze(killer.amid("delta", most=6), seconds=SLEEP, lost=True)
    killer.up_to_date()
    for wave in house.wishes.waves:
        owners = house.of_wave(wave)
        for owner in owners:
            owner.go_on(new=20)
            owner.switched()
        killer.work()
        house.approve("go", wave)
        for _ in range(KILLS // 10):
            killer.kill(killer.amid("final", most=8))
    killer.until("sweeping")
    number = 0
    while len(killer.kills) < KILLS:
        for owner in house.owners:
            owner.go_on(new=5)
            owner.at_the_new(1)
        killer.kill(killer.amid("sweep", most=4))
        if number % 10 == 0:
            for owner in house.owners:
                owner.go_on(new=5)
            killer.freeze(killer.amid("sweep", most=4), seconds=SLEEP, lost=True)
        number += 1
    killer.lose(lambda: True, lambda house: house.later(SWEPT_FOR))
    killer.until("verified")
    house.sign_off()
    killer.until("completed")
    killer.rest()
    killer.wrong += wrong_in_the_end(house)
