"""Webhooks are told at least once, signed, again after failures, and not for ever."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.db import tables
from mailhaul.db.database import Database
from mailhaul.journey import webhooks
from mailhaul.journey.clock import HandClock
from mailhaul.journey.events import Record, record
from mailhaul.journey.webhooks import (
    GIVEN_UP,
    NotDelivered,
    Undeliverable,
    deliver_due,
    pause_after,
    post,
    take,
)
from tests.journey.making import NOW, listed, loaded, row


@dataclass
class Server:
    """Answers with these, the last one for good; keeps what it was sent."""

    answers: list[bytes]
    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:-2])
            body = await reader.readexactly(int(headers["Content-Length"]))
            self.requests.append((head[0], headers, body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[Server]:
    told = Server(list(answers))
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        await server.wait_closed()


async def resolve(reference: str, directory: Path) -> Secret:
    if reference == "env:GONE":
        raise BadInput("there is no variable GONE")
    assert (reference, directory) == ("env:KEY", Path("/plans"))
    return Secret("s3cret")


def tell(database: Database, url: str, secret: str = "env:KEY") -> None:
    """An event that one webhook is to be told of, and one that it isn't."""
    with database.begin() as connection:
        hooks = [{"url": url, "events": ["synced"], "secret": secret}]
        plan, _ = loaded(connection, listed("anna@x"), webhooks=hooks)
        number = row(connection, "anna@x").id
        record(connection, plan.id, Record("other"), NOW)
        what = Record("synced", mailbox=number, why="all there", figures={"messages": 3})
        record(connection, plan.id, what, NOW)


def outbox(database: Database) -> Any:
    """The only delivery."""
    with database.begin() as connection:
        return connection.execute(select(tables.delivery)).one()


OK = b"HTTP/1.1 204 No Content\r\n\r\n"
WRONG = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"


async def test_a_server_that_fails_first_is_told_again_after_pauses(database: Database) -> None:
    hand = HandClock(NOW)
    async with serving(WRONG, WRONG, OK) as server:
        tell(database, f"http://127.0.0.1:{server.port}/hook?a=b")
        waits = []
        for _ in range(3):
            assert await deliver_due(database, hand.clock, resolve) == 1
            assert await deliver_due(database, hand.clock, resolve) == 0
            due = outbox(database).due_at
            if due is not None:
                waits.append(due - hand.time)
                hand.time = due
        assert waits == [15, 30]
        done = outbox(database)
        assert (done.tries, done.due_at, done.done_at, done.error) == (3, None, hand.time, "")
        line, headers, body = server.requests[-1]
        assert line == "POST /hook?a=b HTTP/1.1"
        assert json.loads(body) == {
            "plan": "acme",
            "number": 3,
            "at": NOW,
            "actor": "mailhaul",
            "action": "synced",
            "mailbox": "anna@x",
            "why": "all there",
            "figures": {"messages": 3},
        }
        moment, digest = headers["Mailhaul-Signature"].split(",")
        signed = f"{int(hand.time)}.".encode() + body
        assert moment == f"t={int(hand.time)}"
        assert digest == "v1=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
        ids = {headers["Mailhaul-Delivery"] for _, headers, _ in server.requests}
        assert len(ids) == 1


ANSWERS = [
    ("a redirect is not followed", b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "answered 302"),
    ("it does not speak HTTP", b"220 smtp ready\r\n", "not HTTP"),
    ("it says nothing", b"", "not HTTP"),
    ("it talks for ever", b"HTTP/1.1 " + b"x" * 100_000, ""),
]


@pytest.mark.parametrize(
    ("answer", "error"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
async def test_anything_but_success_is_tried_again(
    database: Database, answer: bytes, error: str
) -> None:
    hand = HandClock(NOW)
    async with serving(answer) as server:
        tell(database, f"http://127.0.0.1:{server.port}/")
        await deliver_due(database, hand.clock, resolve)
        assert len(server.requests) == 1
    found = outbox(database)
    assert found.due_at == NOW + 15
    assert error in found.error
    assert found.error


async def test_a_secret_that_is_not_there_is_waited_for(database: Database) -> None:
    tell(database, "http://127.0.0.1:9/", "env:GONE")
    await deliver_due(database, HandClock(NOW).clock, resolve)
    found = outbox(database)
    assert (found.error, found.due_at) == ("there is no variable GONE", NOW + 15)


async def test_after_a_day_it_is_given_up(database: Database) -> None:
    hand = HandClock(NOW)

    async def refuse(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        return 503

    tell(database, "http://hook.example/")
    tries = 0
    while (due := outbox(database).due_at) is not None:
        hand.time = due
        tries += await deliver_due(database, hand.clock, resolve, refuse)
    found = outbox(database)
    assert (found.done_at, found.error, found.tries) == (None, "it answered 503", tries)
    assert GIVEN_UP - 3600 <= hand.time - NOW <= GIVEN_UP
    assert 24 <= tries <= 40


async def test_a_delivery_that_a_dead_worker_took_is_taken_again(database: Database) -> None:
    tell(database, "http://hook.example/")
    with database.begin() as connection:
        [first] = take(connection, NOW)
        assert take(connection, NOW + 59) == []
        [again] = take(connection, NOW + 60)
        assert (again.id, again.tries) == (first.id, 2)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hook.example/",
        "hook.example",
        "https://me:pw@hook.example/",
        "http://h/a b",
        "file:/x",
    ],
)
async def test_only_web_addresses_are_posted_to(database: Database, url: str) -> None:
    with pytest.raises(Undeliverable):
        await post(url, b"{}", {})
    tell(database, url)
    await deliver_due(database, HandClock(NOW).clock, resolve)
    assert outbox(database).due_at is None


async def test_a_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT", 0.2)
    hold = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(NotDelivered, match="no answer"):
            await post(f"http://127.0.0.1:{port}/", b"{}", {})
    finally:
        hold.set()
        server.close()
        await server.wait_closed()


async def test_a_port_where_nobody_listens_is_tried_later() -> None:
    async with serving(OK) as server:
        port = server.port
    with pytest.raises(NotDelivered):
        await post(f"http://127.0.0.1:{port}/", b"{}", {})


def test_pauses_double_up_to_an_hour() -> None:
    assert [pause_after(tries) for tries in (1, 2, 3, 8, 9, 10, 99)] == [
        *(15, 30, 60, 1920),
        *(3600, 3600, 3600),
    ]
