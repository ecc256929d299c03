"""One exchange with a control plane: failures are named, limits hold, nothing goes elsewhere."""

import asyncio
import gzip
from datetime import UTC, datetime, timedelta

import pytest

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.providers import web
from mailhaul.providers.web import Web, checked_origin, pause
from tests.providers.web_server import Asked, Tally, Told, web_server


async def asked_once(told: Told, *, seconds: float = 5) -> web.Answer:
    async def respond(asked: Asked) -> Told:
        return told

    async with web_server(respond) as origin:
        plane = Web(origin, seconds=seconds)
        try:
            return await plane.exchange("GET", "/v1", {"Accept": "application/json"})
        finally:
            await plane.close()


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 409])
async def test_what_its_provider_understands_is_handed_over(status: int) -> None:
    told = Told(status, b"" if status == 204 else b"{}", {"X-Word": "yes"})
    answer = await asked_once(told)
    assert (answer.status, answer.headers["x-word"]) == (status, "yes")


@pytest.mark.parametrize(
    ("told", "after", "throttled"),
    [
        (Told(429, headers={"Retry-After": "17"}), 17, True),
        (Told(429), web.PAUSE, True),
        (Told(503, headers={"Retry-After": "5"}), 5, False),
        (Told(500), web.PAUSE, False),
        (Told(408), web.PAUSE, False),
        (Told(200, silent=True), web.PAUSE, False),
    ],
)
async def test_a_server_that_is_away_is_asked_later(
    told: Told, after: float, throttled: bool
) -> None:
    with pytest.raises(RetryLater) as caught:
        await asked_once(told)
    assert (caught.value.after, caught.value.throttled) == (after, throttled)


async def test_nobody_listens() -> None:
    with pytest.raises(RetryLater, match="can't be reached"):
        await Web("http://127.0.0.1:1").exchange("GET", "/", {})


async def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(Closed, match="leads elsewhere") as caught:
        await asked_once(Told(302, headers={"Location": "https://evil.example/"}))
    assert caught.value.reason is ClosedReason.PROTOCOL


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "LARGEST", 1000)
    with pytest.raises(Closed, match="more than"):
        await asked_once(Told(200, b"x" * 5000))


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
async def test_what_is_packed_is_not_unpacked(encoding: str) -> None:
    packed = b"{}" + b" " * (web.LARGEST // 2)
    for _ in encoding.split(","):
        packed = gzip.compress(packed)
    with pytest.raises(Closed, match="packs its answer"):
        await asked_once(Told(200, packed, {"Content-Encoding": encoding}))
    refused = await asked_once(Told(404, packed, {"Content-Encoding": encoding}))
    assert (refused.status, refused.body) == (404, b"")


async def test_nothing_packed_is_asked_for() -> None:
    asked: list[str] = []

    async def respond(request: Asked) -> Told:
        asked.append(request.headers["accept-encoding"])
        return Told(200, b"{}", {"Content-Encoding": "identity"})

    async with web_server(respond) as origin:
        plane = Web(origin)
        assert (await plane.exchange("GET", "/", {})).body == b"{}"
        await plane.close()
    assert asked == ["identity"]


async def test_a_silent_server_is_left_in_time() -> None:
    async def respond(asked: Asked) -> Told:
        await asyncio.sleep(30)
        return Told(200)

    async with web_server(respond) as origin:
        with pytest.raises(RetryLater, match="did not answer"):
            await Web(origin, seconds=0.1).exchange("GET", "/", {})


async def test_no_more_are_under_way_than_allowed() -> None:
    async def respond(asked: Asked) -> Told:
        await asyncio.sleep(0.01)
        return Told(200)

    tally = Tally()
    async with web_server(respond, tally) as origin:
        plane = Web(origin, at_once=3)
        await asyncio.gather(*(plane.exchange("GET", f"/{n}", {}) for n in range(12)))
        await plane.close()
    assert (tally.most, len(tally.asked)) == (3, 12)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://graph.example/v1.0/", "https://graph.example/v1.0"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ],
)
def test_addresses_that_are_spoken_to(url: str, origin: str) -> None:
    assert checked_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "http://graph.example",
        "http://127.0.0.1.example",
        "ftp://graph.example",
        "graph.example",
        "https://me:secret-word@graph.example",
        "https://graph.example/?key=secret-word",
        "https://[::1",
        "",
    ],
)
def test_addresses_that_are_not(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        checked_origin(url)
    assert "secret-word" not in str(caught.value)


def test_pauses() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert 80 < pause({"retry-after": soon}) <= 90
    assert pause({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
    assert pause({"retry-after": "9" * 400}) == web.LONGEST_PAUSE
    assert pause({"retry-after": "-5"}) == pause({"retry-after": "soon"}) == web.PAUSE
