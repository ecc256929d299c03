"""Folder names under a target's rules: which are the same, which are legal, how one is made legal.

Pure functions over `NameRules` (failure-modes E1–E10, E17). A name is changed only where it must
be, always in the same way, and whoever changes it says so in a note. Characters that can't stand
are written as `_`: an escape that can be undone would leave `=2F` for people to read, and the
note and the ledger keep the old name anyway.
"""

import base64
import hashlib
import unicodedata

from mailhaul.core.folder import FolderPath, NameRules
from mailhaul.core.text import printable

INBOX = "INBOX"
ROOM = 24
"""Octets a name should at least have: with less left below its parent, a folder moves up."""
HASH_LENGTH = 6


def shown(path: FolderPath) -> str:
    """`path` for a person, in quotes."""
    return f"“{printable('/'.join(path), 200)}”"


def is_inbox(component: str) -> bool:
    """Whether a top component means the inbox: ASCII case aside (RFC 3501 5.1, E2)."""
    return len(component) == 5 and component.isascii() and component.upper() == INBOX


def canonical(path: FolderPath) -> FolderPath:
    """`path` with the inbox in capitals."""
    return (INBOX, *path[1:]) if path and is_inbox(path[0]) else path


def name_key(path: FolderPath, rules: NameRules) -> FolderPath:
    """Two paths with equal keys are one folder at the target, or would look alike there: Unicode
    composition never tells two apart (E3), case only where the target tells cases apart (E1)."""
    keys = tuple(_component_key(component, rules) for component in path)
    return (INBOX, *keys[1:]) if keys and is_inbox(keys[0]) else keys


def octets(text: str, rules: NameRules) -> int:
    """How long `text` is on the target, in octets: modified UTF-7 (RFC 3501 5.1.3) or UTF-8."""
    if text.isascii() and text.isprintable():
        return len(text) + (text.count("&") if rules.encodes_utf7 else 0)
    if not rules.encodes_utf7:
        return len(text.encode("utf-8", "surrogatepass"))
    total = 0
    run: list[str] = []
    for character in text:
        if " " <= character <= "~":
            total += _encoded_run(run) + (2 if character == "&" else 1)
            run = []
        else:
            run.append(character)
    return total + _encoded_run(run)


def path_octets(path: FolderPath, rules: NameRules) -> int:
    """How long the name of `path` is on the target, in octets, delimiters included."""
    return sum(octets(part, rules) for part in path) + max(len(path) - 1, 0)


def cleaned(component: str, rules: NameRules, *, top: bool = False) -> tuple[str, tuple[str, ...]]:
    """`component` without what can't stand in a name there (`top`: as the first of a path), and
    notes that say what was changed.

    Control characters and broken surrogates never can, nor a name of nothing but dots (E17).
    """
    notes: list[str] = []
    filler = _filler(rules)
    forbidden = rules.forbidden | ({rules.delimiter} if rules.delimiter else set())
    found = sorted({character for character in set(component) if _stands_not(character, forbidden)})
    text = component
    if found:
        text = "".join(filler if character in found else character for character in component)
        listed = " ".join(f"“{printable(character)}”" for character in found[:8])
        notes.append(f"{listed} can't stand in a name there: written as “{filler}”")
    if text and not text.strip("."):
        text = filler * len(text)
        notes.append(f"a name of dots alone is written as “{filler}”")
    if rules.trims_blanks and text != (trimmed := " ".join(text.split())):
        text = trimmed
        notes.append("blanks at the ends and doubled ones are left out")
    if top and text[:1] in rules.begins_not:
        notes.append(f"a name there can't begin with “{text[0]}”: written as “{filler}”")
        text = filler + text[1:]
    if not text:
        text = filler
        notes.append(f"an empty name is written as “{filler}”")
    return text, tuple(notes)


def placed(
    parent: FolderPath, name: str, tag: str, origin: FolderPath, rules: NameRules
) -> FolderPath:
    """`name` with `tag` behind it below `parent`, cut or moved up so that depth and lengths are
    kept (E8). `origin` is the source path: its hash stands behind a cut name, so that the result
    depends on nothing else. `name` is clean already; `tag` is ASCII."""
    filler = _filler(rules)
    while parent and rules.deepest is not None and len(parent) >= rules.deepest:
        parent, name = parent[:-1], f"{cleaned(parent[-1], rules)[0]}{filler}{name}"
    while True:
        room = _room(parent, rules)
        if room is None or octets(name + tag, rules) <= room:
            return (*parent, name + tag)
        if room >= ROOM or not parent:
            return (*parent, _cut(name, tag, origin, room, rules))
        parent, name = parent[:-1], f"{cleaned(parent[-1], rules)[0]}{filler}{name}"


def tag_mark(rules: NameRules) -> str:
    """What stands between a name and what is put behind it: `~`, or the next best."""
    return next((mark for mark in "~-_.+" if not _stands_not(mark, rules.forbidden)), "x")


def complaints(path: FolderPath, rules: NameRules) -> tuple[str, ...]:
    """Why a folder of this path can't be made at the target; nothing when it can."""
    found: list[str] = []
    for depth, component in enumerate(path):
        found.extend(cleaned(component, rules, top=not depth)[1])
        if rules.longest_component is not None and octets(component, rules) > (
            rules.longest_component
        ):
            found.append(f"a name there is at most {rules.longest_component} octets long")
    if rules.longest_path is not None and path_octets(path, rules) > rules.longest_path:
        found.append(f"a path there is at most {rules.longest_path} octets long")
    if rules.deepest is not None and len(path) > rules.deepest:
        found.append(f"folders lie at most {rules.deepest} deep there")
    if is_reserved(path, rules):
        found.append("the name is reserved there")
    return tuple(found)


def is_reserved(path: FolderPath, rules: NameRules) -> bool:
    """Whether the target keeps the top name for itself (E7), whatever its case."""
    return bool(path) and path[0].casefold() in {name.casefold() for name in rules.reserved}


def _component_key(component: str, rules: NameRules) -> str:
    text = unicodedata.normalize("NFC", component)
    if rules.folds_case:
        text = unicodedata.normalize("NFC", text.casefold())
    return " ".join(text.split()) if rules.trims_blanks else text


def _encoded_run(run: list[str]) -> int:
    if not run:
        return 0
    coded = base64.b64encode("".join(run).encode("utf-16-be", "surrogatepass"))
    return len(coded.rstrip(b"=")) + 2


def _stands_not(character: str, forbidden: frozenset[str] | set[str]) -> bool:
    return character in forbidden or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _filler(rules: NameRules) -> str:
    taken = rules.forbidden | rules.begins_not | ({rules.delimiter} if rules.delimiter else set())
    return next((mark for mark in "_-+~=" if mark not in taken), "x")


def _room(parent: FolderPath, rules: NameRules) -> int | None:
    limits = [] if rules.longest_component is None else [rules.longest_component]
    if rules.longest_path is not None:
        before = path_octets(parent, rules) + 1 if parent else 0
        limits.append(max(rules.longest_path - before, 0))
    return min(limits, default=None)


def _cut(name: str, tag: str, origin: FolderPath, room: int, rules: NameRules) -> str:
    digest = hashlib.sha256("\0".join(origin).encode("utf-8", "surrogatepass"))
    ending = f"{tag_mark(rules)}{_letters(digest.digest())}{tag}"
    kept = name[:room]
    while kept and octets(kept + ending, rules) > room:
        kept = kept[:-1]
    if rules.trims_blanks:
        kept = kept.rstrip()
    return kept + ending


def _letters(digest: bytes) -> str:
    return base64.b32encode(digest).decode("ascii").lower()[:HASH_LENGTH]
