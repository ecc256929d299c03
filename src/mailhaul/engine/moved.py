"""What is missing where it should be, and lies in another folder of the target: somebody moved it.

Known only once all folders are through. Of what the target has more than the source only the
identities are kept meanwhile, 16 octets a message; folders that only the target has are looked
through when something is missing, and never else.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from mailhaul.core.errors import FolderFailed
from mailhaul.core.folder import Folder, FolderPath
from mailhaul.core.store import Source
from mailhaul.core.text import plural
from mailhaul.engine.census import WIDTH, Census
from mailhaul.engine.comparison import IDENTIFY_PAGE, SOFT, Match, identify_page
from mailhaul.engine.folder_names import shown
from mailhaul.engine.outcomes import Side, Waiting
from mailhaul.engine.reading import Patience, attempts
from mailhaul.engine.sides import closing
from mailhaul.engine.verdict import Difference, Kind


@dataclass(slots=True)
class Strays:
    """Missing messages by identity and the source folder that has them; and what each target
    folder has that belongs to nothing in it."""

    missing: Counter[tuple[bytes, FolderPath]] = field(default_factory=Counter)
    extra: list[tuple[FolderPath, bytearray]] = field(default_factory=list)
    looked: set[FolderPath] = field(default_factory=set)
    """Target folders that something goes to."""

    def take(self, path: FolderPath, match: Match) -> None:
        """Notes what is left of one target folder that has been compared."""
        for number in match.missing:
            folder = match.ours.folder(number).path
            self.missing[match.ours.digest(number), folder] += 1
        self.add(path, match.theirs, [*match.extra, *match.doubled])

    def add(self, path: FolderPath, census: Census, numbers: Sequence[int]) -> None:
        if numbers:
            self.extra.append((path, bytearray().join(map(census.digest, numbers))))

    def found(self) -> Counter[tuple[FolderPath, FolderPath]]:
        """How many of the missing of a source folder lie in which target folder, each once."""
        homes: dict[bytes, list[FolderPath]] = {}
        for digest, path in sorted(self.missing.elements(), key=lambda each: each[1]):
            homes.setdefault(digest, []).append(path)
        moved: Counter[tuple[FolderPath, FolderPath]] = Counter()
        for path, digests in self.extra:
            for start in range(0, len(digests), WIDTH):
                waiting = homes.get(bytes(digests[start : start + WIDTH]))
                if waiting:
                    moved[waiting.pop(0), path] += 1
        return moved


async def tell_moved(
    target: Source, patience: Patience, folders: Sequence[Folder], strays: Strays
) -> AsyncIterator[Difference | Waiting]:
    """Tells how many of the missing lie elsewhere at the target, and where. `folders` are all of
    the target's; one that can't be looked into tells nothing."""
    if strays.missing:
        for folder in folders:
            if folder.selectable and folder.path not in strays.looked:
                async for wait in _look_through(target, patience, folder, strays):
                    yield wait
    for (source, place), count in sorted(strays.found().items()):
        detail = f"{plural(count, 'missing message lies', 'missing messages lie')} in "
        detail += f"{shown(place)} at the target"
        yield Difference(Kind.MOVED, SOFT, source, detail, count=count)


async def _look_through(
    target: Source, patience: Patience, folder: Folder, strays: Strays
) -> AsyncIterator[Waiting]:
    census = Census()

    async def listed() -> None:
        census.clear()
        census.begin(folder)
        async with closing(Side.TARGET, target.changes(folder, None)) as pages:
            async for page in pages:
                census.add(page.entries)

    try:
        async for wait in attempts(patience, (Side.TARGET, listed)):
            yield wait
        for start in range(0, len(census), IDENTIFY_PAGE):
            numbers = range(start, min(start + IDENTIFY_PAGE, len(census)))
            call = partial(identify_page, target, Side.TARGET, census, folder, numbers)
            async for wait in attempts(patience, (Side.TARGET, call)):
                yield wait
    except FolderFailed:
        return
    strays.add(
        folder.path, census, [number for number in range(len(census)) if not census.gone[number]]
    )
