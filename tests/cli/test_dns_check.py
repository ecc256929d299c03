"""`mailhaul dns check` as a person uses it: on a real zone, with nonsense, as JSON."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailhaul.cli.blocks import laid_out
from mailhaul.cli.dns_check import COMMAND
from mailhaul.cli.dns_report import aspect_line, blocks_of, end_line, verdict
from mailhaul.cli.exits import Exit
from mailhaul.dns.codes_page import codes_tables
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.profiles import profile_names, profile_words
from tests.cli.running import Ran, mailhaul
from tests.dns.shapes import NEW, Shape, shape
from tests.dns.test_shapes_mail import SHAPES
from tests.servers.knot import Knot
from tests.servers.unbound import Unbound

PAGE = Path(__file__).parents[2] / "docs" / "dns.md"
ROWS = {row.name: row for row in SHAPES}


def lines(row: Shape, aspects: Sequence[Aspect]) -> list[str]:
    blocks = blocks_of(row.expected, row.moment, aspects)
    return [line.text.rstrip() for line in laid_out(blocks)]


async def test_what_is_wrong_comes_with_what_to_write() -> None:
    row = ROWS["autodiscover leads to the old system"]
    told = lines(row, await row.diagnosis())
    assert told[0] == "example.org: since the switch: 1 record to mend"
    start = told.index("✗ autodiscover  autodiscover.example.org CNAME")
    assert told[start + 1 : start + 6] == [
        "  expected  ad.new.example",
        "  found     ad.old.example",
        "  blocks: RECORD_DIFFERS: asked for autodiscover.example.org CNAME: ad.old.example, "
        "for 300 s",
        "  → write it as shown",
        "  write: autodiscover.example.org. 300 IN CNAME ad.new.example.",
    ]


async def test_what_gives_way_is_taken_away_first() -> None:
    row = ROWS["autodiscover is an address"]
    told = lines(row, await row.diagnosis())
    start = told.index("  take away: autodiscover.example.org. A, all of them")
    assert told[start + 1] == "  write: autodiscover.example.org. 300 IN CNAME ad.new.example."


async def test_a_text_to_be_written_keeps_the_texts_beside_it() -> None:
    row = shape(
        "two SPF records", org={"TXT": ["v=spf1 mx -all", "v=spf1 a ~all", "a=1", "MS=ms1"]}
    )
    told = lines(row, await row.diagnosis())
    written = [line for line in told if line.startswith("  write: example.org. 300 IN TXT")]
    assert written == [
        '  write: example.org. 300 IN TXT "MS=ms1"',
        '  write: example.org. 300 IN TXT "a=1"',
        '  write: example.org. 300 IN TXT "v=spf1 a mx include:spf.new.example ~all"',
    ]


async def test_nothing_is_to_be_written_where_nobody_answered() -> None:
    row = ROWS["autodiscover can't be asked"]
    aspects = await row.diagnosis()
    assert [aspect.write for aspect in aspects if aspect.topic == "autodiscover"] == [(), ()]


async def test_a_good_domain_is_said_to_be_good() -> None:
    row = ROWS["all is well since the switch"]
    aspects = await row.diagnosis()
    assert lines(row, aspects)[0] == "example.org: since the switch: all is as it should be"
    assert verdict(aspects) is Exit.COMPLETE


async def test_each_thing_is_a_line_of_json() -> None:
    row = ROWS["MX was not switched"]
    aspects = await row.diagnosis()
    line = next(
        line for each in aspects if (line := aspect_line("example.org", each))["topic"] == "MX"
    )
    assert line["found"] == ["10 mx.old.example"]
    assert line["expected"] == ["10 mx.new.example"]
    assert line["write"] == [
        {
            "name": "example.org",
            "kind": "MX",
            "ttl": 300,
            "values": ["10 mx.new.example"],
            "lines": ["example.org. 300 IN MX 10 mx.new.example."],
        }
    ]
    end = end_line({"example.org": aspects}, Moment.SWITCH, verdict(aspects))
    assert (end["blocks"], end["warns"], end["exit"]) == (1, 0, 3)


def run(knot: Knot, unbound: Unbound, home: Path, *words: str) -> Ran:
    return mailhaul(
        *("dns", "check", *words),
        *("--resolver", f"{unbound.address}@{unbound.port}", "--port", str(knot.port)),
        *("--allow-network", "127.0.0.0/8", "--allow-network", "192.0.2.0/24"),
        home=home,
    )


def test_a_real_zone_is_looked_at(knot: Knot, unbound: Unbound, tmp_path: Path) -> None:
    parent = knot.fresh("parent")
    zone = f"asked.{parent}"
    knot.zone(zone, "@ 300 MX 10 mx.old", "mx.old 300 A 192.0.2.5", '@ 300 TXT "v=spf1 mx -all"',
              "mx.new 300 A 192.0.2.6")  # fmt: skip
    knot.zone(parent)
    knot.delegate(parent, zone, [knot])
    for name in (parent, zone):
        unbound.serve(name, [knot])
    file = tmp_path / "expect.toml"
    file.write_text('mx = ["10 mx.new.{domain}"]\n')
    ran = run(knot, unbound, tmp_path, zone, "--expect", str(file))
    assert ran.code == Exit.INCOMPLETE, ran.err
    assert f"  write: {zone}. 300 IN MX 10 mx.new.{zone}.\n" in ran.out
    assert (
        f"  blocks: MX_OLD: ns1.{zone} ({knot.address} port {knot.port}) for {zone} MX" in ran.out
    )
    ran = run(knot, unbound, tmp_path, zone, "--expect", str(file), "--moment", "before", "--json")
    assert ran.code == Exit.COMPLETE, ran.err
    codes = {finding["code"] for line in ran.lines[:-1] for finding in line["findings"]}
    assert {"MX_TO_SWITCH", "SPF_FOLLOWS_MX"} <= codes
    assert ran.lines[-1]["event"] == "dns_check"
    assert {line["event"] for line in ran.lines[:-1]} == {"dns"}


PLAN = """
name = "move"
time_zone = "UTC"
cutover = {cutover}

[source]
url = "imaps://{{address}}@old.example"

[target]
url = "imaps://{{address}}@new.example"

[dns]
mx = ["10 mx.new.{zone}"]
ttl = "1m"
resolvers = ["{resolver}"]
port = {port}
allow_networks = ["127.0.0.0/8", "192.0.2.0/24"]
"""


@pytest.mark.parametrize(
    ("cutover", "moment", "code", "late"),
    [("2090-01-31 20:00:00", "now", "MX_TO_SWITCH", False),
     ("2020-01-31 20:00:00", "switch", "MX_OLD", None)],
)  # fmt: skip
def test_a_plan_says_what_is_expected_and_when(
    knot: Knot, unbound: Unbound, tmp_path: Path, cutover: str, moment: str, code: str,
    late: bool | None,
) -> None:  # fmt: skip
    zone = knot.fresh("planned")
    knot.zone(zone, "@ 86400 MX 10 mx.old", "mx.old 300 A 192.0.2.5", "mx.new 300 A 192.0.2.6")
    unbound.serve(zone, [knot])
    resolver = f"{unbound.address}@{unbound.port}"
    text = PLAN.format(cutover=cutover, zone=zone, resolver=resolver, port=knot.port)
    (tmp_path / "plan.toml").write_text(text)
    (tmp_path / "mailboxes.csv").write_text(f"address\nanna@{zone}\n")
    ran = mailhaul("dns", "check", "--plan", "plan.toml", "--json", home=tmp_path)
    *lines, end = ran.lines
    assert (end["domains"], end["moment"]) == (1, moment), ran.err
    found = {finding["code"] for line in lines for finding in line.get("findings", ())}
    assert code in found
    ttls = [line for line in lines if line["event"] == "dns_ttl"]
    assert [line["late"] for line in ttls] == ([] if late is None else [late])
    if ttls:
        assert "TTL_LONG" in found
        assert ttls[0]["lower_by"] == "2090-01-30T19:00:00+00:00"
        assert ttls[0]["lower"][0]["lines"] == [f"{zone}. 60 IN MX 10 mx.old.{zone}."]
        shown = mailhaul("dns", "check", "--plan", "plan.toml", home=tmp_path).out
        assert "TTL: to be lowered by 2090-01-30 19:00 UTC" in shown
    other = mailhaul("dns", "check", "example.org", "--plan", "plan.toml", home=tmp_path)
    assert other.code == Exit.USAGE
    assert "example.org is none of the plan's domains" in other.err


def test_without_leave_no_inner_server_is_asked(
    knot: Knot, unbound: Unbound, tmp_path: Path
) -> None:
    ran = mailhaul(
        "dns", "check", "example.org", "--resolver", f"{unbound.address}@{unbound.port}",
        home=tmp_path,
    )  # fmt: skip
    assert ran.code == Exit.USAGE
    assert "is a loopback address and isn't connected to" in ran.err


NONSENSE = [
    ("no domain", (), "which domain?"),
    ("no name", ("exa mple",), "is no domain name"),
    ("two expectations", ("a.example", "--expect", "x", "--profile", "google"), "both say"),
    ("a value for no profile", ("a.example", "--value", "tenant=x"), "--profile leaves open"),
    ("a value without a word", ("a.example", "--profile", "google", "--value", "x"), "WORD=VALUE"),
    ("a value that is missing", ("a.example", "--profile", "generic"), "give mx one"),
    ("a file that isn't there", ("a.example", "--expect", "none.toml"), "can't be read"),
    ("a resolver by name", ("a.example", "--resolver", "dns.example"), "is no resolver"),
    ("a network that is none", ("a.example", "--allow-network", "10.0.0.1/8"), "is no network"),
    ("filters that are none", ("a.example", "--filters", "none.toml"), "can't be read"),
]


@pytest.mark.parametrize(("name", "words", "says"), NONSENSE, ids=[row[0] for row in NONSENSE])
def test_what_makes_no_sense_is_said_before_anything_is_asked(
    name: str, words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    ran = mailhaul("dns", "check", *words, home=tmp_path)
    assert ran.code == Exit.USAGE
    assert says in ran.err


def test_every_profile_may_be_chosen() -> None:
    option = next(each for each in COMMAND.options if each.name == "--profile")
    assert option.choices == profile_names()


def test_the_page_has_every_code_and_every_profile() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for table in codes_tables():
        assert table in page
    for name in profile_names():
        for word, optional in profile_words(name).items():
            assert f"`{word}`" in page
            assert optional or f"`{name}` needs `{word}`" in page
    assert NEW.domain in page
