"""What an installation's database knows about the sizes of a plan's mailboxes."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, inspect, select

from mailhaul.cli.installation import DATABASE_VARIABLE, home_directory
from mailhaul.db import tables
from mailhaul.db.database import FILE, Database, open_database
from mailhaul.plan.forecast import Amount, Rate

LEAST_SECONDS = 10.0
"""Passes shorter than this in all measure nothing."""


def database_of(state: str | None, url: str | None, environ: Mapping[str, str]) -> Database | None:
    """The installation's database, if there is one; none is made for a look."""
    directory = home_directory(environ, state)
    url = url or environ.get(DATABASE_VARIABLE) or None
    if url is None and not (directory / FILE).exists():
        return None
    return open_database(url, directory)


def sizes(database: Database, plan: str, lanes: int) -> tuple[dict[str, Amount], Rate | None]:
    """Each mailbox's size by its address, and what one connection carried a second so far, where
    each mailbox has `lanes` of them."""
    try:
        with database.read() as connection:
            if not inspect(connection).has_table(tables.plan.name):
                return {}, None
            return _amounts(connection, plan), _rate(connection, plan, lanes)
    finally:
        database.close()


def _amounts(connection: Connection, plan: str) -> dict[str, Amount]:
    mailbox = tables.mailbox
    rows = connection.execute(
        select(mailbox.c.address, mailbox.c.expected_messages, mailbox.c.expected_octets)
        .join(tables.plan, tables.plan.c.id == mailbox.c.plan_id)
        .where(tables.plan.c.name == plan, mailbox.c.expected_messages.is_not(None))
    )
    return {row[0]: Amount(row[1], row[2] or 0) for row in rows}


def _rate(connection: Connection, plan: str, lanes: int) -> Rate | None:
    passes = tables.passes
    row = connection.execute(
        select(
            func.sum(passes.c.carried),
            func.sum(passes.c.octets),
            func.sum(passes.c.ended_at - passes.c.began_at),
        )
        .join(tables.mailbox, tables.mailbox.c.id == passes.c.mailbox_id)
        .join(tables.plan, tables.plan.c.id == tables.mailbox.c.plan_id)
        .where(tables.plan.c.name == plan, passes.c.ended_at.is_not(None), passes.c.carried > 0)
    ).one()
    messages, octets, seconds = row
    if not messages or not octets or seconds < LEAST_SECONDS:
        return None
    return Rate(float(messages) / seconds / lanes, float(octets) / seconds / lanes)
