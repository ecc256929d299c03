"""The switch over zones in memory: what is written, what is left alone, what is put back."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.dns.records import Kind, RecordSet, zone_value
from mailhaul.dns.snapshot import Snapshot, from_text, planned, to_text
from mailhaul.dns.switch import Applied, Fate, Result, apply, put_back, read, target
from mailhaul.dns.switch_codes import MEANINGS, Code
from mailhaul.dns.zone import Edit, Held, Key, ZoneError, held, nothing
from tests.dns.memory_zone import MemoryZone

NOW = datetime(2030, 1, 31, 20, tzinfo=UTC)
MX, TXT = Kind.MX, Kind.TXT
OLD, NEW = "10 mx.old.test", "0 mx.new.test"
SPF_OLD, SPF_NEW = "v=spf1 a -all", "v=spf1 include:new.test a -all"


def sets(name: str, kind: Kind, ttl: int, *values: str) -> RecordSet:
    return RecordSet(name, kind, ttl, tuple(sorted(values)))


def there(kind: Kind, ttl: int, *values: str) -> Held:
    key = "a.test", kind
    return (
        held(*key, ttl, {each: zone_value(kind, each) for each in values})
        if values
        else nothing(key)
    )


@dataclass
class Kept:
    """Where snapshots are kept."""

    texts: list[str] = field(default_factory=list)

    async def __call__(self, snapshot: Snapshot) -> None:
        self.texts.append(to_text(snapshot))


def zone(name: str) -> MemoryZone:
    return MemoryZone(name, sets(name, MX, 300, OLD), sets(name, TXT, 300, SPF_OLD, "proof"))


def wanted(*names: str) -> list[RecordSet]:
    return [
        each
        for name in names
        for each in (sets(name, MX, 60, NEW), sets(name, TXT, 300, SPF_NEW, "proof"))
    ]


async def plan(writers: list[MemoryZone]) -> Snapshot:
    names = [writer.zone for writer in writers]
    want = wanted(*names)
    present = await read(writers, [each.key for each in want])
    return planned(names, present, want, NOW)


def fates(applied: Applied) -> list[Fate]:
    return [each.fate for each in applied.zones]


def codes(applied: Applied) -> list[str]:
    return [each.code for each in applied.findings]


async def test_records_are_written_once_and_put_back_exactly() -> None:
    writer, kept = zone("a.test"), Kept()
    before = writer.records()
    snapshot = await plan([writer])
    assert snapshot.lines() == [
        "- a.test. 300 IN MX 10 mx.old.test.",
        '- a.test. 300 IN TXT "v=spf1 a -all"',
        "+ a.test. 60 IN MX 0 mx.new.test.",
        '+ a.test. 300 IN TXT "v=spf1 include:new.test a -all"',
    ]
    first, second = [await apply([writer], snapshot, kept) for _ in range(2)]
    assert (first.result, fates(first), fates(second)) == (
        Result.DONE,
        [Fate.WRITTEN],
        [Fate.STOOD],
    )
    assert writer.sets["a.test", MX].records == sets("a.test", MX, 60, NEW)
    assert (writer.changes, kept.texts) == (1, [to_text(snapshot)] * 2)
    back, again = [await put_back([writer], from_text(kept.texts[0])) for _ in range(2)]
    assert (fates(back), fates(again)) == ([Fate.WRITTEN], [Fate.STOOD])
    assert (writer.records(), writer.changes) == (before, 2)


async def test_what_stands_as_wanted_is_no_edit() -> None:
    writer = MemoryZone("a.test", *wanted("a.test"))
    snapshot = await plan([writer])
    assert snapshot.changes == ()
    applied = await apply([writer], snapshot, Kept())
    assert (applied.result, writer.changes) == (Result.DONE, 0)


async def test_somebodys_edit_after_the_plan_is_left_alone_everywhere() -> None:
    one, other, kept = zone("a.test"), zone("b.test"), Kept()
    snapshot = await plan([one, other])
    other.put("b.test", MX, 300, "5 mx.third.test")
    applied = await apply([one, other], snapshot, kept)
    assert (applied.result, fates(applied)) == (Result.NOTHING, [Fate.UNTOUCHED] * 2)
    assert codes(applied) == [Code.ZONE_EDITED]
    assert applied.findings[0].evidence == (
        "MX b.test: 5 mx.third.test (TTL 300 s) stands there, when it was read it was "
        "10 mx.old.test (TTL 300 s)"
    )
    assert (one.changes, other.changes, kept.texts) == (0, 0, [])


async def test_somebodys_edit_in_the_last_moment_is_left_alone() -> None:
    one, other = zone("a.test"), zone("b.test")
    snapshot, before = await plan([one, other]), one.records()
    other.before_change = lambda: other.put("b.test", MX, 300, "5 mx.third.test")
    applied = await apply([one, other], snapshot, Kept())
    assert (applied.result, fates(applied)) == (Result.NOTHING, [Fate.UNDONE, Fate.UNTOUCHED])
    assert codes(applied) == [Code.ZONE_UNDONE, Code.ZONE_EDITED]
    assert one.records() == before
    assert other.sets["b.test", MX].values == {"5 mx.third.test"}


@dataclass(frozen=True)
class Trouble:
    """What happens to the second of two zones; `fates` of both and the codes that are told."""

    name: str
    knobs: dict[str, object]
    fates: list[Fate]
    codes: list[str]
    result: Result
    first_is_back: bool = True


TROUBLES = [
    Trouble("it refuses", {"refuses": True}, [Fate.UNDONE, Fate.UNTOUCHED],
            [Code.ZONE_UNDONE, Code.ZONE_UPDATE_REFUSED], Result.NOTHING),
    Trouble("it can't be read", {"silent": True}, [Fate.UNTOUCHED, Fate.UNTOUCHED],
            [Code.ZONE_UNREACHABLE], Result.NOTHING),
    Trouble("its answer is lost", {"loses_answer": True}, [Fate.WRITTEN, Fate.WRITTEN],
            [Code.ZONE_ANSWER_LOST], Result.DONE, False),
    Trouble("the update is lost", {"loses_update": True}, [Fate.UNDONE, Fate.UNTOUCHED],
            [Code.ZONE_UNDONE, Code.ZONE_UNREACHABLE], Result.NOTHING),
    Trouble("it falls silent over it", {"loses_answer": True, "silent_after_change": True},
            [Fate.UNDONE, Fate.UNKNOWN],
            [Code.ZONE_UNDONE, Code.ZONE_UNSURE, Code.ZONE_UNREACHABLE], Result.PARTLY),
    Trouble("it leaves a part out in silence", {"leaves_out": {("b.test", MX)}},
            [Fate.UNDONE, Fate.UNTOUCHED], [Code.ZONE_UNDONE, Code.ZONE_NOT_TAKEN],
            Result.NOTHING),
    Trouble("it has a least TTL of its own", {"ttl_at_least": 120},
            [Fate.WRITTEN, Fate.WRITTEN], [Code.ZONE_TTL_DIFFERS], Result.DONE, False),
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: each.name)
async def test_two_zones_are_switched_or_none(trouble: Trouble) -> None:
    one, other = zone("a.test"), zone("b.test")
    snapshot, before, others = await plan([one, other]), one.records(), other.records()
    for knob, value in trouble.knobs.items():
        setattr(other, knob, value)
    applied = await apply([one, other], snapshot, Kept())
    assert (fates(applied), codes(applied), applied.result) == (
        trouble.fates,
        trouble.codes,
        trouble.result,
    )
    assert (one.records() == before) is trouble.first_is_back
    if applied.result is Result.NOTHING:
        assert other.records() == others
    # Once the trouble is over, the same snapshot leads on, and back.
    for knob in trouble.knobs:
        setattr(other, knob, getattr(zone("b.test"), knob))
    other.silent = False
    assert (await apply([one, other], snapshot, Kept())).result is Result.DONE
    assert (await put_back([one, other], snapshot)).result is Result.DONE
    assert (one.records(), other.records()) == (before, others)


async def test_a_zone_that_cant_be_put_back_is_told_with_what_to_write() -> None:
    one, other = zone("a.test"), zone("b.test")
    snapshot = await plan([one, other])
    other.refuses = True
    other.before_change = lambda: setattr(one, "refuses", True)
    applied = await apply([one, other], snapshot, Kept())
    assert (applied.result, fates(applied)) == (Result.PARTLY, [Fate.STUCK, Fate.UNTOUCHED])
    assert codes(applied) == [Code.ZONE_STUCK, Code.ZONE_UPDATE_REFUSED]
    assert applied.zones[0].lines == (
        "- a.test. 60 IN MX 0 mx.new.test.",
        '- a.test. 300 IN TXT "v=spf1 include:new.test a -all"',
        "+ a.test. 300 IN MX 10 mx.old.test.",
        '+ a.test. 300 IN TXT "v=spf1 a -all"',
    )


async def test_a_zone_that_an_earlier_try_wrote_is_put_back_too() -> None:
    one, other = zone("a.test"), zone("b.test")
    snapshot, before = await plan([one, other]), one.records()
    await one.change(snapshot.changes[0].edits)
    other.refuses = True
    assert fates(await apply([one, other], snapshot, Kept())) == [Fate.UNDONE, Fate.UNTOUCHED]
    assert one.records() == before


async def test_a_zone_with_a_least_ttl_is_put_back_too() -> None:
    one, other = zone("a.test"), zone("b.test")
    snapshot, before = await plan([one, other]), one.records()
    one.ttl_at_least, other.refuses = 120, True
    assert fates(await apply([one, other], snapshot, Kept())) == [Fate.UNDONE, Fate.UNTOUCHED]
    assert one.records() == before


async def test_a_zone_that_somebody_has_put_back_is_not_put_back_again() -> None:
    one, other = zone("a.test"), zone("b.test")
    snapshot, before = await plan([one, other]), one.records()
    other.refuses = True
    other.before_change = lambda: one.sets.update(before)
    assert fates(await apply([one, other], snapshot, Kept())) == [Fate.UNTOUCHED, Fate.UNTOUCHED]
    assert (one.records(), one.changes) == (before, 1)


async def test_a_part_that_is_not_taken_back_in_silence_is_told() -> None:
    writer = zone("a.test")
    snapshot = await plan([writer])
    left_out = iter([{("a.test", MX)}, {("a.test", TXT)}])
    writer.before_change = lambda: setattr(writer, "leaves_out", next(left_out))
    applied = await apply([writer], snapshot, Kept())
    assert (applied.result, fates(applied)) == (Result.PARTLY, [Fate.STUCK])
    assert applied.zones[0].lines == (
        '- a.test. 300 IN TXT "v=spf1 include:new.test a -all"',
        '+ a.test. 300 IN TXT "v=spf1 a -all"',
    )


async def test_a_ttl_alone_is_an_edit() -> None:
    writer = zone("a.test")
    want = [sets("a.test", MX, 60, OLD)]
    snapshot = planned(["a.test"], await read([writer], [want[0].key]), want, NOW)
    assert snapshot.lines() == [
        "- a.test. 300 IN MX 10 mx.old.test.",
        "+ a.test. 60 IN MX 10 mx.old.test.",
    ]
    assert (await apply([writer], snapshot, Kept())).result is Result.DONE
    assert writer.sets["a.test", MX].records.ttl == 60


def test_a_text_that_stays_keeps_the_zones_own_spelling() -> None:
    cut = '"v=DKIM1; " "p=abc"'
    stands = held("a.test", TXT, 300, {"v=DKIM1; p=abc": cut, SPF_OLD: f'"{SPF_OLD}"'})
    want = sets("a.test", TXT, 300, "v=DKIM1; p=abc", SPF_NEW)
    (edit,) = planned(["a.test"], {stands.key: stands}, [want], NOW).edits
    assert edit.after.texts() == {"v=DKIM1; p=abc": cut, SPF_NEW: f'"{SPF_NEW}"'}


async def test_a_part_that_cant_be_taken_back_is_told() -> None:
    writer = zone("a.test")
    snapshot = await plan([writer])
    writer.leaves_out = {("a.test", MX)}
    changes = iter([False, True])
    writer.before_change = lambda: setattr(writer, "refuses", next(changes))
    applied = await apply([writer], snapshot, Kept())
    assert (applied.result, fates(applied)) == (Result.PARTLY, [Fate.STUCK])
    assert codes(applied) == [Code.ZONE_NOT_TAKEN, Code.ZONE_UPDATE_REFUSED]
    assert applied.zones[0].lines == (
        '- a.test. 300 IN TXT "v=spf1 include:new.test a -all"',
        '+ a.test. 300 IN TXT "v=spf1 a -all"',
    )


async def test_somebody_who_was_faster_while_the_answer_was_lost_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = zone("a.test")
    snapshot = await plan([writer])
    writer.loses_update = True
    monkeypatch.setattr(writer, "read", _edited_between(writer))
    applied = await apply([writer], snapshot, Kept())
    assert (applied.result, codes(applied)) == (
        Result.NOTHING,
        [Code.ZONE_EDITED, Code.ZONE_EDITED, Code.ZONE_UNREACHABLE],
    )
    assert writer.sets["a.test", MX].values == {"5 mx.third.test"}


def _edited_between(
    writer: MemoryZone,
) -> Callable[[Iterable[Key]], Awaitable[dict[Key, Held]]]:
    """A reading before whose second time somebody writes."""
    read_on, times = MemoryZone.read, iter(range(9))

    async def reading(keys: Iterable[Key]) -> dict[Key, Held]:
        if next(times) == 1:
            writer.put("a.test", MX, 300, "5 mx.third.test")
        return await read_on(writer, keys)

    return reading


async def test_a_zone_of_a_person_comes_last_and_waits() -> None:
    by_hand = MemoryZone("a.test", sets("a.test", MX, 300, OLD), by_person=True)
    by_update = zone("b.test")
    names = ["a.test", "b.test"]
    want = [sets("a.test", MX, 60, NEW), *wanted("b.test")]
    snapshot = planned(names, await read([by_hand, by_update], [w.key for w in want]), want, NOW)
    by_update.refuses = True
    refused = await apply([by_hand, by_update], snapshot, Kept())
    assert fates(refused) == [Fate.UNTOUCHED, Fate.UNTOUCHED]
    by_update.refuses = False
    waits = await apply([by_hand, by_update], snapshot, Kept())
    assert (waits.result, fates(waits)) == (Result.WAITS, [Fate.WAITS, Fate.WRITTEN])
    assert waits.zones[0].lines == (
        "- a.test. 300 IN MX 10 mx.old.test.",
        "+ a.test. 60 IN MX 0 mx.new.test.",
    )
    by_hand.put("a.test", MX, 3600, NEW)
    done = await apply([by_hand, by_update], snapshot, Kept())
    assert (done.result, codes(done)) == (Result.DONE, [Code.ZONE_TTL_DIFFERS])
    back = await put_back([by_hand, by_update], snapshot)
    assert (back.result, fates(back)) == (Result.WAITS, [Fate.WAITS, Fate.WRITTEN])
    assert back.zones[0].lines == (
        "- a.test. 3600 IN MX 0 mx.new.test.",
        "+ a.test. 300 IN MX 10 mx.old.test.",
    )


async def test_what_a_person_wrote_is_not_taken_back_by_mailhaul() -> None:
    by_hand = MemoryZone("a.test", sets("a.test", MX, 300, OLD), by_person=True)
    by_update = zone("b.test")
    want = [sets("a.test", MX, 60, NEW), *wanted("b.test")]
    writers = [by_hand, by_update]
    snapshot = planned(["a.test", "b.test"], await read(writers, [w.key for w in want]), want, NOW)
    by_hand.put("a.test", MX, 60, NEW)
    by_update.refuses = True
    applied = await apply(writers, snapshot, Kept())
    assert fates(applied) == [Fate.UNTOUCHED, Fate.UNTOUCHED]
    assert by_hand.sets["a.test", MX].values == {NEW}


async def test_a_return_goes_as_far_as_it_can() -> None:
    one, other = zone("a.test"), zone("b.test")
    snapshot, before = await plan([one, other]), other.records()
    await apply([one, other], snapshot, Kept())
    one.put("a.test", MX, 60, "5 mx.third.test")
    back = await put_back([one, other], snapshot)
    assert (back.result, fates(back)) == (Result.PARTLY, [Fate.UNTOUCHED, Fate.WRITTEN])
    assert (codes(back), other.records()) == ([Code.ZONE_EDITED], before)
    leaving = await put_back([one, other], snapshot, leaving=[("a.test", MX)])
    assert fates(leaving) == [Fate.WRITTEN, Fate.STOOD]
    assert one.sets["a.test", MX].values == {"5 mx.third.test"}
    assert one.sets["a.test", TXT].values == {SPF_OLD, "proof"}


async def test_a_ttl_that_somebody_changed_stops_the_switch_and_not_the_return() -> None:
    writer = zone("a.test")
    snapshot, before = await plan([writer]), writer.records()
    writer.put("a.test", MX, 900, OLD)
    assert codes(await apply([writer], snapshot, Kept())) == [Code.ZONE_EDITED]
    writer.put("a.test", MX, 900, NEW)
    assert (await apply([writer], snapshot, Kept())).result is Result.DONE
    assert (await put_back([writer], snapshot)).result is Result.DONE
    assert writer.records() == before


async def test_a_proof_that_came_meanwhile_outlives_switch_and_return() -> None:
    writer = zone("a.test")
    snapshot = await plan([writer])
    writer.put("a.test", TXT, 300, SPF_OLD, "proof", "another proof")
    assert (await apply([writer], snapshot, Kept())).result is Result.DONE
    assert writer.sets["a.test", TXT].values == {SPF_NEW, "proof", "another proof"}
    writer.put("a.test", TXT, 300, SPF_NEW, "another proof", "a third")
    assert (await put_back([writer], snapshot)).result is Result.DONE
    assert writer.sets["a.test", TXT].values == {SPF_OLD, "another proof", "a third"}


DONE, STOP = "done", "stop"


@pytest.mark.parametrize(
    ("before", "after", "stands", "aim"),
    [
        ((300, "x"), (60, "y"), (300, "x"), (60, "y")),
        ((300, "x"), (60, "y"), (60, "y"), DONE),
        ((300, "x"), (60, "y"), (900, "y"), DONE),
        ((300, "x"), (60, "y"), (900, "x"), STOP),
        ((300, "x"), (60, "y"), (300, "x", "z"), (60, "y", "z")),
        ((300, "x"), (60, "y"), (60, "y", "z"), DONE),
        ((300, "x"), (60, "y"), (900, "x", "z"), STOP),
        ((300, "x"), (60, "y"), (300, "z"), STOP),
        ((300, "x"), (60, "y"), (300, "x", "y"), STOP),
        ((300, "x"), (60, "y"), (0,), STOP),
        ((300, "x", "k"), (60, "y", "k"), (300, "x"), (60, "y")),
        ((300, "x", "k"), (60, "y", "k"), (60, "y"), DONE),
        ((0,), (60, "y"), (0,), (60, "y")),
        ((0,), (60, "y"), (300, "z"), STOP),
        ((0,), (60, "y"), (60, "z"), (60, "y", "z")),
        ((300, "x"), (0,), (0,), DONE),
        ((300, "x"), (0,), (300, "x", "z"), (300, "z")),
        ((300, "x"), (60, "x"), (300, "x"), (60, "x")),
        ((300, "x"), (60, "x"), (60, "x"), DONE),
        ((300, "x"), (60, "x"), (900, "x"), STOP),
        ((300, "x"), (60, "x"), (300, "x", "z"), (60, "x", "z")),
        ((300, "x"), (60, "x"), (60, "x", "z"), DONE),
        ((300, SPF_OLD), (60, SPF_NEW), (300, SPF_OLD, "V=SPF1 mx"), STOP),
        ((300, SPF_OLD), (60, SPF_NEW), (300, SPF_OLD, "v=DMARC1"), (60, SPF_NEW, "v=DMARC1")),
        ((300, SPF_OLD), (60, SPF_NEW), (300, "v=spf1 mx"), STOP),
    ],
)  # fmt: skip
def test_other_peoples_texts_stay_and_other_peoples_edits_stop(
    before: tuple[int, *tuple[str, ...]],
    after: tuple[int, *tuple[str, ...]],
    stands: tuple[int, *tuple[str, ...]],
    aim: str | tuple[int, *tuple[str, ...]],
) -> None:
    now = there(TXT, *stands)
    found = target(Edit(there(TXT, *before), there(TXT, *after)), now)
    expected = {DONE: now, STOP: None}[aim] if isinstance(aim, str) else there(TXT, *aim)
    assert found == expected


@pytest.mark.parametrize(
    ("stands", "aim"),
    [((300, "1 x"), (60, "1 y")), ((300, "1 x", "1 z"), STOP), ((60, "1 y", "1 z"), STOP)],
)
def test_of_other_kinds_nothing_may_have_changed(
    stands: tuple[int, *tuple[str, ...]], aim: str | tuple[int, *tuple[str, ...]]
) -> None:
    found = target(Edit(there(MX, 300, "1 x"), there(MX, 60, "1 y")), there(MX, *stands))
    assert found == (None if isinstance(aim, str) else there(MX, *aim))


@pytest.mark.parametrize(
    ("want", "said"),
    [
        (sets("c.test", MX, 60, NEW), "lies in none of the zones"),
        (sets("nota.test", MX, 60, NEW), "lies in none of the zones"),
        (sets("a.test", Kind.CNAME, 60, "x.test"), "at the top of a zone"),
        (sets("x.a.test", Kind.CNAME, 60, "x.test", "y.test"), "two CNAMEs"),
        (sets("host.a.test", Kind.CNAME, 60, "x.test"), "beside A"),
        (sets("alias.a.test", Kind.TXT, 60, "x"), "beside TXT"),
        (sets("a.test", Kind.NS, 60, "ns.test"), "where the zone is hosted"),
        (sets("a.test", Kind.SOA, 60, "…"), "where the zone is hosted"),
    ],
)
def test_what_cant_be_written_is_refused_with_one_sentence(want: RecordSet, said: str) -> None:
    present = {
        each.key: Held(each)
        for each in (
            sets("host.a.test", Kind.A, 60, "192.0.2.1"),
            sets("alias.a.test", Kind.CNAME, 60, "x.test"),
        )
    }
    with pytest.raises(BadInput, match=said):
        planned(["a.test"], present, [want], NOW)


async def test_a_name_goes_to_its_innermost_zone() -> None:
    outer = MemoryZone("a.test", sets("x.sub.a.test", MX, 1, "1 hidden.by.the.cut"))
    inner = MemoryZone("sub.a.test")
    want = [sets("x.sub.a.test", MX, 60, NEW), sets("xsub.a.test", MX, 60, NEW)]
    present = await read([outer, inner], [each.key for each in want])
    assert not present[want[0].key].values
    snapshot = planned(["a.test", "sub.a.test"], present, want, NOW)
    assert [(each.zone, [edit.key[0] for edit in each.edits]) for each in snapshot.changes] == [
        ("a.test", ["xsub.a.test"]),
        ("sub.a.test", ["x.sub.a.test"]),
    ]
    await apply([inner, outer], snapshot, Kept())
    assert (list(outer.sets), list(inner.sets)) == ([each.key for each in want], [want[0].key])


async def test_a_name_in_no_zone_and_a_zone_without_writer_are_bad_input() -> None:
    writer = zone("a.test")
    snapshot = await plan([writer])
    with pytest.raises(BadInput, match="lies in none of the zones"):
        await read([writer], [("b.test", MX)])
    with pytest.raises(BadInput, match=r"nobody can change the zone a\.test"):
        await apply([], snapshot, Kept())
    with pytest.raises(BadInput, match=r"nobody can change the zone a\.test"):
        await put_back([zone("b.test")], snapshot)


async def test_an_unreadable_zone_is_an_error_of_reading() -> None:
    writer = zone("a.test")
    writer.silent = True
    with pytest.raises(ZoneError, match=r"a\.test says nothing; check address"):
        await plan([writer])


async def test_nothing_is_written_when_the_snapshot_cant_be_kept() -> None:
    async def broken(_: Snapshot) -> None:
        raise OSError("disk full")

    writer = zone("a.test")
    snapshot = await plan([writer])
    with pytest.raises(OSError, match="disk full"):
        await apply([writer], snapshot, broken)
    assert writer.changes == 0


def test_a_snapshot_comes_back_from_its_text_as_it_was() -> None:
    odd = held("a.test", TXT, 300, {"ab": '"a" "b"', "\udcff ü": '"\\255 \\195\\188"'})
    edits = planned(["a.test"], {odd.key: odd}, wanted("a.test"), NOW)
    text = to_text(edits)
    assert (from_text(text), to_text(from_text(text)), text.isascii()) == (edits, text, True)
    assert from_text(text).edits[1].before.spelled == odd.spelled


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", '{"format":"mailhaul-zone-2","taken":"2030-01-01","changes":[]}',
        '{"format":"mailhaul-zone-1","taken":"soon","changes":[]}',
        '{"format":"mailhaul-zone-1","taken":"2030-01-01T00:00:00","changes":[]}',
        '{"format":"mailhaul-zone-1","taken":"2030-01-01T00:00:00+00:00","changes":[{"zone":"a"}]}',
        '{"format":"mailhaul-zone-1","taken":"2030-01-01T00:00:00+00:00","changes":[{"zone":"a",'
        '"edits":[{"name":"a","kind":"MX","before":{"ttl":1,"values":"x"},"after":{}}]}]}',
        '{"format":"mailhaul-zone-1","taken":"2030-01-01T00:00:00+00:00","changes":[{"zone":"a",'
        '"edits":[{"name":"a","kind":"MX","before":{"ttl":1,"values":["1 x"],"spelled":["1 x.",'
        '"2 y."]},"after":{"ttl":1,"values":[]}}]}]}',
    ],
)  # fmt: skip
def test_what_is_no_snapshot_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="no snapshot of a zone"):
        from_text(text)


def test_every_code_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Code)
