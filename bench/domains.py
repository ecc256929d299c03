"""`python -m bench --only domains`: looks at one domain and at 1,000, each served by four name
servers that take 40 ms to answer: its servers, its delegation and every record that a move needs.

The name servers are a process of their own; the questions go over real sockets. No MTA-STS policy
is fetched.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from mailhaul.dns.asking import asking
from mailhaul.dns.check_domain import diagnose
from mailhaul.dns.expected import Expected
from mailhaul.dns.guard import allowance
from mailhaul.dns.records import Kind, MailHost
from mailhaul.dns.server_checks import server_aspects
from tests.dns.wire_server import Played, Zone, serving

NAME = "domains"
DOMAINS = 1_000
ROUND_TRIP = 0.04
AT_ONCE = 24
ONE_SECONDS, ALL_SECONDS = 2.0, 60.0
"""The goals: of one domain, of all."""
RESOLVER, PARENT = "127.0.1.10", "127.0.1.11"
SERVERS = tuple(f"127.0.1.{number}" for number in (21, 22, 23, 24))
SOA = "ns1.hoster.net. root.hoster.net. 7 7200 900 1209600 300"


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds; `cpu` is of the process that asks, in the look at all domains."""

    domains: int
    one: float
    every: float
    cpu: float
    questions: int

    @property
    def missed(self) -> bool:
        return self.one > ONE_SECONDS or self.every > ALL_SECONDS


def play(tell: Callable[[str], None], *, as_json: bool, strict: bool) -> int:
    """Plays it, prints the figures, and returns the exit code."""
    tell(f"{NAME}: {DOMAINS:,} domains, {len(SERVERS)} name servers at {ROUND_TRIP * 1000:.0f} ms")
    figures, wrong = measured(DOMAINS)
    if as_json:
        print(json.dumps({**asdict(figures), "wrong": wrong}))
    else:
        print(
            f"\none domain {figures.one:.2f} s; {figures.domains:,} domains {figures.every:.1f} s"
            f" ({figures.cpu:.1f} s of CPU), {figures.questions:,} questions"
        )
        for sentence in wrong[:5]:
            print(f"\nNOT EXACT: {sentence}")
    return 1 if wrong or (strict and figures.missed) else 0


def measured(domains: int) -> tuple[Figures, list[str]]:
    """The figures, and what was found that isn't so."""
    served = subprocess.Popen(
        [sys.executable, "-m", "bench.domains", "serve", str(domains)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert served.stdin is not None
    assert served.stdout is not None
    try:
        port = int(served.stdout.readline())
        one, _, wrong = asyncio.run(_looked(port, 1))
        every, cpu, more = asyncio.run(_looked(port, domains))
        served.stdin.close()
        questions = int(served.stdout.readline())
    finally:
        served.kill()
        served.wait()
    return Figures(domains, one, every, cpu, questions), [*wrong, *more]


async def _looked(port: int, domains: int) -> tuple[float, float, list[str]]:
    """Seconds, seconds of CPU, and what is wrong."""
    made = asking(allowance(["127.0.0.0/8"]), [f"{RESOLVER}@{port}"], port=port)
    turns = asyncio.Semaphore(AT_ONCE)

    async def look(domain: str) -> str:
        expected = Expected(
            domain,
            mx=(MailHost(10, f"mx.{domain}"),),
            spf=("include:hoster.net",),
            dkim=("selector1", "selector2"),
        )
        async with turns:
            authority, aspects = await asyncio.gather(
                made.delegations.survey(domain), diagnose(made.own(domain), expected)
            )
        serials = [each.serial for each in authority.standings]
        hosts = {value for each in aspects if each.kind is Kind.MX for value in each.found}
        right = serials == [7] * len(SERVERS) and f"10 mx.{domain}" in hosts
        findings = [each.code for one in server_aspects(authority) for each in one.findings]
        return "" if right else f"{domain}: {serials}, {sorted(hosts)}, {findings}"

    began, cpu = time.perf_counter(), time.process_time()
    told = await asyncio.gather(*(look(f"d{number}.org") for number in range(domains)))
    seconds = time.perf_counter() - began
    return seconds, time.process_time() - cpu, [each for each in told if each]


def _world(domains: int) -> dict[str, Played]:
    names = [f"ns{number}.hoster.net." for number in range(1, len(SERVERS) + 1)]
    zones = {f"d{number}.org": _zone(f"d{number}.org", names) for number in range(domains)}
    org: Zone = {
        "org": {"SOA": SOA, "NS": "a0.nic.org."},
        "a0.nic.org": {"A": PARENT},
        **{domain: {"NS": names} for domain in zones},
    }
    hoster: Zone = {
        "hoster.net": {"SOA": SOA, "NS": names, "TXT": '"v=spf1 mx -all"'},
        "mail.hoster.net": {"A": "8.8.4.4"},
        **{name.rstrip("."): {"A": address} for name, address in zip(names, SERVERS, strict=True)},
    }
    known = {"org": org, "hoster.net": hoster, **zones}
    return {
        RESOLVER: Played(known, recursive=True, delay=ROUND_TRIP),
        PARENT: Played({"org": org}, delay=ROUND_TRIP),
        **{address: Played(zones, delay=ROUND_TRIP) for address in SERVERS},
    }


def _zone(domain: str, names: list[str]) -> Zone:
    return {
        domain: {
            "SOA": SOA,
            "NS": names,
            "MX": f"10 mx.{domain}.",
            "TXT": '"v=spf1 include:hoster.net -all"',
        },
        f"mx.{domain}": {"A": "8.8.4.4"},
        f"autodiscover.{domain}": {"CNAME": "mail.hoster.net."},
        f"_dmarc.{domain}": {"TXT": '"v=DMARC1; p=none"'},
    }


async def _serve(domains: int) -> None:
    """Serves until standard input ends, and says then how many questions came."""
    world = _world(domains)
    async with serving(world) as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(sum(len(each.asked) for each in world.values()), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(int(sys.argv[2])))
