"""The lines of `--json`: each event of a pass as a flat object (docs/json-events.md). Pure.

Paths of folders are lists of their components, for a component may hold any character.
"""

from collections.abc import Iterator

from mailhaul.cli.blocks import Json
from mailhaul.core.folder import FolderPath
from mailhaul.engine.outcomes import (
    Carried,
    Event,
    Finished,
    FolderDone,
    FolderLink,
    Listed,
    Mapped,
    Opened,
    Settled,
    Side,
    Tally,
    Waiting,
)

Line = dict[str, Json]


def lines_for(event: Event) -> Iterator[Line]:
    """The lines that tell `event`; `Finished` becomes several, the last of them the summary."""
    match event:
        case Opened():
            yield {
                "event": "opened",
                "side": event.side.value,
                "server": event.server,
                "notices": list(event.notices),
            }
        case Mapped():
            yield {
                "event": "mapped",
                "folders": [_link(link) for link in event.links],
                "idle": event.idle,
                "excluded": [list(path) for path in event.excluded],
                "problems": list(event.problems),
            }
        case Listed():
            yield _amount("listed", event.folder, event.messages, event.octets)
        case Carried():
            yield _amount("carried", event.folder, event.messages, event.octets)
        case Settled():
            yield {
                "event": "settled",
                "folder": list(event.folder),
                "key": event.key,
                "fate": event.fate.value,
                "reason": event.reason,
                "subject": event.subject,
                "saved": None if event.saved is None else str(event.saved),
            }
        case Waiting():
            yield {
                "event": "waiting",
                "side": event.side.value,
                "reason": event.reason,
                "seconds": round(event.seconds, 3),
                "throttled": event.throttled,
            }
        case FolderDone():
            yield {"event": "folder_done", "folder": list(event.folder), "error": event.error}
        case Finished():
            yield from _finished(event)


def note_line(text: str) -> Line:
    """Something worth reading that is no failure."""
    return {"event": "note", "text": text}


def error_line(exit_code: int, text: str) -> Line:
    """Why the command broke off."""
    return {"event": "error", "exit": exit_code, "text": text}


def _finished(event: Finished) -> Iterator[Line]:
    for path, tally in event.folders.items():
        yield {"event": "folder", "folder": list(path), **_tally(tally)}
    for note in event.notes:
        yield note_line(note)
    for text in event.unfinished:
        yield {"event": "unfinished", "text": text}
    yield {
        "event": "summary",
        **_tally(event.tally),
        "seconds": round(event.seconds, 3),
        "round_trips": {side.value: event.round_trips.get(side, 0) for side in Side},
        "wire_writes": event.wire_writes,
    }


def _tally(tally: Tally) -> Line:
    return {
        "census": tally.census,
        "copied": tally.copied,
        "adopted": tally.adopted,
        "flagged": tally.flagged,
        "removed": tally.removed,
        "skipped": tally.skipped,
        "refused": tally.refused,
        "missing": tally.missing,
        "bytes": tally.octets,
    }


def _link(link: FolderLink) -> Line:
    return {
        "source": list(link.source),
        "target": list(link.target),
        "role": None if link.role is None else link.role.value,
        "exists": link.exists,
        "messages": link.count,
        "bytes": link.size,
        "notes": list(link.notes),
    }


def _amount(name: str, folder: FolderPath, messages: int, octets: int) -> Line:
    return {"event": name, "folder": list(folder), "messages": messages, "bytes": octets}
