"""The verifier: it finds every damage and names it, and cries wolf over nothing."""

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailhaul.core.errors import Disconnected, RetryLater
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, NameRules, Role
from mailhaul.core.message import Entry, Flags, Identity, Key
from mailhaul.core.store import Changes
from mailhaul.engine.alterations import RULES
from mailhaul.engine.ledger import Ledger
from mailhaul.engine.outcomes import Finished, Mapped, Opened, Options, Waiting
from mailhaul.engine.passes import run_pass
from mailhaul.engine.verdict import (
    Difference,
    FolderCompared,
    Kind,
    Severity,
    Verdict,
    Verified,
    VerifyEvent,
    VerifyOptions,
)
from mailhaul.engine.verify import verify
from mailhaul.stores.memory import MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryMailbox, Stored

START = datetime(2020, 1, 1, tzinfo=UTC)
LEVEL_1, DEEP = VerifyOptions(), VerifyOptions(deep=True)
WORK: FolderPath = ("Work",)


@dataclass
class Outcome:
    events: list[VerifyEvent]

    @property
    def verdict(self) -> Verdict:
        last = self.events[-1]
        assert isinstance(last, Verified)
        return last.verdict

    @property
    def found(self) -> list[Difference]:
        return [event for event in self.events if isinstance(event, Difference)]

    def serious(self) -> list[Difference]:
        return [each for each in self.found if each.severity is Severity.DIFFERENCE]

    def kinds(self) -> list[Kind]:
        return [each.kind for each in self.serious()]


def compare(
    source: MemoryMailbox,
    target: MemoryMailbox,
    options: VerifyOptions = DEEP,
    source_faults: Callable[[str, str], None] | None = None,
    target_faults: Callable[[str, str], None] | None = None,
) -> Outcome:
    async def run() -> Outcome:
        async def no_sleep(seconds: float) -> None:
            assert seconds >= 0

        left = MemorySource(source, source_faults)
        right = MemorySource(target, target_faults)
        events = verify(
            left, right, options, sleep=no_sleep, chance=random.Random(1), clock=lambda: 1.7e9
        )
        outcome = Outcome([event async for event in events])
        assert sum(target.written.values()) == sum(source.written.values()) == 0
        return outcome

    return asyncio.run(run())


def mail(number: int, body: str = "", headers: bytes = b"") -> bytes:
    text = body or f"text of message {number}, " * (number % 7 + 3)
    return (
        headers
        + f"From: sender{number % 5}@example.org\r\nSubject: message {number}\r\n"
        f"Message-ID: <{number}@example.org>\r\nDate: Wed, 1 Jan 2020 00:00:00 +0000\r\n".encode()
        + f"\r\n{text}\r\n".encode()
    )


def sample(seed: int) -> tuple[MemoryMailbox, MemoryMailbox]:
    """A mailbox with everything awkward in it, and its exact copy with other numbers."""
    chance = random.Random(seed)
    source, target = MemoryMailbox(), MemoryMailbox()
    paths = [INBOX_PATH, WORK, (*WORK, "Ümläute"), ("Sent",), ("Empty",)]
    for path in paths:
        for mailbox in (source, target):
            mailbox.make(path, Role.SENT if path == ("Sent",) else None).subscribed = True
        target.folder(path).uidnext += chance.randrange(1000)
    for path in paths[:-1]:
        for number in range(chance.randrange(8, 16)):
            data = chance.choice(
                [
                    mail(number),
                    mail(number),
                    mail(number, headers=b"X-Caf\xc3\xa9: \xe9\0\r\n"),
                    b"no header at all, text number %d\r\n" % (number // 2),
                    b"Subject: shared\r\nMessage-ID: <shared@x>\r\n\r\nbody %02d here\r\n" % number,
                    b"",
                ]
            )
            flags = frozenset(
                chance.sample(["\\Seen", "\\Flagged", "\\Answered", "$Later", "Blue"], 2)
            )
            received = START + timedelta(seconds=chance.randrange(10**8))
            for _ in range(chance.choice([1, 1, 1, 2])):
                source.deliver(data, path, flags, received)
                target.deliver(data, path, flags, received)
    return source, target


def put(mailbox: MemoryMailbox, path: FolderPath, stored: Stored) -> None:
    mailbox.folder(path).messages[stored.uid] = stored


Damage = Callable[[MemoryMailbox, random.Random], Sequence[Kind]]


def victim(target: MemoryMailbox, chance: random.Random) -> tuple[FolderPath, Stored]:
    path = chance.choice([each for each in target.paths if target.messages(each)])
    return path, chance.choice(target.messages(path))


def drop(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    """An empty message (D6) would be no loss."""
    path, stored = victim(target, chance)
    while not stored.data:
        path, stored = victim(target, chance)
    target.expunge(stored.uid, path=path)
    return [Kind.MISSING]


def duplicate(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    path, stored = victim(target, chance)
    target.deliver(stored.data, path, stored.flags, stored.received)
    return [Kind.DOUBLED]


def flip(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    """One letter of the text, or anywhere in the header, becomes another."""
    while True:
        path, stored = victim(target, chance)
        places = [at for at, octet in enumerate(stored.data) if chr(octet).islower()]
        if len(places) > 20:
            break
    at = chance.choice(places)
    other = chance.choice([octet for octet in b"acegikmoqsuwy" if octet != stored.data[at]])
    put(
        target,
        path,
        replace(stored, data=stored.data[:at] + bytes([other]) + stored.data[at + 1 :]),
    )
    return [Kind.ALTERED]


def cut_short(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    while True:
        path, stored = victim(target, chance)
        if len(stored.data) > 60:
            put(target, path, replace(stored, data=stored.data[:-3]))
            return [Kind.ALTERED]


def redate(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    path, stored = victim(target, chance)
    moved = timedelta(seconds=chance.choice([-1, 1, 3600, -86400, 10**6]))
    put(target, path, replace(stored, received=stored.received + moved))
    return [Kind.RECEIVED]


def reflag(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    path, stored = victim(target, chance)
    change = frozenset({chance.choice(["\\Seen", "\\Flagged", "\\Answered", "\\Draft"])})
    flags: Flags = stored.flags ^ change
    put(target, path, replace(stored, flags=flags))
    return [Kind.FLAGS]


def swap(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    """The bodies of two messages with one header and one size change places."""
    path = chance.choice([each for each in target.paths if target.messages(each)])
    heads = b"Subject: twin\r\nMessage-ID: <twin@x>\r\n\r\n"
    first, second = [
        target.deliver(heads + body, path, received=START + timedelta(seconds=later))
        for body, later in ((b"alpha\r\n", 5), (b"gamma\r\n", 6))
    ]
    there = target.folder(path).messages
    one, other = there[first], there[second]
    put(target, path, replace(one, data=other.data))
    put(target, path, replace(other, data=one.data))
    return [Kind.RECEIVED, Kind.RECEIVED]


def rename(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    target.rename((*WORK, "Ümläute"), (*WORK, "Umlaute"))
    return [Kind.FOLDER_MISSING]


def unsubscribe(target: MemoryMailbox, chance: random.Random) -> Sequence[Kind]:
    target.folder(chance.choice(target.paths[1:])).subscribed = False
    return [Kind.SUBSCRIPTION]


DAMAGES: list[Damage] = [
    drop, duplicate, flip, cut_short, redate, reflag, swap, rename, unsubscribe
]  # fmt: skip
SEEDS = range(45)


def damaged(seed: int, damage: Damage) -> tuple[MemoryMailbox, MemoryMailbox, Sequence[Kind]]:
    source, target = sample(seed % 9)
    if damage is swap:
        # The source has the twins as they were before the swap.
        before = target.clone()
        expected = swap(target, random.Random(seed))
        for path in target.paths:
            known = {stored.uid for stored in before.messages(path)}
            twins = [stored for stored in target.messages(path) if stored.uid not in known]
            for stored, other in zip(twins, reversed(twins), strict=True):
                source.deliver(other.data, path, stored.flags, stored.received)
        return source, target, expected
    return source, target, damage(target, random.Random(seed))


def test_every_octet_that_was_read_is_counted_those_of_twins_too() -> None:
    source, target = sample(3)
    octets = sum(
        len(stored.data)
        for mailbox in (source, target)
        for path in mailbox.paths
        for stored in mailbox.messages(path)
    )
    assert compare(source, target).verdict.octets == octets


@pytest.mark.parametrize("place", [(*WORK, "Ümläute"), ("Put away",)], ids=["known", "new"])
def test_what_somebody_moved_at_the_target_is_missing_and_told_where_it_lies(
    place: FolderPath,
) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    target.make(("Put away",))
    for mailbox in (source, target):
        mailbox.make((*WORK, "Ümläute"))
        for number in range(6):
            mailbox.deliver(mail(number), INBOX_PATH)
        mailbox.deliver(mail(2), (*WORK, "Ümläute"))
    moved = [stored for stored in target.messages(INBOX_PATH) if stored.data in (mail(2), mail(3))]
    for stored in moved:
        target.expunge(stored.uid, path=INBOX_PATH)
        target.deliver(stored.data, place)
    target.expunge(target.messages(INBOX_PATH)[0].uid, path=INBOX_PATH)
    outcome = compare(source, target, LEVEL_1)
    told = [
        (each.folder, each.count, each.detail) for each in outcome.found if each.kind is Kind.MOVED
    ]
    shown = "/".join(place)
    assert told == [(INBOX_PATH, 2, f"2 missing messages lie in “{shown}” at the target")]
    assert outcome.verdict.differences[Kind.MISSING] == 3


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_the_deep_verifier_finds_every_damage_and_names_it(damage: Damage) -> None:
    for seed in SEEDS:
        source, target, expected = damaged(seed, damage)
        outcome = compare(source, target)
        assert outcome.kinds() == expected, (seed, outcome.found)
        assert not outcome.verdict.equal
        assert outcome.verdict.explained == {}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_level_1_finds_every_damage_but_of_content(damage: Damage) -> None:
    for seed in SEEDS:
        source, target, expected = damaged(seed, damage)
        outcome = compare(source, target, LEVEL_1)
        if damage is flip:
            assert outcome.kinds() in ([], [Kind.ALTERED]), (seed, outcome.found)
        elif damage is swap:
            assert outcome.kinds() == []
        else:
            assert outcome.kinds() == expected, (seed, outcome.found)


@pytest.mark.parametrize("options", [LEVEL_1, DEEP], ids=["level 1", "deep"])
def test_a_hundred_clean_pairs_are_found_equal(options: VerifyOptions) -> None:
    for seed in range(100):
        source, target = sample(seed)
        outcome = compare(source, target, options)
        assert outcome.found == [], seed
        verdict = outcome.verdict
        total = source.total()
        assert verdict.equal
        assert (verdict.messages, verdict.at_target, verdict.paired) == (total, total, total)
        assert verdict.identical == (total if options.deep else 0)
        assert verdict.folders == 5


def pair(*bodies: tuple[bytes, bytes], habits: Habits | None = None) -> Outcome:
    source, target = MemoryMailbox(), MemoryMailbox(habits)
    for ours, theirs in bodies:
        source.deliver(ours)
        target.deliver(theirs)
    return compare(source, target)


HEAD = b"Subject: s\r\nMessage-ID: <1@x>\r\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (b"Subject: \xe9\r\n\r\n", b"Subject: X\r\n\r\n", {"8-bit header octets → X": 1}),
        (HEAD + b"\r\n\0", HEAD + b"\r\n\x80", {"NUL → 0x80": 1}),
        (HEAD + b"\r\na\r\r\n", HEAD + b"\r\na\r\n", {"CRCRLF → CRLF": 1}),
        (HEAD + b"\r\na\r\n", b"X-TUID: x\r\n" + HEAD + b"\r\na\r\n", {"added header X-TUID": 1}),
    ],
)
@pytest.mark.parametrize("options", [LEVEL_1, DEEP], ids=["level 1", "deep"])
def test_what_a_server_is_known_to_do_is_a_note_with_a_name(
    ours: bytes, theirs: bytes, names: dict[str, int], options: VerifyOptions
) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    source.deliver(ours)
    target.deliver(theirs)
    outcome = compare(source, target, options)
    assert outcome.verdict.equal
    if options.deep or len(ours) != len(theirs):
        assert outcome.verdict.explained == names
        assert outcome.found[0].kind is Kind.ALTERED
        assert outcome.found[0].detail.startswith("altered by target: ")


def test_an_unexplained_alteration_says_where_and_which_message() -> None:
    outcome = pair((mail(1), mail(1)), (mail(2), mail(2).replace(b"text", b"test", 1)))
    (found,) = outcome.found
    assert found.kind is Kind.ALTERED
    assert found.subject == "message 2"
    assert (found.source_key, found.target_key) == (2, 2)
    assert "1 of them differ, the first at" in found.detail
    assert outcome.verdict.identical == 1


def test_a_missing_message_is_named_by_folder_key_and_subject() -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    source.deliver(mail(7))
    (found,) = compare(source, target, LEVEL_1).found
    assert (found.kind, found.folder, found.source_key) == (Kind.MISSING, INBOX_PATH, 1)
    assert found.subject == "message 7"


@pytest.mark.parametrize("options", [LEVEL_1, DEEP])
def test_an_empty_message_is_nothing_to_carry_and_is_told(options: VerifyOptions) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    source.deliver(b"")
    source.deliver(mail(1))
    source.deliver(b"")
    target.deliver(mail(1))
    outcome = compare(source, target, options)
    assert outcome.verdict.equal
    notes = [(each.kind, each.source_key) for each in outcome.found]
    assert notes == [(Kind.EMPTY, 1), (Kind.EMPTY, 3)]
    assert outcome.found[0].detail == "empty at the source: there is nothing to carry"
    assert outcome.verdict.remarks == (
        "2 messages are empty at the source: there is nothing to carry",
    )


def test_a_message_that_is_only_announced_as_empty_is_missing() -> None:
    class Understating(MemorySource):
        async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
            async for page in super().changes(folder, since):
                page.entries = [replace(entry, size=0) for entry in page.entries]
                yield page

    async def run() -> list[VerifyEvent]:
        source = MemoryMailbox()
        source.deliver(mail(1))
        pair = Understating(source), MemorySource(MemoryMailbox())
        return [event async for event in verify(*pair, LEVEL_1)]

    assert Outcome(asyncio.run(run())).kinds() == [Kind.MISSING]


@pytest.mark.parametrize(
    ("path", "keeps", "equal"),
    [(INBOX_PATH, True, True), (WORK, True, False), (INBOX_PATH, False, True), (WORK, False, True)],
)
def test_a_subscription_that_nobody_misses_is_a_note(
    path: FolderPath, keeps: bool, equal: bool
) -> None:
    source, target = MemoryMailbox(), MemoryMailbox(Habits(keeps_subscriptions=keeps))
    source.make(path).subscribed = True
    target.make(path)
    outcome = compare(source, target)
    assert outcome.verdict.equal == equal
    assert [each.kind for each in outcome.found] == [Kind.SUBSCRIPTION]


def test_mail_of_the_targets_own_is_a_note() -> None:
    source, target = sample(1)
    for number in (901, 902, 903):
        target.deliver(mail(number), WORK)
    outcome = compare(source, target)
    assert outcome.verdict.equal
    assert outcome.verdict.notes == {Kind.EXTRA: 3}


DAYS = timedelta(days=1)
DATES = [
    ("in 32 bits", datetime(1900, 1, 1, tzinfo=UTC), datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC),
     True),
    ("the epoch itself", datetime(1970, 1, 1, tzinfo=UTC), START, True),
    ("far in the future", datetime(9999, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, tzinfo=UTC), True),
    ("in the future", datetime(2039, 1, 1, tzinfo=UTC), datetime(2023, 11, 1, tzinfo=UTC), True),
    ("an hour off", START, START + timedelta(hours=1), False),
    ("a day off", START, START + DAYS, False),
    ("a second off", START, START + timedelta(seconds=1), False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs", "known"), [row[1:] for row in DATES], ids=[row[0] for row in DATES]
)
def test_dates_that_servers_clamp_are_notes(ours: datetime, theirs: datetime, known: bool) -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    source.deliver(mail(1), received=ours)
    target.deliver(mail(1), received=theirs)
    outcome = compare(source, target)
    assert [each.kind for each in outcome.found] == [Kind.RECEIVED]
    assert outcome.verdict.equal is known


@pytest.mark.parametrize(
    ("ours", "theirs", "keeps", "equal", "noted"),
    [
        ({"\\Seen"}, {"\\Seen"}, True, True, False),
        ({"JUNK"}, {"junk"}, True, True, False),
        ({"\\Seen"}, set(), True, False, True),
        (set(), {"\\Seen"}, True, False, True),
        ({"Blue"}, set(), True, False, True),
        ({"Blue"}, set(), False, True, True),
        (set(), {"$HasAttachment"}, True, True, True),
    ],
)
def test_flags(ours: set[str], theirs: set[str], keeps: bool, equal: bool, noted: bool) -> None:
    source, target = MemoryMailbox(), MemoryMailbox(Habits(keeps_keywords=keeps))
    source.deliver(mail(1), flags=frozenset(ours))
    target.deliver(mail(1), flags=frozenset(theirs))
    outcome = compare(source, target)
    assert outcome.verdict.equal is equal
    assert bool(outcome.found) is noted


def test_another_order_is_a_note() -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    for number in (1, 2, 3, 4):
        source.deliver(mail(number))
    for number in (2, 3, 4, 1):
        target.deliver(mail(number))
    outcome = compare(source, target)
    assert outcome.verdict.equal
    assert outcome.verdict.notes == {Kind.ORDER: 1}


def test_what_target_or_source_refuse_to_hand_over_is_not_passed_over() -> None:
    source, target = sample(2)
    for mailbox in (source, target):
        mailbox.deliver(mail(900))
    for broken in (source, target):

        def unreadable(data: bytes) -> str | None:
            return "no" if data == mail(900) else None

        habits = replace(broken.habits, unreadable=unreadable)
        clone = broken.clone(habits)
        outcome = compare(
            clone if broken is source else source, clone if broken is target else target
        )
        assert outcome.kinds() == [Kind.UNREADABLE]


def test_folders_that_are_mapped_elsewhere_and_merged_are_compared_as_one() -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    for path in (("A",), ("B",)):
        source.make(path)
    target.make(("All",))
    for number in range(10):
        source.deliver(mail(number), ("A",) if number % 2 else ("B",))
        target.deliver(mail(number), ("All",))
    maps: dict[FolderPath, FolderPath] = {("A",): ("All",), ("B",): ("All",)}
    outcome = compare(source, target, replace(DEEP, maps=maps))
    assert outcome.found == []
    folders = [event for event in outcome.events if isinstance(event, FolderCompared)]
    assert [each.sources for each in folders] == [(("INBOX",),), (("A",), ("B",))]
    assert folders[1].paired == 10


def test_a_wish_that_cannot_be_met_makes_the_verdict_unequal() -> None:
    source, target = sample(3)
    outcome = compare(source, target, replace(DEEP, folders=("Wrok",)))
    assert not outcome.verdict.equal
    assert "“Work”" in outcome.verdict.problems[0]


def test_only_the_folders_asked_for_are_compared() -> None:
    source, target = sample(3)
    target.expunge(*[stored.uid for stored in target.messages()])
    outcome = compare(source, target, replace(DEEP, exclude=("INBOX",)))
    assert outcome.found == []
    assert outcome.verdict.folders == 4


def test_older_messages_are_not_looked_for() -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    source.deliver(mail(1), received=START)
    for mailbox in (source, target):
        mailbox.deliver(mail(2), received=START + DAYS)
    assert compare(source, target).kinds() == [Kind.MISSING]
    assert compare(source, target, VerifyOptions(since=START + DAYS)).found == []


def test_the_first_events_say_who_is_there_and_what_is_compared_with_what() -> None:
    source, target = sample(4)
    events = compare(source, target).events
    assert [type(event) for event in events[:3]] == [Opened, Opened, Mapped]


@pytest.mark.parametrize("operation", ["open", "folders", "page", "identify", "fetch"])
@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("error", [Disconnected("cut"), RetryLater("slow down", throttled=True)])
def test_what_is_cut_off_goes_on_and_finds_the_same(
    operation: str, side: str, error: RetryLater
) -> None:
    source, target = sample(5)
    drop(target, random.Random(5))
    chance = random.Random(6)

    def faults(asked: str, folder: str) -> None:
        if asked == operation and chance.random() < 0.1:
            raise type(error)(str(error), after=error.after, throttled=error.throttled)
        if asked == operation == "open" and chance.random() < 0.7:
            raise error

    outcome = compare(
        source,
        target,
        replace(DEEP, retries=30),
        faults if side == "source" else None,
        faults if side == "target" else None,
    )
    assert outcome.kinds() == [Kind.MISSING]
    assert outcome.verdict.paired == source.total() - 1
    waits = [event for event in outcome.events if isinstance(event, Waiting)]
    assert all(wait.side == side for wait in waits)
    assert all(wait.throttled == error.throttled for wait in waits)


def test_a_side_that_fails_too_often_ends_it() -> None:
    source, target = sample(5)

    def faults(asked: str, folder: str) -> None:
        if asked == "identify":
            raise Disconnected("cut")

    with pytest.raises(Disconnected):
        compare(source, target, source_faults=faults)


@pytest.mark.parametrize("when", ["identify", "fetch"])
@pytest.mark.parametrize("options", [LEVEL_1, DEEP], ids=["level 1", "deep"])
@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_messages_that_vanish_meanwhile_are_left_out_and_counted(
    when: str, options: VerifyOptions, side: str
) -> None:
    if when == "fetch" and not options.deep:
        return
    source, target = MemoryMailbox(), MemoryMailbox()
    for number in range(20):
        for mailbox in (source, target):
            mailbox.deliver(mail(number))
    done = set()

    def vanishing(mailbox: MemoryMailbox, name: str) -> Callable[[str, str], None]:
        def faults(asked: str, folder: str) -> None:
            if asked == when and name not in done:
                done.add(name)
                mailbox.expunge(13)

        return faults

    outcome = compare(
        source,
        target,
        options,
        vanishing(source, "source") if side != "target" else None,
        vanishing(target, "target") if side != "source" else None,
    )
    expected = [Kind.MISSING] if (side, when) == ("target", "identify") else []
    assert outcome.kinds() == expected
    assert any("vanished meanwhile" in remark for remark in outcome.verdict.remarks)


def test_what_is_missing_but_gone_from_the_source_by_now_is_not_missing() -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    source.deliver(mail(1))
    asked = []

    def faults(operation: str, folder: str) -> None:
        if operation == "identify":
            asked.append(folder)
            if len(asked) == 2:
                source.expunge(1)

    outcome = compare(source, target, LEVEL_1, source_faults=faults)
    assert outcome.found == []
    assert outcome.verdict.remarks == ("1 message that vanished meanwhile was left out",)


def test_sizes_that_a_server_announces_wrongly_are_no_difference() -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    for number in range(5):
        for mailbox in (source, target):
            mailbox.deliver(mail(number))

    class Announcing(MemorySource):
        async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
            async for page in super().changes(folder, since):
                for entry in page.entries:
                    entry.size = (entry.size or 0) + 29  # as hMailServer does (D11)
                yield page

    async def run() -> Outcome:
        events = verify(Announcing(source), MemoryTarget(target), LEVEL_1)
        return Outcome([event async for event in events])

    outcome = asyncio.run(run())
    assert outcome.found == []
    assert outcome.verdict.identical == 5


HOSTILE = ["Sent", "sent", "Gesendet", "Sent Items", "Trash", "Papierkorb", "a/b", "a_b", "x" * 50,
           "\u00e9", "e\u0301", "Inbox", "Files", "..", "[Gmail]", "Sent~2", "A", "a"]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_what_a_pass_has_copied_is_found_equal_without_its_ledger(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    source, _ = sample(seed)
    for name in chance.sample(HOSTILE, 6):
        path = (name,) if chance.random() < 0.6 else (chance.choice(["Work", "Sent", "A"]), name)
        source.make(path, chance.choice([None, None, Role.SENT, Role.TRASH]))
        for number in range(3):
            source.deliver(mail(number), path)
    rules = NameRules(
        folds_case=chance.random() < 0.5,
        longest_component=chance.choice([None, 30]),
        deepest=chance.choice([None, 1, 2]),
        reserved=frozenset({"files"}),
        encodes_utf7=False,
    )
    munges = chance.random() < 0.5
    target = MemoryMailbox(
        Habits(
            names=rules,
            keeps_roles=chance.random() < 0.5,
            alters=(lambda data: data.replace(b"\0", b"\x80")) if munges else bytes,
        )
    )
    if chance.random() < 0.5:
        target.make(("Sent Items",), Role.SENT)

    async def copy() -> None:
        ledger = Ledger.open(tmp_path, "pair")
        source_store, target_store = MemorySource(source), MemoryTarget(target)
        async for event in run_pass(source_store, target_store, ledger, Options()):
            last = event
        ledger.close()
        assert isinstance(last, Finished)
        assert last.complete

    asyncio.run(copy())
    for mailbox in (source, target):
        mailbox.written.clear()
    outcome = compare(source, target)
    assert outcome.verdict.equal
    assert set(outcome.verdict.explained) <= ({"NUL → 0x80"} if munges else set())
    assert outcome.verdict.paired == source.total()


@pytest.mark.parametrize("name", [*Kind, *(rule.name for rule in RULES)])
def test_the_documentation_names_everything_that_can_be_found(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "verification.md"
    text = page.read_text(encoding="utf-8")
    assert f"\n| {name}" in text or f", {name} |" in text


def test_a_message_costs_at_most_260_octets_both_sides_together() -> None:
    count = 10_000

    class Large(MemorySource):
        """Makes its listing up as it goes, so that only the verifier holds anything."""

        async def folders(self) -> list[Folder]:
            return [Folder(INBOX_PATH, "INBOX", Role.INBOX)]

        async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
            for start in range(0, count, 1000):
                yield Changes(
                    [
                        Entry(
                            uid, frozenset({"\\Seen"}), uid % 9000, START + timedelta(seconds=uid)
                        )
                        for uid in range(start + 1, start + 1001)
                    ],
                    whole=True,
                )
            yield Changes(whole=True, cursor=Cursor("end"))

        async def identify(
            self, folder: Folder, keys: Iterable[Key]
        ) -> AsyncIterator[tuple[Key, Identity]]:
            for key in keys:
                assert isinstance(key, int)
                yield key, Identity((key * 0x9E3779B97F4A7C15 % 2**64).to_bytes(16), named=True)

    async def run() -> Verdict:
        last = None
        async for event in verify(Large(MemoryMailbox()), Large(MemoryMailbox()), LEVEL_1):
            last = event
        assert isinstance(last, Verified)
        return last.verdict

    tracemalloc.start()
    verdict = asyncio.run(run())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict.equal
    assert verdict.paired == count
    assert peak < count * 260 + 1_000_000  # 79 MB at 300,000
