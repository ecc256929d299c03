"""A house at OVHcloud's simulator, for the suite of providers and other tests."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

import httpx

from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.dns.records import RecordSet
from mailhaul.providers.extras import Extra, Filter
from mailhaul.providers.ovh import opened
from mailhaul.providers.ovh_api import Api
from mailhaul.providers.ovh_zone import OvhZone
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings
from mailhaul.providers.service import AccountState, Mode, Verb
from tests.providers.memory import PASSWORD, Fault, MemoryHoster, MemoryService
from tests.providers.ovh_simulator import Application, OvhCloud
from tests.providers.suite import fresh
from tests.providers.web_server import Asked

DOMAIN = "example.test"
ORIGIN = "http://127.0.0.1:8080"
FILTER = (
    "# OVHcloud: redirect, active, priority 1\n"
    'if header :contains "Subject" "plan" {{\n    redirect "{}";\n    stop;\n}}\n'
)


def keys(its: Application) -> Secret:
    return Secret(f"{its.key} {its.secret} {its.consumer}")


def direct(cloud: OvhCloud) -> httpx.MockTransport:
    """The way to the simulator without a network."""

    async def answer(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        told = await cloud.respond(Asked(request.method, target, headers, request.content))
        if told.silent:
            raise httpx.RemoteProtocolError("the server hung up", request=request)
        return httpx.Response(
            told.status, headers=dict(told.headers), stream=httpx.ByteStream(told.body)
        )

    return httpx.MockTransport(answer)


def api_of(cloud: OvhCloud, secret: Secret | None = None) -> Api:
    """The way to that simulator, with its keys."""

    async def login() -> Credentials:
        return Credentials(password=secret or keys(cloud.application))

    return Api(f"{ORIGIN}/1.0", login, transport=direct(cloud))


def ovh_zone(cloud: OvhCloud, name: str, *sets: RecordSet) -> OvhZone:
    """A zone that holds these, and its writer."""
    cloud.zones.zone(name, sets)
    return OvhZone(name, api_of(cloud), closes=True)


async def nobody() -> Credentials:
    raise AssertionError("the API has a login of its own")


@dataclass
class OvhHouse:
    """A `House`."""

    cloud: OvhCloud
    kind: str
    name: str
    stack: AsyncExitStack
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret(PASSWORD))
    faults: frozenset[Fault] = frozenset(Fault)
    numbers: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        self.provider = self.open(self.kind, self.name)
        if self.kind == "ovh-domain":
            # The older MX Plan has no way to show an account that is half made.
            self.faults -= {Fault.HALF}

    @property
    def state(self) -> MemoryService:
        return self.cloud.hoster.service(self.name)

    def open(self, kind: str, name: str) -> Provider:
        made = opened(Settings(kind, name, nobody), api_of(self.cloud))
        self.stack.push_async_callback(made.close)
        return made

    async def another(self) -> Provider:
        return self.open(self.kind, self.name)

    async def account(self, local: str, messages: int = 0) -> str:
        if local.startswith("ann"):
            # The suite makes dozens of them, one after the other, and looks at all accounts often.
            self.state.accounts = [e for e in self.state.accounts if e.address[:3] != "ann"]
        mail = [b"Subject: %d\r\n\r\n" % number for number in range(messages)]
        return self.state.account(f"{local}@{DOMAIN}", *mail).address

    async def placeholder(self) -> str:
        return self.state.placeholder(f"p{next(self.numbers)}@configureme.me").address

    async def spare_domain(self) -> str:
        return f"spare{next(self.numbers)}.test"

    async def destination(self) -> tuple[Provider, str, str]:
        target = self.cloud.hoster.service("ex")
        free = [e.address for e in target.accounts if e.state is not AccountState.CONFIGURED]
        placeholder = free[0] if free else target.placeholder("first@configureme.me").address
        return self.open("ovh-exchange", "ex"), "ex", placeholder

    async def settle(self) -> None:
        self.cloud.hoster.tick()

    async def messages(self, address: str) -> int:
        return sum(
            found.box.total()
            for service in self.cloud.hoster.services.values()
            if (found := service.found(address))
        )

    async def opens(self, address: str, secret: Secret) -> bool:
        found = self.state.found(address) or self.cloud.hoster.service("ex").found(address)
        assert found is not None
        return found.state is AccountState.CONFIGURED and found.password == secret.reveal()

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        if verb is Verb.FILTERS:
            return Filter(address, fresh("plans"), FILTER.format(other))
        return None

    def arm(self, fault: Fault) -> None:
        self.state.arm(fault)


async def moved_in(stack: AsyncExitStack, kind: str, offer: str = "") -> OvhHouse:
    """A service of that kind, with a destination to hand accounts over to."""
    name = {
        "ovh-domain": DOMAIN,
        "ovh-mxplan": "mxplan-ab12345-1",
        "ovh-pro": "emailpro-ab12345-1",
        "ovh-exchange": "hosted-ab12345-1",
    }[kind]
    service = MemoryService(name, quota=5 << 30)
    service.verbs = frozenset(Verb)
    service.domain(DOMAIN)
    if kind == "ovh-domain":
        service.hand_over_to = frozenset({"ex"})
    exchange = MemoryService("ex", quota=50 << 30)
    exchange.domain(DOMAIN, mode=Mode.NON_AUTHORITATIVE)
    cloud = OvhCloud(MemoryHoster(service, exchange), offers={name: offer} if offer else {})
    cloud.zones.zone(DOMAIN)
    return OvhHouse(cloud, kind, name, stack)
