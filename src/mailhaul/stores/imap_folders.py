"""A server's folders out of LIST, LSUB and STATUS answers.

`Folder.native` is the wire's own name. `Folder.path` has the personal namespace's prefix taken off,
is cut at the delimiter and decoded; names that are no modified UTF-7 show in an escaped form that
can be turned back (failure-modes E4). Other people's and shared folders are left out (E14).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mailhaul.core.errors import Closed, ClosedReason
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role, State
from mailhaul.core.text import printable
from mailhaul.imap import mailbox_names
from mailhaul.imap.commands import Returning, StatusAttribute
from mailhaul.imap.quirks import QuirkName
from mailhaul.imap.responses import Event, Untagged
from mailhaul.imap.special_use import role_of
from mailhaul.imap.syntax import ProtocolFault, Value, number, text

_UNSELECTABLE = frozenset({b"\\NOSELECT", b"\\NONEXISTENT"})


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Where the personal folders are (RFC 2342). `foreign`: others' and shared prefixes."""

    prefix: str = ""
    delimiter: str | None = None
    foreign: tuple[str, ...] = ()


@dataclass(slots=True)
class Listed:
    """What LIST said of one folder, in the wire's words."""

    native: str
    delimiter: str | None
    attributes: frozenset[bytes]


@dataclass(slots=True)
class Survey:
    """The raw answers that folders are made of."""

    listed: dict[str, Listed] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)
    status: dict[str, dict[str, int]] = field(default_factory=dict)

    def take(self, events: Iterable[Event]) -> None:
        """Adds what LIST, XLIST, LSUB and STATUS responses among `events` say. Raises `Closed` for
        a listing that can't be read: a folder must not be left out unseen."""
        for event in events:
            if not isinstance(event, Untagged):
                continue
            if event.name in (b"LIST", b"XLIST"):
                self._list(_listing(event))
            elif event.name == b"LSUB":
                self._lsub(event.values_if_any())
            elif event.name == b"STATUS":
                self._status(event.values_if_any())

    def _list(self, values: list[Value]) -> None:
        listed = _listed(values)
        if listed is None:
            return
        if b"\\SUBSCRIBED" in listed.attributes:
            self.subscribed.add(listed.native)
        self.listed[listed.native] = listed

    def _lsub(self, values: list[Value]) -> None:
        listed = _listed(values)
        # \Noselect in LSUB: it isn't subscribed itself, something below it is (RFC 3501 6.3.9).
        if listed is not None and b"\\NOSELECT" not in listed.attributes:
            self.subscribed.add(listed.native)

    def _status(self, values: list[Value]) -> None:
        if len(values) < 2 or not isinstance(values[-1], list):
            return
        native = text(values[0])
        if native is None:
            return
        pairs = values[-1]
        facts = self.status.setdefault(native, {})
        for name, value in zip(pairs[::2], pairs[1::2], strict=False):
            known = number(value)
            if isinstance(name, bytes) and known is not None:
                facts[name.decode("latin-1").upper()] = known


def status_attributes(extensions: frozenset[str]) -> list[StatusAttribute]:
    """What to ask of each folder, as far as the server knows it."""
    wanted = [StatusAttribute.MESSAGES, StatusAttribute.UIDNEXT, StatusAttribute.UIDVALIDITY]
    if extensions & {"CONDSTORE", "QRESYNC"}:
        wanted.append(StatusAttribute.HIGHESTMODSEQ)
    if "STATUS=SIZE" in extensions:
        wanted.append(StatusAttribute.SIZE)
    if "APPENDLIMIT" in extensions:  # without a number: folders differ (RFC 7889 3.2)
        wanted.append(StatusAttribute.APPENDLIMIT)
    return wanted


def returning(extensions: frozenset[str]) -> list[Returning]:
    """LIST return options, where LIST-EXTENDED is there."""
    options = [Returning.SUBSCRIBED]
    if "SPECIAL-USE" in extensions:
        options.append(Returning.SPECIAL_USE)
    return options


def namespaces(values: list[Value] | None) -> Namespaces | None:
    """What a NAMESPACE response says; None when it names no personal namespace."""
    if not values or not isinstance(values[0], list) or not values[0]:
        return None
    first = values[0][0]
    if not isinstance(first, list) or not first:
        return None
    # With several personal namespaces the one that holds the inbox's siblings comes first.
    prefix = text(first[0]) or ""
    delimiter = text(first[1]) if len(first) > 1 else None
    foreign = []
    for group in values[1:3]:
        for entry in group if isinstance(group, list) else ():
            name = text(entry[0]) if isinstance(entry, list) and entry else None
            if name is not None:
                foreign.append(name)
    return Namespaces(prefix, delimiter, tuple(foreign))


def folders(survey: Survey, spaces: Namespaces) -> list[Folder]:
    """The personal folders, INBOX first, parents before children."""
    found: dict[FolderPath, Folder] = {}
    for listed in survey.listed.values():
        if _is_foreign(listed.native, spaces):
            continue
        path = path_of(listed.native, listed.delimiter or spaces.delimiter, spaces.prefix)
        if not path:
            continue
        if path in found:
            # `Sent` beside `INBOX.Sent`: never drop one of them.
            path = path_of(listed.native, listed.delimiter or spaces.delimiter, "")
        folder = Folder(
            path,
            listed.native,
            role=Role.INBOX if path == INBOX_PATH else role_of(_names(listed.attributes)),
            selectable=not listed.attributes & _UNSELECTABLE,
            subscribed=listed.native in survey.subscribed,
        )
        found[path] = with_status(folder, _status_of(survey, listed.native))
    return sorted(found.values(), key=lambda folder: (folder.path[:1] != INBOX_PATH, folder.path))


def with_status(folder: Folder, facts: dict[str, int]) -> Folder:
    """`folder` with count, size, state and tail from a STATUS answer."""
    if not folder.selectable or not facts:
        return folder
    uidvalidity, uidnext = facts.get("UIDVALIDITY"), facts.get("UIDNEXT")
    count, modseq = facts.get("MESSAGES"), facts.get("HIGHESTMODSEQ")
    state = tail = None
    if uidvalidity is not None and uidnext:
        tail = Cursor(f"{uidvalidity}:{uidnext}")
        if modseq and count is not None:
            state = State(f"{uidvalidity}:{uidnext}:{modseq}:{count}")
    return Folder(
        folder.path,
        folder.native,
        folder.role,
        folder.selectable,
        folder.subscribed,
        count,
        facts.get("SIZE"),
        state,
        tail,
    )


def path_of(native: str, delimiter: str | None, prefix: str) -> FolderPath:
    """Where `native` lies; empty for the namespace's own root."""
    if native.upper() == "INBOX":
        return INBOX_PATH
    rest = native
    if prefix and native.startswith(prefix):
        rest = native[len(prefix) :]
    elif prefix and prefix[:6].upper() == "INBOX" + (delimiter or ""):
        # Courier lists `inbox.sent` when asked so.
        rest = native[len(prefix) :] if native[: len(prefix)].upper() == prefix.upper() else native
    parts = rest.split(delimiter) if delimiter else [rest]
    # A trailing delimiter marks a folder that holds folders only (mbox format).
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    path = tuple(mailbox_names.shown(part) for part in parts)
    if path == ("",):
        return ()
    if len(path) > 1 and path[0].isascii() and path[0].upper() == "INBOX":
        return ("INBOX", *path[1:])
    return path


def native_of(path: FolderPath, spaces: Namespaces) -> str:
    """The wire's name for a folder to be made at `path`: never a broken one, be it the shown form
    of one at the source (E4)."""
    if path == INBOX_PATH:
        return "INBOX"
    parts = [mailbox_names.encode(part) for part in path]
    return spaces.prefix + (spaces.delimiter or "/").join(parts)


def odd_names(survey: Survey) -> Counter[QuirkName]:
    """What is wrong with the names that were listed."""
    met: Counter[QuirkName] = Counter()
    for listed in survey.listed.values():
        if mailbox_names.is_raw_utf8(listed.native):
            met[QuirkName.UTF8_NAME] += 1
        elif mailbox_names.decode(listed.native) is None:
            met[QuirkName.BROKEN_NAME] += 1
        if listed.delimiter is None and listed.native.upper() != "INBOX":
            met[QuirkName.NIL_DELIMITER] += 1
    met[QuirkName.ZERO_UIDVALIDITY] += sum(
        facts.get("UIDVALIDITY") == 0 for facts in survey.status.values()
    )
    return met


def _listing(event: Untagged) -> list[Value]:
    try:
        return event.values()
    except ProtocolFault as error:
        first = event.fragments[0]
        words = printable(first, 200) if isinstance(first, bytes) else ""
        raise Closed(
            f"the server lists a folder as “{words}”, which can't be read; have its name changed",
            ClosedReason.PROTOCOL,
        ) from error


def _listed(values: list[Value]) -> Listed | None:
    if len(values) < 3 or not isinstance(values[0], list):
        return None
    # A name that is the atom NIL is a folder called NIL (E13).
    native = "NIL" if values[2] is None else text(values[2])
    if native is None:
        return None
    attributes = frozenset(value.upper() for value in values[0] if isinstance(value, bytes))
    return Listed(native, text(values[1]) or None, attributes)


def _names(attributes: frozenset[bytes]) -> frozenset[str]:
    return frozenset(attribute.decode("latin-1") for attribute in attributes)


def _is_foreign(native: str, spaces: Namespaces) -> bool:
    if native.upper() == "INBOX":
        return False
    for prefix in spaces.foreign:
        if prefix:
            if native == prefix.removesuffix(spaces.delimiter or "/") or native.startswith(prefix):
                return True
        elif spaces.prefix and not native.startswith(spaces.prefix):
            # Cyrus: personal `INBOX.`, and everything else at the top is shared.
            return True
    return False


def _status_of(survey: Survey, native: str) -> dict[str, int]:
    facts = survey.status.get(native)
    if facts is None and native.upper() == "INBOX":
        facts = next((f for n, f in survey.status.items() if n.upper() == "INBOX"), None)
    return facts or {}
