"""What a zone should hold, for each moment, laid over zones as they are found."""

from dataclasses import dataclass, replace

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.dns.answers import Answer, Outcome
from mailhaul.dns.desired import desired, keys, present_of
from mailhaul.dns.expected import Expected, Filter, Moment, Wanted
from mailhaul.dns.records import Kind, MailHost, RecordSet

NEW = Expected(
    "example.org",
    mx=(MailHost(0, "mx.new.example"),),
    spf=("include:spf.new.example",),
    spf_old=("include:spf.old.example",),
    spf_all="-all",
    records=(
        Wanted("autodiscover", "autodiscover.example.org", Kind.CNAME, ("ad.new.example",),
               Moment.SWITCH),
        Wanted("ownership", "example.org", Kind.TXT, ("MS=ms1",), Moment.NOW),
        Wanted("DMARC", "_dmarc.example.org", Kind.TXT, ("v=DMARC1; p=none",), Moment.NOW, 600),
        Wanted("autodiscover", "_autodiscover._tcp.example.org", Kind.SRV, (), Moment.SWITCH),
    ),
    ttl=300,
)  # fmt: skip
BARE = Expected("example.org", spf=("include:spf.new.example",), ttl=300)


@dataclass(frozen=True)
class Case:
    """`zone` and `gives` are (name before the domain, kind, TTL, values)."""

    name: str
    moment: Moment
    zone: tuple[tuple[str, str, int, tuple[str, ...]], ...]
    gives: tuple[tuple[str, str, int, tuple[str, ...]], ...]
    expected: Expected = NEW


def sets(rows: tuple[tuple[str, str, int, tuple[str, ...]], ...]) -> list[RecordSet]:
    return [
        RecordSet(f"{name}.example.org".lstrip("."), Kind(kind), ttl, values)
        for name, kind, ttl, values in rows
    ]


SRV_GONE = ("_autodiscover._tcp", "SRV", 300, ())
MX = ("", "MX", 300, ("0 mx.new.example",))
AD = ("autodiscover", "CNAME", 300, ("ad.new.example",))
DMARC = ("_dmarc", "TXT", 600, ("v=DMARC1; p=none",))


def texts(*values: str, ttl: int = 3600) -> tuple[tuple[str, str, int, tuple[str, ...]], ...]:
    return (("", "TXT", ttl, tuple(sorted(values))),)


CASES = [
    Case("an empty zone gets a lenient SPF record that names both systems", Moment.NOW, (),
         (*texts("MS=ms1", "v=spf1 include:spf.old.example include:spf.new.example ~all", ttl=300),
          DMARC)),
    Case("the new term goes before the end, and other texts stay", Moment.NOW,
         texts("v=spf1 mx include:spf.old.example -all", "google-site-verification=x"),
         (*texts("google-site-verification=x", "MS=ms1",
                 "v=spf1 mx include:spf.old.example include:spf.new.example -all"), DMARC)),
    Case("what stands already comes back as it stands", Moment.NOW,
         (*texts("MS=ms1", "V=SPF1  include:SPF.new.example -all"),
          ("_dmarc", "TXT", 7200, ("v=DMARC1; p=none",))),
         (*texts("MS=ms1", "V=SPF1  include:SPF.new.example -all"),
          ("_dmarc", "TXT", 7200, ("v=DMARC1; p=none",)))),
    Case("a DMARC record takes the place of the one there is", Moment.NOW,
         (*texts("MS=ms1", "v=spf1 include:spf.new.example -all"),
          ("_dmarc", "TXT", 7200, ("v=dmarc1; p=reject",))),
         (*texts("MS=ms1", "v=spf1 include:spf.new.example -all"), DMARC)),
    Case("two SPF records become one, with the more lenient end", Moment.NOW,
         texts("v=spf1 ip4:192.0.2.1 -all", "v=spf1 include:spf.old.example ~all"),
         texts("v=spf1 include:spf.old.example ip4:192.0.2.1 include:spf.new.example ~all"),
         BARE),
    Case("a record that ends in a redirect keeps it", Moment.NOW,
         texts("v=spf1 redirect=_spf.old.example"),
         texts("v=spf1 include:spf.new.example redirect=_spf.old.example"), BARE),
    Case("a term with a weaker sign gets the wanted one", Moment.NOW,
         texts("v=spf1 ?include:spf.new.example -all"),
         texts("v=spf1 include:spf.new.example -all"), BARE),
    Case("a term behind the end comes before it", Moment.NOW,
         texts("v=spf1 a -all include:spf.new.example"),
         texts("v=spf1 a include:spf.new.example -all"), BARE),
    Case("other modifiers stay", Moment.NOW,
         texts("v=spf1 a exp=why.example.org -all"),
         texts("v=spf1 a include:spf.new.example -all exp=why.example.org"), BARE),
    Case("the switch writes MX and autodiscover", Moment.SWITCH,
         (("", "MX", 86400, ("10 mx.old.example", "20 mx2.old.example")),), (SRV_GONE, MX, AD)),
    Case("what stands already keeps its TTL", Moment.SWITCH,
         (("", "MX", 3600, ("0 mx.new.example",)),),
         (SRV_GONE, ("", "MX", 3600, ("0 mx.new.example",)), AD)),
    Case("addresses give way to a CNAME, and go first", Moment.SWITCH,
         (("autodiscover", "A", 600, ("192.0.2.7",)), ("autodiscover", "AAAA", 60, ()),
          ("_autodiscover._tcp", "SRV", 900, ("0 0 443 old.example",))),
         (("autodiscover", "A", 600, ()), SRV_GONE, MX, AD)),
    Case("a CNAME gives way to MX", Moment.SWITCH, (("", "CNAME", 60, ("www.old.example",)),),
         (("", "CNAME", 60, ()), SRV_GONE, MX, AD)),
    Case("with a filter in front MX stays", Moment.SWITCH, (), (SRV_GONE, AD),
         replace(NEW, filter=Filter("Mimecast"))),
    Case("at the end the old terms go and the record is closed", Moment.END,
         texts("x", "v=spf1 include:spf.old.example include:spf.new.example ~all"),
         texts("x", "v=spf1 include:spf.new.example -all")),
    Case("a redirect to the old system goes at the end", Moment.END,
         texts("v=spf1 include:spf.new.example redirect=_spf.old.example"),
         texts("v=spf1 include:spf.new.example ~all"),
         replace(BARE, spf_old=("redirect=_spf.old.example",))),
    Case("a term that both systems need stays at the end", Moment.END,
         texts("v=spf1 include:spf.new.example ~all"),
         texts("v=spf1 include:spf.new.example ~all"),
         replace(BARE, spf_old=("include:spf.new.example",))),
    Case("without anything expected nothing is said", Moment.END, texts("v=spf1 -all"), (),
         Expected("example.org")),
    Case("a DKIM key takes the place of the whole set", Moment.NOW,
         (("s1._domainkey", "TXT", 60, ("k=rsa; p=AAAA",)),),
         (("s1._domainkey", "TXT", 60, ("v=DKIM1; p=BBBB",)),),
         Expected("example.org", records=(
             Wanted("DKIM", "s1._domainkey.example.org", Kind.TXT, ("v=DKIM1; p=BBBB",),
                    Moment.NOW),))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_should_stand(case: Case) -> None:
    present = {each.key: each for each in sets(case.zone)}
    found = desired(case.expected, present, case.moment)
    assert sorted(found, key=str) == sorted(sets(case.gives), key=str)
    removed = [not each.values for each in found]
    assert removed == sorted(removed, reverse=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_stands_is_left_alone(case: Case) -> None:
    present = {each.key: each for each in sets(case.zone)}
    written = {each.key: each for each in desired(case.expected, present, case.moment)}
    after = present | written
    again = desired(case.expected, after, case.moment)
    assert [each for each in again if after[each.key] != each] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_said_of_sets_that_were_not_to_be_read(case: Case) -> None:
    present = {each.key: each for each in sets(case.zone)}
    found = desired(case.expected, present, case.moment)
    assert {each.key for each in found} <= set(keys(case.expected))


def test_a_record_that_cannot_be_read_is_not_rewritten() -> None:
    zone = {each.key: each for each in sets(texts("v=spf1 include -all"))}
    with pytest.raises(BadInput, match="doesn't say what it is about"):
        desired(BARE, zone, Moment.NOW)


def test_of_what_came_through_an_alias_only_the_alias_stands_there() -> None:
    found = present_of([
        Answer("a.example", Kind.A, Outcome.RECORDS, ("192.0.2.1",), 60, ("b.example",)),
        Answer("a.example", Kind.TXT, Outcome.NODATA, (), 30, ("b.example",)),
        Answer("c.example", Kind.A, Outcome.RECORDS, ("192.0.2.2",), 90),
        Answer("d.example", Kind.A, Outcome.TIMEOUT),
    ])  # fmt: skip
    assert found == {
        ("a.example", Kind.CNAME): RecordSet("a.example", Kind.CNAME, 60, ("b.example",)),
        ("c.example", Kind.A): RecordSet("c.example", Kind.A, 90, ("192.0.2.2",)),
    }
