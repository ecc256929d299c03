"""What a server tells about itself and the mailbox: name, namespace, quota, keywords, limits.

Each answer is one that mailhaul can do without: what can't be read counts as not told.
"""

from collections.abc import Sequence

from mailhaul.core.store import Quota
from mailhaul.core.text import printable
from mailhaul.imap.lane import Facts
from mailhaul.imap.responses import Event, Untagged
from mailhaul.imap.syntax import Value, number
from mailhaul.stores.imap_folders import Namespaces, namespaces


def words_of(events: Sequence[Event]) -> str:
    """Name and version out of an ID response, printable; empty when it tells none."""
    words: list[bytes] = []
    for event in events:
        if isinstance(event, Untagged) and event.name == b"ID":
            pairs = next((v for v in event.values_if_any() if isinstance(v, list)), [])
            told = {
                name.lower(): value
                for name, value in zip(pairs[::2], pairs[1::2], strict=False)
                if isinstance(name, bytes) and isinstance(value, bytes)
            }
            words = [told[name] for name in (b"name", b"version") if told.get(name)]
    return printable(b" ".join(words), 120)


def space_of(events: Sequence[Event]) -> Namespaces | None:
    """Where personal folders are, by NAMESPACE or else by LIST "" ""; None when neither tells."""
    found = None
    for event in events:
        if not isinstance(event, Untagged):
            continue
        values = event.values_if_any()
        if event.name == b"NAMESPACE":
            found = namespaces(values) or found
        elif event.name == b"LIST" and len(values) > 1 and isinstance(values[1], bytes):
            found = found or Namespaces("", values[1].decode("latin-1"))
    return found


def keeps_keywords(facts: Facts) -> bool:
    """Whether new keywords may be made in a folder that was opened for writing; a server that
    says nothing about it (RFC 9051 7.1, PERMANENTFLAGS) keeps all."""
    return not facts.permanent_flags or b"\\*" in facts.permanent_flags.split()


def quota_of(events: Sequence[Event]) -> Quota | None:
    """STORAGE and MESSAGE of the tightest quota root (RFC 9208 5); STORAGE counts units of 1024."""
    used: dict[bytes, int] = {}
    limit: dict[bytes, int] = {}
    for event in events:
        if not isinstance(event, Untagged) or event.name != b"QUOTA":
            continue
        values: list[Value] = event.values_if_any()
        resources = values[-1] if values and isinstance(values[-1], list) else []
        for index in range(0, len(resources) - 2, 3):
            name, now, most = resources[index : index + 3]
            have, may = number(now), number(most)
            if isinstance(name, bytes) and have is not None and may is not None:
                name = name.upper()
                if name not in limit or may - have < limit[name] - used[name]:
                    used[name], limit[name] = have, may
    if not limit:
        return None

    def scaled(known: dict[bytes, int]) -> int | None:
        storage = known.get(b"STORAGE")
        return None if storage is None else storage * 1024

    return Quota(scaled(used), scaled(limit), used.get(b"MESSAGE"), limit.get(b"MESSAGE"))


def append_limit_of(extensions: frozenset[str]) -> int | None:
    """APPENDLIMIT=n of the capabilities (RFC 7889)."""
    for name in extensions:
        if name.startswith("APPENDLIMIT=") and name[12:].isdigit():
            return int(name[12:22]) or None
    return None
