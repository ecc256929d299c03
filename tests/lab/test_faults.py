"""The front of an embedded server makes the troubles it is told to, and no others."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mailhaul.core.folder import INBOX_PATH
from mailhaul.lab.mail import MARK, SampleMessage, poison, sample_mailbox
from mailhaul.lab.servers import EmbeddedServer, embedded_server
from mailhaul.lab.wire import PlainConnection, Refusal

USER, PASSWORD = "anna@old.example", "pass word"


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedServer]:
    with embedded_server("old.example") as server:
        yield server


@pytest.fixture
def server(running: EmbeddedServer, request: pytest.FixtureRequest) -> EmbeddedServer:
    """A user of its own for each test."""
    running.add_user(request.node.name, PASSWORD)
    return running


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    name = request.node.name
    assert isinstance(name, str)
    return name


@pytest.fixture
def messages() -> list[SampleMessage]:
    return [replace(each, folder=INBOX_PATH) for each in sample_mailbox(20, keywords=False)]


def opened(server: EmbeddedServer, user: str) -> PlainConnection:
    return PlainConnection(server.host, server.port, user, PASSWORD)


def held(server: EmbeddedServer, user: str) -> int:
    with PlainConnection(server.host, server.direct, user, PASSWORD) as connection:
        return connection.select(INBOX_PATH)


def seen(server: EmbeddedServer, user: str) -> dict[str, int]:
    return {kind: count for (who, kind), count in server.seen().items() if who == user}


def test_without_troubles_everything_passes_octet_for_octet(
    server: EmbeddedServer, user: str, messages: list[SampleMessage]
) -> None:
    with opened(server, user) as connection:
        connection.fill(messages)
        through = connection.content(INBOX_PATH)
    with PlainConnection(server.host, server.direct, user, PASSWORD) as connection:
        assert connection.content(INBOX_PATH) == through
    assert len(through.messages) == len(messages)
    assert seen(server, user) == {"login": 1}


def test_a_throttle_lasts_as_often_as_it_was_told(
    server: EmbeddedServer, user: str, messages: list[SampleMessage]
) -> None:
    server.order("throttle", user, 2, 900)
    with opened(server, user) as connection:
        for _ in range(2):
            with pytest.raises(Refusal, match="Suggested Backoff Time: 900000 milliseconds"):
                connection.fill(messages[:1])
        connection.fill(messages[:1])
    assert held(server, user) == 1
    assert seen(server, user)["throttle"] == 2


def test_a_full_mailbox_takes_what_has_room_until_there_is_more(
    server: EmbeddedServer, user: str, messages: list[SampleMessage]
) -> None:
    server.order("room", user, 3)
    with opened(server, user) as connection:
        connection.fill(messages[:3])
        with pytest.raises(Refusal, match="OVERQUOTA"):
            connection.fill(messages[3:4])
        server.order("room", user, -1)
        connection.fill(messages[3:])
    assert held(server, user) == len(messages)


def test_a_line_is_cut_after_the_server_has_the_message(
    server: EmbeddedServer, user: str, messages: list[SampleMessage]
) -> None:
    server.order("cut", user, 3)
    with opened(server, user) as connection:
        connection.fill(messages[:2])
        with pytest.raises((Refusal, OSError)):
            connection.fill(messages[2:3])
    assert held(server, user) == 3
    with opened(server, user) as connection:
        connection.fill(messages[3:])
    assert seen(server, user) == {"login": 2, "cut": 1}


def test_poison_is_refused_and_nothing_else(
    server: EmbeddedServer, user: str, messages: list[SampleMessage]
) -> None:
    server.order("poison", MARK)
    with opened(server, user) as connection:
        with pytest.raises(Refusal, match="CANNOT"):
            connection.fill([poison(user)])
        connection.fill(messages[:2])
    assert held(server, user) == 2


def test_refused_logins_are_counted_by_user(server: EmbeddedServer, user: str) -> None:
    for _ in range(2):
        with pytest.raises(Refusal):
            PlainConnection(server.host, server.port, user, "wrong")
    assert seen(server, user) == {"refused login": 2}


@pytest.mark.parametrize(
    "login",
    [
        b"a AUTHENTICATE PLAIN\r\nAHNhc2wAcGFzcyB3b3Jk\r\n",
        b"a LOGIN {4}\r\nsasl {9}\r\npass word\r\n",
        b'a LOGIN sasl "pass word"\r\n',
    ],
)
def test_whoever_logs_in_is_known_however_they_do(running: EmbeddedServer, login: bytes) -> None:
    running.add_user("sasl", PASSWORD)
    before = seen(running, "sasl").get("login", 0)
    with socket.create_connection((running.host, running.port), 10) as client:
        answers = client.makefile("rb")
        answers.readline()
        client.sendall(login)
        line = b""
        while not line.startswith(b"a "):
            line = answers.readline()
            assert line
        assert line.startswith(b"a OK")
    assert seen(running, "sasl")["login"] == before + 1


def test_an_order_that_is_none_is_not_obeyed(running: EmbeddedServer) -> None:
    running.order("dance", "anna")
    assert ("anna", "dance") not in running.seen()
