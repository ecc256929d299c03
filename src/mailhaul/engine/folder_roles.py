"""Which folder has which role, and to which of the target's folders a role leads.

What the server declares (SPECIAL-USE, XLIST) comes before names; names count only where the server
declares that role for no folder, and only at the top or directly below INBOX or `[Gmail]` (E12).
One folder a side has a role; the others that could keep their path.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailhaul.core.folder import Folder, FolderPath, NameRules, Role
from mailhaul.engine.folder_names import cleaned, is_inbox, name_key
from mailhaul.engine.role_names import role_by_name

CARRIED_ROLES = (Role.SENT, Role.DRAFTS, Role.TRASH, Role.JUNK, Role.ARCHIVE)
GMAIL_TOPS = frozenset({"[Gmail]", "[Google Mail]"})

_Key = Callable[[FolderPath], FolderPath]


@dataclass(frozen=True, slots=True)
class Roles:
    """`holders` is each role's source folder, `targets` where the target has that role (best
    first). `places` is where a source folder goes by its role; without one it goes by its path."""

    holders: Mapping[FolderPath, Role]
    targets: Mapping[Role, FolderPath]
    places: Mapping[FolderPath, FolderPath]


def find_roles(source: Sequence[Folder], target: Sequence[Folder], rules: NameRules) -> Roles:
    """The roles of both sides and what follows from them.

    A folder stays with its own path where that keeps a map as it was when the target was still
    empty: when the target has that folder and the role there is only guessed from a name, or is
    declared for a path that another source folder brings along.
    """

    def own(path: FolderPath) -> FolderPath:
        return tuple(
            cleaned(part, rules, top=not depth)[0] for depth, part in enumerate(home(path))
        )

    def key(path: FolderPath) -> FolderPath:
        return name_key(own(path), rules)

    exactly_there = {folder.path for folder in target if folder.selectable}
    there = {name_key(folder.path, rules) for folder in target if folder.selectable}
    brought = {folder.path: (key(folder.path), folder.role) for folder in source}
    holders: dict[FolderPath, Role] = {}
    targets: dict[Role, FolderPath] = {}
    places: dict[FolderPath, FolderPath] = {}
    for role in CARRIED_ROLES:
        goals, declared = _candidates(target, role)
        alike = {name_key(goal, rules) for goal in goals}
        origins = _candidates(source, role)[0]
        origin = next((path for path in origins if key(path) in alike), next(iter(origins), None))
        if goals:
            targets[role] = goals[0]
        if origin is None:
            continue
        holders[origin] = role
        if not goals or key(origin) in alike:
            continue
        goal = name_key(goals[0], rules)
        twin = any(each == key(origin) for path, (each, _) in brought.items() if path != origin)
        stays = own(origin) in exactly_there or (key(origin) in there and not twin)
        others = any(
            each == goal and not (declared and its_role in CARRIED_ROLES and its_role is not role)
            for path, (each, its_role) in brought.items()
            if path != origin
        )
        if not ((stays and others) if declared else (stays or others)):
            places[origin] = goals[0]
    return Roles(holders, targets, places)


def home(path: FolderPath) -> FolderPath:
    """Where a folder with a role lies by its own name: Gmail's `[Gmail]` is left out."""
    return path[1:] if len(path) == 2 and path[0] in GMAIL_TOPS else path


def _candidates(folders: Iterable[Folder], role: Role) -> tuple[list[FolderPath], bool]:
    """Folders that could have `role`, best first, and whether the server declares it."""
    able = [folder for folder in folders if folder.selectable and folder.path]
    declared = {folder.path for folder in able if folder.role is role}
    if declared:
        return sorted(declared, key=lambda path: (len(home(path)), _rank(path, role), path)), True
    named = {folder.path for folder in able if folder.role is None and _named(folder.path, role)}
    return sorted(named, key=lambda path: (len(home(path)), _rank(path, role), path)), False


def _named(path: FolderPath, role: Role) -> bool:
    if not (len(path) == 1 or (len(path) == 2 and (is_inbox(path[0]) or path[0] in GMAIL_TOPS))):
        return False
    found = role_by_name(path[-1])
    return found is not None and found[0] is role


def _rank(path: FolderPath, role: Role) -> int:
    found = role_by_name(path[-1])
    return found[1] if found is not None and found[0] is role else 1_000_000
