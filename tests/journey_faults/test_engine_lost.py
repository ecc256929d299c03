"""The engine's own database is deleted amid a journey: rows decide, so that nothing is lost."""

import random
from pathlib import Path

import psycopg
import pytest

from tests.faults import soaking
from tests.faults.soaking import ROUNDS, SEED
from tests.journey_faults.house import House, Wishes
from tests.journey_faults.judging import wrong_in_the_end
from tests.journey_faults.kills import Aim, Killer
from tests.journey_faults.nursery import Nursery
from tests.servers.postgres import Postgres
from tests.servers.process import RunningServer

BEREFT = 1
"""How a worker may end whose engine's tables are taken away while it works: it says so, and the
next one makes them again."""
SWEPT_FOR = 1000
"""Hours, of which one is a second: none of the sweeps ends by itself, as long as mail comes in."""


@pytest.mark.soak
@pytest.mark.timeout(0 if soaking.SOAKING else 600)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_without_its_engines_database_everything_is_completed(
    kind: str,
    request: pytest.FixtureRequest,
    dovecot: RunningServer,
    nursery: Nursery,
    states: Path,
) -> None:
    url = None
    if kind == "postgres":
        server = request.getfixturevalue("postgres")
        assert isinstance(server, Postgres)
        url = server.database()
    draw = random.Random(f"engine {SEED} {kind}")
    wishes = Wishes(people=4, sweeps_for=f"{SWEPT_FOR}h")
    house = House(states / kind, nursery, dovecot, dovecot, wishes, draw, url)
    crew = 2 if kind == "postgres" else 1
    killer = Killer(house, draw, crew=crew, bearable=frozenset({BEREFT}))
    try:
        lost = _journey(house, killer)
    finally:
        house.end()
    print(f"{kind}: the engine's database was deleted {lost} times; ended: {dict(killer.ended)}")
    assert not killer.wrong, "\n".join(killer.wrong[:20])
    assert lost >= 6 * ROUNDS


def _journey(house: House, killer: Killer) -> int:
    lost = 0

    def lose(aim: Aim) -> None:
        nonlocal lost
        for _ in range(ROUNDS):
            killer.lose(aim, _forget_engine)
            lost += 1

    house.make()
    for owner in house.owners:
        owner.fill(60)
    house.must("start", "plan.toml")
    planned = killer.some("planned")
    lose(lambda: planned() and _has_engine(house))
    killer.until("checked")
    house.approve("objects")
    lose(killer.amid("initial"))
    killer.until("synced")
    for owner in house.owners:
        owner.go_on(new=15, flagged=3, deleted=3)
    lose(killer.amid("delta"))
    killer.up_to_date()
    for wave in house.wishes.waves:
        for owner in house.of_wave(wave):
            owner.go_on(new=20)
            owner.switched()
        killer.work()
        house.approve("go", wave)
        lose(killer.amid("final"))
    killer.until("sweeping")
    for owner in house.owners:
        owner.go_on(new=10)
        owner.at_the_new(2)
    lose(killer.amid("sweep"))
    killer.lose(lambda: True, lambda house: house.later(SWEPT_FOR))
    killer.until("verified")
    house.sign_off()
    killer.rest()
    killer.wrong += wrong_in_the_end(house)
    return lost


def _has_engine(house: House) -> bool:
    if house.url is None:
        return any(house.state.glob("engine.sqlite*"))
    return house.seen.query("SELECT to_regnamespace('mailhaul_engine')::text") != [(None,)]


def _forget_engine(house: House) -> None:
    if house.url is None:
        for file in house.state.glob("engine.sqlite*"):
            file.unlink()
        return
    with psycopg.connect(house.url, autocommit=True) as server:
        server.execute("DROP SCHEMA mailhaul_engine CASCADE")
