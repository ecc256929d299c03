"""What lies in a row of the ledger, and how it is written there."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from mailhaul.core.folder import Cursor, FolderPath, State
from mailhaul.core.message import Entry, Flags, Identity, Key
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


@dataclass(frozen=True, slots=True)
class Underway:
    """A source message that may be on its way, as its listing showed it. An earlier mailhaul wrote
    its key alone."""

    key: Key
    size: int | None = None
    received: int | None = None
    flags: Flags = frozenset()


@dataclass(frozen=True, slots=True)
class Intent:
    """What may be on its way, in the order in which it is sent. What has arrived lies behind
    `place` at the target (a tail; None: not known). `attempt` counts up while nothing is settled:
    what a later one intends too had not arrived by then."""

    messages: Sequence[Underway]
    place: Cursor | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Unsure:
    """What a row's message has at the target, once a run was cut off that was changing its flags:
    `sure` it has in any case, no more than `maybe` was ever given by us."""

    sure: Flags
    maybe: Flags


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


def intent_text(entries: Sequence[Entry], place: Cursor | None, attempt: int) -> str:
    """The intent to send these, as a column holds it."""
    written = {
        "attempt": attempt,
        "place": place,
        "keys": [entry.key for entry in entries],
        "sizes": [entry.size for entry in entries],
        "received": [seconds(entry) for entry in entries],
        "flags": [flags_text(entry.flags) for entry in entries],
    }
    return json.dumps(written, separators=(",", ":"))


def intent_of(text: str) -> Intent:
    """The intent that a column holds, an earlier mailhaul's too."""
    written = json.loads(text)
    if isinstance(written, list):
        return Intent([Underway(key) for key in written])
    columns = (written[name] for name in ("keys", "sizes", "received", "flags"))
    return Intent(
        [
            Underway(key, size, received, _flags(flags))
            for key, size, received, flags in zip(*columns, strict=True)
        ],
        written["place"],
        written["attempt"],
    )


def intended_keys(text: str) -> list[Key]:
    """The keys alone of the intent that a column holds."""
    written = json.loads(text)
    keys: list[Key] = written if isinstance(written, list) else written["keys"]
    return keys


def seconds(entry: Entry) -> int | None:
    """The received date in seconds since 1970; zones are gone: instants compare (finding 4)."""
    return None if entry.received is None else int(entry.received.timestamp())


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


def unsure_text(unsure: Mapping[int, Unsure]) -> str:
    """Flags on their way, by row id, as a column holds them."""
    written = {row: [flags_text(each.sure), flags_text(each.maybe)] for row, each in unsure.items()}
    return json.dumps(written, separators=(",", ":"))


def unsure_of(text: str) -> dict[int, Unsure]:
    """The same, read again."""
    return {
        int(row): Unsure(_flags(sure), _flags(maybe))
        for row, (sure, maybe) in json.loads(text).items()
    }
