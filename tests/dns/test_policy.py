"""MTA-STS policies over real TLS, and from hosts that do all they can to be in the way."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailhaul.dns.guard import Allowance, allowance
from mailhaul.dns.policy import LARGEST, Fetched, PolicyOutcome, fetched
from tests.dns.zones import DictResolver
from tests.servers.certificates import Certificates, make_certificates

HOST = "mta-sts.example.org"
LOOPBACK = allowance(["127.0.0.0/8"])
POLICY = "version: STSv1\nmode: enforce\nmx: mx.new.example\nmax_age: 86400\n"


def reply(body: bytes, head: str = "200 OK", media: str = "text/plain; charset=utf-8") -> bytes:
    lines = f"HTTP/1.1 {head}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n"
    return f"{lines}Connection: close\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("good"), names=[HOST])


@asynccontextmanager
async def serving(
    certificates: Certificates, answer: bytes, seen: list[bytes], drip: float = 0
) -> AsyncIterator[int]:
    """A host that gives that answer, octet by octet if it is to `drip`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        for start in range(0, len(answer), 1 if drip else len(answer)):
            writer.write(answer[start : start + 1] if drip else answer)
            await writer.drain()
            await asyncio.sleep(drip)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def fetch(
    certificates: Certificates,
    answer: bytes,
    *,
    drip: float = 0,
    allowed: Allowance = LOOPBACK,
    seconds: float = 5,
    seen: list[bytes] | None = None,
    trust: ssl.SSLContext | None = None,
) -> Fetched:
    resolver = DictResolver({HOST: {"A": "127.0.0.1"}})
    context = trust or ssl.create_default_context(cafile=str(certificates.authority))
    async with serving(certificates, answer, [] if seen is None else seen, drip) as port:
        return await fetched(
            "example.org", resolver, allowed.allowed, port=port, trust=context, seconds=seconds
        )


async def test_a_policy_is_fetched_by_its_own_name_from_the_address_that_was_judged(
    certificates: Certificates,
) -> None:
    seen: list[bytes] = []
    found = await fetch(certificates, reply(POLICY.encode()), seen=seen)
    assert found == Fetched(PolicyOutcome.FETCHED, POLICY, "text/plain")
    assert seen[0].startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
    assert b"\r\nhost: mta-sts.example.org\r\n" in seen[0].lower()


ANSWERS = [
    ("a redirect", reply(b"", "301 Moved\r\nLocation: https://10.0.0.1/"), "REDIRECTED",
     "to https://10.0.0.1/"),
    ("nothing there", reply(b"", "404 Not Found"), "STATUS", "status 404"),
    ("a host that fails", reply(b"", "503 Busy"), "STATUS", "status 503"),
    ("octets without end", reply(b"x" * (LARGEST + 5000)), "TOO_LARGE", "more than 65536 octets"),
    ("no HTTP at all", b"220 mail.example.org ESMTP\r\n", "UNREACHABLE", ""),
    ("an answer that is cut short", reply(b"x" * 100)[:-50], "UNREACHABLE", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "answer", "outcome", "said"), ANSWERS, ids=[row[0] for row in ANSWERS]
)
async def test_what_is_no_policy_is_told_apart(
    certificates: Certificates, name: str, answer: bytes, outcome: str, said: str
) -> None:
    found = await fetch(certificates, answer)
    assert found.outcome is PolicyOutcome[outcome]
    assert found.text == ""
    assert said in found.said


async def test_a_host_that_drips_is_over_in_time(certificates: Certificates) -> None:
    found = await fetch(certificates, reply(POLICY.encode()), drip=0.1, seconds=0.5)
    assert found.outcome is PolicyOutcome.TIMEOUT


async def test_a_certificate_of_an_unknown_authority_is_refused(
    certificates: Certificates,
) -> None:
    found = await fetch(certificates, reply(POLICY.encode()), trust=ssl.create_default_context())
    assert found.outcome is PolicyOutcome.TLS
    assert found.said


@pytest.mark.parametrize("expired", [True, False], ids=["run out", "of another name"])
async def test_a_certificate_that_is_not_good_is_refused(tmp_path: Path, expired: bool) -> None:
    names = [HOST] if expired else ["www.example.org"]
    wrong = make_certificates(tmp_path, names=names, expired=expired)
    seen: list[bytes] = []
    found = await fetch(wrong, reply(POLICY.encode()), seen=seen)
    assert found.outcome is PolicyOutcome.TLS
    assert seen == []


async def test_an_inner_address_is_not_connected_to(certificates: Certificates) -> None:
    seen: list[bytes] = []
    found = await fetch(certificates, reply(POLICY.encode()), allowed=Allowance(), seen=seen)
    assert found == Fetched(PolicyOutcome.FORBIDDEN, said="127.0.0.1")
    assert seen == []


async def test_a_host_that_is_not_there_is_told() -> None:
    found = await fetched("example.org", DictResolver({}), LOOPBACK.allowed)
    assert found == Fetched(PolicyOutcome.NO_HOST)


async def test_a_port_where_nobody_listens_is_told() -> None:
    resolver = DictResolver({HOST: {"A": "127.0.0.1"}})
    found = await fetched("example.org", resolver, LOOPBACK.allowed, port=1)
    assert found.outcome is PolicyOutcome.UNREACHABLE
