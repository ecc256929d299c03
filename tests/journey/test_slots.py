"""Slots: one living process a name."""

import time
import zlib
from pathlib import Path

import psycopg
import pytest

from mailhaul.core.errors import BadInput, Busy
from mailhaul.journey.slots import FileSlot, PostgresSlot
from tests.servers.postgres import Postgres


def until(what: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def cut_sessions(url: str) -> None:
    """As if the network had gone: every slot's session ends at the server."""
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'mailhaul slot'"
        )


def test_a_file_has_one_slot(tmp_path: Path) -> None:
    first = FileSlot(tmp_path)
    with pytest.raises(Busy, match="a worker runs here already"):
        FileSlot(tmp_path)
    first.release()
    second = FileSlot(tmp_path)
    assert second.name == "w1"
    assert second.dead("w2")
    second.release()
    second.release()


def test_workers_have_names_of_their_own(postgres: Postgres) -> None:
    url = postgres.database()
    slots = [PostgresSlot(url) for _ in range(3)]
    assert [each.name for each in slots] == ["w1", "w2", "w3"]
    slots[1].release()
    fourth = PostgresSlot(url)
    assert fourth.name == "w2"
    for each in (*slots, fourth):
        each.release()


def test_only_the_dead_are_dead(postgres: Postgres) -> None:
    url = postgres.database()
    first, second = PostgresSlot(url), PostgresSlot(url)
    assert not first.dead("w2")
    assert not first.dead("w1")
    second.release()
    until(lambda: first.dead("w2"))
    third = PostgresSlot(url)
    assert third.name == "w3"
    first.bury("w2")
    fourth = PostgresSlot(url)
    assert fourth.name == "w2"
    for each in (first, third, fourth):
        each.release()


def test_a_slot_is_taken_back_after_a_cut(postgres: Postgres) -> None:
    url = postgres.database()
    slot = PostgresSlot(url, look=0.05, grace=5.0)
    fenced: list[bool] = []
    slot.guard(lambda: fenced.append(True))
    cut_sessions(url)
    time.sleep(1.0)
    other = PostgresSlot(url)
    assert (fenced, other.name) == ([], "w2")
    other.release()
    slot.release()


def test_who_has_lost_its_slot_to_another_is_fenced(postgres: Postgres) -> None:
    url = postgres.database()
    slot = PostgresSlot(url, look=1.5, grace=5.0)
    fenced: list[bool] = []
    slot.guard(lambda: fenced.append(True))
    cut_sessions(url)
    other = PostgresSlot(url)
    assert other.name == "w1"
    until(lambda: fenced)
    other.release()
    slot.release()


def test_who_was_only_thought_dead_for_a_moment_has_its_slot_back(postgres: Postgres) -> None:
    """When the database restarts, somebody may be the first to be back and adopt what all others
    had begun."""
    url = postgres.database()
    slot, other = PostgresSlot(url, look=1.0), PostgresSlot(url)
    fenced: list[bool] = []
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND objid = %s",
            (zlib.crc32(b"w1") - 2**31 & 0xFFFFFFFF,),
        )
    until(lambda: other.dead("w1"))
    slot.guard(lambda: fenced.append(True))
    time.sleep(1.5)
    other.bury("w1")
    time.sleep(1.0)
    third = PostgresSlot(url)
    assert (fenced, third.name) == ([], "w3")
    for each in (slot, other, third):
        each.release()


def test_without_the_database_a_worker_is_fenced_in_time() -> None:
    with Postgres() as server:
        slot = PostgresSlot(server.database(), look=0.05, grace=0.5)
        fenced: list[bool] = []
        slot.guard(lambda: fenced.append(True))
        server.stop()
        until(lambda: fenced)
        assert not slot.dead("w9")
        slot.release()


def test_a_database_that_is_away_is_no_defect(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be reached"):
        PostgresSlot(f"postgresql://nobody@/nothing?host={tmp_path}")
