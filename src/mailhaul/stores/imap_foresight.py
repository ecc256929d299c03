"""Bodies that are sent for behind the listing that names them: a wait less for a folder.

Only for folders whose octets fit into half of what a connection may hold. Dovecot may answer the
two FETCHes by turns: then the bodies must not keep the rest of the listing from being read.
"""

from mailhaul.core.folder import Folder
from mailhaul.imap import commands
from mailhaul.imap.commands import Attribute, ReadCommand
from mailhaul.imap.intake import BUDGET
from mailhaul.imap.lane import Selection
from mailhaul.imap.pending import Pending

WHOLE = (Attribute.UID, Attribute.WHOLE)
MOST_MESSAGES = 500
"""As many as one command asks for."""


class Foresight:
    """Which folders (natives) are wanted whole, and what is on its way of them."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._most = budget // 2
        self._wanted: set[str] = set()
        self._coming: dict[str, tuple[Selection, Pending]] = {}

    def want(self, folder: Folder) -> None:
        """The folder will be listed, and all of it fetched."""
        small = folder.size is not None and folder.size <= self._most
        if small and folder.count is not None and 0 < folder.count <= MOST_MESSAGES:
            self._wanted.add(folder.native)

    def commands(self, native: str) -> list[ReadCommand]:
        """What is to be sent behind the folder's listing."""
        return [commands.fetch("1:*", WHOLE)] if native in self._wanted else []

    def sent(self, native: str, selection: Selection, pending: Pending) -> None:
        """That has been sent."""
        self._wanted.discard(native)
        self._coming[native] = selection, pending

    def taken(self, native: str) -> tuple[Selection, Pending] | None:
        """What is on its way, to whoever fetches the folder's messages; once."""
        return self._coming.pop(native, None)

    def drop(self, native: str) -> None:
        """Nobody will take it."""
        self._wanted.discard(native)
        coming = self._coming.pop(native, None)
        if coming is not None:
            coming[1].abandon()
