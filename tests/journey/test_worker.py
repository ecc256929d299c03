"""Workers as processes, on SQLite and on PostgreSQL, between real servers, by a wound clock."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailhaul.journey import orders
from mailhaul.journey.dbos_engine import FILE
from mailhaul.journey.questions import Gate
from mailhaul.journey.states import State
from tests.cli.running import mailhaul
from tests.journey.moving import Moving, kill, stop
from tests.journey.narrow import narrow
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres

SPEED = 3600.0
"""An hour of the journey is a second."""


@pytest.fixture(params=["sqlite", "postgres"])
def moving(request: pytest.FixtureRequest, tmp_path: Path, dovecot: Dovecot) -> Iterator[Moving]:
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        assert isinstance(server, Postgres)
        url = server.database()
    found = Moving(tmp_path, dovecot, url, SPEED)
    for address in found.accounts:
        for number in range(3):
            found.deliver(address, f"{address} {number}")
    yield found
    found.database.close()


def everything_arrived(moving: Moving) -> None:
    for address in moving.accounts:
        assert sorted(moving.names(address, 1)) == sorted(moving.names(address, 0))


def test_a_plan_from_start_to_completed(moving: Moving) -> None:
    moving.start()
    with moving.working() as worker:
        moving.until(State.SYNCED)
        for address in moving.accounts:
            moving.deliver(address, f"{address} late")
        moving.open(Gate.GO)
        moving.until(State.SWEEPING, State.VERIFYING, State.VERIFIED)
        moving.deliver("person0@moving.example", "stray")
        moving.until(State.VERIFIED)
        assert stop(worker) < 20
    everything_arrived(moving)
    assert {row.grade for row in moving.rows()} == {"perfect"}
    assert len(moving.names("person0@moving.example", 1)) == 5
    moving.open(Gate.SIGN_OFF)
    moving.order(orders.complete, who="Kim")
    assert {row.state for row in moving.rows()} == {State.COMPLETED}
    assert moving.plan().state == "completed"
    (row,) = moving.table("worker")
    assert row.stopped_at is not None
    ran = mailhaul("log", "--proof", *moving.where, home=moving.home)
    assert ran.code == 0


def test_killed_at_random_instants_nothing_is_lost_or_doubled(moving: Moving) -> None:
    chance = random.Random(7)
    moving.start()
    for _ in range(3):
        with moving.working() as worker:
            time.sleep(chance.uniform(1.5, 4.0))
            kill(worker)
    if moving.database_url is None:
        for file in moving.state.glob(f"{FILE}*"):
            file.unlink()
    with moving.working() as worker:
        moving.until(State.SYNCED)
        moving.open(Gate.GO)
        time.sleep(chance.uniform(0.5, 2.0))
        kill(worker)
    with moving.working() as worker:
        moving.until(State.VERIFIED)
        assert stop(worker) < 20
    everything_arrived(moving)
    assert {row.grade for row in moving.rows()} == {"perfect"}
    (gate,) = moving.table("gate")
    assert gate.opened_by == "Kim"
    went = [each for each in moving.table("event") if each.action == "went"]
    assert len(went) == len(moving.accounts)


def test_a_file_takes_one_worker_only(moving: Moving) -> None:
    if moving.database_url is not None:
        pytest.skip("PostgreSQL takes any number")
    with moving.working():
        while not moving.table("worker"):
            time.sleep(0.1)
        ran = mailhaul("worker", *moving.where, home=moving.home)
        assert ran.code == 2
        assert "a worker runs here already" in ran.err


def test_a_dead_worker_s_mailboxes_go_on_elsewhere(moving: Moving) -> None:
    if moving.database_url is None:
        pytest.skip("a file takes one worker only")
    moving.start()
    with moving.working() as first, moving.working() as second:
        while len(moving.table("worker")) < 2:
            time.sleep(0.1)
        time.sleep(1.0)
        kill(first)
        began = time.monotonic()
        moving.until(State.SYNCED)
        assert time.monotonic() - began < 60
        moving.open(Gate.GO)
        moving.until(State.VERIFIED)
        assert stop(second) < 20
    everything_arrived(moving)
    assert {row.grade for row in moving.rows()} == {"perfect"}


def test_run_says_what_it_waits_for(moving: Moving) -> None:
    ran = mailhaul("run", "plan.toml", *moving.where, home=moving.home, environ=moving.environ)
    assert ran.code == 3, ran.err
    assert "waits for people" in ran.out
    assert "go" in ran.out
    everything_arrived(moving)


def test_what_is_under_way_stops_in_time_and_goes_on(moving: Moving) -> None:
    for address in moving.accounts:
        moving.fill(address, 600)
    with narrow(moving.server.host, moving.server.port, rate=100_000) as way:
        moving.to_the_target_through(way.port)
        moving.start()
        with moving.working() as worker:
            while not any(row.copied > 20 for row in moving.rows()):
                time.sleep(0.02)
            assert stop(worker) < 20
        assert "Traceback" not in moving.log
        assert any(row.state is State.COPYING for row in moving.rows()), moving.rows()
        assert all(row.copied < 603 for row in moving.rows())
        way.open_wide()
        with moving.working() as worker:
            moving.until(State.SYNCED)
            kill(worker)
    everything_arrived(moving)
    initial = [each for each in moving.table("passes") if each.number == 1]
    assert {(each.kind, each.outcome) for each in initial} == {("initial", "complete")}
    assert {each.carried for each in initial} == {603}
