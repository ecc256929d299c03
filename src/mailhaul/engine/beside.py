"""What is known about a pair besides its ledger: how a pass is told of it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from mailhaul.core.folder import Folder
from mailhaul.core.message import Entry, Key
from mailhaul.engine.ledger import FolderRow, MessageRow
from mailhaul.engine.outcomes import Options, Side

_Done = TypeVar("_Done")


class Patiently(Protocol):
    """Tries again as long as the pass's pace lets one (`engine.pair.Pair.patiently`)."""

    def __call__(self, act: Callable[[], Awaitable[_Done]], side: Side) -> Awaitable[_Done]: ...


class Beside(Protocol):
    """Somebody who knows more. Nothing in here writes to either side."""

    async def prepare(
        self,
        patiently: Patiently,
        source: Sequence[Folder],
        target: Sequence[Folder],
        options: Options,
    ) -> Options:
        """Called once both sides are listed and before folders are mapped: may link folders in
        the ledger. Returns the options for the rest of the pass."""

    def there(self, folder: FolderRow, first: Key, last: Key) -> set[Key]:
        """Keys in that closed range of the target's folder that are no strangers."""

    async def settled(self, folder: Folder, entries: Sequence[Entry]) -> Sequence[MessageRow]:
        """Of messages that would be adopted or sent: the rows of those that must not be."""
