"""Where each source folder goes: decided whole, before the first byte is written.

Pure: two listings, the target's name rules and the options in; links, notes and problems out. The
same folders in any order give the same map, and so do the same folders once the target holds what
the map made there: a second pass, and a verification that has no ledger, find what the first did.

Every prefix of a source path is a node of a tree; each node gets a place at the target, and what
lies below a node goes below that place (failure-modes E12). In this order: what `known` says, what
`--map` says, the inbox, the role, the path. Nodes that aren't merged by someone's wish never share
a place: the later one gets `~2` (E1, E3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailhaul.core.folder import INBOX_PATH, Folder, FolderPath, NameRules, Role
from mailhaul.core.text import printable
from mailhaul.engine.folder_choice import choose, joined, no_such
from mailhaul.engine.folder_names import (
    canonical,
    cleaned,
    complaints,
    is_inbox,
    is_reserved,
    name_key,
    placed,
    shown,
    tag_mark,
)
from mailhaul.engine.folder_roles import Roles, find_roles, home
from mailhaul.engine.outcomes import FolderLink, Options

NOTHING_KNOWN: Mapping[FolderPath, FolderPath] = {}


@dataclass(frozen=True, slots=True)
class FolderMap:
    """Where everything goes. Sentences are printable.

    `links` are the folders to carry, INBOX first, then by target path, parents before children.
    `excluded` are source folders that hold mail and are not carried. `problems` are wishes that
    can't be met: say them and carry nothing. `notes` are worth reading.
    """

    links: tuple[FolderLink, ...]
    excluded: tuple[FolderPath, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_folders(
    source: Sequence[Folder],
    target: Sequence[Folder],
    rules: NameRules,
    options: Options,
    known: Mapping[FolderPath, FolderPath] = NOTHING_KNOWN,
) -> FolderMap:
    """The folder map from `source` to `target`, under the target's name `rules`.

    `known` is what earlier passes decided (source path to target path); it is honoured before
    anything else, so that a folder that comes later never moves an older one. Folders that hold no
    mail (`\\Noselect`) get a place for what lies below them, but no link. Views (`\\All`,
    `\\Flagged`, `\\Important`) are left out unless a --folder names them to the letter.
    """
    folders = {folder.path: folder for folder in _sorted(source)}
    roles = find_roles(list(folders.values()), target, rules)
    tree = _Tree(folders, _Existing(target, rules), rules, roles)
    problems = _fix(tree, options, known)
    for path in tree.order():
        tree.nodes[path] = _fixed(tree, path) if path in tree.fixed else _natural(tree, path)
    choice = choose(folders, options)
    together = _together(tree, choice.chosen)
    links = [_link(tree, folders[path], together[path]) for path in choice.chosen]
    links.sort(key=lambda link: (link.target != INBOX_PATH, link.target, link.source))
    return FolderMap(tuple(links), choice.excluded, (*problems, *choice.problems), choice.notes)


@dataclass(frozen=True, slots=True)
class _Node:
    """A source path's place: `mail` is where its messages go, `below` its children's parent.
    `realm` is the mapped path it stands under, if any: places differ within a realm only."""

    mail: FolderPath
    below: FolderPath
    realm: FolderPath
    notes: tuple[str, ...] = ()


class _Existing:
    """The target's folders, and parents that its listing only implies; found by exact path, else
    by key."""

    def __init__(self, target: Sequence[Folder], rules: NameRules) -> None:
        self._rules = rules
        self.folders = {
            folder.path[:end]: Folder(folder.path[:end], "", selectable=False)
            for folder in target
            for end in range(1, len(folder.path))
        }
        self.folders |= {folder.path: folder for folder in _sorted(target)}
        self._by_key: dict[FolderPath, FolderPath] = {}
        for path in sorted(self.folders):
            self._by_key.setdefault(name_key(path, rules), path)

    def find(self, place: FolderPath) -> FolderPath | None:
        """The target's own spelling of `place`, when it has that folder."""
        return place if place in self.folders else self._by_key.get(name_key(place, self._rules))


@dataclass(slots=True)
class _Tree:
    folders: Mapping[FolderPath, Folder]
    existing: _Existing
    rules: NameRules
    roles: Roles
    nodes: dict[FolderPath, _Node] = field(default_factory=dict)
    fixed: dict[FolderPath, _Node] = field(default_factory=dict)
    """Places decided from outside, taken before any other is looked for."""
    taken: set[tuple[FolderPath, FolderPath]] = field(default_factory=set)
    """Realm and key of each place."""
    tried: dict[tuple[FolderPath, FolderPath], int] = field(default_factory=dict)
    """For realm and key of a wish, up to which number no place is free."""
    paths: tuple[FolderPath, ...] = ()
    parents: frozenset[FolderPath] = frozenset()

    def __post_init__(self) -> None:
        prefixes = {path[:end] for path in self.folders for end in range(1, len(path) + 1)}
        self.paths = tuple(sorted(prefixes, key=lambda path: (len(path), path)))
        self.parents = frozenset(path[:-1] for path in self.paths)

    def order(self) -> list[FolderPath]:
        """Parents first; names that stay as they are before names that must change."""

        def key(path: FolderPath) -> tuple[int, bool, FolderPath]:
            return len(path), bool(cleaned(path[-1], self.rules, top=len(path) == 1)[1]), path

        return sorted(self.paths, key=key)

    def splits(self, path: FolderPath) -> bool:
        """Whether mail and children of `path` need two folders there (E10)."""
        folder = self.folders.get(path)
        mail = folder is not None and folder.selectable
        return mail and path in self.parents and not self.rules.inferiors_of_mail

    def fix(
        self, path: FolderPath, place: FolderPath, realm: FolderPath, notes: tuple[str, ...]
    ) -> None:
        self.fixed[path] = _Node(place, place, realm, notes)
        self.take(realm, place)

    def take(self, realm: FolderPath, place: FolderPath) -> None:
        self.taken.add((realm, name_key(place, self.rules)))

    def free(self, realm: FolderPath, place: FolderPath) -> bool:
        if (realm, name_key(place, self.rules)) in self.taken:
            return False
        made = self.existing.find(place) is None
        return not (made and len(place) == 1 and is_reserved(place, self.rules))

    def distinct(
        self, realm: FolderPath, parent: FolderPath, name: str, ending: str, origin: FolderPath
    ) -> tuple[FolderPath, int]:
        """The first free place for `name` below `parent`, taken now, and how many were tried."""
        wish = (realm, name_key(placed(parent, name, ending, origin, self.rules), self.rules))
        count = self.tried.get(wish, 0) + 1
        while True:
            tag = ending if count == 1 else f"{ending}{tag_mark(self.rules)}{count}"
            place = placed(parent, name, tag, origin, self.rules)
            place = self.existing.find(place) or place
            if self.free(realm, place):
                self.take(realm, place)
                self.tried[wish] = count
                return place, count
            count += 1


def _sorted(folders: Sequence[Folder]) -> list[Folder]:
    """By path; of two with one path the one that holds mail comes last, and so counts."""
    named = [folder for folder in folders if folder.path]
    return sorted(named, key=lambda folder: (folder.path, folder.selectable, folder.native))


def _fix(tree: _Tree, options: Options, known: Mapping[FolderPath, FolderPath]) -> tuple[str, ...]:
    """Fixes what `known`, --map, the inbox and the roles decide. Returns problems."""
    problems: list[str] = []
    maps = {joined(path): canonical(goal) for path, goal in options.maps.items()}
    used: set[str] = set()
    inbox = _inbox(tree)
    for path in tree.paths:
        name = joined(path)
        goal = maps.get(name)
        if goal is not None:
            used.add(name)
            problems += _map_problems(tree, path, goal, known.get(path))
        if path in known:
            tree.fix(
                path, known[path], path if goal == known[path] else (), _as_before(path, known)
            )
        elif goal is not None:
            tree.fix(path, tree.existing.find(goal) or goal, path, ("by --map",))
        elif path == inbox or (_is_inbox_path(path) and path not in tree.folders):
            tree.fix(path, INBOX_PATH, (), ())
    tree.take((), INBOX_PATH)
    _fix_roles(tree, maps)
    names = {joined(path) for path in tree.paths}
    problems += [
        no_such(f"--map {printable(name)}=…", name, names) for name in maps if name not in used
    ]
    return tuple(problems)


def _fix_roles(tree: _Tree, maps: Mapping[str, FolderPath]) -> None:
    for path, place in sorted(tree.roles.places.items()):
        mapped = any(joined(path[:end]) in maps for end in range(1, len(path) + 1))
        if path not in tree.fixed and not mapped and tree.free((), place):
            tree.fix(path, place, (), (f"by its role: {tree.roles.holders[path]}",))


def _inbox(tree: _Tree) -> FolderPath | None:
    """The source path that is the inbox: INBOX, else another spelling, else who has the role."""
    spelled = [path for path in tree.folders if _is_inbox_path(path)]
    by_role = [
        path
        for path, folder in tree.folders.items()
        if folder.role is Role.INBOX and len(path) == 1
    ]
    return next(iter((*(path for path in spelled if path == INBOX_PATH), *spelled, *by_role)), None)


def _is_inbox_path(path: FolderPath) -> bool:
    return len(path) == 1 and is_inbox(path[0])


def _map_problems(
    tree: _Tree, path: FolderPath, goal: FolderPath, known: FolderPath | None
) -> list[str]:
    option = f"--map {printable(joined(path))}={printable('/'.join(goal))}"
    if not goal:
        return [f"--map {printable(joined(path))}=: names no target folder; write one behind the ="]
    if known is not None and known != goal:
        return [
            f"{option}: earlier passes have carried this folder to {shown(known)}; keep to that, "
            "or start anew with another --state and an empty target"
        ]
    if tree.existing.find(goal) is None and (reasons := complaints(goal, tree.rules)):
        return [f"{option}: the target can't have that folder: {'; '.join(reasons)}"]
    return []


def _as_before(path: FolderPath, known: Mapping[FolderPath, FolderPath]) -> tuple[str, ...]:
    return () if known[path] == canonical(path) else ("as in earlier passes",)


def _fixed(tree: _Tree, path: FolderPath) -> _Node:
    node = tree.fixed[path]
    return _parted(tree, path, node) if tree.splits(path) else node


def _parted(tree: _Tree, path: FolderPath, node: _Node) -> _Node:
    """A target that keeps mail and folders apart: mail has the name, and what lies below goes to
    a folder beside it. That way round no role and no older folder moves when a child comes."""
    name, _ = cleaned(node.mail[-1], tree.rules, top=len(node.mail) == 1)
    ending = f"{tag_mark(tree.rules)}folders"
    below, _ = tree.distinct(node.realm, node.mail[:-1], name, ending, path)
    note = f"no folders below mail there: what lies below goes below {shown(below)}"
    return _Node(node.mail, below, node.realm, (*node.notes, note))


def _natural(tree: _Tree, path: FolderPath) -> _Node:
    """By its path: its own name below wherever its parent went."""
    rules = tree.rules
    realm: FolderPath = ()
    parent: FolderPath = ()
    notes: tuple[str, ...] = ()
    if path in tree.roles.holders and home(path) != path and path[:-1] not in tree.fixed:
        notes = (f"{shown(path[:-1])} is left out",)
    elif len(path) > 1:
        above = tree.nodes[path[:-1]]
        realm, parent = above.realm, above.below
    same = tree.existing.find((*parent, path[-1]))
    if same is not None and tree.free(realm, same):
        tree.take(realm, same)
        place = same
        if same[-1] != path[-1]:
            notes += (f"written as the target has it: {shown(same)}",)
    else:
        name, changes = cleaned(path[-1], rules, top=not parent)
        place, tries = tree.distinct(realm, parent, name, "", path)
        notes += changes + _place_notes(tree, (*parent, name), place, tries)
    node = _Node(place, place, realm, notes)
    return _parted(tree, path, node) if tree.splits(path) else node


def _place_notes(tree: _Tree, wish: FolderPath, place: FolderPath, tries: int) -> tuple[str, ...]:
    notes = []
    if len(place) < len(wish):
        notes.append("moved up, as the target takes no path so deep or long")
    if (
        not place[-1].startswith(wish[-1])
        and len(place) == len(wish)
        and not tree.existing.find(place)
    ):
        notes.append("cut, as the target takes no name so long")
    if tries > 1:
        reserved = len(wish) == 1 and is_reserved(wish, tree.rules)
        why = "is reserved there" if reserved else "is another folder's name there"
        notes.append(f"“{printable(wish[-1], 80)}” {why}")
    return tuple(notes)


def _together(
    tree: _Tree, chosen: Sequence[FolderPath]
) -> Mapping[FolderPath, tuple[FolderPath, ...]]:
    """For each folder the others that share its place."""
    places: dict[FolderPath, list[FolderPath]] = {}
    for path in chosen:
        places.setdefault(name_key(tree.nodes[path].mail, tree.rules), []).append(path)
    return {
        path: tuple(other for other in sharing if other != path)
        for sharing in places.values()
        for path in sharing
    }


def _link(tree: _Tree, folder: Folder, others: tuple[FolderPath, ...]) -> FolderLink:
    node = tree.nodes[folder.path]
    there = tree.existing.folders.get(node.mail)
    shared = tuple(f"together with {shown(other)}" for other in others)
    return FolderLink(
        source=folder.path,
        target=node.mail,
        role=_role(tree, folder, node.mail),
        exists=there is not None and there.selectable,
        count=folder.count,
        size=folder.size,
        notes=node.notes + shared,
    )


def _role(tree: _Tree, folder: Folder, place: FolderPath) -> Role | None:
    """The role to declare at `place`: never one that the target has elsewhere."""
    if place == INBOX_PATH:
        return Role.INBOX
    role = tree.roles.holders.get(folder.path)
    return role if role is not None and tree.roles.targets.get(role, place) == place else None
