"""Undoing: what a pass wrote is removed at the target, unless its user has touched it since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select, update

from mailhaul.db import tables
from mailhaul.engine.outcomes import Fate
from mailhaul.engine.undoing import Undone, undo
from mailhaul.journey.means import Means, opened_pair
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow, held_mailbox, mailbox, write


@dataclass(slots=True)
class TakingBack:
    """How one pass was undone. `number` 0: there was none to be undone."""

    mailbox: int
    number: int = 0
    folders: list[Undone] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    """Columns of the mailbox, to be written with its next state."""

    @property
    def errors(self) -> list[str]:
        return [each.error for each in self.folders if each.error]

    @property
    def figures(self) -> Mapping[str, int]:
        return {
            "pass": self.number,
            "removed": sum(each.removed for each in self.folders),
            "touched": sum(each.touched for each in self.folders),
            "gone": sum(each.gone for each in self.folders),
        }

    def write(self, connection: Connection, at: float) -> int:
        """Writes that the pass has been undone, unless something hindered it; how many are still
        to be undone."""
        table = tables.passes
        if self.number and not self.errors:
            connection.execute(
                update(table)
                .where(table.c.mailbox_id == self.mailbox, table.c.number == self.number)
                .values(undone_at=at)
            )
        return connection.execute(
            select(func.count()).where(
                table.c.mailbox_id == self.mailbox,
                table.c.undo_at.is_not(None),
                table.c.undone_at.is_(None),
            )
        ).scalar_one()


async def undo_pass(means: Means, plan: PlanRow, row: MailboxRow) -> TakingBack:
    """Undoes the newest pass that a person asked to have undone. Raises what `undo` raises."""
    number = await means.database.run(lambda c: _begin(c, row))
    undoing = TakingBack(row.id, number)
    if number == 0:
        return undoing
    row = await means.database.run(lambda c: mailbox(c, row.id))
    with means.open_ledger(row) as ledger:
        async with opened_pair(means, plan, row) as pair:
            reason = f"pass {number} was undone"
            async for each in undo(pair.target, ledger, number, reason):
                undoing.folders.append(each)
        sums = dict.fromkeys(Fate, 0)
        for fates in ledger.fates().values():
            for fate, count in fates.items():
                sums[fate] += count
    undoing.values = {fate.value: count for fate, count in sums.items()}
    return undoing


def _begin(connection: Connection, row: MailboxRow) -> int:
    """Takes the next epoch; the number of the pass, 0 when none is left."""
    table = tables.passes
    write(connection, row, epoch=held_mailbox(connection, row.id).epoch + 1)
    number = connection.execute(
        select(func.max(table.c.number)).where(
            table.c.mailbox_id == row.id,
            table.c.undo_at.is_not(None),
            table.c.undone_at.is_(None),
        )
    ).scalar_one()
    return number or 0
