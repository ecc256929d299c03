"""What is to be carried: the options that `copy` and `verify` share, made into engine options."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.core.errors import BadInput
from mailhaul.core.folder import FolderPath
from mailhaul.core.folder_text import folder_path, split_at
from mailhaul.core.text import printable

SELECTION = Group(
    "what is carried",
    (
        Option(
            "--folder",
            "only folders whose path matches, like 'Projects/*'; * matches / too; may be repeated",
            "GLOB",
            repeated=True,
        ),
        Option("--exclude", "no folder whose path matches; may be repeated", "GLOB", repeated=True),
        Option(
            "--map",
            "carry the folder FROM into the folder TO, and what lies below it along; may be "
            "repeated; paths are joined by /, a / or = in a name is written \\/ or \\=",
            "FROM=TO",
            repeated=True,
        ),
        Option(
            "--since",
            "only messages received since: 2024-01-31, 2024-01-31T08:00+01:00, or 90d (days ago)",
            "DATE",
        ),
    ),
)

_DAYS = re.compile(r"([0-9]{1,6})d")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SINCE_CURE = "write 2024-01-31, 2024-01-31T08:00+01:00, or 90d for the last 90 days"


def globs_given(arguments: Arguments, option: str) -> tuple[str, ...]:
    """The globs of `option`. Raises `BadInput` for an empty one, which would match nothing."""
    globs = arguments.texts(option)
    if not all(globs):
        raise BadInput(f"{option} is empty; name folders, like {option} 'Projects/*'")
    return globs


def since_given(arguments: Arguments, now: datetime) -> datetime | None:
    """The moment of `--since`, aware. A day begins at midnight here. Raises `BadInput`."""
    text = arguments.text("--since")
    return None if text is None else moment(text, now)


def moment(text: str, now: datetime) -> datetime:
    """The moment that `text` writes, seen from `now` (aware). Raises `BadInput`."""
    shown = f"--since {printable(text, 60)}"
    try:
        if days := _DAYS.fullmatch(text):
            found = now - timedelta(days=int(days[1]))
        elif _DAY.fullmatch(text):
            found = datetime.fromisoformat(text).astimezone()
        else:
            found = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{shown} is no date; {_SINCE_CURE}") from error
    if found.tzinfo is None:
        raise BadInput(f"{shown} names no time zone; add one, like {printable(text, 60)}+01:00")
    if found > now:
        raise BadInput(f"{shown} lies in the future, so nothing would be carried; {_SINCE_CURE}")
    return found


def maps_given(arguments: Arguments) -> dict[FolderPath, FolderPath]:
    """The folder map of `--map`. Raises `BadInput`, also when one folder is sent to two places."""
    return folder_map(arguments.texts("--map"))


def folder_map(texts: Sequence[str]) -> dict[FolderPath, FolderPath]:
    """What `FROM=TO` texts say. Raises `BadInput`."""
    maps: dict[FolderPath, FolderPath] = {}
    for text in texts:
        shown = f"--map {printable(text, 120)}"
        sides = split_at(text, "=")
        if len(sides) != 2:
            raise BadInput(
                f"{shown}: it takes one =, like --map Sent=Archive/Sent; write \\= for one that "
                "belongs to a name"
            )
        source, target = (folder_path(side) for side in sides)
        if not all(source) or not all(target):
            raise BadInput(f"{shown}: a folder has no name; write it like --map Sent=Archive/Sent")
        if source in maps and maps[source] != target:
            raise BadInput(f"{shown}: this folder is already sent elsewhere; choose one of the two")
        maps[source] = target
    return maps
