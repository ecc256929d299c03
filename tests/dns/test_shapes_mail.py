"""Zones as they are in the world: the zone itself, MX, filters, wanted records, clients, names."""

from dataclasses import replace

import pytest

from mailhaul.dns.answers import Outcome
from mailhaul.dns.expected import Expected, Filter, Moment, Wanted
from mailhaul.dns.records import Kind, MailHost
from tests.dns.shapes import NEW, SOA, SPF, SWITCHED, Shape, bare, before, codes_of, shape

FILTERED = replace(NEW, filter=Filter("Mimecast"))
GATED = replace(NEW, filter=Filter("our own", ("gw.filter.example",)))
GATEWAY = {"gw.filter.example": {"A": "192.0.2.66"}, "gw2.filter.example": {"A": "192.0.2.67"}}
MIMECAST = {"eu-smtp-inbound-1.mimecast.com": {"A": "192.0.2.70"}}
TO_MIMECAST = {"MX": "10 eu-smtp-inbound-1.mimecast.com"}
TWO = replace(NEW, mx=(MailHost(10, "mx.new.example"), MailHost(20, "mx2.new.example")))
AD = "autodiscover.example.org"
AD_SRV = "_autodiscover._tcp.example.org"
IMAPS = "_imaps._tcp.example.org"
IMAP = {"imap.new.example": {"A": "192.0.2.13"}}
SRV_WANTED = replace(NEW, records=(
    *NEW.records,
    Wanted("client set-up", IMAPS, Kind.SRV, ("0 1 993 imap.new.example",), Moment.SWITCH),
))  # fmt: skip
OWNED = Expected("example.org", records=(
    Wanted("ownership", "code1.example.org", Kind.CNAME, ("ovh.example",), Moment.NOW),
))  # fmt: skip
TOO_EARLY = frozenset({"MX_TOO_EARLY", "RECORD_TO_WRITE"})
FILTER_STAYS = frozenset({"FILTER_STAYS", "RECORD_TO_WRITE"})


def everything(outcome: Outcome) -> dict[str, object]:
    return dict.fromkeys(map(str, Kind), outcome)


ZONE = [
    shape("all is well since the switch"),
    before("all is well before the switch"),
    bare("all is well with nothing expected"),
    bare("the domain is not there", "DOMAIN_MISSING MX_MISSING SPF_MISSING DMARC_MISSING",
         zone={"example.org": None, AD: None, "s1._domainkey.example.org": None,
               "_dmarc.example.org": None}),
    bare("nobody serves the zone", "DOMAIN_UNSERVED NO_ANSWER",
         zone={"example.org": everything(Outcome.TIMEOUT)}),
    bare("the zone's signatures have run out", "DOMAIN_UNSERVED ANSWER_FAILED",
         zone={"example.org": everything(Outcome.SERVFAIL)}),
    bare("the servers refuse", "DOMAIN_UNSERVED ANSWER_REFUSED",
         zone={"example.org": everything(Outcome.REFUSED)}),
    bare("the delegation leads to servers that know nothing", "DOMAIN_UNSERVED ANSWER_LAME",
         zone={"example.org": everything(Outcome.LAME)}),
    bare("the servers have private addresses", "DOMAIN_UNSERVED ANSWER_FORBIDDEN",
         zone={"example.org": everything(Outcome.FORBIDDEN)}),
    bare("the servers are off", "DOMAIN_UNSERVED ANSWER_UNREACHABLE",
         zone={"example.org": everything(Outcome.UNREACHABLE)}),
    bare("the servers answer garbage", "DOMAIN_UNSERVED ANSWER_MALFORMED",
         zone={"example.org": everything(Outcome.MALFORMED)}),
    shape("the domain is a CNAME to a web host",
          "DOMAIN_IS_ALIAS MX_IMPLICIT SPF_TERM_MISSING RECORD_MISSING",
          zone={"example.org": {"CNAME": "www.host.example"},
                "www.host.example": {"A": "192.0.2.80"}}),
    shape("that a name is missing is kept for a day", "NEGATIVE_TTL_LONG",
          org={"SOA": SOA.replace(" 300", " 86400")}, ttl=86400),
    shape("an SOA's TTL bounds what its last number says",
          org={"SOA": SOA.replace(" 300", " 86400")}),
    shape("an SOA that makes no sense", org={"SOA": "x"}),
    shape("a wildcard address", "WILDCARD CLIENTS_FROM_WILDCARD",
          zone={"*.example.org": {"A": "192.0.2.80"}}),
    shape("a wildcard CNAME", "WILDCARD CLIENTS_FROM_WILDCARD",
          zone={"*.example.org": {"CNAME": "www.host.example"},
                "www.host.example": {"A": "192.0.2.80"}}),
    shape("a wildcard CNAME to nowhere", "WILDCARD CLIENTS_DEAD STALE_NAME_DEAD",
          zone={"*.example.org": {"CNAME": "gone.host.example"}}),
    shape("a wildcard MX", "WILDCARD_MX", zone={"*.example.org": {"MX": "10 mx.new.example"}}),
    shape("a heap of verification texts", "TEXTS_LARGE",
          org={"TXT": [SPF, "MS=ms1", *(f"some-verification={n:060}" for n in range(15))]}),
]  # fmt: skip

IDN = "xn--bcher-kva.example"
IDN_ROWS = [
    shape("a domain with umlauts", expected=Expected(IDN, mx=NEW.mx, dkim=("s1",)), zone={
        IDN: SWITCHED["example.org"],
        f"_dmarc.{IDN}": {"TXT": f"v=DMARC1; p=none; rua=mailto:d@{IDN}"},
        f"s1._domainkey.{IDN}": SWITCHED["s1._domainkey.example.org"]}),
    shape("a domain with umlauts whose MX was not switched", "MX_OLD SPF_MISSING DMARC_MISSING",
          expected=Expected(IDN, mx=NEW.mx), zone={IDN: {"SOA": SOA, "MX": "10 mx.old.example"}}),
    shape("a host with umlauts", org={"MX": "10 xn--mx-bcher-65a.example"},
          expected=replace(NEW, mx=(MailHost(10, "xn--mx-bcher-65a.example"),)),
          zone={"xn--mx-bcher-65a.example": {"A": "192.0.2.20"}}),
    bare("a name so deep that nobody looks above it all", "DMARC_MISSING SPF_MISSING",
         expected=Expected(f"{'a.' * 100}example.org"),
         zone={f"{'a.' * 100}example.org": {"SOA": SOA, "MX": "10 mx.new.example"}}),
]  # fmt: skip

MX = [
    bare("no MX and no address", "MX_MISSING", org={"MX": None, "A": None}),
    shape("no MX, but an address", "MX_IMPLICIT", org={"MX": None}),
    shape("a null MX", "MX_NULL", org={"MX": "0 ."}),
    shape("a null MX among others", "MX_NULL_AMONG_OTHERS",
          org={"MX": ["0 .", "10 mx.new.example"]}),
    shape("MX was not switched", "MX_OLD", org={"MX": "10 mx.old.example"}),
    shape("MX was not switched, and the old hosts were never told", "MX_OLD",
          org={"MX": "10 mx.other.example"}, expected=replace(NEW, old_mx=())),
    shape("MX leads to a third system", "MX_FOREIGN", org={"MX": "10 mx.other.example"}),
    shape("the old host stays as a backup", "MX_MIXED",
          org={"MX": ["10 mx.new.example", "20 mx.old.example"]}),
    shape("one of two new hosts", "MX_PARTIAL", expected=TWO),
    shape("two new hosts the wrong way round", "MX_ORDER", expected=TWO,
          org={"MX": ["20 mx.new.example", "10 mx2.new.example"]}),
    shape("two new hosts made equal", "MX_ORDER", expected=TWO,
          org={"MX": ["10 mx.new.example", "10 mx2.new.example"]}),
    shape("other numbers in the same order", "MX_PREFERENCES", expected=TWO,
          org={"MX": ["1 mx.new.example", "5 mx2.new.example"]}),
    Shape("MX leads to the new system too early", TOO_EARLY, moment=Moment.NOW,
          org={"MX": "10 mx.new.example"}),
    Shape("MX leads to both before the switch", TOO_EARLY, moment=Moment.NOW,
          org={"MX": ["10 mx.old.example", "20 mx.new.example"]}),
    before("before the switch MX names a host that nobody has told of", "MX_FOREIGN",
           org={"MX": ["10 mx.old.example", "20 mx.other.example"]}),
    shape("MX can't be asked", "NO_ANSWER", org={"MX": Outcome.TIMEOUT}),
    shape("MX fails", "ANSWER_FAILED", org={"MX": Outcome.SERVFAIL}),
    bare("the host is a CNAME", "MX_HOST_IS_ALIAS", org={"MX": "10 mail.host.example"},
         zone={"mail.host.example": {"CNAME": "mx.new.example"}}),
    bare("the host is a CNAME to nowhere", "MX_HOST_IS_ALIAS MX_HOST_UNRESOLVED",
         org={"MX": "10 mail.host.example"},
         zone={"mail.host.example": {"CNAME": "gone.host.example"}}),
    bare("the host is not there", "MX_HOST_UNRESOLVED", org={"MX": "10 mx.typo.example"}),
    bare("the host has only texts", "MX_HOST_UNRESOLVED", org={"MX": "10 spf.new.example"}),
    bare("the host's servers are silent", "NO_ANSWER", org={"MX": "10 mx.silent.example"},
         zone={"mx.silent.example": everything(Outcome.TIMEOUT) | {"TLSA": []}}),
    bare("one of two questions for addresses fails, and that is enough",
         org={"MX": "10 mx.half.example"},
         zone={"mx.half.example": {"A": "192.0.2.14", "AAAA": Outcome.SERVFAIL}}),
    bare("MX names an address", "MX_HOST_IS_ADDRESS", org={"MX": "10 192.0.2.10"}),
    bare("the zone editor added the domain", "MX_HOST_DOUBLED",
         org={"MX": "10 mx.example.org.example.org"}),
    bare("MX names localhost", "MX_HOST_LOCAL", org={"MX": "10 localhost"}),
    bare("MX names a host of one label", "MX_HOST_LOCAL", org={"MX": "10 exchange01"}),
    bare("MX names a host of the office", "MX_HOST_LOCAL", org={"MX": "10 ex.firma.local"}),
    bare("the host has a private address", "MX_HOST_PRIVATE", org={"MX": "10 mx.in.example"},
         zone={"mx.in.example": {"A": "192.168.1.10"}}),
    bare("the host leads to a cloud's metadata", "MX_HOST_PRIVATE",
         org={"MX": "10 mx.in.example"}, zone={"mx.in.example": {"A": "169.254.169.254"}}),
    bare("one of the host's addresses is loopback", "MX_HOST_PRIVATE",
         org={"MX": "10 mx.in.example"},
         zone={"mx.in.example": {"A": ["192.0.2.10", "127.0.0.1"]}}),
    bare("the host is there by a wildcard alone",
         "MX_HOST_FROM_WILDCARD WILDCARD CLIENTS_FROM_WILDCARD",
         org={"MX": "10 mx.example.org"}, zone={"*.example.org": {"A": "192.0.2.80"}}),
    bare("a host of its own beside a wildcard", "WILDCARD CLIENTS_FROM_WILDCARD",
         org={"MX": "10 mx.example.org"},
         zone={"*.example.org": {"A": "192.0.2.80"}, "mx.example.org": {"A": "192.0.2.10"}}),
    bare("the host speaks IPv6 only", "MX_HOST_V6_ONLY", org={"MX": "10 mx.six.example"},
         zone={"mx.six.example": {"AAAA": "2001:db8::6"}}),
    before("the new host is not there yet", "MX_HOST_UNRESOLVED", zone={"mx.new.example": None}),
    bare("thirty hosts", org={"MX": [f"{n} mx.new.example" for n in range(30)]}),
    before("MX is remembered for a day", "TTL_LONG", ttl=86400),
    shape("before the switch what won't change may be remembered for long",
          "MX_TOO_EARLY RECORD_EARLY", ttl=86400, moment=Moment.NOW,
          org={"MX": "10 mx.new.example"}, zone={AD: {"CNAME": "ad.new.example"}}),
    before("MX is not remembered at all", "TTL_ZERO", ttl=0),
    shape("since the switch a long TTL is no matter", ttl=86400,
          org={"SOA": SOA}, expected=replace(NEW, ttl=60)),
]  # fmt: skip

FILTERS = [
    before("a filter that nobody has planned for", "FILTER_UNPLANNED", org=TO_MIMECAST,
           zone=MIMECAST, expected=replace(NEW, old_mx=())),
    Shape("the filter of the plan", FILTER_STAYS, moment=Moment.NOW, org=TO_MIMECAST, zone=MIMECAST,
           expected=FILTERED),
    shape("the filter of the plan, since the switch", "FILTER_STAYS", org=TO_MIMECAST,
          zone=MIMECAST, expected=FILTERED),
    shape("MX goes past the filter", "FILTER_PASSED_BY", expected=FILTERED),
    shape("another filter than planned", "FILTER_OTHER",
          org={"MX": "10 mx1.eu.iphmx.com"}, expected=FILTERED,
          zone={"mx1.eu.iphmx.com": {"A": "192.0.2.71"}}),
    shape("a filter known by its hosts", "FILTER_STAYS", org={"MX": "10 gw.filter.example"},
          zone=GATEWAY, expected=GATED),
    shape("not the filter's hosts", "FILTER_OTHER", zone=GATEWAY, expected=GATED,
          org={"MX": ["10 gw.filter.example", "20 gw2.filter.example"]}),
    shape("a filter that nobody knows is taken at its word", "FILTER_STAYS", zone=GATEWAY,
          org={"MX": "10 gw.filter.example"}, expected=replace(NEW, filter=Filter("in-house"))),
    shape("with a filter MX is missing", "MX_IMPLICIT", org={"MX": None}, expected=FILTERED),
    shape("a name that only looks like a filter's", "MX_FOREIGN",
          org={"MX": "10 mx.notmimecast.com"}, zone={"mx.notmimecast.com": {"A": "192.0.2.72"}}),
]  # fmt: skip

RECORDS = [
    shape("the ownership text is missing", "RECORD_MISSING", org={"TXT": SPF}),
    shape("another's ownership text", "RECORD_DIFFERS", org={"TXT": [SPF, "MS=ms2"]}),
    shape("the ownership text stands twice over", "NAME_DOUBLED RECORD_MISSING",
          zone={"code1.example.org.example.org": {"CNAME": "ovh.example"}}, expected=OWNED),
    shape("an ownership CNAME whose target has no address",
          zone={"code1.example.org": {"CNAME": "ovh.example"}}, expected=OWNED),
    shape("autodiscover leads to the old system", "RECORD_DIFFERS",
          zone={AD: {"CNAME": "ad.old.example"}}),
    shape("autodiscover is missing", "RECORD_MISSING", zone={AD: None}),
    shape("autodiscover is an address", "RECORD_SHADOWED", zone={AD: {"A": "198.51.100.5"}}),
    shape("autodiscover has no target any more", "RECORD_TARGET_DEAD",
          zone={"ad.new.example": None}),
    shape("autodiscover can't be asked", "NO_ANSWER", zone={AD: {"CNAME": Outcome.TIMEOUT}}),
    shape("autodiscover comes from a wildcard", "WILDCARD RECORD_FROM_WILDCARD "
          "CLIENTS_FROM_WILDCARD", zone={AD: None, "*.example.org": {"CNAME": "www.host.example"},
                                         "www.host.example": {"A": "192.0.2.80"}}),
    before("autodiscover is an address before the switch", "RECORD_SHADOWED",
           zone={AD: {"A": "198.51.100.5"}}),
    before("the old SRV is to go", "RECORD_TO_GO",
           zone={AD_SRV: {"SRV": "0 0 443 ad.old.example"}}),
    shape("the old SRV stays", "RECORD_STAYS",
          zone={AD_SRV: {"SRV": "0 0 443 ad.old.example"}}),
    shape("an SRV record is wanted and stands", expected=SRV_WANTED,
          zone={**IMAP, IMAPS: {"SRV": "0 1 993 imap.new.example"}}),
    shape("an SRV record with another port", "RECORD_DIFFERS", expected=SRV_WANTED,
          zone={**IMAP, IMAPS: {"SRV": "0 1 143 imap.new.example"}}),
    shape("an SRV record whose host is not there", "RECORD_TARGET_DEAD", expected=SRV_WANTED,
          zone={IMAPS: {"SRV": "0 1 993 imap.new.example"}}),
    Shape("autodiscover was switched too early", frozenset({"MX_TO_SWITCH", "RECORD_EARLY"}),
          zone={AD: {"CNAME": "ad.new.example"}}, moment=Moment.NOW),
    shape("a DKIM alias that leads to its key", expected=replace(NEW, dkim=(), records=(
        *NEW.records, Wanted("DKIM", "s9._domainkey.example.org", Kind.CNAME,
                             ("s9.keys.example",), Moment.NOW))),
          zone={"s9._domainkey.example.org": {"CNAME": "s9.keys.example"},
                "s9.keys.example": {"TXT": "v=DKIM1; k=ed25519; "
                                    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}}),
]  # fmt: skip

CLIENTS = [
    shape("autoconfig leads to the old system", "CLIENTS_OLD",
          zone={"autoconfig.example.org": {"CNAME": "ad.old.example"}}),
    before("autoconfig leads to the old system, before the switch", "CLIENTS_OLD",
           zone={"autoconfig.example.org": {"A": "198.51.100.5"}}),
    before("the old system is known by the MX there is", "CLIENTS_OLD STALE_NAME",
           expected=replace(NEW, old_mx=()),
           zone={"autoconfig.example.org": {"A": "198.51.100.5"},
                 "imap.example.org": {"CNAME": "mx.old.example"}}),
    shape("autoconfig leads to the new system",
          zone={"autoconfig.example.org": {"CNAME": "ad.new.example"}}),
    shape("autoconfig leads nowhere", "CLIENTS_DEAD",
          zone={"autoconfig.example.org": {"CNAME": "gone.host.example"}}),
    shape("autoconfig can't be asked", "ANSWER_FAILED",
          zone={"autoconfig.example.org": {"A": Outcome.SERVFAIL}}),
    shape("an SRV record leads to the old system", "CLIENTS_OLD",
          zone={IMAPS: {"SRV": "0 1 993 mx.old.example"}}),
    shape("an SRV record leads to the old system's address", "CLIENTS_OLD",
          zone={IMAPS: {"SRV": "0 1 993 ad.old.example"}}),
    shape("an SRV record leads nowhere", "CLIENTS_DEAD",
          zone={IMAPS: {"SRV": "0 1 993 gone.host.example"}}),
    shape("a service that is not offered", "CLIENTS_NONE",
          zone={"_pop3s._tcp.example.org": {"SRV": "0 0 0 ."}}),
    shape("only IMAP without TLS is announced", "CLIENTS_PLAIN",
          zone={**IMAP, "_imap._tcp.example.org": {"SRV": "0 1 143 imap.new.example"}}),
    shape("IMAP is announced with and without TLS",
          zone={**IMAP, "_imap._tcp.example.org": {"SRV": "0 1 143 imap.new.example"},
                IMAPS: {"SRV": "0 1 993 imap.new.example"}}),
    shape("an SRV question is refused", "ANSWER_REFUSED",
          zone={"_submission._tcp.example.org": {"SRV": Outcome.REFUSED}}),
    shape("mail. leads to the old system", "STALE_NAME",
          zone={"mail.example.org": {"A": "198.51.100.5"}}),
    shape("imap. is an alias of the old host", "STALE_NAME",
          zone={"imap.example.org": {"CNAME": "mx.old.example"}}),
    shape("the old MX is the domain's own mail.", "STALE_NAME",
          expected=replace(NEW, old_mx=("mail.example.org",)),
          zone={"mail.example.org": {"A": "198.51.100.9"}}),
    shape("webmail. leads to a name that is for sale", "STALE_NAME_DEAD",
          zone={"webmail.example.org": {"CNAME": "gone.host.example"}}),
    shape("mail. leads to the new system", zone={"mail.example.org": {"CNAME": "ad.new.example"}}),
    shape("mail. is the new MX itself",
          expected=replace(NEW, mx=(MailHost(10, "mail.example.org"),)),
          org={"MX": "10 mail.example.org"}, zone={"mail.example.org": {"A": "192.0.2.10"}}),
]  # fmt: skip

SHAPES = [*ZONE, *IDN_ROWS, *MX, *FILTERS, *RECORDS, *CLIENTS]


@pytest.mark.parametrize("row", SHAPES, ids=lambda row: row.name)
async def test_a_zone_gives_exactly_its_findings(row: Shape) -> None:
    assert codes_of(await row.diagnosis()) == row.codes
