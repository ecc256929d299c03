"""Which source folders are carried: --folder, --exclude, and views that show others' mail.

Globs stand over paths joined by `/`; `*` is any run of characters and crosses `/`, `?` is one
character, all else is itself: `[Gmail]/Sent Mail` needs no escape.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mailhaul.core.folder import Folder, FolderPath, Role
from mailhaul.core.text import printable
from mailhaul.engine.folder_names import canonical, is_inbox, shown
from mailhaul.engine.outcomes import Options

VIEWS = frozenset({Role.ALL, Role.FLAGGED, Role.IMPORTANT})
"""Roles of folders that show mail which lies elsewhere (RFC 6154, RFC 8457; C17)."""


@dataclass(frozen=True, slots=True)
class Choice:
    chosen: tuple[FolderPath, ...]
    excluded: tuple[FolderPath, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def choose(folders: Mapping[FolderPath, Folder], options: Options) -> Choice:
    """The folders that hold mail and are asked for, the others, and what there is to say."""
    names = {path: joined(path) for path, folder in folders.items() if folder.selectable}
    wanted = _matching(options.folders, names) if options.folders else set(names)
    unwanted = _matching(options.exclude, names)
    literal = {_in_capitals(pattern) for pattern in options.folders}
    views = {
        path
        for path in wanted - unwanted
        if folders[path].role in VIEWS and names[path] not in literal
    }
    chosen = sorted(wanted - unwanted - views)
    problems = [
        no_such(f"--folder {printable(pattern)}", pattern, names.values())
        for pattern in options.folders
        if not _matching((pattern,), names)
    ]
    notes = [
        f"--exclude {printable(pattern)} matches no folder"
        for pattern in options.exclude
        if not _matching((pattern,), names)
    ]
    notes += [_view_note(path, folders[path].role) for path in sorted(views)]
    excluded = sorted(set(names) - set(chosen))
    return Choice(tuple(chosen), tuple(excluded), tuple(problems), tuple(notes))


def joined(path: FolderPath) -> str:
    """`path` as people write it in options."""
    return "/".join(canonical(path))


def no_such(option: str, name: str, names: Collection[str]) -> str:
    """A sentence: `option` names a folder that isn't there; the nearest that are."""
    import difflib  # noqa: PLC0415 - only for who mistyped; starting up is measured

    near = difflib.get_close_matches(name.casefold(), [each.casefold() for each in names], 3, 0.5)
    listed = [each for each in sorted(names) if each.casefold() in near]
    if not listed:
        listed = sorted(names)[:5]
        lead = "among those it has are" if len(names) > 5 else "it has"
    else:
        lead = "near to it is" if len(listed) == 1 else "near to it are"
    if not listed:
        return f"{option}: the source has no folder at all"
    return f"{option}: the source has no such folder; {lead} " + ", ".join(
        shown((each,)) for each in listed[:5]
    )


def _matching(patterns: Iterable[str], names: Mapping[FolderPath, str]) -> set[FolderPath]:
    tests = [_glob(pattern) for pattern in patterns]
    return {path for path, name in names.items() if any(test.fullmatch(name) for test in tests)}


def _glob(pattern: str) -> re.Pattern[str]:
    runs = re.split(r"(\*+|\?)", _in_capitals(pattern))
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(run[:1]) or re.escape(run) for run in runs), re.DOTALL)


def _in_capitals(pattern: str) -> str:
    top, slash, rest = pattern.partition("/")
    return f"INBOX{slash}{rest}" if is_inbox(top) else pattern


def _view_note(path: FolderPath, role: Role | None) -> str:
    if role is Role.ALL:
        return (
            f"{shown(path)} shows all mail and is left out, as its messages lie in other folders "
            "too; messages that lie in no other (archived ones) are carried with "
            f"--folder '{printable(joined(path))}'"
        )
    return f"{shown(path)} only shows mail that lies in other folders and is left out"
