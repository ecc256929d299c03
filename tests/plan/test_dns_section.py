"""What a person writes under [dns] and [canary]: what becomes of it, and every mistake."""
# ruff: noqa: E501 - tables are read by their columns

from pathlib import Path

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.plan.validate_dns import host_fault, server_address
from tests.plan.test_mistakes import mistakes, plan

AIM = 'mx = ["10 mx.new.example"]\n'
SIGNED = 'kind = "rfc2136"\nserver = "192.0.2.1"\nkey = "k"\nsecret = "env:KEY"\n'

GOOD = [
    ("mail hosts alone", f"[dns]\n{AIM}"),
    (
        "a profile with its values",
        '[dns]\nprofile = "exchange-online"\nvalues = { tenant = "acme" }',
    ),
    ("a filter in front", '[dns]\nfilter = "Hornet"'),
    ("a zone written by itself", f"[dns]\n{AIM}[dns.writer]\n{SIGNED}"),
    (
        "a zone at OVHcloud",
        f'[dns]\n{AIM}[dns.writer]\nkind = "ovh"\nsecret = "env:KEYS"\nplace = "ovh-ca"\n',
    ),
    ("canaries", f"[dns]\n{AIM}[canary]\non = true"),
    (
        "canaries of a machine with a name",
        f'[dns]\n{AIM}[canary]\non = true\nname = "mover.acme.example"\nsender = "it@acme.example"\nport = 2525',
    ),
    (
        "everything",
        f'[dns]\n{AIM}spf = ["include:a.example"]\ndomains = ["bücher.example", "b.example"]\nold_hosts = ["mx.old.example"]\nttl = "60s"\nresolvers = ["9.9.9.9", "::1@5353", "2620:fe::9"]\nport = 5300\nallow_networks = ["127.0.0.0/8", "::1"]',
    ),
]


@pytest.mark.parametrize(("name", "rest"), GOOD)
def test_a_section_that_is_good(name: str, rest: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, plan(rest=rest)) == []


BAD = [
    ("nothing says where to", "[dns]", "", "nothing says where", 'write profile = "…"'),
    ("a mail host without a preference", '[dns]\nmx = ["mx.new.example"]', "dns.mx = mx.new", "no mail host", "10 mx.new"),
    ("a preference that is too large", '[dns]\nmx = ["70000 mx.new.example"]', "dns.mx", "no mail host", "10 mx.new"),
    ("a mail host of one part", '[dns]\nmx = ["10 mx"]', "dns.mx", "one part", "whole name"),
    ("a domain that is none", f'[dns]\n{AIM}domains = ["acme example.org"]', "dns.domains", "no domain name", "acme.example"),
    ("a domain twice", f'[dns]\n{AIM}domains = ["a.example", "A.example."]', "dns.domains", "named already", "take one"),
    ("an old host that is none", f'[dns]\n{AIM}old_hosts = ["-x.example"]', "dns.old_hosts", "no domain name", "acme"),
    ("a resolver by name", f'[dns]\n{AIM}resolvers = ["dns.example"]', "dns.resolvers", "no address", "9.9.9.9"),
    ("a resolver's port", f'[dns]\n{AIM}resolvers = ["127.0.0.1@99999"]', "dns.resolvers", "no port", "5353"),
    ("a network that is none", f'[dns]\n{AIM}allow_networks = ["10.0.0.1/8"]', "dns.allow_networks", "no network", "10.0.0.0/8"),
    ("a port that is none", f"[dns]\n{AIM}port = 0", "dns.port = 0", "too small", "1 or more"),
    ("values of no profile", f'[dns]\n{AIM}values = {{ tenant = "x" }}', "dns.values", "none is named", "profile"),
    ("a signed writer without its key", f'[dns]\n{AIM}[dns.writer]\nkind = "rfc2136"\nserver = "192.0.2.1"\nkey = "k"', "", "secret is missing", "write secret"),
    ("a key that is the secret itself", f'[dns]\n{AIM}[dns.writer]\n{SIGNED.replace("env:KEY", "aGVsbG8=")}', "dns.writer.secret = ***", "is it the secret", "file:PATH"),
    ("an algorithm that is too weak", f'[dns]\n{AIM}[dns.writer]\n{SIGNED}algorithm = "hmac-md5"', "dns.writer.algorithm", "not an algorithm", "hmac-sha"),
    ("a server for a manual zone", f'[dns]\n{AIM}[dns.writer]\nserver = "192.0.2.1"', "dns.writer.server", "written by itself", "rfc2136"),
    ("OVHcloud without keys", f'[dns]\n{AIM}[dns.writer]\nkind = "ovh"\n', "", "secret is missing", "write secret"),
    ("a server for OVHcloud", f'[dns]\n{AIM}[dns.writer]\nkind = "ovh"\nsecret = "env:K"\nserver = "192.0.2.1"\n', "dns.writer.server", "not for a zone of the kind ovh", 'kind = "rfc2136"'),
    ("OVHcloud's place for another zone", f'[dns]\n{AIM}[dns.writer]\n{SIGNED}place = "ovh-eu"\n', "dns.writer.place", "not for a zone of the kind rfc2136", 'kind = "ovh"'),
    ("a kind nobody knows", f'[dns]\n{AIM}[dns.writer]\nkind = "bind"', "dns.writer.kind", "none of the choices", "rfc2136"),
    ("canaries without a way", "[canary]\non = true", "canary.on = true", "which way", "[dns]"),
    ("a machine of one part", f'[dns]\n{AIM}[canary]\nname = "mover"', "canary.name = mover", "one part", "whole name"),
    ("a sender that is none", f'[dns]\n{AIM}[canary]\nsender = "it"', "canary.sender = it", "", "anna@"),
    ("a file that isn't there", '[dns]\nexpect = "expect.toml"', "", "can't be read", "dns.expect"),
    ("what a file says, in the plan", 'expect_text = "x"', "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rest", "value", "fact", "cure"), BAD)
def test_a_mistake_in_it(
    name: str, rest: str, value: str, fact: str, cure: str, tmp_path: Path
) -> None:
    written = plan(top=rest) if rest.startswith("expect_text") else plan(rest=rest)
    found = mistakes(tmp_path, written)
    assert len(found) == 1, found
    assert value in found[0].value
    assert fact in found[0].text
    assert cure in found[0].cure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("127.0.0.1@5353", ("127.0.0.1", 5353)),
        ("2620:fe::9", ("2620:fe::9", 53)),
        ("::1@5353", ("::1", 5353)),
    ],
)
def test_an_address_with_or_without_a_port(text: str, expected: tuple[str, int]) -> None:
    assert server_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "dns.example", "1.2.3.4@", "1.2.3.4@0", "::1@x", "1.2.3.4:53"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput):
        server_address(text)


@pytest.mark.parametrize(
    ("name", "good"),
    [("a.example", True), ("_dmarc.a.example.", True), ("a..b", False), ("a b.c", False)],
)
def test_what_a_name_can_be(name: str, good: bool) -> None:
    assert (host_fault(name) == "") is good
