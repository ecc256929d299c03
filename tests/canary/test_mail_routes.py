"""Which hosts canary mail goes to, by what a resolver says."""

import pytest

from mailhaul.canary.routes import Exchanger, Route, Via
from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.dns.answers import Outcome
from mailhaul.dns.records import MailHost
from mailhaul.journey.mail_routes import canary_terms, mail_address, route_by_mx, route_to
from mailhaul.plan.model import Canary
from tests.dns.zones import DictResolver, Zone

MX = {"mx1.new.example": {"A": "192.0.2.1", "AAAA": "2001:db8::1"}}

WAYS: list[tuple[str, Zone, tuple[Exchanger, ...]]] = [
    (
        "two hosts, the best first",
        {
            "acme.example": {"MX": ["20 mx2.new.example", "10 mx1.new.example"]},
            **MX,
            "mx2.new.example": {"A": ["192.0.2.3", "192.0.2.2"]},
        },
        (
            Exchanger("mx1.new.example", ("192.0.2.1", "2001:db8::1"), 10, 2525),
            Exchanger("mx2.new.example", ("192.0.2.2", "192.0.2.3"), 20, 2525),
        ),
    ),
    (
        "no MX: the domain itself",
        {"acme.example": {"A": "192.0.2.9"}},
        (Exchanger("acme.example", ("192.0.2.9",), 0, 2525),),
    ),
    ("a null MX", {"acme.example": {"MX": "0 ."}}, ()),
    ("no such domain", {}, ()),
    (
        "a host without an address",
        {"acme.example": {"MX": "10 gone.example"}},
        (Exchanger("gone.example", (), 10, 2525),),
    ),
    (
        "a host of which one kind of address isn't told",
        {
            "acme.example": {"MX": "10 mx.example"},
            "mx.example": {"A": "192.0.2.1", "AAAA": Outcome.SERVFAIL},
        },
        (Exchanger("mx.example", ("192.0.2.1",), 10, 2525),),
    ),
]


@pytest.mark.parametrize(("name", "zone", "exchangers"), WAYS, ids=[way[0] for way in WAYS])
async def test_by_mx(name: str, zone: Zone, exchangers: tuple[Exchanger, ...]) -> None:
    route = await route_by_mx(DictResolver(zone), "acme.example", port=2525)
    assert route == Route(Via.MX, "acme.example", exchangers)


@pytest.mark.parametrize(
    "zone",
    [
        {"acme.example": {"MX": Outcome.TIMEOUT}},
        {"acme.example": {"MX": "10 mx.example"}, "mx.example": {"A": Outcome.SERVFAIL}},
    ],
    ids=["MX isn't told", "the host's addresses aren't"],
)
async def test_a_resolver_that_does_not_say_is_asked_again(zone: Zone) -> None:
    with pytest.raises(RetryLater, match="asked again later"):
        await route_by_mx(DictResolver(zone), "acme.example")


async def test_hosts_by_name_whatever_mx_says() -> None:
    resolver = DictResolver({"acme.example": {"MX": "10 mx.old.example"}, **MX})
    route = await route_to(resolver, "acme.example", [MailHost(5, "mx1.new.example")], Via.NEW)
    assert route.exchangers == (Exchanger("mx1.new.example", ("192.0.2.1", "2001:db8::1"), 5, 25),)


def test_terms_of_a_plan() -> None:
    canary = Canary(on=True, per_minute=7, name="Mover.acme.example", sender="it@Bücher.example")
    terms = canary_terms(canary, ["Ann@bücher.example"], ["bücher.example"])
    assert terms.addresses == {"Ann@xn--bcher-kva.example"}
    assert terms.domains == {"xn--bcher-kva.example"}
    assert (terms.speaker, terms.sender, terms.per_minute) == (
        "mover.acme.example",
        "it@xn--bcher-kva.example",
        7,
    )


def test_a_plan_that_wants_none_has_no_terms() -> None:
    with pytest.raises(BadInput, match=r"\[canary\]"):
        canary_terms(Canary(), ["ann@acme.example"], ["acme.example"])


@pytest.mark.parametrize("text", ["ann", "ann@", "@", "ann@a b"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput):
        mail_address(text)
