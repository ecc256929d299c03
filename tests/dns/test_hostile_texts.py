"""Whatever stands in other people's records: the checks say what they think of it, and go on."""

import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailhaul.core.errors import BadInput
from mailhaul.dns.desired import desired
from mailhaul.dns.expected import Moment
from mailhaul.dns.policy import Fetched, PolicyOutcome
from mailhaul.dns.records import Kind, RecordSet, zone_lines
from mailhaul.dns.spf_text import is_spf, merged, terms_of
from tests.dns.shapes import NEW, SPF, shape

WORDS = [
    *("v=spf1", "v=DMARC1;", "v=STSv1;", "v=DKIM1;", "v=TLSRPTv1;", "include:", "redirect="),
    *("a:x.example", "mx", "ptr", "exists:%{i}.example", "ip4:192.0.2.0/24", "+all", "-all"),
    *("p=", "p=none;", "p=AAAA", "pct=²;", "t=y;", "rua=mailto:a@b.example,", "id=;", "k=rsa;"),
    *("mode:", "enforce", "mx:", "max_age:", "version: STSv1\n", "=", ";", ":", "@", "!", "/", "%"),
    *("..", "\n", "\t", "\x00", "ä", "\u202e", "\udcff", "include:xn--.example", "a" * 300),
]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).flatmap(
    lambda words: st.sampled_from(["", " "]).map(lambda between: between.join(words))
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, min_size=1, max_size=3))
async def test_no_text_stops_a_check(texts: list[str]) -> None:
    names = ("example.org", "spf.old.example", "s1._domainkey.example.org", "_dmarc.example.org",
             "_mta-sts.example.org", "_smtp._tls.example.org")  # fmt: skip
    zone = {name: {"TXT": texts, "MX": "10 mx.old.example"} for name in names}
    policy = Fetched(PolicyOutcome.FETCHED, "".join(texts))
    for moment in Moment:
        row = replace(shape("hostile", zone=zone, policy=policy), moment=moment)
        for aspect in await row.diagnosis():
            for finding in aspect.findings:
                assert finding.evidence.isprintable()


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS.map(lambda text: f"v=spf1 {text}"), min_size=1, max_size=3))
def test_what_is_merged_can_be_read_and_holds_what_was_wanted(records: list[str]) -> None:
    present = {("example.org", Kind.TXT): RecordSet("example.org", Kind.TXT, 300, tuple(records))}
    try:
        for record in records:
            terms_of(record)
    except BadInput:
        with pytest.raises(BadInput):
            desired(NEW, present, Moment.NOW)
        return
    (after,) = [
        each for each in desired(NEW, present, Moment.NOW) if each.key == ("example.org", Kind.TXT)
    ]
    (record,) = [each for each in after.values if is_spf(each)]
    assert "include:spf.new.example" in map(str, terms_of(record))
    assert all(line.isprintable() for line in zone_lines(after))


def test_a_record_of_64_kilobytes_is_merged_at_once() -> None:
    words = " ".join(f"ip4:10.{n // 256}.{n % 256}.1" for n in range(4500))
    began = time.process_time()
    text = merged([f"v=spf1 {words} -all"], add=["include:spf.new.example"])
    assert time.process_time() - began < 1
    assert text == f"v=spf1 {words} include:spf.new.example -all"
    assert merged([SPF], add=["include:spf.new.example"]) == SPF
