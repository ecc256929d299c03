"""The accounting at the end of a pass: what became of every message, from ledger and census."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from mailhaul.core.folder import Folder, FolderPath, shown
from mailhaul.core.text import plural, printable
from mailhaul.engine.outcomes import Fate, Tally


@dataclass(slots=True)
class Effects:
    """What was done in this pass, for the accounting; survives retries of a folder."""

    flagged: int = 0
    removed: int = 0
    carried: int = 0
    octets: int = 0
    lost_flags: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def tally_of(folder: Folder, fates: Mapping[Fate, int], effects: Effects) -> Tally:
    """One folder's accounting; the census is the source's own count, where it gives one."""
    return Tally(
        census=sum(fates.values()) if folder.count is None else folder.count,
        **{fate.value: fates.get(fate, 0) for fate in Fate},
        flagged=effects.flagged,
        carried=effects.carried,
        octets=effects.octets,
    )


def added(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    names = [field.name for field in fields(Tally)]
    sums = dict.fromkeys(names, 0)
    for tally in tallies:
        for name in names:
            sums[name] += getattr(tally, name)
    return Tally(**sums)


def unaccounted(tallies: Mapping[FolderPath, Tally], failed: set[FolderPath]) -> list[str]:
    """Folders whose sum isn't the census, as sentences; `failed` ones have theirs already."""
    return [
        f"{shown(path)}: the source counts {plural(tally.census, 'message')}, of which "
        f"{plural(tally.accounted, 'is', 'are')} accounted for; run again, and if it stays so "
        "look at the source"
        for path, tally in tallies.items()
        if not tally.adds_up and path not in failed
    ]


def lossy(effects: Iterable[Effects]) -> list[str]:
    """What flags the target would not keep, as sentences."""
    lost: dict[str, int] = {}
    for effect in effects:
        for flag, count in effect.lost_flags.items():
            lost[flag] = lost.get(flag, 0) + count
    return [
        f"the target does not keep the flag {printable(flag, 60)}: "
        f"{plural(count, 'message')} went without"
        for flag, count in sorted(lost.items())
    ]
