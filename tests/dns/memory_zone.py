"""A zone in memory: the writer of the tables, which can be made to fail as servers do."""

from collections.abc import Callable, Iterable, Sequence

from mailhaul.dns.records import Kind, RecordSet, zone_value
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.zone import Edit, Held, Key, PersonWrites, ZoneError, difference, held, nothing


class MemoryZone:
    """A `ZoneWriter`. `changes` counts those that were carried out. `refuses`: every change is
    refused. `loses_answer`: a change is carried out, or not (`loses_update`), and nobody hears of
    it. `silent`: it can't be read. `leaves_out`: keys whose edits are left out in silence.
    `before_change` happens just before a change is looked at."""

    def __init__(self, zone: str, *records: RecordSet, by_person: bool = False) -> None:
        self._zone = zone
        self._by_person = by_person
        self.sets = {each.key: Held(each) for each in records}
        self.changes = 0
        self.refuses = self.loses_answer = self.loses_update = self.silent = False
        self.silent_after_change = False
        self.leaves_out: set[Key] = set()
        self.ttl_at_least = 0
        self.before_change: Callable[[], None] = lambda: None

    @property
    def zone(self) -> str:
        return self._zone

    @property
    def by_person(self) -> bool:
        return self._by_person

    def put(self, name: str, kind: Kind, ttl: int, *values: str) -> None:
        """Somebody else writes."""
        self.put_held(held(name, kind, ttl, {each: zone_value(kind, each) for each in values}))

    def put_held(self, there: Held) -> None:
        self.sets.pop(there.key, None)
        if there.records.values:
            self.sets[there.key] = there

    def records(self) -> dict[Key, Held]:
        """All that it holds."""
        return dict(self.sets)

    async def read(self, keys: Iterable[Key]) -> dict[Key, Held]:
        if self.silent:
            raise ZoneError(Code.ZONE_UNREACHABLE, f"{self._zone} says nothing")
        return {key: self.sets.get(key, nothing(key)) for key in keys}

    async def change(self, edits: Sequence[Edit]) -> None:
        if self._by_person:
            raise PersonWrites(difference(edits))
        self.before_change()
        if self.refuses:
            raise ZoneError(Code.ZONE_UPDATE_REFUSED, f"{self._zone} refuses")
        for edit in edits:
            if self.sets.get(edit.key, nothing(edit.key)).values != edit.before.values:
                raise ZoneError(Code.ZONE_EDITED, f"{edit.key[0]} holds something else")
        if not self.loses_update:
            self.changes += 1
            for edit in edits:
                if edit.key not in self.leaves_out:
                    self.put_held(self._clamped(edit.after))
        self.silent = self.silent_after_change
        if self.loses_answer or self.loses_update:
            raise ZoneError(Code.ZONE_UNREACHABLE, f"{self._zone} hung up", written=None)

    def _clamped(self, there: Held) -> Held:
        records = there.records
        ttl = max(records.ttl, self.ttl_at_least)
        return Held(RecordSet(*records.key, ttl, records.values), there.spelled)
