"""Addresses that nothing connects to unless the operator says so, in every spelling they have."""

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.dns.guard import Allowance, allowance


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "a loopback address"),
        ("127.255.255.254", "a loopback address"),
        ("0.0.0.0", "an unspecified address"),
        ("10.1.2.3", "a private address"),
        ("172.16.0.1", "a private address"),
        ("172.31.255.255", "a private address"),
        ("192.168.0.1", "a private address"),
        ("100.64.0.1", "an address shared behind a carrier's NAT"),
        ("100.100.100.200", "an address shared behind a carrier's NAT"),
        ("169.254.1.1", "a link-local address"),
        ("169.254.169.254", "a cloud's metadata address"),
        ("168.63.129.16", "a cloud's metadata address"),
        ("192.0.0.192", "an address reserved for protocols"),
        ("192.0.2.1", "an address for documentation"),
        ("198.18.0.1", "an address for benchmarks"),
        ("198.19.255.255", "an address for benchmarks"),
        ("198.51.100.7", "an address for documentation"),
        ("203.0.113.7", "an address for documentation"),
        ("224.0.0.1", "a multicast address"),
        ("240.0.0.1", "a reserved address"),
        ("255.255.255.255", "the broadcast address"),
        ("::", "an unspecified address"),
        ("::1", "a loopback address"),
        ("::127.0.0.1", "a reserved address"),
        ("::ffff:127.0.0.1", "a loopback address"),
        ("::ffff:7f00:1", "a loopback address"),
        ("::ffff:10.0.0.1", "a private address"),
        ("::ffff:0:127.0.0.1", "a reserved address"),
        ("64:ff9b::169.254.169.254", "a cloud's metadata address"),
        ("64:ff9b::7f00:1", "a loopback address"),
        ("64:ff9b:1::8.8.8.8", "an address of a local NAT64"),
        ("100::1", "a reserved address"),
        ("2001::1", "an address reserved for protocols"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "an address reserved for protocols"),
        ("2001:db8::1", "an address for documentation"),
        ("2002:7f00:1::1", "a loopback address"),
        ("2002:c0a8:101::", "a private address"),
        ("2002:a9fe:a9fe::1", "a cloud's metadata address"),
        ("3fff::1", "an address for documentation"),
        ("4000::1", "a reserved address"),
        ("fd00::1", "a private address"),
        ("fd00:ec2::254", "a private address"),
        ("fe80::1", "a link-local address"),
        ("fe80::1%eth0", "an address of one link only"),
        ("2606:4700::1%eth0", "an address of one link only"),
        ("fec0::1", "a site-local address"),
        ("ff02::1", "a multicast address"),
        ("", "no IP address"),
        ("localhost", "no IP address"),
        ("mx.example.org", "no IP address"),
        ("127.1", "no IP address"),
        ("0177.0.0.1", "no IP address"),
        ("2130706433", "no IP address"),
        ("0x7f.0.0.1", "no IP address"),
        ("8.8.8.8 ", "no IP address"),
        ("8.8.8.8/32", "no IP address"),
        ("[::1]", "no IP address"),
    ],
)
def test_an_address_that_is_not_public_is_refused_and_named(address: str, why: str) -> None:
    nothing = Allowance()
    assert nothing.refusal(address) == why
    assert not nothing.allowed(address)
    with pytest.raises(BadInput) as error:
        nothing.check(address)
    assert why in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "168.63.129.17",
        "172.15.0.1",
        "172.32.0.1",
        "192.169.0.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "2a00:1450:4001:80b::200e",
    ],
)
def test_a_public_address_is_allowed(address: str) -> None:
    Allowance().check(address)
    assert Allowance().allowed(address)


@pytest.mark.parametrize(
    ("network", "address", "allowed"),
    [
        ("127.0.0.0/8", "127.0.0.53", True),
        ("127.0.0.0/8", "::ffff:127.0.0.53", True),
        ("127.0.0.0/8", "::1", False),
        ("127.0.0.0/8", "10.0.0.1", False),
        ("127.0.0.0/8", "8.8.8.8", True),
        (" ::1 ", "::1", True),
        ("10.1.0.0/16", "10.2.0.1", False),
        ("10.1.0.0/16", "2002:a01:203::1", True),
        ("fd00::/8", "fd12::1", True),
        ("fe80::/10", "fe80::1%eth0", False),
    ],
)
def test_what_the_operator_allowed_is_allowed(network: str, address: str, allowed: bool) -> None:
    assert allowance([network]).allowed(address) is allowed


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "localhost", "\x1b[2J"])
def test_what_is_no_network_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(BadInput, match="write it as") as error:
        allowance([text])
    assert "\x1b" not in str(error.value)


def test_a_refusal_says_fact_and_cure_and_acts_on_nothing() -> None:
    with pytest.raises(BadInput) as error:
        Allowance().check("127.0.0.1")
    assert str(error.value) == (
        "127.0.0.1 is a loopback address and isn't connected to;"
        " allow its network to mailhaul if it is meant"
    )
    with pytest.raises(BadInput) as hostile:
        Allowance().check("\x1b[2J127.0.0.1")
    assert "\x1b" not in str(hostile.value)
