"""MTA-STS policies (RFC 8461): read, matched, and fetched.

`fetched` is the only place of the checks that connects anywhere. It goes to an address that has
been allowed, by HTTPS with a certificate for `mta-sts.DOMAIN`, and follows no redirect.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum

import httpx

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.records import Kind
from mailhaul.dns.resolver import Resolver

LARGEST = 64 * 1024
"""Octets of a policy (RFC 8461 section 3.2 suggests this limit)."""
SECONDS = 15.0
PATH = "/.well-known/mta-sts.txt"
OLDEST = 31557600
"""Seconds that `max_age` may be at most (RFC 8461 section 3.2)."""


class PolicyOutcome(StrEnum):
    """What came of fetching a policy."""

    FETCHED = "fetched"
    NO_HOST = "its host has no address"
    FORBIDDEN = "its host's address is not a public one"
    UNREACHABLE = "its host can't be reached"
    TIMEOUT = "no answer in time"
    TLS = "its certificate isn't good"
    REDIRECTED = "it is redirected"
    STATUS = "its host doesn't give it"
    TOO_LARGE = "it is too large"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a policy's host gave. `said` is what else there is to say, printable."""

    outcome: PolicyOutcome
    text: str = ""
    media: str = ""
    said: str = ""


Fetch = Callable[[str], Awaitable[Fetched]]
"""Fetches the policy of a domain; raises nothing that a server could cause."""


class Mode(StrEnum):
    """What senders do with mail that the policy doesn't cover."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. `mx` are names, or patterns such as `*.mail.example.org`."""

    mode: Mode
    mx: tuple[str, ...]
    max_age: int

    def covers(self, host: str) -> bool:
        """Whether mail may go to that host; `*` stands for one label (RFC 8461 section 4.1)."""
        parent = host.partition(".")[2]
        return any(
            pattern == host or (pattern.startswith("*.") and pattern[2:] == parent)
            for pattern in self.mx
        )


def policy_of(text: str) -> Policy:
    """The policy (RFC 8461 section 3.2); of keys given twice but mx, the first. Raises `BadInput`
    for a text that senders won't take."""
    values: dict[str, str] = {}
    hosts: list[str] = []
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if not colon:
            if line.strip():
                raise BadInput(f"“{printable(line, 80)}” is no line of a policy")
        elif key == "mx":
            hosts.append(value.casefold().rstrip("."))
        else:
            values.setdefault(key, value)
    if values.get("version") != "STSv1":
        raise BadInput("it doesn't say version: STSv1")
    if values.get("mode") not in tuple(Mode):
        raise BadInput(f"its mode is “{printable(values.get('mode', ''), 40)}”")
    age = values.get("max_age", "")
    if not age.isascii() or not age.isdigit() or len(age) > 10:
        raise BadInput(f"its max_age is “{printable(age, 40)}”")
    mode = Mode(values["mode"])
    if not hosts and mode is not Mode.NONE:
        raise BadInput("it names no mx")
    return Policy(mode, tuple(hosts), min(int(age), OLDEST))


async def fetched(
    domain: str,
    resolver: Resolver,
    allowed: Callable[[str], bool],
    *,
    port: int = 443,
    trust: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> Fetched:
    """The domain's policy, as senders fetch it (RFC 8461 section 3.3). The host is looked up by
    `resolver`, and what is connected to is the very address that `allowed` has passed."""
    host = f"mta-sts.{domain}"
    found: list[str] = []
    for kind in (Kind.A, Kind.AAAA):
        if not found:
            found += (await resolver.look_up(host, kind)).values
    if not found:
        return Fetched(PolicyOutcome.NO_HOST)
    address = next((each for each in found if allowed(each)), None)
    if address is None:
        return Fetched(PolicyOutcome.FORBIDDEN, said=", ".join(found[:3]))
    authority = f"[{address}]" if ":" in address else address
    context = trust or ssl.create_default_context()
    async with httpx.AsyncClient(
        verify=context, follow_redirects=False, timeout=seconds, trust_env=False
    ) as client:
        request = client.build_request(
            "GET",
            f"https://{authority}:{port}{PATH}",
            headers={"Host": host, "Accept": "text/plain", "Accept-Encoding": "identity"},
            extensions={"sni_hostname": host},
        )
        try:
            # A host that drips is over in time too.
            async with asyncio.timeout(seconds):
                response = await client.send(request, stream=True)
                async with aclosing(response):
                    return await _read(response)
        except (httpx.TimeoutException, TimeoutError):
            return Fetched(PolicyOutcome.TIMEOUT)
        except httpx.HTTPError as error:
            return _failure(error)


async def _read(response: httpx.Response) -> Fetched:
    media = response.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if response.is_redirect:
        where = printable(response.headers.get("location", ""), 200)
        return Fetched(PolicyOutcome.REDIRECTED, said=f"to {where}")
    if response.status_code != 200:
        return Fetched(PolicyOutcome.STATUS, said=f"status {response.status_code}")
    octets = bytearray()
    async for piece in response.aiter_raw(chunk_size=4096):
        octets += piece
        if len(octets) > LARGEST:
            return Fetched(PolicyOutcome.TOO_LARGE, said=f"more than {LARGEST} octets")
    return Fetched(PolicyOutcome.FETCHED, octets.decode("utf-8", "replace"), media)


def _failure(error: httpx.HTTPError) -> Fetched:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "verify_message", "") or cause.reason or type(cause).__name__
            return Fetched(PolicyOutcome.TLS, said=printable(why, 200))
        cause = cause.__cause__ or cause.__context__
    return Fetched(PolicyOutcome.UNREACHABLE, said=printable(str(error), 200))
