"""A plan that two people load at the same moment is loaded once, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from mailhaul.db.database import Database
from mailhaul.journey.loading import Loaded, load
from mailhaul.plan.model import ListedMailbox
from tests.journey.making import ACTOR, NOW, actions, listed, plan_model


def loaded_by(
    database: Database, mailboxes: list[ListedMailbox], began: Event, go_on: Event
) -> Loaded:
    with database.begin() as connection:
        began.set()
        found = load(connection, plan_model(), mailboxes, Path("/plans"), at=NOW, actor=ACTOR)
        assert go_on.wait(10)
    return found


def test_who_loads_a_plan_beside_another_finds_it_loaded(database: Database) -> None:
    first_began, second_began, go_on, already = Event(), Event(), Event(), Event()
    already.set()
    mailboxes = [listed("anna@x"), listed("bert@x")]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(loaded_by, database, mailboxes, first_began, go_on)
        assert first_began.wait(10)
        second = threads.submit(loaded_by, database, mailboxes, second_began, already)
        # On a file the second transaction can't even begin; on a server it can.
        second_began.wait(1)
        go_on.set()
        one, other = first.result(30), second.result(30)
    assert (one.new, one.added) == (True, ["anna@x", "bert@x"])
    assert (other.new, other.anything, other.plan) == (False, False, one.plan)
    with database.begin() as connection:
        assert actions(connection) == ["loaded"]
