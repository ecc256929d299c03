"""Our copies of messages that were deleted at the source while they were on their way.

A run is cut off: the target has a message, the ledger has no row, and before the next run looks the
message is gone from the source. Nobody asks for it any more, and its copy would stay a stranger.
What its listing had told stands in the intent. That is little, and what a person or another tool
put there must never be taken for ours; so all of this must hold:

- The message has no row, and the source, asked for it by its key, doesn't have it.
- The stranger has its size and received date and lies behind the place where the target ended when
  the message was about to be sent. Where a target can't tell what was added since, none does.
- Nothing that was to be sent before it was found missing at the target, now or by an attempt in
  between: messages arrive in their order, so what follows one that didn't arrive did not either.
- There are no more such strangers than such messages were on their way. When somebody has added one
  that looks the same, none is taken; as many identical ones as were sent, or fewer, are all ours.
- It is no message of the source that was moved about: those that have the same header, size and
  date still lie where they were put.

What this can't tell apart: the very next message to be sent, which was not, and which the person
has carried over by hand with its date and deleted at the source. It stands for our copy.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailhaul.core.errors import CursorExpired
from mailhaul.core.folder import Cursor
from mailhaul.core.message import Entry, Key
from mailhaul.engine.ledger import MessageRow
from mailhaul.engine.ledger_row import Underway, seconds
from mailhaul.engine.outcomes import Fate, Side
from mailhaul.engine.ownership import owned
from mailhaul.engine.sides import closing
from mailhaul.engine.strangers import traits_of
from mailhaul.engine.visit import Visit

_Look = tuple[int, int]
"""Size, and received date in seconds since 1970: all that a listing tells of who it is."""
_PAGE = 500


@dataclass(slots=True)
class _Alike:
    """Messages of one look that were on their way, in their order, and the places behind which
    they arrived."""

    messages: dict[Key, Underway] = field(default_factory=dict)
    places: set[Cursor] = field(default_factory=set)


async def claim(visit: Visit) -> None:
    """Gives our copies a row: copied, and gone from the source. To be called when the source has
    been listed and each of its messages has looked for itself, and before intents are settled."""
    if not visit.uncertain or not visit.strangers:
        return
    looks = _looks(visit, await _gone(visit))
    strangers = defaultdict[_Look, list[Entry]](list)
    for entry in visit.strangers.looking(looks):
        strangers[_look(entry)].append(entry)
    rows: list[MessageRow] = []
    added: dict[Cursor, set[Key]] = {}
    for look, there in strangers.items():
        alike = looks[look]
        for place in alike.places - added.keys():
            added[place] = await _added(visit, place)
        new = [each for each in there if all(each.key in added[place] for place in alike.places)]
        if len(new) <= len(alike.messages) - visit.gone[look]:
            rows += await _rows(visit, look, new, list(alike.messages.values()))
    if rows:
        visit.row = visit.ledger.add(visit.row, rows, visit.row.target_tail)
        for row in rows:
            assert row.target_key is not None
            visit.strangers.drop(row.target_key)
        visit.no_strangers()


async def _gone(visit: Visit) -> set[Key]:
    """What was uncertain, has no row still, and isn't there any more, says the source."""
    uncertain = sorted(visit.uncertain)
    gone: set[Key] = set()
    for start in range(0, len(uncertain), _PAGE):
        keys = uncertain[start : start + _PAGE]
        gone.update(set(keys) - visit.ledger.among(visit.row, keys).keys())
    if gone:
        answers = visit.carrier.source.identify(visit.source, sorted(gone))
        async with closing(Side.SOURCE, answers) as there:
            async for key, _ in there:
                gone.discard(key)
    return gone


def _looks(visit: Visit, gone: set[Key]) -> dict[_Look, _Alike]:
    """Of what is gone, what may have arrived."""
    looks: dict[_Look, _Alike] = {}
    if not gone:
        return looks
    last: dict[Key, int] = {}
    for intent in visit.ledger.intents(visit.row):
        for message in intent.messages:
            last[message.key] = max(intent.attempt, last.get(message.key, 0))
    for intent in visit.ledger.intents(visit.row):
        for message in intent.messages:
            if intent.place is None or last[message.key] > intent.attempt:
                break
            if message.key in gone and message.size is not None and message.received is not None:
                alike = looks.setdefault((message.size, message.received), _Alike())
                alike.messages[message.key] = message
                alike.places.add(intent.place)
    return looks


def _look(entry: Entry) -> _Look:
    received = seconds(entry)
    assert entry.size is not None and received is not None
    return entry.size, received


async def _added(visit: Visit, place: Cursor) -> set[Key]:
    """What was added to the target since, as far as it can tell."""
    keys: set[Key] = set()
    try:
        changes = visit.carrier.target.changes(visit.target, place)
        async with closing(Side.TARGET, changes) as pages:
            async for page in pages:
                if page.whole:
                    return set()
                keys.update(entry.key for entry in page.entries)
    except CursorExpired:
        return set()
    return keys


async def _rows(
    visit: Visit, look: _Look, strangers: Sequence[Entry], messages: Sequence[Underway]
) -> list[MessageRow]:
    """The strangers' rows, unless one may be a message of the source that was moved about."""
    target, folder = visit.carrier.target, visit.target
    traits = await traits_of(Side.TARGET, target, folder, strangers)
    headers = {trait.identity.digest for trait in traits}
    twins = [
        row
        for row in visit.ledger.alike(visit.row, *look)
        if row.identity is None or row.identity.digest in headers
    ]
    if twins:
        found = await owned(target, folder, twins)
        if found.gone or found.strange:
            return []
    size, received = look
    return [
        MessageRow(
            source_key=None,
            target_key=trait.key,
            fate=Fate.COPIED,
            flags=message.flags,
            size=size,
            received=received,
            identity=trait.identity,
        )
        for trait, message in zip(traits, messages, strict=False)
    ]
