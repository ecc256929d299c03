"""A newer mailhaul takes over what an older one has begun: installations that were recorded then.

`recorded/revision-NNNN.tar.gz` is an installation as a worker of that revision left it: databases
as SQL (ours, the engine's, the ledgers), the mailboxes as Maildirs. In it one mailbox sweeps, one
is synced, one is paused, one has not been started; new mail has come in since.
"""

import sqlite3
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from mailhaul.db.migrate import migrate, revision
from mailhaul.journey.clock import wind
from mailhaul.journey.events import broken, log
from mailhaul.journey.moving import move
from mailhaul.journey.plans import PlanState, plan_named
from mailhaul.journey.states import State
from tests.cli.running import command, environment
from tests.servers.postgres import Postgres

RECORDED = Path(__file__).parent / "recorded"
THEN = "/recorded-installation"
SPEED = 3600.0
LETTERS = {"anna": 12, "bob": 11, "carl": 11, "dora": 11}


def restored(name: str, directory: Path) -> Path:
    """The installation in `directory`, its clock wound from now on."""
    with tarfile.open(RECORDED / name) as archive:
        archive.extractall(directory, filter="data")
    state = directory / "state"
    for script in state.rglob("*.sql"):
        if script.parent == state:
            file = script.with_suffix(".sqlite")
        else:
            file = script.with_suffix("") / "ledger.sqlite"
            file.parent.mkdir()
        with sqlite3.connect(file) as opened:
            opened.executescript(script.read_text().replace(THEN, str(directory)))
        opened.close()
    database = open_database(None, state)
    with database.begin() as connection:
        newest = max(each.at for each in log(connection, 1))
        wind(connection, SPEED, newest + 60, time.time())
    database.close()
    return directory


def run(directory: Path, *words: str) -> str:
    done = subprocess.run(
        command([*words, "--state", directory / "state"]),
        cwd=directory,
        env=environment(directory),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return done.stdout + done.stderr


def letters(directory: Path, side: str, person: str) -> list[bytes]:
    files = (directory / side / person).rglob("*.old.example*" if side == "source" else "*")
    inside = [file for file in files if file.is_file() and file.parent.name in ("cur", "new")]
    return sorted(file.read_bytes().replace(b"\r\n", b"\n") for file in inside)


@pytest.mark.parametrize("name", [each.name for each in sorted(RECORDED.glob("*.tar.gz"))])
def test_what_an_older_one_began_is_completed(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    directory = restored(name, tmp_path / "installation")
    then = open_database(None, directory / "state")
    with then.begin() as connection:
        assert name == f"revision-{revision(connection)}.tar.gz"
        old = [each.digest for each in log(connection, 1)]
    then.close()

    run(directory, "resume", "recorded")
    run(directory, "start", "recorded")
    run(directory, "run", "recorded")
    for wave in ("b", "c"):
        run(directory, "approve", "--gate", "go", "--wave", wave, "--as", "Bea", "--yes")
    run(directory, "run", "recorded")
    run(directory, "complete", "recorded", "--as", "Bea", "--yes")

    now = open_database(None, directory / "state")
    with now.begin() as connection:
        assert plan_named(connection, "recorded").state is PlanState.COMPLETED
        states = connection.execute(select(tables.mailbox.c.state)).scalars().all()
        assert set(states) == {State.COMPLETED}
        assert broken(connection, 1) == ""
        assert [each.digest for each in log(connection, 1)][: len(old)] == old
    now.close()
    for person, count in LETTERS.items():
        assert letters(directory, "target", person) == letters(directory, "source", person)
        assert len(letters(directory, "target", person)) == count


def test_the_oldest_can_be_moved_to_a_server(postgres: Postgres, tmp_path: Path) -> None:
    directory = restored("revision-0001.tar.gz", tmp_path / "installation")
    source: Database = open_database(None, directory / "state")
    target = open_database(postgres.database(), directory)
    migrate(source)
    migrate(target)
    moved = move(source, target, directory / "state")
    assert (moved.plans, moved.mailboxes, moved.messages) == (1, 4, 33)
    with target.begin() as connection:
        assert broken(connection, 1) == ""
    source.close()
    target.close()
