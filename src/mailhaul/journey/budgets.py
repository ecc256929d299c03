"""What may be asked of a mail system, by all mailboxes and all workers together.

Permits for connections, messages a second and octets a day are rows. Each taking is one atomic
change, so that workers that know nothing of each other never take more than there is. A permit
names until when it holds: one that is not renewed, because its worker died, lapses by itself.
"""

import math
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, case, delete, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailhaul.core.endpoint import Endpoint
from mailhaul.core.errors import RetryLater
from mailhaul.db import tables
from mailhaul.journey.hours import day_of, next_day

PERMIT_LASTS = 60.0
"""Seconds, real ones: a permit is renewed a few times in that."""


class BudgetSpent(RetryLater):
    """The day's octets of a mail system have been taken; `until` is when the next day begins."""

    def __init__(self, text: str, *, until: float, after: float) -> None:
        super().__init__(text, after=after, throttled=True)
        self.until = until


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be taken under one name; None: as much as one likes."""

    connections: int | None = None
    messages_per_second: float | None = None
    octets_per_day: int | None = None


def system_name(endpoint: Endpoint) -> str:
    """The name under which all mailboxes of one mail system share its budget; empty for files,
    which have none."""
    return endpoint.host.lower().rstrip(".") if not endpoint.is_file else ""


def account_name(endpoint: Endpoint) -> str:
    """The name under which what is allowed to one account is counted."""
    return f"{endpoint.user}@{system_name(endpoint)}" if not endpoint.is_file else ""


def take_connections(
    connection: Connection,
    name: str,
    mailbox: int,
    wanted: int,
    most: int | None,
    *,
    worker: str,
    at: float,
    lasts: float = PERMIT_LASTS,
) -> bool:
    """Whether `mailbox` may have `wanted` connections open until `at + lasts`. Taking again renews
    the permit, also with another number; a permit of another worker's for the same mailbox must
    have lapsed or been released first."""
    table = tables.permit
    _hold(connection, name)
    connection.execute(delete(table).where(table.c.endpoint == name, table.c.until_at <= at))
    mine = (table.c.endpoint == name) & (table.c.mailbox_id == mailbox)
    holder = connection.execute(select(table.c.worker).where(mine)).scalar_one_or_none()
    if holder is not None and holder != worker:
        return False
    others = connection.execute(
        select(func.coalesce(func.sum(table.c.connections), 0)).where(
            table.c.endpoint == name, table.c.mailbox_id != mailbox
        )
    ).scalar_one()
    if most is not None and others + wanted > most:
        return False
    values = {"connections": wanted, "worker": worker, "until_at": at + lasts}
    if holder is None:
        connection.execute(table.insert().values(endpoint=name, mailbox_id=mailbox, **values))
    else:
        connection.execute(update(table).where(mine).values(**values))
    return True


def renew(connection: Connection, worker: str, *, at: float, lasts: float = PERMIT_LASTS) -> int:
    """Every permit of that worker that has not lapsed holds on; how many."""
    table = tables.permit
    return connection.execute(
        update(table)
        .where(table.c.worker == worker, table.c.until_at > at)
        .values(until_at=at + lasts)
    ).rowcount


def release(connection: Connection, name: str, mailbox: int, *, worker: str) -> None:
    """Gives the mailbox's permit back; one that is not that worker's is left."""
    table = tables.permit
    connection.execute(
        delete(table).where(
            table.c.endpoint == name, table.c.mailbox_id == mailbox, table.c.worker == worker
        )
    )


def take_messages(
    connection: Connection, name: str, count: int, per_second: float, *, at: float
) -> float:
    """Takes `count` messages; they may go from the returned moment on (`at`, or later).

    A generic cell rate without burst beyond the chunk: what is not taken in time is not saved up,
    and who takes waits for all that was taken before.
    """
    table = tables.budget
    _there(connection, name)
    begins = case((table.c.free_at > at, table.c.free_at), else_=literal(at))
    free = connection.execute(
        update(table)
        .where(table.c.endpoint == name)
        .values(free_at=begins + count / per_second)
        .returning(table.c.free_at)
    ).scalar_one()
    return max(at, float(free) - count / per_second)


def take_octets(
    connection: Connection, name: str, count: int, most: int, *, zone: ZoneInfo, at: float
) -> None:
    """Takes so many of the day's octets. Raises `BudgetSpent` when they no longer fit into the day
    and any were taken on it: what is larger than a whole day's budget goes as a day's first."""
    table = tables.budget
    day = day_of(zone, at)
    _there(connection, name)
    # A day that lies behind, as another plan's zone has it, is not begun again.
    taken = case((table.c.day < day, literal(0)), else_=table.c.octets)
    done = connection.execute(
        update(table)
        .where(table.c.endpoint == name, (taken == 0) | (taken + count <= most))
        .values(
            octets=taken + count, day=case((table.c.day < day, literal(day)), else_=table.c.day)
        )
    )
    if done.rowcount != 1:
        until = next_day(zone, at)
        raise BudgetSpent(
            f"{name}: the day's {most} octets have been carried; it goes on tomorrow",
            until=until,
            after=max(1.0, math.ceil(until - at)),
        )


def give_octets_back(connection: Connection, name: str, count: int, day: str) -> None:
    """What was taken on that day and not used."""
    table = tables.budget
    left = table.c.octets - count
    connection.execute(
        update(table)
        .where(table.c.endpoint == name, table.c.day == day)
        .values(octets=case((left < 0, literal(0)), else_=left))
    )


def _hold(connection: Connection, name: str) -> None:
    """Others who take under that name wait until this transaction ends."""
    table = tables.budget
    _there(connection, name)
    connection.execute(
        select(table.c.endpoint).where(table.c.endpoint == name).with_for_update()
    ).one()


def _there(connection: Connection, name: str) -> None:
    """The row of that name, made if missing."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(tables.budget)
        .values(endpoint=name, day="", octets=0, free_at=0.0)
        .on_conflict_do_nothing()
    )
