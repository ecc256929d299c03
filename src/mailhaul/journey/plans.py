"""A plan as it has been loaded: its row, and the model that its row holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.db import tables
from mailhaul.plan.model import Plan


class PlanState(StrEnum):
    """`running` from the moment of loading on; nothing of it runs before `started_at`."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class PlanRow:
    """See `db.tables.plan`."""

    id: int
    name: str
    text: str
    directory: Path
    state: PlanState
    loaded_at: float
    started_at: float | None
    ended_at: float | None

    @property
    def plan(self) -> Plan:
        """As it was loaded, without its mailboxes: those are rows."""
        return _model(self.text)


def plan_text(plan: Plan) -> str:
    """What a plan's row keeps of it."""
    return plan.model_dump_json(by_alias=True, exclude={"mailboxes"})


def plan_row(connection: Connection, number: int) -> PlanRow:
    """The plan by id."""
    return _row(connection.execute(_BY_ID, {"number": number}).one())


def plan_named(connection: Connection, name: str) -> PlanRow:
    """The plan of that name. Raises `BadInput` when none has been loaded."""
    table = tables.plan
    row = connection.execute(select(table).where(table.c.name == name)).one_or_none()
    if row is None:
        raise BadInput(
            f"no plan “{printable(name, 100)}” has been loaded here; mailhaul start loads one, and "
            "--state or --database names another installation"
        )
    return _row(row)


def all_plans(connection: Connection) -> Iterator[PlanRow]:
    """Every plan, in the order of loading."""
    for row in connection.execute(select(tables.plan).order_by(tables.plan.c.id)):
        yield _row(row)


_BY_ID = select(tables.plan).where(tables.plan.c.id == bindparam("number"))


# Every run of every mailbox asks for its plan's; the models are frozen.
@lru_cache(maxsize=16)
def _model(text: str) -> Plan:
    return Plan.model_validate_json(text)


def _row(row: Row[Any]) -> PlanRow:
    return PlanRow(
        row.id,
        row.name,
        row.text,
        Path(row.directory),
        PlanState(row.state),
        row.loaded_at,
        row.started_at,
        row.ended_at,
    )
