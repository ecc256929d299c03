"""One of three workers on PostgreSQL is killed again and again, or sleeps for longer than it may
and then goes on: others have its mailboxes in half a minute, and nothing is written twice."""

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
MESSAGES = 120
SLEEP = 4.0
FENCED = 70
"""How a worker ends that has lost its slot."""


@pytest.mark.soak
@pytest.mark.skipif(not soaking.SOAKING, reason="takes minutes: make soak")
@pytest.mark.timeout(0)
def test_one_of_three_workers_dies_again_and_again_and_its_mailboxes_go_on_elsewhere(
    dovecot: RunningServer,
    cyrus: RunningServer,
    postgres: Postgres,
    nursery: Nursery,
    states: Path,
) -> None:
    began = time.monotonic()
    draw = random.Random(f"three workers {SEED}")
    wishes = Wishes(people=8, sweeps_for="16h", speed=1800.0)
    house = House(states / "three", nursery, dovecot, cyrus, wishes, draw, postgres.database())
    killer = Killer(house, draw, crew=CREW, bearable=frozenset({FENCED}))
    try:
        _journey(house, killer)
    finally:
        house.end()
        (house.home / "postgres.log").write_text(postgres.log())
    kills = killer.kills
    noticed = sorted(kill.noticed for kill in kills if kill.runs)
    phases = Counter(phase for kill in kills for phase in kill.phases)
    print(
        f"{len(kills)} kills of one of {CREW} in {time.monotonic() - began:.0f} s, "
        f"{len(noticed)} of them at work, {sum(kill.amid for kill in kills)} amid carrying: "
        f"{dict(phases)}; taken over within {noticed[len(noticed) // 2]:.1f} s, "
        f"at most {noticed[-1]:.1f} s; ended by themselves: {dict(killer.ended)}"
    )
    assert not killer.wrong, "\n".join(killer.wrong[:20])
    assert len(kills) >= KILLS
    assert len(noticed) >= len(kills) // 2, "the kills miss who is at work"
    assert noticed[-1] < NOTICED


def _journey(house: House, killer: Killer) -> None:
    house.make()
    for owner in house.owners:
        owner.fill(MESSAGES)
    house.must("start", "plan.toml")
    killer.kill(killer.some("planned"))
    killer.until("checked")
    house.approve("objects")
    for number in range(KILLS // 4):
        killer.kill(killer.amid("initial"))
        if number == 2:
            killer.freeze(killer.amid("initial"), seconds=SLEEP, lost=True)
        if number == 4:
            killer.freeze(killer.amid("initial"), seconds=SLEEP, lost=False)
    killer.until("synced")
    for number in range(KILLS // 4):
        for owner in house.owners:
            owner.go_on(new=10, flagged=3, deleted=3)
        killer.kill(killer.amid("delta"))
        if number % 3 == 1:
            for owner in house.owners:
                owner.go_on(new=10)
            killer.freeze(killer.amid("delta"), seconds=SLEEP, lost=True)
    killer.up_to_date()
    for wave in house.wishes.waves:
        owners = house.of_wave(wave)
        for owner in owners:
            owner.go_on(new=25)
            owner.switched()
        killer.work()
        house.approve("go", wave)
        for _ in range(KILLS // 10):
            killer.kill(killer.amid("final"))
    killer.until("sweeping", "verifying", "verified")
    for number in range(KILLS // 4):
        for owner in house.owners:
            owner.go_on(new=5)
            owner.at_the_new(1)
        killer.kill(killer.amid("sweep"))
        if number % 3 == 0:
            for owner in house.owners:
                owner.go_on(new=5)
            killer.freeze(killer.amid("sweep"), seconds=SLEEP, lost=True)
    while len(killer.kills) < KILLS:
        killer.kill(killer.begun("sweep"))
    killer.until("verified")
    house.sign_off()
    killer.until("completed")
    killer.rest()
    killer.wrong += wrong_in_the_end(house)
