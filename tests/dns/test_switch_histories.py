"""Whatever zones hold, whatever fails and whoever edits meanwhile: the switch's promises hold."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailhaul.dns.records import Kind, RecordSet
from mailhaul.dns.snapshot import Snapshot, from_text, planned, to_text
from mailhaul.dns.switch import Applied, Result, apply, put_back, read, target
from mailhaul.dns.zone import Held, Key
from tests.dns.memory_zone import MemoryZone

NOW = datetime(2030, 1, 31, 20, tzinfo=UTC)
ZONES = ("a.test", "b.test")
KEYS: list[Key] = [(f"{name}{zone}", kind) for zone in ZONES for name, kind in (
    ("", Kind.MX), ("", Kind.TXT), ("x.", Kind.TXT),
)]  # fmt: skip
TTLS = st.sampled_from([60, 300])
VALUES = st.sets(st.sampled_from(["v=spf1 a", "v=spf1 b", "1 x.test", "proof"]), max_size=3)
KNOBS = ("refuses", "silent", "loses_answer", "loses_update", "silent_after_change")


@dataclass(frozen=True)
class Edit:
    """Somebody else's."""

    key: Key
    ttl: int
    values: frozenset[str]


SETS = st.builds(
    lambda key, ttl, values: RecordSet(key[0], key[1], ttl, tuple(sorted(values))),
    st.sampled_from(KEYS), TTLS, VALUES,
)  # fmt: skip
HOLDINGS = st.lists(SETS, max_size=6)
EDITS = st.lists(st.builds(Edit, st.sampled_from(KEYS), TTLS, VALUES.map(frozenset)), max_size=2)


def unique(sets: list[RecordSet]) -> list[RecordSet]:
    return list({each.key: each for each in sets}.values())


def put(zones: list[MemoryZone], edits: list[Edit]) -> None:
    for edit in edits:
        zone = next(each for each in zones if edit.key[0].endswith(each.zone))
        zone.put(*edit.key, edit.ttl, *edit.values)


def held(zones: list[MemoryZone]) -> dict[Key, Held]:
    return {key: there for zone in zones for key, there in zone.sets.items()}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    HOLDINGS,
    HOLDINGS,
    EDITS,
    EDITS,
    st.dictionaries(st.sampled_from(KNOBS), st.sampled_from(ZONES), max_size=2),
)
def test_all_or_nothing_and_back(
    holding: list[RecordSet],
    want: list[RecordSet],
    between: list[Edit],
    last: list[Edit],
    knobs: dict[str, str],
) -> None:
    asyncio.run(_history(unique(holding), unique(want), between, last, knobs))


async def _history(
    holding: list[RecordSet],
    want: list[RecordSet],
    between: list[Edit],
    last: list[Edit],
    knobs: dict[str, str],
) -> None:
    zones = [
        MemoryZone(name, *(each for each in holding if each.values and each.name.endswith(name)))
        for name in ZONES
    ]
    snapshot = planned(ZONES, await read(zones, KEYS), want, NOW)
    put(zones, between)
    edited = held(zones)
    for knob, name in knobs.items():
        setattr(next(zone for zone in zones if zone.zone == name), knob, True)
    kept: list[str] = []

    async def keep(each: Snapshot) -> None:
        kept.append(to_text(each))
        put(zones, last)

    applied = await apply(zones, snapshot, keep)
    _check(applied, snapshot, zones, edited, bool(kept and last))
    for zone in zones:
        for knob in KNOBS:
            setattr(zone, knob, False)
    if between or last or not kept:
        return
    # Nobody else wrote, and the trouble is over: on, and back to where it began.
    assert from_text(kept[0]) == snapshot
    assert (await apply(zones, snapshot, keep)).result is Result.DONE
    assert {key: there.values for key, there in held(zones).items()} | {
        edit.key: edit.after.values for edit in snapshot.edits if edit.after.values
    } == {key: there.values for key, there in held(zones).items()}
    assert (await put_back(zones, from_text(kept[0]))).result is Result.DONE
    assert held(zones) == edited


def _check(
    applied: Applied,
    snapshot: Snapshot,
    zones: list[MemoryZone],
    edited: dict[Key, Held],
    late: bool,
) -> None:
    now = held(zones)
    touched = {edit.key for edit in snapshot.edits}
    assert late or {key: each for key, each in now.items() if key not in touched} == {
        key: each for key, each in edited.items() if key not in touched
    }
    if applied.result is Result.DONE and not late:
        for edit in snapshot.edits:
            there = now.get(edit.key) or Held(RecordSet(*edit.key, 0, ()))
            assert target(edit, there, any_ttl=True) == there
    if applied.result is Result.NOTHING and not late:
        assert now == edited
    for edit in snapshot.edits:
        if edit.key[1] is Kind.TXT and edit.key in edited and not late:
            strangers = edited[edit.key].values - edit.before.values - edit.after.values
            assert strangers <= (now[edit.key].values if edit.key in now else frozenset())
