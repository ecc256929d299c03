"""The steps of an account's move as rows: what is to be done, in which order, and how far it is.

A row stands, with the key by which the provider finds it again, before the provider hears of it. So
whoever comes after a crash knows what may have been begun.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from mailhaul.db import tables
from mailhaul.engine.outcomes import Side
from mailhaul.journey.account_rows import MoveRow
from mailhaul.providers.actions import Action, inverse
from mailhaul.providers.actions_text import action_of, written

KEEP = "safety copy"
"""A step of our own: what the account holds is copied to files."""


class Part(StrEnum):
    """What a step belongs to."""

    MOVE = "move"
    UNDO = "undo"
    RETIRE = "retire"


class StepState(StrEnum):
    """How far it is."""

    PLANNED = "planned"
    BEGUN = "begun"
    """The provider has been told, or was about to be when whoever did it ended."""
    DONE = "done"
    REFUSED = "refused"
    """Nothing was changed by it."""
    BROKEN = "broken"
    """It ended half way, and what it left is for the way back, or a person."""
    TAKEN_BACK = "taken back"
    LEFT = "left to a person"


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing to do, and what it is for. `action` None: a safety copy. `inverse` None: nothing
    takes it back, or nothing of it is to be taken back."""

    side: Side
    kind: str
    words: str
    action: Action | None = None
    inverse: Action | None = None
    needs_secret: bool = False


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as it stands. See `db.account_tables.account_step` for each figure."""

    id: int
    move: int
    round: int
    position: int
    part: Part
    kind: str
    side: Side
    action: Action | None
    inverse: Action | None
    words: str
    needs_secret: bool
    key: str
    state: StepState
    task: str
    said: str
    by_person: bool
    tries: int
    begun_at: float | None
    ended_at: float | None

    @property
    def last(self) -> bool:
        """Whether nothing takes it back: the point of no return."""
        return self.part is Part.MOVE and self.action is not None and inverse(self.action) is None


def plan_steps(
    connection: Connection, row: MoveRow, part: Part, steps: Sequence[Planned]
) -> list[StepRow]:
    """Writes them down, to be done in this order."""
    if steps:
        connection.execute(
            insert(tables.account_step),
            [
                {
                    "move_id": row.id,
                    "round": row.round,
                    "position": position,
                    "part": part.value,
                    "kind": each.kind,
                    "side": each.side.value,
                    "action": "" if each.action is None else written(each.action),
                    "inverse": "" if each.inverse is None else written(each.inverse),
                    "words": each.words,
                    "needs_secret": each.needs_secret,
                    "key": f"mailhaul-{secrets.token_hex(12)}",
                    "state": StepState.PLANNED.value,
                }
                for position, each in enumerate(steps)
            ],
        )
    return steps_of(connection, row, part)


def steps_of(connection: Connection, row: MoveRow, part: Part | None = None) -> list[StepRow]:
    """The steps of the move's present round, in their order; of that part alone."""
    table = tables.account_step
    query = select(table).where(table.c.move_id == row.id, table.c.round == row.round)
    if part is not None:
        query = query.where(table.c.part == part.value)
    return [*map(_from, connection.execute(query.order_by(table.c.id)))]


def write_step(connection: Connection, step: StepRow, **values: Any) -> StepRow:
    """The step with those columns changed. Whoever writes it has moved its move on in the same
    transaction, so that of two who do the same only one is heard."""
    table = tables.account_step
    row = connection.execute(
        update(table).where(table.c.id == step.id).values(**values).returning(table)
    ).one()
    return _from(row)


def _from(row: Row[Any]) -> StepRow:
    values = dict(row._mapping)
    values["move"] = values.pop("move_id")
    values["part"] = Part(values["part"])
    values["side"] = Side(values["side"])
    values["state"] = StepState(values["state"])
    for name in ("action", "inverse"):
        values[name] = action_of(values[name]) if values[name] else None
    return StepRow(**values)
