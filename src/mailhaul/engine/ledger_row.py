"""What lies in a row of the ledger, and how it is written there."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from mailhaul.core.folder import Cursor, FolderPath, State
from mailhaul.core.message import Flags, Identity, Key
from mailhaul.engine.outcomes import Fate


@dataclass(frozen=True, slots=True)
class FolderRow:
    """Where a folder stands. `target_tail` is a place before the first message at the target that
    is not in the ledger; `target_seen` the tail at which a look found nothing of ours missing.
    The anchors tell in whose numbering the rows' keys are: written before the first row is, they
    expire when the keys do."""

    id: int
    source: FolderPath
    target: FolderPath
    source_state: State | None = None
    source_cursor: Cursor | None = None
    source_anchor: Cursor | None = None
    target_tail: Cursor | None = None
    target_seen: Cursor | None = None
    target_anchor: Cursor | None = None
    subscribed: bool = False
    """The source's subscription has been carried; from then on the person decides."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message that was decided about. `flags` are what both sides last agreed on."""

    source_key: Key | None
    target_key: Key | None
    fate: Fate
    flags: Flags
    size: int | None = None
    received: int | None = None
    identity: Identity | None = None
    digest: bytes | None = None
    reason: str = ""
    id: int | None = None
    passed: int = 0
    """The number of the pass that wrote it to the target."""


FOLDER_COLUMNS = (
    "id, source, target, source_state, source_cursor, source_anchor, target_tail, target_seen,"
    " target_anchor, subscribed"
)
COLUMNS = (
    "rowid, source_key, target_key, fate, flags, size, received, identity, named, digest, reason,"
    " pass"
)


_WRITTEN = (
    *("target_key", "fate", "flags", "size", "received"),
    *("identity", "named", "digest", "reason", "pass"),
)
INSERT = (
    f"INSERT INTO message (folder, source_key, {', '.join(_WRITTEN)})"  # noqa: S608 - constants
    f" VALUES ({', '.join('?' * (len(_WRITTEN) + 2))})"
    f" ON CONFLICT (folder, source_key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _WRITTEN)
)


class Rows(Protocol):
    """Where the rows lie: a connection that speaks SQL with the tables of `ledger_file`, in a
    transaction that `commit` ends."""

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """A cursor."""

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> Any: ...

    def commit(self) -> None:
        """Makes the transaction durable. Raises `Superseded` when somebody else has taken the
        pair over; nothing of the transaction is written then."""

    def close(self) -> None: ...

    def stored(self, key: Key | None) -> Any:
        """The key as it lies in a column, in the same order."""

    def key(self, stored: Any) -> Any:
        """The key that `stored` gave; None for NULL."""


def values_of(row: MessageRow, rows: Rows) -> tuple[object, ...]:
    """The row's values for `INSERT`, but for its folder before them and its pass behind."""
    identity = row.identity
    return (
        rows.stored(row.source_key),
        rows.stored(row.target_key),
        row.fate.value,
        flags_text(row.flags),
        row.size,
        row.received,
        None if identity is None else identity.digest,
        None if identity is None else int(identity.named),
        row.digest,
        row.reason,
    )


def message_row(found: Sequence[Any], rows: Rows) -> MessageRow:
    """The row of which `COLUMNS` were found."""
    number, source, target, fate, flags, size, received, identity, named, digest, *rest = found
    reason, passed = rest
    return MessageRow(
        source_key=rows.key(source),
        target_key=rows.key(target),
        fate=Fate(fate),
        flags=_flags(flags),
        size=size,
        received=received,
        identity=None if identity is None else Identity(identity, bool(named)),
        digest=digest,
        reason=reason,
        id=number,
        passed=passed,
    )


def folder_row(row: Any) -> FolderRow:
    """The row of which `FOLDER_COLUMNS` were found."""
    return FolderRow(row[0], path_of(row[1]), path_of(row[2]), *row[3:])


def path_of(text: str) -> FolderPath:
    """The path that a column holds."""
    return tuple(json.loads(text))


@lru_cache(maxsize=4096)
def flags_text(flags: Flags) -> str:
    """The flags as a column holds them."""
    return " ".join(sorted(flags))


@lru_cache(maxsize=4096)
def _flags(text: str) -> Flags:
    return frozenset(text.split())
