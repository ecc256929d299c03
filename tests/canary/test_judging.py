"""From answers and sightings to findings: every code has its row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mailhaul.canary.codes import MEANINGS, Code
from mailhaul.canary.codes_page import codes_table
from mailhaul.canary.judging import Fate, judge_canary, judge_probes, judge_removal
from mailhaul.canary.mark import Canary
from mailhaul.canary.probe import Asked, Probes
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Via
from mailhaul.canary.send import Sent, lost_track
from mailhaul.canary.smtp import Reached
from mailhaul.canary.watch import Found, Removal, Side
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.folder import INBOX_PATH, FolderPath, Role

T = 1_790_000_000.0
MX = Reached("mx.example.org", "192.0.2.25", encrypted=True)
ANN = Canary("ab" * 16, "ann@example.org", Via.MX, T)


def probes(
    *answers: tuple[str, Verdict, str],
    via: Via = Via.NEW,
    takes_anyone: bool | None = False,
    reached: Reached | None = MX,
) -> Probes:
    return Probes(
        via,
        "example.org",
        tuple(Asked(f"{who}@example.org", verdict, words) for who, verdict, words in answers),
        takes_anyone,
        reached,
    )


YES, NO = Verdict.ACCEPTED, Verdict.REFUSED


def codes(findings: Sequence[Finding]) -> list[tuple[str, Severity]]:
    return [(each.code, each.severity) for each in findings]


BLOCKS, WARNS, TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS

PROBES: list[tuple[str, Probes, list[tuple[Code, Severity]]]] = [
    ("all known", probes(("ann", YES, "250 ok")), [(Code.RECIPIENTS_KNOWN, TELLS)]),
    (
        "anyone known",
        probes(("ann", YES, "250 ok"), takes_anyone=True),
        [(Code.TAKES_ANYONE, TELLS)],
    ),
    (
        "nobody knows whether anyone",
        probes(("ann", YES, "250 ok"), takes_anyone=None),
        [(Code.TAKES_ANYONE, TELLS)],
    ),
    (
        "one is missing",
        probes(("ann", YES, "250"), ("bob", NO, "550 5.1.1 <bob@example.org>: unknown")),
        [(Code.RECIPIENTS_KNOWN, TELLS), (Code.RECIPIENT_REFUSED, BLOCKS)],
    ),
    (
        "the domain is missing",
        probes(("ann", Verdict.NO_RELAY, "554 relay")),
        [(Code.DOMAIN_NOT_TAKEN, BLOCKS)],
    ),
    ("barred", probes(("ann", Verdict.BARRED, "554")), [(Code.HOST_BARS_US, WARNS)]),
    ("put off", probes(("ann", Verdict.TEMPORARY, "450")), [(Code.NOT_NOW, WARNS)]),
    ("silent", probes(("ann", Verdict.SILENT, "no")), [(Code.HOST_SILENT, WARNS)]),
    ("away", probes(("ann", Verdict.UNREACHABLE, "no")), [(Code.HOST_UNREACHABLE, BLOCKS)]),
    ("garbled", probes(("ann", Verdict.GARBLED, "?")), [(Code.HOST_GARBLED, BLOCKS)]),
    ("forbidden", probes(("ann", Verdict.FORBIDDEN, "")), [(Code.HOST_FORBIDDEN, BLOCKS)]),
    ("insecure", probes(("ann", Verdict.INSECURE, "")), [(Code.HOST_INSECURE, BLOCKS)]),
    ("not ASCII", probes(("zoë", Verdict.UNFIT, "")), [(Code.ADDRESS_UNFIT, WARNS)]),
    (
        "a certificate that nobody trusts",
        probes(("ann", YES, ""), reached=replace(MX, distrust="expired")),
        [(Code.TLS_DISTRUSTED, WARNS), (Code.RECIPIENTS_KNOWN, TELLS)],
    ),
    (
        "in the clear",
        probes(("ann", YES, ""), reached=Reached("mx", "192.0.2.1", distrust="no STARTTLS")),
        [(Code.NO_TLS, WARNS), (Code.RECIPIENTS_KNOWN, TELLS)],
    ),
    (
        "TLS that fails",
        probes(("ann", YES, ""), reached=Reached("mx", "192.0.2.1", distrust="TLS fails: x")),
        [(Code.TLS_DISTRUSTED, WARNS), (Code.RECIPIENTS_KNOWN, TELLS)],
    ),
    (
        "the old host before the switch",
        probes(("ann", NO, "550"), ("bob", YES, ""), via=Via.OLD),
        [(Code.OLD_HOST_REFUSES, WARNS), (Code.RECIPIENTS_KNOWN, TELLS)],
    ),
    (
        "the old host can't be reached, in the clear at that",
        probes(
            ("ann", Verdict.UNREACHABLE, "no"), via=Via.OLD, reached=replace(MX, distrust="expired")
        ),
        [(Code.HOST_UNREACHABLE, WARNS)],
    ),
]


@pytest.mark.parametrize(("name", "given", "expected"), PROBES, ids=[row[0] for row in PROBES])
def test_probes(name: str, given: Probes, expected: list[tuple[Code, Severity]]) -> None:
    found = judge_probes(given)
    assert codes(found) == [(code.value, severity) for code, severity in expected]
    assert all(each.remedy == MEANINGS[Code(each.code)].remedy for each in found)


def test_equal_answers_are_told_once() -> None:
    many = [(f"u{n}", NO, f"550 5.1.1 <u{n}@example.org>: unknown") for n in range(40)]
    (found,) = judge_probes(probes(*many))
    assert found.evidence == (
        "mx.example.org (192.0.2.25): u0@example.org, u1@example.org, u2@example.org, "
        "u3@example.org, u4@example.org and 35 others: 550 5.1.1 <…>: unknown"
    )


def sent(
    verdict: Verdict = YES, via: Via = Via.MX, at: float | None = T, reached: Reached = MX
) -> Sent:
    return Sent(replace(ANN, via=via), verdict, "250 queued", at, reached)


def at(
    side: Side,
    path: FolderPath = INBOX_PATH,
    role: Role | None = None,
    after: float = 4,
    key: int = 1,
) -> Found:
    return Found(ANN.token, side, path, key, T + after, role, hops=("mx.new", "edge.new"))


NEW, OLD = at(Side.NEW), at(Side.OLD)


@dataclass(frozen=True)
class Row:
    """What was sent and seen, and what that makes."""

    name: str
    sent: Sent
    found: tuple[Found, ...]
    fate: Fate
    codes: tuple[Code, ...]
    seconds: float | None = None
    over: bool = True
    switched: bool = True


ROWS = [
    Row("arrived", sent(), (NEW,), Fate.ARRIVED, (Code.CANARY_ARRIVED,), 4),
    Row("on its way", sent(), (), Fate.UNDERWAY, (), None, False),
    Row("missing", sent(), (), Fate.MISSING, (Code.CANARY_MISSING,)),
    Row("in the old mailbox", sent(), (OLD,), Fate.AT_OLD, (Code.CANARY_AT_OLD,), 4),
    Row("in both", sent(), (OLD, NEW), Fate.AT_BOTH, (Code.CANARY_AT_OLD,), 4),
    Row(
        "late",
        sent(),
        (at(Side.NEW, after=301),),
        Fate.ARRIVED,
        (Code.CANARY_ARRIVED, Code.CANARY_LATE),
        301,
    ),
    Row(
        "among junk",
        sent(),
        (at(Side.NEW, ("Junk",), Role.JUNK),),
        Fate.ARRIVED,
        (Code.CANARY_ARRIVED, Code.CANARY_IN_JUNK),
        4,
    ),
    Row(
        "twice",
        sent(),
        (NEW, at(Side.NEW, key=2)),
        Fate.ARRIVED,
        (Code.CANARY_ARRIVED, Code.CANARY_DOUBLED),
        4,
    ),
    Row("seen twice in one place", sent(), (NEW, NEW), Fate.ARRIVED, (Code.CANARY_ARRIVED,), 4),
    Row(
        "in the inbox and in a view of everything",
        sent(),
        (NEW, at(Side.NEW, ("All Mail",), Role.ALL)),
        Fate.ARRIVED,
        (Code.CANARY_ARRIVED,),
        4,
    ),
    Row(
        "in a view alone",
        sent(),
        (at(Side.NEW, ("All Mail",), Role.ALL),),
        Fate.ARRIVED,
        (Code.CANARY_ARRIVED,),
        4,
    ),
    Row(
        "another's canary",
        sent(),
        (replace(NEW, token="cd" * 16),),
        Fate.MISSING,
        (Code.CANARY_MISSING,),
    ),
    Row(
        "perhaps taken, and arrived",
        sent(Verdict.UNCERTAIN),
        (NEW,),
        Fate.ARRIVED,
        (Code.CANARY_ARRIVED,),
    ),
    Row(
        "nobody knows whether it was sent, and it did not come",
        lost_track(ANN),
        (),
        Fate.MISSING,
        (Code.CANARY_MISSING,),
    ),
    Row(
        "refused after the message, and came all the same",
        sent(Verdict.TEMPORARY, at=None),
        (NEW,),
        Fate.ARRIVED,
        (Code.CANARY_ARRIVED,),
    ),
    Row("refused", sent(NO, at=None), (), Fate.REFUSED, (Code.CANARY_REFUSED,)),
    Row(
        "refused with its domain",
        sent(Verdict.NO_RELAY, at=None),
        (),
        Fate.REFUSED,
        (Code.DOMAIN_NOT_TAKEN,),
    ),
    Row("not now", sent(Verdict.TEMPORARY, at=None), (), Fate.UNSENT, (Code.NOT_NOW,)),
    Row("barred", sent(Verdict.BARRED, at=None), (), Fate.UNSENT, (Code.HOST_BARS_US,)),
    Row(
        "with a certificate that nobody trusts",
        sent(reached=replace(MX, distrust="expired")),
        (NEW,),
        Fate.ARRIVED,
        (Code.TLS_DISTRUSTED, Code.CANARY_ARRIVED),
        4,
    ),
    Row(
        "the old host delivers",
        sent(via=Via.OLD),
        (OLD,),
        Fate.AT_OLD,
        (Code.OLD_HOST_DELIVERS,),
        4,
    ),
    Row(
        "the old host forwards",
        sent(via=Via.OLD),
        (NEW,),
        Fate.ARRIVED,
        (Code.OLD_HOST_FORWARDS,),
        4,
    ),
    Row(
        "the old host does both",
        sent(via=Via.OLD),
        (OLD, NEW),
        Fate.AT_BOTH,
        (Code.OLD_HOST_DELIVERS,),
        4,
    ),
    Row(
        "the old host delivers before the switch",
        sent(via=Via.OLD),
        (OLD,),
        Fate.AT_OLD,
        (Code.OLD_HOST_WORKS,),
        4,
        switched=False,
    ),
    Row(
        "the old host loses it before the switch",
        sent(via=Via.OLD),
        (),
        Fate.MISSING,
        (Code.CANARY_MISSING,),
        switched=False,
    ),
    Row("the old host swallows", sent(via=Via.OLD), (), Fate.MISSING, (Code.OLD_HOST_SWALLOWS,)),
    Row(
        "the old host is closed",
        sent(NO, Via.OLD, None),
        (),
        Fate.REFUSED,
        (Code.OLD_HOST_CLOSED,),
    ),
    Row(
        "the old host doesn't know the domain any more",
        sent(Verdict.NO_RELAY, Via.OLD, None),
        (),
        Fate.REFUSED,
        (Code.OLD_HOST_CLOSED,),
    ),
    Row(
        "the old host is gone",
        sent(Verdict.UNREACHABLE, Via.OLD, None),
        (),
        Fate.UNSENT,
        (Code.OLD_HOST_GONE,),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_fates(row: Row) -> None:
    judged = judge_canary(row.sent, row.found, over=row.over, switched=row.switched)
    assert (judged.fate, judged.seconds) == (row.fate, row.seconds)
    assert [each.code for each in judged.findings] == [code.value for code in row.codes]
    assert all("ann@example.org" in each.evidence for each in judged.findings[-1:])
    assert all(each.evidence.isprintable() for each in judged.findings)


def test_evidence_says_by_which_hosts_it_came() -> None:
    (found,) = judge_canary(sent(), [OLD], over=True).findings
    assert found.evidence == (
        "ann@example.org by mx.example.org (192.0.2.25): in the old “INBOX”, by way of edge.new, "
        "mx.new"
    )


def test_what_stays_behind_is_told() -> None:
    assert judge_removal(Removal(removed=(NEW,)), []) == ()
    (found,) = judge_removal(Removal(left=(NEW,), troubles=("it is locked",)), [OLD, OLD])
    assert codes([found]) == [("CANARY_LEFT", TELLS)]
    assert found.evidence == "3 messages in new “INBOX”, old “INBOX”; it is locked"


def test_every_code_has_its_row() -> None:
    seen = {code for _, _, expected in PROBES for code, _ in expected}
    seen |= {code for row in ROWS for code in row.codes} | {Code.CANARY_LEFT}
    assert seen == set(Code) == set(MEANINGS)


def test_the_page_shows_every_code() -> None:
    page = Path(__file__).parents[2] / "docs" / "canary.md"
    assert codes_table() in page.read_text()
