"""Whom canary mail may go to, and what is no address at all."""

import pytest

from mailhaul.canary.routes import Act, Errand, Via, errands
from mailhaul.canary.terms import address_of, agreed, may_be_named, may_be_sent_to, stranger
from mailhaul.core.errors import BadInput

TOKEN = "0123456789abcdef0123456789abcdef"
TERMS = agreed(["ann@example.org"], ["example.org", "example.net"])

ADDRESSES = [
    ("ann@example.org", "ann@example.org"),
    (" Ann@EXAMPLE.org ", "Ann@example.org"),
    ("a.b+c=d@xn--mnchen-3ya.example", "a.b+c=d@xn--mnchen-3ya.example"),
    ('"ann b"@example.org', '"ann b"@example.org'),
    ("zoë@example.org", "zoë@example.org"),
    ("o'neil@example.org", "o'neil@example.org"),
    ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ("", None),
    ("ann", None),
    ("@example.org", None),
    ("ann@", None),
    ("ann@localhost", None),
    ("ann@münchen.example", None),
    ("ann@example.org>", None),
    ("ann@[127.0.0.1]", None),
    ("ann b@example.org", None),
    (".ann@example.org", None),
    ("ann..b@example.org", None),
    ("<ann@example.org", None),
    ("ann@example.org\r\nDATA", None),
    ("ann\r\nRCPT TO:<eve@example.org", None),
    ('"ann\r\nb"@example.org', None),
    ('"ann"b"@example.org', None),
    ("ann\x00@example.org", None),
    ("ann\u202e@example.org", None),
    ("a" * 65 + "@example.org", None),
    ("ann@" + "a." * 124 + "org", None),
    ("@route.example:ann@example.org", None),
    ("ann%example.com@example.org", "ann%example.com@example.org"),
]


@pytest.mark.parametrize(("written", "address"), ADDRESSES)
def test_addresses(written: str, address: str | None) -> None:
    if address is None:
        with pytest.raises(BadInput) as raised:
            address_of(written)
        assert str(raised.value).isprintable()
    else:
        assert address_of(written) == address
        assert address_of(address) == address


@pytest.mark.parametrize(
    ("address", "named", "sent"),
    [
        ("ann@example.org", True, True),
        ("eve@example.org", False, False),
        ("ann@example.net", False, False),
        ("Ann@example.org", False, False),
        (stranger("example.net", TOKEN), True, False),
        (stranger("example.com", TOKEN), False, False),
    ],
)
def test_who_may_be_named_and_sent_to(address: str, named: bool, sent: bool) -> None:
    assert (may_be_named(TERMS, address), may_be_sent_to(TERMS, address)) == (named, sent)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"addresses": ["ann@example.com"]}, "none of the plan's domains"),
        ({"addresses": ["ann@sub.example.org"]}, "none of the plan's domains"),
        ({"domains": ["münchen.example"]}, "A-labels"),
        ({"domains": ["example.org\r\n"]}, "no domain"),
        ({"speaker": "me"}, "full name"),
        ({"speaker": "me.example.org SIZE=1"}, "full name"),
        ({"speaker": "[::1]"}, "full name"),
        ({"sender": "me"}, "no address"),
        ({"per_minute": 0}, "rate above 0"),
        ({"per_minute": float("nan")}, "rate above 0"),
        ({"per_connection": 1}, "2 recipients"),
    ],
)
def test_what_cannot_be_agreed_to(refused: dict[str, object], why: str) -> None:
    given = {"addresses": ["ann@example.org"], "domains": ["example.org"], **refused}
    with pytest.raises(BadInput, match=why):
        agreed(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("speaker", ["", "me.example.net", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_names_to_greet_with(speaker: str) -> None:
    assert agreed([], ["example.org"], speaker=speaker).speaker == speaker


@pytest.mark.parametrize(
    ("filtered", "switched", "tried"),
    [
        (False, False, [(Via.NEW, Act.ASK), (Via.OLD, Act.ASK)]),
        (False, True, [(Via.MX, Act.SEND), (Via.OLD, Act.SEND)]),
        (True, False, [(Via.FILTER, Act.ASK)]),
        (True, True, [(Via.FILTER, Act.SEND)]),
    ],
)
def test_what_is_tried_when(filtered: bool, switched: bool, tried: list[tuple[Via, Act]]) -> None:
    assert errands(filtered=filtered, switched=switched) == tuple(
        Errand(via, act) for via, act in tried
    )
