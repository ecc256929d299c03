"""A plan that moves accounts comes into the database: which mailboxes have a move, and which stay
without one."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from mailhaul.db import tables
from mailhaul.journey.account_rows import MoveRow, move_of, moves
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.loading import Loaded, load
from mailhaul.journey.states import State
from mailhaul.plan.model import ListedMailbox
from tests.journey.house import House, plan_of

NONE: dict[str, Any] = {"accounts": {"path": "none"}}


def rows(house: House) -> list[MoveRow]:
    with house.database.begin() as connection:
        return moves(connection, house.number)


def listed(person: str, source: str = "") -> ListedMailbox:
    return ListedMailbox(
        address=f"{person}@x",
        source=source or f"imaps://{person}@old.example",
        target=f"imaps://{person}@new.example",
        source_secret=f"env:{person}-source",
        target_secret=f"env:{person}-target",
    )


def again(house: House, *people: ListedMailbox, **settings: Any) -> Loaded:
    with house.database.begin() as connection:
        at = house.hand.time
        plan = plan_of(**settings)
        return load(connection, plan, people, house.directory, at=at, actor="lee")


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [("a section", {"accounts": {}}, 2), ("it says none", NONE, 0), ("no section", {}, 0)],
)
def test_each_mailbox_has_a_move(
    name: str, settings: dict[str, Any], count: int, tmp_path: Path
) -> None:
    house = House(tmp_path, plan_of(**settings), ("anna", "bob"))
    assert [(row.address, row.state, row.open) for row in rows(house)] == [
        ("anna@x", MoveState.WAITING, True),
        ("bob@x", MoveState.WAITING, True),
    ][:count]


def test_who_is_listed_later_has_one_too_and_nothing_changes_by_loading_again(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, plan_of(accounts={}))
    assert not again(house, listed("anna"), accounts={}).anything
    loaded = again(house, listed("anna"), listed("bob"), accounts={})
    assert loaded.changed == ["bob@x: its account is moved first"]
    assert [row.address for row in rows(house)] == ["anna@x", "bob@x"]


async def test_of_whom_something_has_been_carried_the_account_stays(tmp_path: Path) -> None:
    house = House(tmp_path, plan_of())
    await house.drive(State.SYNCED)
    assert again(house, listed("anna"), accounts={}).changed == ["accounts changed"]
    assert rows(house) == []


def test_what_nobody_agreed_to_is_forgotten_when_the_plan_no_longer_says_it(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, plan_of(accounts={}), ("anna", "bob"))
    bob = house.row("bob").id
    with house.database.begin() as connection:
        table = tables.account_move
        moving = update(table).where(table.c.mailbox_id == bob)
        connection.execute(moving.values(state=MoveState.MOVING.value))
    loaded = again(house, listed("anna"), listed("bob"))
    assert "anna@x: its account is left alone" in loaded.changed
    assert [row.address for row in rows(house)] == ["bob@x"]
    assert house.row().due_at == house.hand.time


def test_a_moved_account_keeps_its_new_place_whatever_the_plan_said_before(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, plan_of(accounts={}))
    before = house.row()
    with house.database.begin() as connection:
        row = move_of(connection, before.id)
        assert row is not None
        move, mailbox = tables.account_move, tables.mailbox
        kept = {"source": before.source, "source_secret": before.source_secret}
        connection.execute(update(move).values(state=MoveState.MOVED.value, **kept))
        connection.execute(update(mailbox).values(source="imaps://anna01@old.example"))
    assert not again(house, listed("anna"), accounts={}).anything
    assert house.row().source == "imaps://anna01@old.example"
    loaded = again(house, listed("anna", "imaps://anna@older.example"), accounts={})
    assert loaded.kept == ["anna@x keeps its source, for its account has been moved"]
    assert house.row().source == "imaps://anna01@old.example"
