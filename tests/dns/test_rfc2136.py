"""Signed updates at real servers: what they refuse, and what is believed of what comes back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import dns.message
import dns.renderer
import pytest

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.dns.answers import Server
from mailhaul.dns.guard import Allowance, allowance
from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.zone import Edit, Held, ZoneError, nothing
from tests.servers.bind import Bind
from tests.servers.knot import Knot
from tests.servers.names import AuthoritativeServer
from tests.servers.process import free_port

LOOPBACK = allowance(["127.0.0.0/8"])
OTHER_SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
OLD = "10 mx.old.test."


@pytest.fixture(params=["knot", "bind"])
def authority(request: pytest.FixtureRequest) -> AuthoritativeServer:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, AuthoritativeServer)
    return server


def writer(
    server: AuthoritativeServer,
    zone: str,
    *,
    name: str = "",
    secret: str = "",
    port: int = 0,
    seconds: float = 5,
) -> UpdatedZone:
    key = TsigKey(name or server.key.name, Secret(secret or server.key.secret))
    # A proxy of the tests listens on 127.0.0.1.
    at = Server("127.0.0.1", port) if port else Server(server.address, server.port)
    return UpdatedZone(zone, at, key, LOOPBACK, seconds=seconds)


def new_mx(zone: str) -> Edit:
    there = Held(RecordSet(zone, Kind.MX, 5, ("10 mx.old.test",)))
    return Edit(there, Held(RecordSet(zone, Kind.MX, 5, ("0 mx.new.test",))))


async def refusal(work: Awaitable[object]) -> tuple[Code, bool | None]:
    with pytest.raises(ZoneError) as raised:
        await work
    assert raised.value.finding.remedy
    return raised.value.code, raised.value.written


@pytest.mark.parametrize(
    ("name", "secret", "code"),
    [
        ("strange", "", Code.ZONE_KEY_UNKNOWN),
        ("", OTHER_SECRET, Code.ZONE_KEY_WRONG),
    ],
)
async def test_a_wrong_key_is_refused_and_told_apart(
    name: str, secret: str, code: Code, authority: AuthoritativeServer
) -> None:
    zone = authority.fresh()
    authority.zone(zone, f"@ MX {OLD}")
    wrong = writer(authority, zone, name=name, secret=secret)
    assert await refusal(wrong.read([(zone, Kind.MX)])) == (code, False)
    assert await refusal(wrong.change([new_mx(zone)])) == (code, False)
    assert authority.values(zone, "MX") == [OLD]


async def test_clocks_that_are_apart_are_told(
    authority: AuthoritativeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = authority.fresh()
    authority.zone(zone, f"@ MX {OLD}")
    late = SimpleNamespace(time=lambda: time.time() - 3600)
    for module in (dns.message, dns.renderer):
        monkeypatch.setattr(module, "time", late)
    assert await refusal(writer(authority, zone).change([new_mx(zone)])) == (
        Code.ZONE_CLOCKS_APART,
        False,
    )
    monkeypatch.undo()
    assert authority.values(zone, "MX") == [OLD]


async def test_a_zone_that_the_server_doesnt_serve_is_told(authority: AuthoritativeServer) -> None:
    zone = authority.fresh()
    strange = writer(authority, zone)
    assert await refusal(strange.read([(zone, Kind.MX)])) == (Code.ZONE_NOT_SERVED, False)
    told, written = await refusal(strange.change([new_mx(zone)]))
    # Knot doesn't sign this one, so that it proves nothing.
    assert (told, written) == (Code.ZONE_NOT_SERVED, None if authority.name == "knot" else False)


async def test_a_name_that_is_delegated_or_outside_is_told(authority: AuthoritativeServer) -> None:
    zone = authority.fresh()
    authority.zone(zone, "sub NS ns.elsewhere.test.")
    with pytest.raises(ZoneError, match=f"does not speak for x.sub.{zone}"):
        await writer(authority, zone).read([(f"x.sub.{zone}", Kind.MX)])
    with pytest.raises(ZoneError, match="is not in the zone"):
        await writer(authority, zone).read([("other.test", Kind.MX)])


async def test_a_key_for_mail_alone_suffices_and_is_refused_the_rest(
    authority: AuthoritativeServer,
) -> None:
    zone = authority.fresh()
    authority.zone(zone, f"@ MX {OLD}", narrow=True)
    narrow = writer(authority, zone)
    await narrow.change([new_mx(zone)])
    assert (await narrow.read([(zone, Kind.MX)]))[zone, Kind.MX] == new_mx(zone).after
    key = (f"sub.{zone}", Kind.NS)
    delegation = Edit(nothing(key), Held(RecordSet(*key, 5, ("ns.elsewhere.test",))))
    assert await refusal(narrow.change([new_mx(zone).undone, delegation])) == (
        Code.ZONE_UPDATE_REFUSED,
        False,
    )
    assert authority.values(zone, "MX") == ["0 mx.new.test."]


async def test_a_secondary_that_takes_no_updates_is_told(knot: Knot, bind: Bind) -> None:
    zone = knot.fresh()
    knot.zone(zone, f"@ MX {OLD}")
    bind.secondary(zone, knot)
    assert await refusal(writer(bind, zone).change([new_mx(zone)])) == (
        Code.ZONE_UPDATE_REFUSED,
        False,
    )


async def test_a_server_that_isnt_there_or_says_nothing_is_told(knot: Knot) -> None:
    zone = knot.fresh()
    nobody = writer(knot, zone, port=free_port())
    assert await refusal(nobody.change([new_mx(zone)])) == (Code.ZONE_UNREACHABLE, False)
    async with proxy(knot, lambda _: None) as port:
        silent = writer(knot, zone, port=port, seconds=0.3)
        assert await refusal(silent.read([(zone, Kind.MX)])) == (Code.ZONE_UNREACHABLE, False)
        assert await refusal(silent.change([new_mx(zone)])) == (Code.ZONE_UNREACHABLE, None)


def unsigned(reply: bytes) -> bytes:
    """The reply without its last record, the signature."""
    message = dns.message.from_wire(reply, continue_on_error=True, keyring=False)
    message.tsig = None
    return message.to_wire()


def forged(reply: bytes) -> bytes:
    """The reply with another signature."""
    return reply[:-8] + bytes(8)


def of_another(reply: bytes) -> bytes:
    """The reply with another id, as the answer to another question would have it."""
    return bytes([reply[0] ^ 1]) + reply[1:]


@pytest.mark.parametrize("altered", [unsigned, forged, of_another, lambda _: b"", lambda r: r[:20]])
async def test_an_answer_that_isnt_proven_isnt_believed(
    altered: Callable[[bytes], bytes], authority: AuthoritativeServer
) -> None:
    zone = authority.fresh()
    authority.zone(zone, f"@ MX {OLD}")
    async with proxy(authority, altered) as port:
        through = writer(authority, zone, port=port)
        assert await refusal(through.read([(zone, Kind.MX)])) == (Code.ZONE_ANSWER_UNPROVEN, False)
        assert await refusal(through.change([new_mx(zone)])) == (Code.ZONE_ANSWER_UNPROVEN, None)


async def test_more_than_a_datagram_is_written_and_read(authority: AuthoritativeServer) -> None:
    zone = authority.fresh()
    authority.zone(zone)
    key = (zone, Kind.TXT)
    many = Held(RecordSet(*key, 5, tuple(f"{number:03} {'x' * 400}" for number in range(40))))
    wrote = writer(authority, zone)
    await wrote.change([Edit(nothing(key), many)])
    assert await wrote.read([key]) == {key: many}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (TsigKey("k", Secret("no base64!")), "secret base64"),
        (TsigKey("k", Secret("")), "empty secret"),
        (TsigKey("a..b", Secret(OTHER_SECRET)), "name must be a domain name"),
        (TsigKey("k", Secret(OTHER_SECRET), "hmac-md5"), "no algorithm for a TSIG key"),
    ],
)
def test_a_key_that_cant_be_one_is_bad_input(key: TsigKey, said: str) -> None:
    with pytest.raises(BadInput, match=said) as raised:
        UpdatedZone("a.test", Server("127.0.0.1"), key, LOOPBACK)
    assert "no base64!" not in str(raised.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "a.test"])
def test_an_address_that_isnt_allowed_is_never_connected_to(address: str) -> None:
    with pytest.raises(BadInput):
        UpdatedZone("a.test", Server(address), TsigKey("k", Secret(OTHER_SECRET)), Allowance())


@asynccontextmanager
async def proxy(
    server: AuthoritativeServer, altered: Callable[[bytes], bytes | None]
) -> AsyncIterator[int]:
    """A port whose connections lead to the server, its replies `altered`; None: they get lost."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection(server.address, server.port)
        try:
            while True:
                ahead.write(await _message(reader, whole=True))
                reply = altered(await _message(behind))
                if reply is not None:
                    writer.write(len(reply).to_bytes(2, "big") + reply)
        except EOFError:
            pass
        finally:
            ahead.close()
            writer.close()

    running = await asyncio.start_server(served, "127.0.0.1", 0)
    async with running:
        yield running.sockets[0].getsockname()[1]


async def _message(reader: asyncio.StreamReader, *, whole: bool = False) -> bytes:
    length = await reader.readexactly(2)
    message = await reader.readexactly(int.from_bytes(length, "big"))
    return length + message if whole else message
