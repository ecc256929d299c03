"""Tells other systems of chosen events, by signed POST requests.

What is to be told is put into the `delivery` table in the transaction that writes the event; a
worker delivers it from there, at least once, and again with doubling pauses until an answer of 2xx
comes or a day has gone by. No redirect is followed, no answer's body is read.
"""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection, select, update

from mailhaul import __version__
from mailhaul.core.errors import MailhaulError
from mailhaul.core.text import Secret, printable
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey.clock import Clock
from mailhaul.journey.plans import PlanRow, plan_row
from mailhaul.plan.model import Webhook

FIRST_PAUSE = 15.0
LONGEST_PAUSE = 3600.0
GIVEN_UP = 86400.0
"""Seconds after the event."""
TIMEOUT = 15.0
"""Real seconds for one delivery as a whole."""
LEASE = 60.0
"""Seconds for which a delivery that is under way is left to who took it."""
AT_ONCE = 20

Resolve = Callable[[str, Path], Awaitable[Secret]]
"""The key that a reference names; relative files count from the plan's directory."""
Send = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
"""Posts a body with headers to a URL and returns the status; raises `NotDelivered`."""


class NotDelivered(MailhaulError):
    """The other side could not be told; try again later."""


class Undeliverable(MailhaulError):
    """It never can be told as it is written in the plan."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook, taken by this worker."""

    id: int
    plan: int
    number: int
    webhook: int
    tries: int
    at: float
    body: bytes


async def deliver_due(
    database: Database, clock: Clock, resolve: Resolve, send: Send | None = None
) -> int:
    """Delivers what is due, a few at a time; how many were tried. `resolve` gives the key that a
    webhook's reference names."""
    taken = await database.run(lambda connection: take(connection, clock.now()))
    await asyncio.gather(
        *(_deliver(database, clock, resolve, send or post, each) for each in taken)
    )
    return len(taken)


def take(connection: Connection, at: float) -> list[Delivery]:
    """Deliveries that are due, each now left to the caller for `LEASE` seconds."""
    table, event = tables.delivery, tables.event
    rows = connection.execute(
        select(
            table,
            event.c.at,
            event.c.actor,
            event.c.action,
            event.c.why,
            event.c.figures,
            tables.mailbox.c.address,
            tables.plan.c.name.label("plan_name"),
        )
        .join(event, (event.c.plan_id == table.c.plan_id) & (event.c.number == table.c.number))
        .join(tables.plan, tables.plan.c.id == table.c.plan_id)
        .outerjoin(tables.mailbox, tables.mailbox.c.id == event.c.mailbox_id)
        .where(table.c.due_at <= at)
        .order_by(table.c.due_at, table.c.id)
        .limit(AT_ONCE)
    ).all()
    taken = []
    for row in rows:
        # Two workers may have read the same row; only one of them finds it unchanged.
        mine = connection.execute(
            update(table)
            .where(table.c.id == row.id, table.c.tries == row.tries, table.c.due_at == row.due_at)
            .values(tries=row.tries + 1, due_at=at + LEASE)
        )
        if mine.rowcount == 1:
            body = {
                "plan": row.plan_name,
                "number": row.number,
                "at": row.at,
                "actor": row.actor,
                "action": row.action,
                "mailbox": row.address,
                "why": row.why,
                "figures": json.loads(row.figures),
            }
            text = json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
            taken.append(
                Delivery(row.id, row.plan_id, row.number, row.webhook, row.tries + 1, row.at, text)
            )
    return taken


def signature(key: bytes, moment: int, body: bytes) -> str:
    """What `Mailhaul-Signature` holds: HMAC-SHA-256 over the moment (seconds since 1970), a full
    stop and the body. Who checks it refuses old moments, so that nothing can be played back."""
    digest = hmac.new(key, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def pause_after(tries: int) -> float:
    """Seconds until the next try after so many."""
    return min(FIRST_PAUSE * 2.0 ** min(tries - 1, 30), LONGEST_PAUSE)


async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Posts `body` and returns the answer's status. Raises `NotDelivered` when none came in time,
    `Undeliverable` for a URL that is none or not http(s)."""
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError as error:
        raise Undeliverable("a webhook's URL is malformed; write http(s)://host/path") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise Undeliverable("a webhook's URL is http(s)://host/path, without user or password")
    if " " in url:
        raise Undeliverable("a webhook's URL holds characters that must be percent-encoded")
    secure = parts.scheme == "https"
    port = given_port or (443 if secure else 80)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}" + (f":{given_port}" if given_port else ""),
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        f"User-Agent: mailhaul/{__version__}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise Undeliverable("a webhook's URL holds characters that must be percent-encoded")
    request = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body
    context = ssl.create_default_context() if secure else None
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(
                parts.hostname, port, ssl=context, limit=4096
            )
            try:
                writer.write(request)
                await writer.drain()
                return _status(await reader.readline())
            finally:
                writer.transport.abort()
    except TimeoutError as error:
        raise NotDelivered(f"no answer within {TIMEOUT:.0f} s") from error
    except (OSError, ValueError) as error:
        # ValueError: a line longer than the limit.
        raise NotDelivered(printable(str(error) or type(error).__name__, 200)) from error


def _status(line: bytes) -> int:
    """Of `HTTP/1.1 204 No Content`."""
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise NotDelivered("the answer is not HTTP")
    return int(words[1])


async def _deliver(
    database: Database, clock: Clock, resolve: Resolve, send: Send, delivery: Delivery
) -> None:
    error = ""
    for_good = False
    try:
        plan = await database.run(lambda connection: plan_row(connection, delivery.plan))
        hook = _hook(plan, delivery)
        headers = {"Mailhaul-Delivery": f"{delivery.plan}-{delivery.number}-{delivery.webhook}"}
        if hook.secret:
            key = (await resolve(hook.secret, plan.directory)).reveal().encode()
            headers["Mailhaul-Signature"] = signature(key, int(clock.now()), delivery.body)
        status = await send(hook.url, delivery.body, headers)
        if not 200 <= status < 300:
            error = f"it answered {status}"
    except Undeliverable as refused:
        error, for_good = printable(str(refused), 300), True
    except MailhaulError as failed:
        error = printable(str(failed), 300)
    now = clock.now()
    pause = pause_after(delivery.tries)
    over = not error or for_good or now + pause > delivery.at + GIVEN_UP
    table = tables.delivery
    ended = (
        update(table)
        .where(table.c.id == delivery.id)
        .values(
            due_at=None if over else now + pause,
            done_at=now if not error else None,
            error=error,
        )
    )
    await database.run(lambda connection: connection.execute(ended))


def _hook(plan: PlanRow, delivery: Delivery) -> Webhook:
    hooks = plan.plan.webhooks
    if delivery.webhook >= len(hooks):
        raise Undeliverable("the plan has no such webhook any more")
    return hooks[delivery.webhook]
