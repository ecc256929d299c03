"""Who is the same: source messages that were carried before, or are at the target already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mailhaul.core.message import NO_FLAGS, Entry, Key, folded
from mailhaul.core.store import FlagChange
from mailhaul.engine.cargo import decided
from mailhaul.engine.flags import apply_flags, differs, order
from mailhaul.engine.matching import Trait, match, match_read
from mailhaul.engine.outcomes import Carried, Fate, Listed, Side
from mailhaul.engine.strangers import read_octets, traits_of
from mailhaul.engine.visit import Visit, number_of, read_source, traits_of_rows


async def find_again(visit: Visit, entries: Sequence[Entry]) -> list[Entry]:
    """Entries that were carried before, says a row whose source message was gone: the source
    was renumbered, or the message went away and came back. The rest may still find our own
    copies among the strangers."""
    lefts = await traits_of(Side.SOURCE, visit.carrier.source, visit.source, entries)
    result = match(lefts, traits_of_rows(visit.lost))
    pairs = list(result.pairs)
    by_key = {entry.key: entry for entry in entries}
    for ours, theirs in result.doubtful:
        await read_source(visit, ours, by_key)
        await _read_copies(visit, theirs)
        pairs += match_read(ours, theirs)
    found = {left: number_of(right) for left, right in pairs}
    visit.ledger.find_source((number, key) for key, number in found.items())
    changed = []
    for key, number in found.items():
        row = visit.lost.pop(number)
        if row.target_key is not None:
            visit.strangers.drop(row.target_key)
        if differs(visit, row, by_key[key]):
            changed.append((row, by_key[key]))
    if changed:
        await apply_flags(visit, changed)
    return [entry for entry in entries if entry.key not in found]


async def adopt(visit: Visit, entries: Sequence[Entry]) -> list[Entry]:
    """Entries that are at the target already: what a killed run of ours left behind counts as
    copied, what an earlier tool or a person put there as adopted."""
    lefts = await traits_of(Side.SOURCE, visit.carrier.source, visit.source, entries)
    by_key = {entry.key: entry for entry in entries}

    async def read(traits: Iterable[Trait]) -> None:
        await read_source(visit, traits, by_key)

    pairs = await visit.strangers.match(lefts, read)
    settled = {left for left, _ in pairs}
    in_flight = [each for each in lefts if each.key in visit.intended and each.key not in settled]
    taken = {right for _, right in pairs}
    pairs += await visit.strangers.match_octets(in_flight, taken, read)
    if pairs:
        await _adopted(visit, pairs, by_key, {each.key: each for each in lefts})
    adopted = {left for left, _ in pairs}
    return [entry for entry in entries if entry.key not in adopted]


async def _adopted(
    visit: Visit,
    pairs: Sequence[tuple[Key, Key]],
    entries: dict[Key, Entry],
    traits: Mapping[Key, Trait],
) -> None:
    lost = {row.target_key: number for number, row in visit.lost.items()}
    # Their hashes were lost with the rows, and stand in no intent: none was known when it was
    # written. They are few, a kill leaves at most the end of a page.
    ours = {left for left, right in pairs if left in visit.intended or right in lost}
    await read_source(visit, [traits[left] for left in ours], entries)
    rows, orders, replaced = [], [], []
    for left, right in pairs:
        entry, there = entries[left], visit.strangers.entry(right)
        fate = Fate.COPIED if left in ours else Fate.ADOPTED
        rows.append(decided(entry, fate, "", right, traits[left]))
        if right in lost:
            replaced.append(lost[right])
        known = folded(there.flags)
        sent = folded(visit.sent.get(entry.size, NO_FLAGS)) if left in ours else NO_FLAGS
        now = folded(entry.flags)
        add = frozenset(flag for flag in entry.flags if flag.lower() not in known)
        # What we sent along and the source has not, or no longer, is not a person's.
        remove = frozenset(flag for flag in there.flags if flag.lower() in sent - now)
        if add or remove:
            orders.append(FlagChange(right, add, remove))
    await order(visit, orders)
    visit.ledger.forget(replaced)
    for number in replaced:
        del visit.lost[number]
    visit.row = visit.ledger.add(visit.row, rows, visit.row.target_tail)
    for _, right in pairs:
        visit.strangers.drop(right)
    visit.no_strangers()
    octets = sum(entries[left].size or 0 for left, _ in pairs)
    visit.carrier.tell(Listed(visit.source.path, len(pairs), octets))
    visit.carrier.tell(Carried(visit.source.path, len(pairs), octets))


async def _read_copies(visit: Visit, traits: Sequence[Trait]) -> None:
    """Reads the target's copies of lost rows whose octets never passed by us."""
    rows = {trait.key: visit.lost[number_of(trait.key)] for trait in traits}
    copies = {
        key: (trait, replace(trait, key=key))
        for trait in traits
        if trait.exact is None and (key := rows[trait.key].target_key) is not None
    }
    entries = {key: Entry(key) for key in copies}
    unread = [copy for _, copy in copies.values()]
    await read_octets(Side.TARGET, visit.carrier.target, visit.target, unread, entries)
    for trait, copy in copies.values():
        trait.exact, trait.loose = copy.exact, copy.loose
