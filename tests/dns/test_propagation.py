"""Whether a change has spread, from looks at servers at moments."""

from dataclasses import replace

import pytest

from mailhaul.dns.answers import Answer, Outcome, Server
from mailhaul.dns.propagation import Look, Seen, Spread, Switched, Watched, looked, spread
from mailhaul.dns.records import Kind

OLD, NEW = ("10 old.example.org",), ("10 new.example.net",)
MX = Switched("example.org", Kind.MX, OLD, NEW, ttl=300)
FIRST, SECOND = Server("192.0.2.1", host="ns1"), Server("192.0.2.2", host="ns2")
CACHE = Server("9.9.9.9", host="Quad9")
WORDS = {"old": OLD, "new": NEW, "both": OLD + NEW, "other": ("5 x.org",), "none": ()}


def looks(server: Server, *told: tuple[float, str] | tuple[float, str, int | None]) -> list[Look]:
    """`(moment, word, ttl)`, the word one of WORDS or `silent`; TTL 300 unless said."""
    made = []
    for at, word, *ttl in told:
        outcome = Outcome.TIMEOUT if word == "silent" else Outcome.RECORDS
        left = ttl[0] if ttl else 300
        answer = Answer("example.org", Kind.MX, outcome, WORDS.get(word, ()), left)
        made.append(looked(at, Watched(server, server is not CACHE), MX, answer))
    return made


@pytest.mark.parametrize(
    ("told", "gone"),
    [
        # A look saw the old until the next one, which may have come just after it changed.
        ([looks(FIRST, (0, "old"), (100, "new"))], 400),
        # The TTL that was handed out counts, not that of the snapshot.
        ([looks(FIRST, (0, "old", 60), (100, "new"))], 160),
        # Lowered before the switch: what was handed out long ago still counts, until it is over.
        ([looks(FIRST, (0, "old", 86400), (100, "old", 60), (5000, "new"))], 86500),
        ([looks(FIRST, (0, "old", 3600), (100, "old", 60), (5000, "new"))], 5060),
        # The last of the zone's servers counts.
        ([looks(FIRST, (0, "old"), (100, "new")), looks(SECOND, (0, "old"), (700, "new"))], 1000),
        # One that was never seen with the old may have changed just before it was looked at.
        ([looks(FIRST, (50, "new"), (500, "new"))], 350),
        # One that is silent meanwhile may go on handing out what it had.
        ([looks(FIRST, (0, "old"), (100, "silent"), (200, "new"))], 500),
        # One that is silent after the new has said enough.
        ([looks(FIRST, (0, "old"), (100, "new"), (200, "silent"))], 400),
        # Back to the old (a stale secondary, an anycast node): the last end counts.
        ([looks(FIRST, (0, "old"), (100, "new"), (200, "old"), (300, "new"))], 600),
        ([looks(FIRST, (0, "both"), (100, "new"))], 400),
        # Not known yet:
        ([looks(FIRST, (0, "old"))], None),
        ([looks(FIRST, (0, "silent"))], None),
        ([looks(FIRST, (0, "old"), (100, "new")), looks(SECOND, (0, "old"))], None),
        ([looks(FIRST, (0, "old"), (100, "new")), looks(SECOND, (0, "silent"))], None),
        ([looks(FIRST, (0, "old"), (100, "other"))], None),
        ([looks(CACHE, (0, "new"))], None),
        ([], None),
        # A cache is bound by the zone's servers, and by what it says itself where that is longer.
        ([looks(FIRST, (0, "old"), (100, "new")), looks(CACHE, (120, "old", 250))], 400),
        ([looks(FIRST, (0, "old"), (100, "new")), looks(CACHE, (120, "old", 3000))], 3120),
        ([looks(FIRST, (0, "old"), (100, "new")), looks(CACHE, (120, "old", None))], 420),
        ([looks(FIRST, (0, "old"), (100, "new")), looks(CACHE, (120, "silent"))], 400),
    ],
)
def test_the_moment_by_which_every_cache_has_let_go(
    told: list[list[Look]], gone: float | None
) -> None:
    table = spread([MX], [each for server in told for each in server])
    assert table.gone == gone


@pytest.mark.parametrize(
    ("record", "values", "ttl", "seen"),
    [
        (MX, OLD, 300, Seen.OLD),
        (MX, NEW, 300, Seen.NEW),
        (MX, OLD + NEW, 300, Seen.MIXED),
        (MX, ("5 x.org",), 300, Seen.MIXED),
        (MX, (), 60, Seen.MIXED),
        (replace(MX, old=()), (), 60, Seen.OLD),
        (replace(MX, new=()), (), 60, Seen.NEW),
        (replace(MX, new=("b", "a")), ("a", "b"), 60, Seen.NEW),
    ],
)
def test_what_a_server_answers_is_told_apart(
    record: Switched, values: tuple[str, ...], ttl: int, seen: Seen
) -> None:
    outcome = Outcome.RECORDS if values else Outcome.NODATA
    answer = Answer("example.org", Kind.MX, outcome, values, ttl)
    assert looked(0, Watched(FIRST, True), record, answer).seen is seen


@pytest.mark.parametrize("outcome", [each for each in Outcome if "no such" not in each])
def test_only_an_answer_that_tells_is_more_than_silence(outcome: Outcome) -> None:
    answer = Answer("example.org", Kind.MX, outcome, NEW, 1, said="why")
    seen = looked(0, Watched(FIRST, True), MX, answer)
    assert (seen.seen is Seen.NEW) is (outcome is Outcome.RECORDS)
    assert "why" in seen.said


def table(*told: list[Look]) -> Spread:
    return spread([MX], [each for server in told for each in server])


@pytest.mark.parametrize(
    ("told", "now", "whole", "seen"),
    [
        ((looks(FIRST, (0, "old"), (100, "new")),), 399, False, Seen.NEW),
        ((looks(FIRST, (0, "old"), (100, "new")),), 400, True, Seen.NEW),
        ((looks(FIRST, (0, "old")),), 9999, False, Seen.OLD),
        (
            (looks(FIRST, (0, "old"), (1, "new")), looks(CACHE, (2, "old", 10))),
            9999,
            False,
            Seen.MIXED,
        ),
        (
            (looks(FIRST, (0, "old"), (1, "new")), looks(CACHE, (2, "old", 10), (13, "new"))),
            9999,
            True,
            Seen.NEW,
        ),
        ((looks(FIRST, (0, "new"), (500, "silent")),), 9999, False, Seen.SILENT),
        (
            (looks(FIRST, (0, "new")), looks(CACHE, (500, "silent"))),
            9999,
            False,
            Seen.MIXED,
        ),
        ((), 9999, False, None),
    ],
)
def test_it_has_spread_when_every_server_says_so_and_the_old_ttl_is_over(
    told: tuple[list[Look], ...], now: float, whole: bool, seen: Seen | None
) -> None:
    made = table(*told)
    assert made.whole(now) is whole
    assert bool(made.reasons(now)) is not whole
    if seen is not None:
        assert made.rows[0].seen is seen


def test_the_reasons_are_sentences_with_a_countdown() -> None:
    made = table(
        looks(FIRST, (0, "old"), (100, "new")),
        looks(SECOND, (0, "old"), (100, "both")),
        looks(CACHE, (150, "old", 200)),
    )
    assert made.reasons(200) == (
        "ns2 (192.0.2.2) answers neither the old nor the new MX of example.org",
        "Quad9 (9.9.9.9) answers the old MX of example.org, for 150 seconds yet",
    )
    done = table(looks(FIRST, (0, "old"), (100, "new")))
    assert done.reasons(399) == ("caches may hold the old MX of example.org for 1 second yet",)
    assert done.rows[0].left(200) == 200
    silent = table(looks(FIRST, (0, "silent")))
    assert silent.reasons(0) == (
        "ns1 (192.0.2.1) tells nothing of MX of example.org: no answer in time",
    )


def test_looks_of_a_plan_that_was_undone_are_judged_by_what_is_wanted_now() -> None:
    """On the way back, what was new is old: the same looks, turned round."""
    there = looks(FIRST, (0, "old"), (100, "new"), (200, "old"))
    back = Switched("example.org", Kind.MX, NEW, OLD, ttl=300)
    assert spread([back], there).gone == 500


def test_a_record_that_does_not_change_was_never_held_old() -> None:
    same = Switched("example.org", Kind.MX, NEW, NEW, ttl=300)
    assert spread([same], looks(FIRST, (100, "new"))).gone == 0


def test_a_name_server_that_was_taken_out_counts_for_what_it_had_handed_out() -> None:
    told = [*looks(FIRST, (0, "old"), (100, "new")), *looks(SECOND, (90, "old", 3600))]
    assert spread([MX], told).gone is None
    left = spread([MX], told, [Watched(replace(FIRST, host="renamed"), True)])
    assert left.gone == 3690
    assert [each.server for each in left.rows[0].looks] == [FIRST]
