"""Which folders have anything to be done: the ledger asked once for all of them, not one by one."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailhaul.core.folder import Folder, FolderPath
from mailhaul.engine.ledger import FolderRow, Ledger
from mailhaul.engine.outcomes import Fate, Options

Fates = Mapping[FolderPath, Mapping[Fate, int]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where every folder of a pair stands. `rows` are by source and target path; `unsettled` and
    `undecided` are ids of folders of which something may be on its way, or fare better now."""

    rows: Mapping[tuple[FolderPath, FolderPath], FolderRow]
    fates: Fates
    unsettled: set[int]
    undecided: set[int]

    def known(self, source: FolderPath) -> int:
        """How many of the source folder's messages the ledger knows."""
        return sum(self.fates.get(source, {}).values())

    def idle(self, row: FolderRow, source: Folder, target: Folder | None) -> bool:
        """Whether nothing happened in the folder since it was carried, and nothing is left."""
        return (
            source.state is not None
            and source.state == row.source_state
            and target is not None
            and target.tail is not None
            and target.tail in (row.target_tail, row.target_seen)
            and source.count in (None, self.known(row.source))
            and row.id not in self.unsettled
            and row.id not in self.undecided
        )

    def anew(self, row: FolderRow, source: Folder) -> bool:
        """Whether the folder is to be listed whole: some of its messages are to be tried again, or
        the source says that nothing happened and yet counts other than we do."""
        if row.id in self.undecided:
            return True
        same = source.state is not None and source.state == row.source_state
        return same and source.count not in (None, self.known(row.source))


def standing_of(ledger: Ledger, options: Options) -> Standing:
    """What the ledger says now."""
    since, before = (
        None if moment is None else moment.timestamp() for moment in (options.since, options.before)
    )
    return Standing(
        {(row.source, row.target): row for row in ledger.folders()},
        ledger.fates(),
        ledger.unsettled(),
        ledger.undecided(
            since=since,
            before=before,
            skipped=options.newest is None and not options.once,
            refused=options.retry_refused,
        ),
    )
