"""The lines of `--json` are those of docs/json-events.md: keys, their order, their types."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.cli.blocks import Json
from mailhaul.cli.dns_report import aspect_line, ttl_line
from mailhaul.cli.dns_report import end_line as dns_end_line
from mailhaul.cli.doctor import Examined, diagnosis_line, step_line
from mailhaul.cli.exits import Exit
from mailhaul.cli.json_events import error_line, lines_for, note_line
from mailhaul.cli.ls import Row, mailbox_line, row_line
from mailhaul.cli.plan_check import mistake_line, plan_line
from mailhaul.cli.plan_show import Known, Outlook
from mailhaul.cli.plan_show import lines_of as plan_lines
from mailhaul.cli.proof import proof_lines
from mailhaul.core.endpoint import Endpoint
from mailhaul.core.folder import INBOX_PATH, Folder, Role
from mailhaul.core.store import Capabilities, Quota
from mailhaul.dns.checks.looking import found
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.records import Kind as DnsKind
from mailhaul.dns.records import RecordSet
from mailhaul.dns.ttl_plan import TtlPlan
from mailhaul.engine.outcomes import (
    Carried,
    Event,
    Fate,
    Finished,
    FolderDone,
    FolderLink,
    Listed,
    Mapped,
    Opened,
    Settled,
    Side,
    Tally,
    Waiting,
)
from mailhaul.engine.verdict import (
    Difference,
    FolderCompared,
    Kind,
    Progress,
    Severity,
    Verdict,
    Verified,
    VerifyEvent,
)
from mailhaul.plan.forecast import Amount, Forecast, Relief
from mailhaul.plan.mistakes import Mistake
from mailhaul.plan.model import ListedMailbox, Plan, System
from mailhaul.plan.waves import waves
from tests.cli.provider_lines import LINES as PROVIDERS
from tests.cli.running import maildir, mailhaul
from tests.cli.steering_lines import LINES as STEERING
from tests.cli.zone_lines import LINES as ZONES

PAGE = (Path(__file__).parents[2] / "docs" / "json-events.md").read_text(encoding="utf-8")
TALLY = Tally(9, 1, 2, 3, 2, 1, 5, 6, 7, 800)
PASS: list[Event] = [
    Opened(Side.SOURCE, "Old", ("plaintext",)),
    Mapped((FolderLink(INBOX_PATH, ("In",), Role.INBOX, True, 3, 4, ("moved",)),), 1, (("x",),)),
    Listed(("a/b", "c"), 3, 400),
    Carried(INBOX_PATH, 3, 400),
    Settled(INBOX_PATH, 7, Fate.REFUSED, "too large", "Hi", Path("/s/7.eml")),
    Settled(INBOX_PATH, "name", Fate.MISSING, "gone"),
    Waiting(Side.TARGET, "busy", 1.23456, throttled=True),
    FolderDone(INBOX_PATH, "broken"),
    Finished(TALLY, 1.23456, {Side.SOURCE: 4}, 5, {INBOX_PATH: TALLY}, ("not this",), ("see",)),
]
PROOF: list[VerifyEvent] = [
    Progress(INBOX_PATH, 3),
    Difference(Kind.MISSING, Severity.DIFFERENCE, INBOX_PATH, "gone", 7),
    Difference(Kind.EXTRA, Severity.NOTE, INBOX_PATH, "more", target_key="name"),
    FolderCompared((INBOX_PATH,), INBOX_PATH, 1, 2, 3, 4, 5, 6),
    Verified(Verdict(True, 1, 2, 3, 4, 5, 6, {Kind.MISSING: 1}, {}, {"x": 1}, ("p",), ("r",))),
]
FOLDER = Folder(INBOX_PATH, "INBOX", Role.INBOX)
ROWS = [Row(FOLDER, 3, 4), Row(FOLDER, None, None, "closed")]
KNOWN = Capabilities("Old", append_limit=9, quota=Quota(1, 2), extensions=frozenset({"B", "A"}))
LINES: list[dict[str, Json]] = [
    *(line for event in PASS for line in lines_for(event)),
    *(line for found in PROOF for line in proof_lines(found)),
    *(row_line(row) for row in ROWS),
    mailbox_line(Endpoint("imaps", "h", 993, "a"), KNOWN, ROWS, ("n",)),
    mailbox_line(Endpoint("imaps", "h", 993, "a"), Capabilities("Old"), ROWS, ()),
    step_line(Examined("login", False, "no", ("do",))),
    diagnosis_line(Examined("login", True).exit),
    note_line("x"),
    error_line(5, "x"),
]
PLAN = Plan(name="p", source=System(url="imaps://{address}@h"), target=System(url="eml:x"))
WAVES = waves(PLAN.model_copy(update={"mailboxes": (ListedMailbox(address="a@b"),)}))
HELD = {"a@b": Amount(3, 4)}
MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
NEVER = Forecast(3, 4, MOMENT, None, (Relief("x", float("inf")),))
LINES += [
    mistake_line(Mistake("plan.toml", 3, "x = 1", "wrong", "right")),
    plan_line(Path("plan.toml"), None, 1),
    plan_line(Path("plan.toml"), PLAN, 0),
    *plan_lines(PLAN, [Outlook(WAVES[0], None, None, 1, None, None)], Known({})),
    *plan_lines(PLAN, [Outlook(WAVES[0], 3, 4, 0, NEVER, MOMENT)], Known(HELD)),
]
LINES += STEERING
ASPECT = Aspect(
    "MX",
    "example.org",
    DnsKind.MX,
    ("10 mx.new.example",),
    ("10 mx.old.example",),
    300,
    (found("MX_OLD", "asked"),),
    (RecordSet("example.org", DnsKind.MX, 300, ("10 mx.new.example",)),),
)
LINES += ZONES
LINES += PROVIDERS
LINES += [
    aspect_line("example.org", ASPECT),
    aspect_line("example.org", Aspect("DANE", "_25._tcp.mx.new.example", DnsKind.TLSA)),
    ttl_line("example.org", TtlPlan(MOMENT, ASPECT.write, MOMENT, MOMENT)),
    dns_end_line({"example.org": [ASPECT]}, Moment.SWITCH, Exit.INCOMPLETE),
]
TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "text": (str,),
    "truth": (bool,),
    "list": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def documented() -> dict[str, dict[str, str]]:
    """Event to key to type, as the page has them."""
    events: dict[str, dict[str, str]] = {}
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        name = section.split("\n", 1)[0]
        rows = re.findall(r"^\| (\w+) \| ([^|]+?) \|", section, re.MULTILINE)
        events[name] = {key: kind for key, kind in rows if key != "key" or kind != "type"}
    return events


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["event"]))
def test_each_line_is_as_the_page_says(line: dict[str, Json]) -> None:
    described = documented()[str(line["event"])]
    assert list(line) == ["event", *described]
    for key, kind in described.items():
        allowed = tuple(t for word in re.split(r",? or |, ", kind) for t in TYPES[word])
        assert isinstance(line[key], allowed), key
        assert isinstance(line[key], bool) == (kind == "truth"), key


def test_no_event_of_the_page_is_never_sent() -> None:
    assert set(documented()) == {str(line["event"]) for line in LINES}


def test_the_summary_is_word_for_word_what_was_promised() -> None:
    *_, summary = lines_for(PASS[-1])
    assert json.dumps(summary) == (
        '{"event": "summary", "census": 9, "copied": 1, "adopted": 2, "flagged": 5, "removed": 6, '
        '"skipped": 3, "refused": 2, "missing": 1, "bytes": 800, "seconds": 1.235, '
        '"round_trips": {"source": 4, "target": 0}, "wire_writes": 5}'
    )


def test_a_path_is_told_in_its_components() -> None:
    (line,) = lines_for(PASS[2])
    assert line["folder"] == ["a/b", "c"]


def test_a_real_run_ends_with_the_summary(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 2, "Sent": 1})
    words = ("copy", f"maildir:{source}", f"eml:{tmp_path}/b")
    ran = mailhaul(*words, "--json", home=tmp_path)
    assert ran.lines[-1]["event"] == "summary"
    assert (ran.lines[-1]["census"], ran.lines[-1]["copied"]) == (3, 3)
    assert ran.err == ""
    ran = mailhaul(*words, "--json", "--quiet", home=tmp_path)
    assert [line["event"] for line in ran.lines] == ["summary"]


def test_json_knows_no_infinity() -> None:
    for line in LINES:
        json.dumps(line, allow_nan=False)
