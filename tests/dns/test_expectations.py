"""Profiles and files of expectations: what they give, and each mistake by its key."""

from pathlib import Path

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.dns.expect_file import read_expect_file
from mailhaul.dns.expected import Moment, Wanted
from mailhaul.dns.profiles import profile, profile_names, profile_words
from mailhaul.dns.records import Kind, MailHost
from mailhaul.dns.spelling import canonical
from mailhaul.dns.spf_text import looks_like_spf, terms_of

FULL = """
profile = "exchange-online"
spf_old = ["include:spf.old.example"]
dkim = ["s1"]
ttl = 120

[values]
tenant = "contoso"

[filter]
name = "Mimecast"
hosts = ["eu-smtp-inbound-1.mimecast.com."]

[[record]]
topic = "autodiscover"
name = "autodiscover.{domain}"
kind = "cname"
values = ["Other.Example."]

[domain."bücher.example"]
ttl = 60
values = { ownership = "ms7" }
"""


def read(text: str, path: Path, domain: str = "example.org") -> object:
    file = path / "expect.toml"
    file.write_text(text, encoding="utf-8")
    return read_expect_file(file, domain)


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_can_be_filled_in(name: str) -> None:
    found = profile(name, "example.org", dict.fromkeys(profile_words(name), "new.example"))
    assert found.mx
    assert all(each.name.endswith("example.org") for each in found.records)


@pytest.mark.parametrize("name", profile_names())
def test_what_may_be_left_out_may(name: str) -> None:
    needed = {word: "new.example" for word, optional in profile_words(name).items() if not optional}
    found = profile(name, "example.org", needed)
    assert "{" not in str(found.mx) + str(found.records) + str(found.spf)


def test_a_name_with_umlauts_is_filled_in_as_dns_has_it() -> None:
    found = profile("exchange-online", "Bücher.example")
    assert found.mx == (MailHost(0, "xn--bcher-kva-example.mail.protection.outlook.com"),)


def test_hosts_are_sorted_by_preference_as_numbers() -> None:
    assert [each.preference for each in profile("ovh-exchange", "example.org").mx] == [
        1, 5, 50, 100, 200,
    ]  # fmt: skip


def test_a_file_goes_over_its_profile_and_a_domain_over_both(tmp_path: Path) -> None:
    file = tmp_path / "expect.toml"
    file.write_text(FULL, encoding="utf-8")
    one, other = read_expect_file(file, "example.org"), read_expect_file(file, "Bücher.example")
    assert (one.ttl, other.ttl) == (120, 60)
    assert one.spf == other.spf == ("include:spf.protection.outlook.com",)
    assert one.dkim == ("s1",)
    assert one.filter is not None and one.filter.hosts == ("eu-smtp-inbound-1.mimecast.com",)
    assert one.source == "Exchange Online, expect.toml"
    assert [each for each in one.records if each.topic == "autodiscover"] == [
        Wanted("autodiscover", "_autodiscover._tcp.example.org", Kind.SRV, (), Moment.SWITCH),
        Wanted("autodiscover", "autodiscover.example.org", Kind.CNAME, ("other.example",),
               Moment.SWITCH),
    ]  # fmt: skip
    assert "ownership" not in {each.topic for each in one.records}
    assert [each.values for each in other.records if each.topic == "ownership"] == [("MS=ms7",)]


RECORD = '[[record]]\nname = "a.{domain}"\nkind = "A"\nvalues = ["192.0.2.1"]\n'
AT_DOMAIN = '[[record]]\nname = "{{domain}}"\nkind = "{}"\nvalues = [{}]\n'
MISTAKES = [
    ("no TOML", "mx = [", "is no TOML"),
    ("an unknown key", 'mxx = ["1 a.example"]', "mxx: there is no such key"),
    ("an unknown profile", 'profile = "hotmail"', "“hotmail” is no profile; there are exchange"),
    ("a text instead of a list", 'mx = "1 a.example"', "mx: a list of texts is wanted"),
    ("an MX without preference", 'mx = ["a.example"]', "write it as 10 mx.example.org"),
    ("a preference too large", 'mx = ["65536 a.example"]', "is no value of MX"),
    ("a value that is missing", 'mx = ["1 {gateway}"]', "mx needs a value for {gateway}"),
    ("an SPF term that is none", 'spf = ["include=spf", "inc:x"]', "names no SPF mechanism"),
    ("an end that is none", 'spf_all = "+all"', "is not -all, ~all or ?all"),
    ("a TTL of nought", "ttl = 0", "seconds from 1 to 604800"),
    ("a TTL that is a truth", "ttl = true", "seconds from 1 to 604800"),
    ("a filter without name", "[filter]\nhosts = []", "filter: a name, or a table"),
    ("records that are no tables", 'record = ["x"]', "write each as a table"),
    ("records that are a text", 'record = "x"', "write each as a table"),
    ("a record without kind", '[[record]]\nname = "{domain}"\nvalues = []', "kind is missing"),
    ("a kind that isn't written", RECORD.replace('"A"', '"NS"'), "NS is none of"),
    ("a moment that is none", RECORD + 'moment = "later"', "later is none of now, switch, end"),
    ("a record outside", RECORD.replace("{domain}", "example.com"), "doesn't lie in example.org"),
    ("a CNAME at the domain", RECORD.replace("a.{domain}", "{domain}").replace('"A"', '"CNAME"'),
     "can't be a CNAME"),
    ("MX as a record", AT_DOMAIN.format("MX", '"1 a.example"'), "said by the key mx"),
    ("SPF as a record", AT_DOMAIN.format("TXT", '"v=spf1 -all"'), "said by the keys spf, spf_old"),
    ("all texts taken away", AT_DOMAIN.format("TXT", ""), "can't all be removed"),
    ("one set said twice", RECORD + RECORD, "a.example.org A is said twice"),
    ("a CNAME beside an address", RECORD + RECORD.replace('"A"', '"CNAME"').replace(
        "192.0.2.1", "b.example"), "can't be a CNAME and anything else beside"),
    ("an address that is none", RECORD.replace("192.0.2.1", "192.0.2.256"), "is no value of A"),
    ("a domain that is no table", 'domain = "example.org"', "domain: a table is wanted"),
    ("an empty label", 'old_mx = ["mx..example"]', "is no domain name"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "says"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named(name: str, text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read(text, tmp_path)
    assert says in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.toml can't be read: No such file"):
        read_expect_file(tmp_path / "none.toml", "example.org")


def test_a_profile_refuses_values_it_does_not_take() -> None:
    with pytest.raises(BadInput, match="takes no value tennant; it takes ownership, tenant"):
        profile("exchange-online", "example.org", {"tennant": "x"})


SPELLINGS = [
    (Kind.MX, "10  MX.Example.ORG.", "10 mx.example.org"),
    (Kind.MX, "0 .", "0 ."),
    (Kind.SRV, "0 0 443 Host.Example.", "0 0 443 host.example"),
    (Kind.TXT, '"v=DKIM1; p=AB" "CD\\"E"', 'v=DKIM1; p=ABCD"E'),
    (Kind.TXT, "v=spf1 -all", "v=spf1 -all"),
    (Kind.AAAA, "2001:DB8:0::1", "2001:db8::1"),
    (Kind.TLSA, "3 1 1 AB cd", "3 1 1 abcd"),
    (Kind.CNAME, "Bücher.example.", "xn--bcher-kva.example"),
]


@pytest.mark.parametrize(("kind", "text", "gives"), SPELLINGS)
def test_a_value_is_spelled_one_way(kind: Kind, text: str, gives: str) -> None:
    assert canonical(kind, text) == gives
    assert canonical(kind, gives) == gives


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("v=spf1 -all", False),
        ("V=SPF1", False),
        ("v=spf10 -all", True),
        ("v=spf2 -all", True),
        ("spf1 mx -all", True),
        ("v = spf1 mx -all", True),
        ('"v=spf1 mx -all"', True),
        (" v=spf1 -all", True),
        ("v=spf1include:x.example", True),
        ("v=DMARC1; p=none", False),
        ("my spf record", False),
    ],
)
def test_a_text_that_was_meant_as_spf_is_recognised(text: str, meant: bool) -> None:
    assert looks_like_spf(text) is meant


@pytest.mark.parametrize(
    "word", ["include", "include:", "all:x", "ip4", "ip4:", "-", "=x", "foo:bar", "a\\x", "ex"]
)
def test_a_term_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(BadInput):
        terms_of(f"v=spf1 {word} -all")
