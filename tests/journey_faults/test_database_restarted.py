"""PostgreSQL crashes and is started again in the middle of a journey: the workers wait for it and
go on, and nothing is lost or doubled."""

import random
import time
from pathlib import Path

import pytest

from tests.faults import soaking
from tests.faults.soaking import ROUNDS, SEED
from tests.journey_faults.house import House, Wishes
from tests.journey_faults.judging import wrong_in_the_end
from tests.journey_faults.kills import Killer
from tests.journey_faults.nursery import Nursery
from tests.servers.postgres import Postgres
from tests.servers.process import RunningServer

CREW = 2
MESSAGES = 60
SWEPT_FOR = 1000
"""Hours: no mailbox stops sweeping while mail comes in."""


@pytest.mark.soak
@pytest.mark.timeout(0 if soaking.SOAKING else 600)
def test_workers_wait_for_a_database_that_restarts_and_go_on(
    dovecot: RunningServer, cyrus: RunningServer, nursery: Nursery, states: Path
) -> None:
    draw = random.Random(f"restarts {SEED}")
    wishes = Wishes(people=4, sweeps_for=f"{SWEPT_FOR}h")
    with Postgres(crashes=True) as postgres:
        url = postgres.database()
        house = House(states / "restarted", nursery, dovecot, cyrus, wishes, draw, url)
        killer = Killer(house, draw, crew=CREW)
        try:
            restarts = _journey(house, killer, postgres)
        finally:
            house.end()
            (house.home / "postgres.log").write_text(postgres.log())
    print(f"{restarts} restarts; workers ended by themselves: {dict(killer.ended)}")
    assert not killer.wrong, "\n".join(killer.wrong[:20])


def _journey(house: House, killer: Killer, postgres: Postgres) -> int:
    restarts = 0

    def crash(away: float) -> None:
        nonlocal restarts
        restarts += 1
        postgres.stop()
        time.sleep(away)
        postgres.start()

    house.make()
    for owner in house.owners:
        owner.fill(MESSAGES)
    house.must("start", "plan.toml")
    killer.work()
    killer.until("checked")
    house.approve("objects")
    killer.meanwhile(killer.amid("initial"), lambda _: crash(0.0))
    killer.until("synced")
    for _ in range(ROUNDS):
        for owner in house.owners:
            owner.go_on(new=8, flagged=2, deleted=2)
        killer.meanwhile(killer.amid("delta"), lambda _: crash(6.0))
    killer.up_to_date()
    for wave in house.wishes.waves:
        for owner in house.of_wave(wave):
            owner.go_on(new=10)
            owner.switched()
        house.approve("go", wave)
        killer.meanwhile(killer.amid("final"), lambda _: crash(0.5))
    killer.until("sweeping")
    for _ in range(ROUNDS):
        for owner in house.owners:
            owner.go_on(new=5)
            owner.at_the_new(1)
        killer.meanwhile(killer.amid("sweep"), lambda _: crash(0.0))
    killer.lose(lambda: True, lambda house: house.later(SWEPT_FOR))
    killer.until("verified")
    house.sign_off()
    killer.until("completed")
    killer.rest()
    killer.wrong += wrong_in_the_end(house)
    return restarts
