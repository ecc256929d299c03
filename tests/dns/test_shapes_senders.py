"""Zones as they are in the world: SPF, DKIM, DMARC, MTA-STS, TLS-RPT, DANE."""

from dataclasses import replace

import pytest

from mailhaul.dns.answers import Outcome
from mailhaul.dns.expected import Filter, Moment
from mailhaul.dns.policy import Fetched, PolicyOutcome
from mailhaul.dns.record_codes import MEANINGS
from tests.dns.shapes import CURVE, ED25519, NEW, RSA, SPF, Shape, bare, before, codes_of, shape
from tests.dns.test_shapes_mail import SHAPES as MAIL_SHAPES

KEY = "s1._domainkey.example.org"
DMARC = "_dmarc.example.org"
END = {"moment": Moment.END}
SPF_NEW = "v=spf1 include:spf.new.example -all"


def spf(text: str) -> dict[str, object]:
    return {"TXT": ["MS=ms1", text]}


def many(number: int) -> dict[str, dict[str, object]]:
    return {f"s{n}.spf.example": {"TXT": "v=spf1 ip4:192.0.2.1 ?all"} for n in range(number)}


def including(number: int) -> str:
    words = " ".join(f"include:s{n}.spf.example" for n in range(number))
    return f"v=spf1 include:spf.old.example include:spf.new.example {words} -all"


SPF_ROWS = [
    shape("no SPF record", "SPF_TERM_MISSING", org={"TXT": "MS=ms1"}),
    bare("no SPF record, and none expected", "SPF_MISSING", org={"TXT": "x"}),
    shape("the new system isn't in it", "SPF_TERM_MISSING",
          org=spf("v=spf1 include:spf.old.example -all")),
    shape("the new system is in it, weakly", "SPF_TERM_MISSING",
          org=spf(SPF.replace("include:spf.new", "?include:spf.new"))),
    shape("the new system stands behind the end", "SPF_TERM_MISSING SPF_AFTER_ALL",
          org=spf("v=spf1 include:spf.old.example -all include:spf.new.example")),
    shape("the new system's term in capitals", org=spf(SPF.replace("spf.new", "SPF.New"))),
    shape("the old system was taken out too early", "SPF_OLD_GONE", org=spf(SPF_NEW)),
    shape("after the sweeps the old system is still in it", "SPF_OLD_LEFT TTL_STILL_LOW", **END),
    shape("after the sweeps the old system is out", "TTL_STILL_LOW", org=spf(SPF_NEW), **END),
    shape("after the sweeps all is well", org=spf(SPF_NEW), ttl=3600, **END),
    shape("after the sweeps it ends otherwise", "SPF_END TTL_STILL_LOW", **END,
          org=spf(SPF_NEW.replace("-all", "~all")), expected=replace(NEW, spf_all="-all")),
    shape("two SPF records", "SPF_SEVERAL", org={"TXT": [SPF, "v=spf1 mx -all", "MS=ms1"]}),
    shape("another text that was meant as SPF", "SPF_NOT_TAKEN",
          org={"TXT": [SPF, '"v=spf1 mx -all"', "MS=ms1"]}),
    shape("the only SPF record has no blank", "SPF_NOT_TAKEN SPF_TERM_MISSING",
          org=spf("v=spf1include:spf.new.example -all")),
    shape("a mistyped mechanism", "SPF_SYNTAX", org=spf("v=spf1 inlcude:spf.new.example -all")),
    shape("an include without a name", "SPF_SYNTAX", org=spf("v=spf1 include -all")),
    shape("an include of what is no name", "SPF_SYNTAX",
          org=spf(SPF.replace("-all", "include:a..example -all"))),
    shape("ten look-ups", "SPF_LOOKUPS_FULL", org=spf(including(8)), zone=many(8)),
    shape("eleven look-ups", "SPF_LOOKUPS", org=spf(including(9)), zone=many(9)),
    shape("eleven look-ups, most of them an include further down", "SPF_LOOKUPS",
          org=spf(SPF.replace("-all", "include:deep.example -all")),
          zone={"deep.example": {"TXT": including(6)}, **many(6)}),
    shape("sixty look-ups are not all asked", "SPF_LOOKUPS SPF_LONG TEXTS_LARGE",
          org=spf(including(60)), zone=many(60)),
    shape("a and mx cost look-ups too", "SPF_LOOKUPS_FULL SPF_FOLLOWS_MX",
          org=spf(including(6).replace("-all", "a mx -all")), zone=many(6)),
    shape("three terms that find nothing", "SPF_VOIDS", org=spf(SPF.replace(
        "-all", "a:x1.example a:x2.example exists:x3.example -all"))),
    shape("two terms that find nothing", org=spf(SPF.replace(
        "-all", "a:x1.example a:x2.example -all"))),
    shape("a record that includes itself", "SPF_LOOP",
          org=spf(SPF.replace("-all", "include:example.org -all"))),
    shape("two records that include each other", "SPF_LOOP",
          org=spf(SPF.replace("-all", "include:a.example -all")),
          zone={"a.example": {"TXT": "v=spf1 include:b.example -all"},
                "b.example": {"TXT": "v=spf1 include:a.example -all"}}),
    shape("an include without a record", "SPF_INCLUDE_BROKEN",
          org=spf(SPF.replace("-all", "include:gone.example -all"))),
    shape("an include with two records", "SPF_INCLUDE_BROKEN",
          org=spf(SPF.replace("-all", "include:a.example -all")),
          zone={"a.example": {"TXT": ["v=spf1 -all", "v=spf1 ~all"]}}),
    shape("an include whose record is broken", "SPF_INCLUDE_BROKEN",
          org=spf(SPF.replace("-all", "include:a.example -all")),
          zone={"a.example": {"TXT": "v=spf1 ipv4:192.0.2.1 -all"}}),
    shape("an include whose server is silent", "SPF_UNREADABLE",
          zone={"spf.old.example": {"TXT": Outcome.TIMEOUT}}),
    shape("a redirect to a whole record",
          org=spf("v=spf1 include:spf.old.example include:spf.new.example redirect=s0.spf.example"),
          zone=many(1)),
    shape("a redirect beside an end is never read",
          org=spf(f"{SPF} redirect=gone.example")),
    shape("a macro can't be asked ahead",
          org=spf(SPF.replace("-all", "exists:%{i}.x.example -all"))),
    shape("it ends with +all", "SPF_PASSES_ALL", org=spf(SPF.replace("-all", "+all"))),
    shape("it ends with a bare all", "SPF_PASSES_ALL", org=spf(SPF.replace("-all", "all"))),
    shape("it has no end", "SPF_OPEN", org=spf(SPF.replace(" -all", ""))),
    shape("it names mx", "SPF_FOLLOWS_MX", org=spf(SPF.replace("-all", "mx -all"))),
    shape("it names another domain's mx", org=spf(SPF.replace("-all", "mx:b.example -all")),
          zone={"b.example": {"MX": "10 mx.old.example"}}),
    shape("it names ptr", "SPF_PTR", org=spf(SPF.replace("-all", "ptr -all"))),
    shape("its mx finds eleven hosts", "SPF_MX_MANY",
          org=spf(SPF.replace("-all", "mx:b.example -all")),
          zone={"b.example": {"MX": [f"{n} mx{n}.example" for n in range(11)]}}),
    shape("it is long", "SPF_LONG", org=spf(SPF.replace(
        "-all", " ".join(f"ip4:198.51.100.{n}" for n in range(30)) + " -all"))),
    shape("the texts can't be asked", "ANSWER_LAME", org={"TXT": Outcome.LAME}),
]  # fmt: skip

DKIM_ROWS = [
    shape("no key", "DKIM_MISSING", zone={KEY: None}),
    shape("an alias without a key behind it", "DKIM_ALIAS_DEAD",
          zone={KEY: {"CNAME": "s1.keys.example"}}),
    shape("an alias to a key", zone={KEY: {"CNAME": "s1.keys.example"},
                                     "s1.keys.example": {"TXT": f"p={RSA[2048]}"}}),
    shape("two keys under one selector", "DKIM_SEVERAL",
          zone={KEY: {"TXT": [f"p={RSA[2048]}", f"p={RSA[1024]}"]}}),
    shape("a key of 1024 bits", "DKIM_SHORT", zone={KEY: {"TXT": f"v=DKIM1; p={RSA[1024]}"}}),
    shape("a key of 512 bits", "DKIM_BROKEN", zone={KEY: {"TXT": f"v=DKIM1; p={RSA[512]}"}}),
    shape("a key that was cut at 255", "DKIM_BROKEN",
          zone={KEY: {"TXT": f"v=DKIM1; p={RSA[2048]}"[:255]}}),
    shape("a key with blanks in it", zone={
        KEY: {"TXT": f"v=DKIM1; p={RSA[2048][:100]} {RSA[2048][100:]}"}}),
    shape("a key in quotes", "DKIM_BROKEN", zone={KEY: {"TXT": f'v=DKIM1; p="{RSA[2048]}"'}}),
    shape("a key of a curve that says it is RSA", "DKIM_BROKEN",
          zone={KEY: {"TXT": f"v=DKIM1; k=rsa; p={CURVE}"}}),
    shape("an Ed25519 key", zone={KEY: {"TXT": f"v=DKIM1; k=ed25519; p={ED25519}"}}),
    shape("an Ed25519 key in a wrapping", "DKIM_BROKEN",
          zone={KEY: {"TXT": f"v=DKIM1; k=ed25519; p={CURVE}"}}),
    shape("a key of a kind that nobody knows", "DKIM_BROKEN",
          zone={KEY: {"TXT": f"v=DKIM1; k=dsa; p={RSA[2048]}"}}),
    shape("a key that was revoked", "DKIM_REVOKED", zone={KEY: {"TXT": "v=DKIM1; p="}}),
    shape("a key for tests", "DKIM_TESTING",
          zone={KEY: {"TXT": f"v=DKIM1; t=y:s; p={RSA[2048]}"}}),
    shape("a text that is no key", "DKIM_BROKEN", zone={KEY: {"TXT": "v=spf1 -all"}}),
    shape("a wildcard text under the selector", "DKIM_MISSING WILDCARD",
          zone={KEY: None, "*.example.org": {"TXT": f"p={RSA[2048]}"}}),
    shape("the key's server fails", "ANSWER_FAILED", zone={KEY: {"TXT": Outcome.SERVFAIL}}),
]  # fmt: skip

REFUSING = {DMARC: {"TXT": "v=DMARC1; p=reject; rua=mailto:d@example.org"}}
DMARC_ROWS = [
    shape("no DMARC record", "DMARC_MISSING", zone={DMARC: None}),
    shape("two DMARC records", "DMARC_SEVERAL",
          zone={DMARC: {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}}),
    shape("a policy that nobody knows", "DMARC_SYNTAX",
          zone={DMARC: {"TXT": "v=DMARC1; p=monitor; rua=mailto:d@example.org"}}),
    shape("a share above one hundred", "DMARC_SYNTAX",
          zone={DMARC: {"TXT": "v=DMARC1; p=none; pct=200; rua=mailto:d@example.org"}}),
    shape("nobody gets reports", "DMARC_UNREPORTED", zone={DMARC: {"TXT": "v=DMARC1; p=none"}}),
    shape("strict alignment", "DMARC_STRICT",
          zone={DMARC: {"TXT": "v=DMARC1;p=none;adkim=s;rua=mailto:d@example.org"}}),
    shape("mail is refused, and the new system is vouched for", zone=REFUSING),
    shape("mail is refused, and nothing vouches for the new system",
          "DMARC_UNCOVERED SPF_TERM_MISSING DKIM_MISSING", zone={**REFUSING, KEY: None},
          org=spf("v=spf1 include:spf.old.example -all")),
    shape("mail is refused, and a key alone vouches for the new system", "SPF_TERM_MISSING",
          zone=REFUSING, org=spf("v=spf1 include:spf.old.example -all")),
    shape("reports to a domain that has agreed", zone={
        DMARC: {"TXT": "v=DMARC1; p=none; rua=mailto:d@reports.example!10m"},
        "example.org._report._dmarc.reports.example": {"TXT": "v=DMARC1"}}),
    shape("reports to a domain that has not agreed", "DMARC_REPORTS_REFUSED",
          zone={DMARC: {"TXT": "v=DMARC1; p=none; rua=mailto:d@reports.example"}}),
    shape("the record's server refuses", "ANSWER_REFUSED",
          zone={DMARC: {"TXT": Outcome.REFUSED}}),
    bare("the domain above has one", "DMARC_INHERITED SPF_MISSING",
         expected=replace(NEW, domain="sub.example.org", mx=(), spf=(), spf_old=(), dkim=(),
                          records=()),
         zone={"sub.example.org": {"SOA": "a b 1 2 3 4 300", "MX": "10 mx.new.example"}}),
]  # fmt: skip

STS = {"_mta-sts.example.org": {"TXT": "v=STSv1; id=20260101"}}
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.new.example\r\nmax_age: 604800\r\n"


def policy(text: str, media: str = "text/plain") -> Fetched:
    return Fetched(PolicyOutcome.FETCHED, text, media)


STS_ROWS = [
    shape("a policy for the new MX", zone=STS, policy=policy(POLICY)),
    shape("a policy with a pattern for the new MX", zone=STS,
          policy=policy(POLICY.replace("mx.new", "*.new"))),
    shape("a policy with a pattern that is one label short", "MTA_STS_NEW_MX_LACKING", zone=STS,
          policy=policy(POLICY.replace("mx.new.example", "*.example"))),
    shape("a policy for the old MX", "MTA_STS_NEW_MX_LACKING", zone=STS,
          policy=policy(POLICY.replace("mx.new", "mx.old"))),
    before("before the switch a policy for the old MX", "MTA_STS_NEW_MX_LACKING", zone=STS,
           policy=policy(POLICY.replace("mx.new", "mx.old"))),
    before("before the switch a policy for the new MX only", "MTA_STS_PRESENT_LACKING", zone=STS,
           policy=policy(POLICY)),
    before("before the switch a policy for both", zone=STS,
           policy=policy(POLICY + "mx: mx.old.example\n")),
    shape("a policy that is being tried", "MTA_STS_TESTING_LACKING", zone=STS,
          policy=policy(POLICY.replace("mx.new", "mx.old").replace("enforce", "testing"))),
    shape("a policy that is switched off", zone=STS,
          policy=policy("version: STSv1\nmode: none\nmax_age: 86400\n")),
    shape("with a filter the policy stays for the filter", "FILTER_STAYS", zone={
        **STS, "gw.filter.example": {"A": "192.0.2.66"}}, org={"MX": "10 gw.filter.example"},
          expected=replace(NEW, filter=Filter("in-house")),
          policy=policy(POLICY.replace("mx.new.example", "gw.filter.example"))),
    shape("no policy behind the record", "MTA_STS_NO_POLICY", zone=STS,
          policy=Fetched(PolicyOutcome.STATUS, said="status 404")),
    shape("no host behind the record", "MTA_STS_NO_POLICY", zone=STS,
          policy=Fetched(PolicyOutcome.NO_HOST)),
    shape("a policy in time for nobody", "MTA_STS_NO_POLICY", zone=STS,
          policy=Fetched(PolicyOutcome.TIMEOUT)),
    shape("a certificate that has run out", "MTA_STS_CERTIFICATE", zone=STS,
          policy=Fetched(PolicyOutcome.TLS, said="certificate has expired")),
    shape("a redirect", "MTA_STS_REDIRECTED", zone=STS,
          policy=Fetched(PolicyOutcome.REDIRECTED, said="to https://www.example.org/")),
    shape("a policy on an inner host", "MTA_STS_FORBIDDEN", zone=STS,
          policy=Fetched(PolicyOutcome.FORBIDDEN, said="10.0.0.1")),
    shape("a policy without hosts", "MTA_STS_POLICY_BROKEN", zone=STS,
          policy=policy("version: STSv1\nmode: enforce\nmax_age: 86400\n")),
    shape("a web page for a policy", "MTA_STS_POLICY_BROKEN MTA_STS_MEDIA", zone=STS,
          policy=policy("<html>not found</html>", "text/html")),
    shape("a policy without an age", "MTA_STS_POLICY_BROKEN", zone=STS,
          policy=policy(POLICY.replace("604800", "a week"))),
    shape("a policy of another version", "MTA_STS_POLICY_BROKEN", zone=STS,
          policy=policy(POLICY.replace("STSv1", "STSv2"))),
    shape("two MTA-STS records", "MTA_STS_SEVERAL",
          zone={"_mta-sts.example.org": {"TXT": ["v=STSv1; id=1", "v=STSv1; id=2"]}}),
    shape("an MTA-STS record without an id", "MTA_STS_RECORD_BROKEN", policy=policy(POLICY),
          zone={"_mta-sts.example.org": {"TXT": "v=STSv1;"}}),
    shape("another text where MTA-STS stands", "MTA_STS_RECORD_BROKEN",
          zone={"_mta-sts.example.org": {"TXT": "v=spf1 -all"}}),
    shape("MTA-STS can't be asked", "NO_ANSWER",
          zone={"_mta-sts.example.org": {"TXT": Outcome.TIMEOUT}}),
    shape("TLS reports", zone={
        "_smtp._tls.example.org": {"TXT": "v=TLSRPTv1; rua=mailto:t@example.org,https://t.example"}}),
    shape("TLS reports to nobody", "TLS_RPT_BROKEN",
          zone={"_smtp._tls.example.org": {"TXT": "v=TLSRPTv1; rua=t@example.org"}}),
    shape("two TLS-RPT records", "TLS_RPT_SEVERAL", zone={"_smtp._tls.example.org": {
        "TXT": ["v=TLSRPTv1; rua=mailto:a@example.org", "v=TLSRPTv1; rua=mailto:b@example.org"]}}),
    shape("another text where TLS-RPT stands", "TLS_RPT_BROKEN",
          zone={"_smtp._tls.example.org": {"TXT": "hello"}}),
    shape("TLS-RPT can't be asked", "ANSWER_FAILED",
          zone={"_smtp._tls.example.org": {"TXT": Outcome.SERVFAIL}}),
]  # fmt: skip

TLSA = "3 1 1 " + "ab" * 32
DANE_ROWS = [
    shape("the new MX has TLSA", zone={"_25._tcp.mx.new.example": {"TLSA": TLSA}}, secure=True),
    shape("TLSA that nobody has verified", "DANE_UNSIGNED",
          zone={"_25._tcp.mx.new.example": {"TLSA": TLSA}}),
    shape("TLSA for web servers", "DANE_UNUSABLE", secure=True,
          zone={"_25._tcp.mx.new.example": {"TLSA": "1 1 1 " + "ab" * 32}}),
    shape("the question for TLSA fails", "DANE_FAILS",
          zone={"_25._tcp.mx.new.example": {"TLSA": Outcome.SERVFAIL}}),
    shape("the question for TLSA is not answered", "NO_ANSWER",
          zone={"_25._tcp.mx.new.example": {"TLSA": Outcome.TIMEOUT}}),
    before("only the old MX has TLSA", "DANE_LOST", secure=True,
           zone={"_25._tcp.mx.old.example": {"TLSA": TLSA}}),
    before("both MX have TLSA", secure=True,
           zone={"_25._tcp.mx.old.example": {"TLSA": TLSA},
                 "_25._tcp.mx.new.example": {"TLSA": TLSA}}),
]  # fmt: skip

SHAPES = [*SPF_ROWS, *DKIM_ROWS, *DMARC_ROWS, *STS_ROWS, *DANE_ROWS]


@pytest.mark.parametrize("row", SHAPES, ids=lambda row: row.name)
async def test_a_zone_gives_exactly_its_findings(row: Shape) -> None:
    assert codes_of(await row.diagnosis()) == row.codes


def test_every_code_has_its_row() -> None:
    seen = {code for row in (*MAIL_SHAPES, *SHAPES) for code in row.codes}
    assert seen == set(MEANINGS)


def test_no_two_rows_have_one_name() -> None:
    names = [row.name for row in (*MAIL_SHAPES, *SHAPES)]
    assert sorted(set(names)) == sorted(names)
    assert len(names) >= 120
