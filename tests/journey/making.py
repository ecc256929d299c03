"""Plans and mailboxes for tests, and rows brought to a state at once."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, update

from mailhaul.db import tables
from mailhaul.journey.loading import Loaded, load
from mailhaul.journey.plans import PlanRow, plan_row
from mailhaul.journey.rows import MailboxRow, from_row
from mailhaul.journey.states import State
from mailhaul.plan.model import ListedMailbox, Plan

NOW = 1_800_000_000.0
ACTOR = "olga"


def plan_model(**more: Any) -> Plan:
    """A plan from old.example to new.example."""
    values = {
        "name": "acme",
        "source": {"url": "imaps://{address}@old.example"},
        "target": {"url": "imaps://{address}@new.example"},
        **more,
    }
    return Plan.model_validate(values)


def listed(address: str, wave: str = "", **more: str) -> ListedMailbox:
    """A row of the plan with its endpoints filled in."""
    user = address.replace("@", "%40")
    values: dict[str, Any] = {
        "source": f"imaps://{user}@old.example",
        "target": f"imaps://{user}@new.example",
        "source_secret": "env:OLD",
        "target_secret": "env:NEW",
        **more,
    }
    return ListedMailbox(address=address, wave=wave, **values)


def loaded(
    connection: Connection, *mailboxes: ListedMailbox, at: float = NOW, **plan: Any
) -> tuple[PlanRow, Loaded]:
    """The plan, loaded with those mailboxes."""
    result = load(connection, plan_model(**plan), mailboxes, Path("/plans"), at=at, actor=ACTOR)
    return plan_row(connection, result.plan), result


def row(connection: Connection, address: str) -> MailboxRow:
    """The mailbox of that address in the only plan."""
    table = tables.mailbox
    return from_row(connection.execute(select(table).where(table.c.address == address)).one())


def put(connection: Connection, address: str, state: State, **values: Any) -> MailboxRow:
    """Brings a mailbox to a state without a journey."""
    table = tables.mailbox
    connection.execute(
        update(table).where(table.c.address == address).values(state=state.value, **values)
    )
    return row(connection, address)


def started(connection: Connection, plan: PlanRow, at: float = NOW) -> PlanRow:
    """The plan as if it had been started for all."""
    connection.execute(update(tables.plan).values(started_at=at))
    connection.execute(update(tables.mailbox).values(started_at=at))
    return plan_row(connection, plan.id)


def a_pass(connection: Connection, mailbox: int, number: int = 1, **values: Any) -> None:
    """A pass's row; it took from `began_at` to `ended_at`."""
    connection.execute(
        insert(tables.passes).values(
            {
                "mailbox_id": mailbox,
                "number": number,
                "kind": "initial",
                "began_at": NOW,
                "waits": {},
                "unfinished": [],
                "notes": [],
                **values,
            }
        )
    )


def actions(connection: Connection) -> list[str]:
    """The log's actions, in order."""
    table = tables.event
    return list(connection.execute(select(table.c.action).order_by(table.c.number)).scalars())
