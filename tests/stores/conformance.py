"""The one suite that holds every connector to the contract in core/store.py.

A connector's own test is a class that inherits `StoreSuite` and gives one fixture, `mailbox`: a
fresh mailbox, opened once as a source and once as a target. What a system can't do is declared in
its capabilities or in `Expectations`; a test that meets such a declaration proves that it is true.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.core.blob import Blob, MemoryBlob
from mailhaul.core.errors import CursorExpired, FolderFailed
from mailhaul.core.folder import INBOX_PATH, Cursor, Folder, FolderPath, Role
from mailhaul.core.identity import header_identity
from mailhaul.core.message import Entry, Flags, Identity, Key, Message, folded
from mailhaul.core.store import Amends, Appended, FlagChange, Refused, Source, Target
from tests.stores.awkward import AWKWARD, DATES, ODD_NAMES, mail

SYSTEM = frozenset({"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"})
WHEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
UNANSWERED = 300
"""No connector may hold more messages of a stream than this before it answers for the first."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """What this system is known to do with mail; all names are keys of tests/stores/awkward.py."""

    refuses: frozenset[str] = frozenset()
    """Awkward messages that `append` must answer with `Refused`."""
    alters: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    """Awkward messages that come back changed, and how."""
    refuses_names: frozenset[str] = frozenset()
    """Odd folder names that `create` must answer with `FolderFailed`."""
    misread: frozenset[str] = frozenset()
    """Awkward messages whose header fields the system hands out wrongly."""
    keywords_later: bool = True
    """False where keywords come with the message or never."""
    keeps_roles: bool = True
    announces_keys: bool = True
    renumbers: bool = True
    """False where a key is the message's own name and outlives a folder made anew."""


@dataclass(slots=True)
class Opened:
    """One mailbox, seen from both sides."""

    source: Source
    target: Target
    reopen: Callable[[], Awaitable[Source]]
    """Another source on the same mailbox, as after a restart; opened."""
    renumber: Callable[[Folder], Awaitable[None]]
    """Makes the folder anew with the same messages (C1, C2)."""
    expectations: Expectations = field(default_factory=Expectations)
    elsewhere: Callable[[], tuple[Target, Path]] | None = None
    """An unopened target where nothing is yet, and the path that its first write makes; None for a
    system on which a mailbox is made by others."""


@dataclass(slots=True)
class Listing:
    """All pages of one call of `changes`."""

    entries: list[Entry]
    vanished: list[Key]
    whole: bool
    cursor: Cursor
    pages: int


class StoreSuite:
    """Inherit, and define the fixture `mailbox`."""

    async def test_opening_and_closing_twice_is_fine(self, mailbox: Opened) -> None:
        await mailbox.source.open()
        await mailbox.target.open()
        assert mailbox.source.capabilities.server
        await mailbox.source.close()
        await mailbox.source.close()

    async def test_a_source_has_no_verb_that_writes(self, mailbox: Opened) -> None:
        assert isinstance(mailbox.source, Source)
        assert isinstance(mailbox.target, Target)
        for verb in ("create", "subscribe", "append", "flag", "remove"):
            assert not hasattr(mailbox.source, verb)

    async def test_opening_and_listing_make_nothing(self, mailbox: Opened) -> None:
        writes = mailbox.target.traffic.writes
        await mailbox.target.folders()
        assert mailbox.target.traffic.writes == writes
        if mailbox.elsewhere is None:
            return
        target, place = mailbox.elsewhere()
        await target.open()
        await target.open()
        [inbox] = await target.folders()
        assert (inbox.path, inbox.role, inbox.selectable) == (INBOX_PATH, Role.INBOX, False)
        assert target.capabilities.server
        await target.close()
        assert not place.exists()
        assert target.traffic.writes == 0

    @pytest.mark.parametrize("deed", ["create", "create below", "subscribe", "append"])
    async def test_the_first_write_makes_what_it_needs(self, mailbox: Opened, deed: str) -> None:
        if mailbox.elsewhere is None:
            assert (await mailbox.target.folders())[0].selectable
            return
        target, place = mailbox.elsewhere()
        await target.open()
        [inbox] = await target.folders()
        if deed == "create":
            await target.create(INBOX_PATH, None)
        elif deed == "create below":
            await target.create(("Top", "Leaf"), None)
        elif deed == "subscribe":
            await target.subscribe(inbox)
        else:
            await put(target, inbox, mail("first"))
        assert place.exists()
        now = (await target.folders())[0]
        assert (now.path, now.native, now.selectable) == (INBOX_PATH, inbox.native, True)
        keeps = target.capabilities.keeps_subscriptions
        assert now.subscribed == (deed == "subscribe" and keeps)
        assert await octets(target, now) == ([mail("first")] if deed == "append" else [])
        await target.close()

    async def test_the_inbox_comes_first(self, mailbox: Opened) -> None:
        await mailbox.target.create(("Aardvark",), None)
        for store in (mailbox.source, mailbox.target):
            first = (await store.folders())[0]
            assert (first.path, first.role, first.selectable) == (INBOX_PATH, Role.INBOX, True)

    async def test_the_inbox_is_there_whatever_its_case(self, mailbox: Opened) -> None:
        before = await mailbox.target.folders()
        made = await mailbox.target.create(("inbox",), None)
        assert made.path == INBOX_PATH
        assert len(await mailbox.target.folders()) == len(before)

    async def test_a_made_folder_is_listed_with_its_parents(self, mailbox: Opened) -> None:
        made = await mailbox.target.create(("Top", "Middle", "Leaf"), None)
        assert made.path == ("Top", "Middle", "Leaf")
        assert made.tail is not None
        paths = [folder.path for folder in await mailbox.source.folders()]
        wanted: list[FolderPath] = [("Top",), ("Top", "Middle"), ("Top", "Middle", "Leaf")]
        assert [path for path in paths if path[0] == "Top"] == wanted
        listed = await named(mailbox.source, made.path)
        assert listed.native == made.native
        assert listed.selectable

    async def test_making_a_folder_again_changes_nothing(self, mailbox: Opened) -> None:
        first = await mailbox.target.create(("Once",), None)
        await put(mailbox.target, first, mail("kept"))
        writes = mailbox.target.traffic.writes
        again = await mailbox.target.create(("Once",), None)
        assert (again.path, again.native) == (first.path, first.native)
        assert mailbox.target.traffic.writes == writes
        assert await octets(mailbox.source, again) == [mail("kept")]
        folders = await mailbox.source.folders()
        assert [folder.path for folder in folders].count(("Once",)) == 1

    @pytest.mark.parametrize("name", ODD_NAMES)
    async def test_an_odd_folder_name_is_kept(self, mailbox: Opened, name: str) -> None:
        path = ODD_NAMES[name]
        if name in mailbox.expectations.refuses_names:
            with pytest.raises(FolderFailed):
                await mailbox.target.create(path, None)
            return
        made = await mailbox.target.create(path, None)
        await put(mailbox.target, made, mail("odd"))
        assert made.path == path
        again = await mailbox.reopen()
        listed = await named(again, path)
        assert await octets(again, listed) == [mail("odd")]
        await again.close()

    async def test_odd_folder_names_stay_apart(self, mailbox: Opened) -> None:
        refused = mailbox.expectations.refuses_names
        paths = [path for name, path in ODD_NAMES.items() if name not in refused]
        for path in paths:
            await mailbox.target.create(path, None)
        listed = [folder.path for folder in await mailbox.source.folders()]
        assert len(listed) == len(set(listed))
        assert set(paths) <= set(listed)

    async def test_a_role_is_kept_or_left_out(self, mailbox: Opened) -> None:
        await mailbox.target.create(("Gesendet",), Role.SENT)
        listed = await named(mailbox.source, ("Gesendet",))
        assert listed.role == (Role.SENT if mailbox.expectations.keeps_roles else None)

    async def test_subscribing_twice_is_fine(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Subscribed",), None)
        await mailbox.target.create(("Other",), None)
        await mailbox.target.subscribe(folder)
        await mailbox.target.subscribe(folder)
        keeps = mailbox.target.capabilities.keeps_subscriptions
        assert (await named(mailbox.source, ("Subscribed",))).subscribed == keeps
        assert not (await named(mailbox.source, ("Other",))).subscribed

    async def test_an_empty_folder_lists_nothing_and_ends(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Empty",), None)
        listing = await listed_changes(mailbox.source, folder)
        assert (listing.entries, listing.vanished, listing.whole) == ([], [], True)
        assert (await named(mailbox.source, ("Empty",))).count in (0, None)

    @pytest.mark.parametrize("name", AWKWARD)
    async def test_an_awkward_message_is_kept(self, mailbox: Opened, name: str) -> None:
        sent = AWKWARD[name]
        folder = await mailbox.target.create(("Awkward",), None)
        [answer] = await put(mailbox.target, folder, sent)
        if name in mailbox.expectations.refuses:
            assert isinstance(answer, Refused), "declared as refused, yet taken"
            assert answer.reason
            assert await octets(mailbox.source, folder) == []
            return
        assert isinstance(answer, Appended), answer.reason
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        [kept] = await contents(mailbox.source, folder, [entry])
        alters = mailbox.expectations.alters.get(name)
        wanted = sent if alters is None else alters(sent)
        assert kept == wanted
        if wanted == sent:
            assert entry.size == len(sent)
        if name in mailbox.expectations.alters:
            assert kept != sent, "declared as altered, yet kept"
        [(key, identity)] = [pair async for pair in mailbox.source.identify(folder, [entry.key])]
        assert key == entry.key
        assert (identity == header_identity(sent)) == (name not in mailbox.expectations.misread)

    async def test_a_large_message_is_kept(self, mailbox: Opened) -> None:
        line = b"%07d " + b"z" * 60 + b"\r\n"
        sent = mail("large", b"".join(line % number for number in range(300_000)))
        folder = await mailbox.target.create(("Large",), None)
        [answer] = await put(mailbox.target, folder, sent)
        assert isinstance(answer, Appended)
        assert await octets(mailbox.source, folder) == [sent]

    async def test_order_is_kept(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Ordered",), None)
        sent = [mail(f"n{number}", b"x" * (number * 37 % 101)) for number in range(60)]
        answers = await put(mailbox.target, folder, *sent)
        assert [answer.entry.key for answer in answers] == list(range(60))
        listing = await listed_changes(mailbox.source, folder)
        keys = [entry.key for entry in listing.entries]
        assert keys == sorted(keys)
        assert await contents(mailbox.source, folder, listing.entries) == sent
        if mailbox.expectations.announces_keys:
            assert [answer.key for answer in answers if isinstance(answer, Appended)] == keys
        else:
            assert {answer.key for answer in answers if isinstance(answer, Appended)} == {None}

    async def test_identical_messages_keep_their_number(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Twins",), None)
        answers = await put(mailbox.target, folder, *[mail("twin")] * 3)
        assert len([answer for answer in answers if isinstance(answer, Appended)]) == 3
        assert await octets(mailbox.source, folder) == [mail("twin")] * 3

    @pytest.mark.parametrize("name", DATES)
    async def test_the_received_date_is_kept(self, mailbox: Opened, name: str) -> None:
        folder = await mailbox.target.create(("Dates",), None)
        await put(mailbox.target, folder, mail("dated"), received=DATES[name])
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        assert entry.received is not None
        assert entry.received.tzinfo is not None
        kept = entry.received == DATES[name]
        assert kept == mailbox.target.capabilities.keeps_received

    async def test_a_message_without_a_date_is_taken(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Undated",), None)
        [answer] = await put(mailbox.target, folder, mail("undated"), received=None)
        assert isinstance(answer, Appended)

    @pytest.mark.parametrize("flag", sorted(SYSTEM))
    async def test_a_system_flag_is_kept(self, mailbox: Opened, flag: str) -> None:
        folder = await mailbox.target.create(("Flags",), None)
        [answer] = await put(mailbox.target, folder, mail("flag"), flags=frozenset({flag}))
        assert isinstance(answer, Appended)
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        assert entry.flags == {flag} - answer.lost
        assert not answer.lost

    async def test_keywords_are_kept_or_named_as_lost(self, mailbox: Opened) -> None:
        sent = frozenset({"\\Seen", "$Forwarded", "$Label1", "Projekt-7", "NonJunk"})
        folder = await mailbox.target.create(("Keywords",), None)
        [answer] = await put(mailbox.target, folder, mail("keywords"), flags=sent)
        assert isinstance(answer, Appended)
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        assert folded(entry.flags) == folded(sent - answer.lost)
        if mailbox.target.capabilities.keeps_keywords:
            assert not answer.lost
        else:
            assert answer.lost
            assert "\\Seen" not in answer.lost

    async def test_no_system_takes_a_flag_nobody_knows(self, mailbox: Opened) -> None:
        # D17: `\\Forwarded` and the like are refused by servers with BAD; the mail must still go.
        sent = frozenset({"\\Seen", "\\Forwarded"})
        folder = await mailbox.target.create(("Unknown",), None)
        [answer] = await put(mailbox.target, folder, mail("unknown"), flags=sent)
        assert isinstance(answer, Appended)
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        assert folded(entry.flags) == folded(sent - answer.lost)

    async def test_a_listing_is_whole_and_ends_in_a_cursor(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Listing",), None)
        sent = [mail(f"n{number}") for number in range(25)]
        await put(mailbox.target, folder, *sent)
        listing = await listed_changes(mailbox.source, folder)
        assert listing.whole
        assert [entry.size for entry in listing.entries] == [len(data) for data in sent]
        assert all(entry.received is not None for entry in listing.entries)
        shown = await named(mailbox.source, ("Listing",))
        assert shown.count in (25, None)

    async def test_nothing_happened(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Quiet",), None)
        await put(mailbox.target, folder, mail("one"), mail("two"), flags=frozenset({"\\Seen"}))
        before = await named(mailbox.source, ("Quiet",))
        first = await listed_changes(mailbox.source, folder)
        await contents(mailbox.source, folder, first.entries)
        second = await listed_changes(mailbox.source, folder, first.cursor)
        assert second.vanished == []
        flags = {entry.key: entry.flags for entry in first.entries}
        assert all(flags[entry.key] == entry.flags for entry in second.entries)
        assert not second.whole or {entry.key for entry in second.entries} == set(flags)
        after = await named(mailbox.source, ("Quiet",))
        assert (after.state, after.tail) == (before.state, before.tail)

    async def test_what_happened_since_is_told(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Busy",), None)
        await put(mailbox.target, folder, *[mail(f"n{number}") for number in range(5)])
        first = await listed_changes(mailbox.source, folder)
        before = await named(mailbox.source, ("Busy",))
        keys = [entry.key for entry in first.entries]
        await mailbox.target.flag(folder, [change(keys[1], add={"\\Flagged"})])
        await mailbox.target.remove(folder, [keys[3]])
        await put(mailbox.target, folder, mail("new"), flags=frozenset({"\\Draft"}))
        second = await listed_changes(mailbox.source, folder, first.cursor)
        told = {entry.key: entry for entry in second.entries}
        assert told[keys[1]].flags == {"\\Flagged"}
        [fresh] = [entry for entry in second.entries if entry.key not in keys]
        assert fresh.flags == {"\\Draft"}
        assert fresh.size == len(mail("new"))
        assert fresh.received is not None
        assert keys[3] in second.vanished or (second.whole and keys[3] not in told)
        assert not set(second.vanished) - {keys[3]}
        if second.whole:
            assert set(keys) - {keys[3]} <= set(told)
        after = await named(mailbox.source, ("Busy",))
        assert after.state is None or after.state != before.state
        third = await listed_changes(mailbox.source, folder, second.cursor)
        assert third.whole or keys[3] not in third.vanished

    @pytest.mark.parametrize("deed", ["append", "flag", "remove"])
    async def test_a_state_changes_with_every_deed(self, mailbox: Opened, deed: str) -> None:
        folder = await mailbox.target.create(("Deeds",), None)
        await put(mailbox.target, folder, mail("one"))
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        before = await named(mailbox.source, ("Deeds",))
        if deed == "append":
            await put(mailbox.target, folder, mail("two"))
        elif deed == "flag":
            await mailbox.target.flag(folder, [change(entry.key, add={"\\Answered"})])
        else:
            await mailbox.target.remove(folder, [entry.key])
        after = await named(mailbox.source, ("Deeds",))
        assert after.state is None or after.state != before.state
        if deed == "append":
            assert after.tail is None or after.tail != before.tail

    async def test_a_tail_gives_what_is_added_after(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Tail",), None)
        await put(mailbox.target, folder, mail("before"))
        tail = (await mailbox.target.create(("Tail",), None)).tail
        assert tail is not None
        assert (await listed_changes(mailbox.target, folder, tail)).entries == []
        await put(mailbox.target, folder, mail("after one"), mail("after two"))
        added = await listed_changes(mailbox.target, folder, tail)
        wanted = [mail("after one"), mail("after two")]
        assert await contents(mailbox.target, folder, added.entries) == wanted
        assert [entry.size for entry in added.entries] == [len(data) for data in wanted]
        assert (await listed_changes(mailbox.target, folder, added.cursor)).vanished == []

    async def test_a_tail_moves_past_what_we_wrote_and_nothing_else(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Past",), None)
        assert folder.tail is not None
        ours = keys_of(await put(mailbox.target, folder, mail("ours 1"), mail("ours 2")))
        if not mailbox.expectations.announces_keys:
            assert ours == []
            return
        moved = mailbox.target.past(folder.tail, ours)
        assert (await listed_changes(mailbox.target, folder, moved)).entries == []
        await put(mailbox.target, folder, mail("a stranger"))
        later = keys_of(await put(mailbox.target, folder, mail("ours 3")))
        moved = mailbox.target.past(moved, later)
        found = (await listed_changes(mailbox.target, folder, moved)).entries
        assert mail("a stranger") in await contents(mailbox.target, folder, found)

    async def test_a_cursor_moves_past_what_we_wrote_like_a_tail(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Past",), None)
        await put(mailbox.target, folder, mail("before"))
        seen = await listed_changes(mailbox.target, folder)
        tail = (await mailbox.target.create(("Past",), None)).tail
        assert mailbox.target.past(seen.cursor, ()) == tail
        again = await listed_changes(mailbox.target, folder, seen.cursor)
        assert mailbox.target.past(again.cursor, ()) == tail
        ours = keys_of(await put(mailbox.target, folder, mail("ours 1"), mail("ours 2")))
        if not mailbox.expectations.announces_keys:
            assert ours == []
            return
        moved = mailbox.target.past(seen.cursor, ours)
        assert moved == (await mailbox.target.create(("Past",), None)).tail
        assert (await listed_changes(mailbox.target, folder, moved)).entries == []

    async def test_a_renumbered_folder_expires_the_cursor(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Renumbered",), None)
        await put(mailbox.target, folder, mail("one"), mail("two"))
        old = await listed_changes(mailbox.source, folder)
        before = await named(mailbox.source, ("Renumbered",))
        await mailbox.renumber(folder)
        if not mailbox.expectations.renumbers:
            new = await listed_changes(mailbox.source, folder, old.cursor)
            assert new.vanished == []
            wanted = {entry.key for entry in old.entries}
            assert {entry.key for entry in new.entries} == (wanted if new.whole else set())
            assert await octets(mailbox.source, folder) == [mail("one"), mail("two")]
            return
        with pytest.raises(CursorExpired):
            await listed_changes(mailbox.source, folder, old.cursor)
        after = await named(mailbox.source, ("Renumbered",))
        assert after.state is None or after.state != before.state
        assert after.tail is None or after.tail != before.tail
        assert await octets(mailbox.source, after) == [mail("one"), mail("two")]

    async def test_a_folder_that_is_not_there_fails(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Ghost",), None)
        ghost = replace(folder, path=("Ghostx",), native=f"{folder.native}x")
        with pytest.raises(FolderFailed):
            await listed_changes(mailbox.source, ghost)
        with pytest.raises(FolderFailed):
            await put(mailbox.target, ghost, mail("lost"))

    async def test_identities_leave_out_the_vanished(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Identities",), None)
        sent = [mail("one"), AWKWARD["no Message-ID"], mail("three")]
        await put(mailbox.target, folder, *sent)
        keys = [entry.key for entry in (await listed_changes(mailbox.source, folder)).entries]
        await mailbox.target.remove(folder, [keys[2]])
        found = {key: identity async for key, identity in mailbox.target.identify(folder, keys)}
        wanted = {keys[0]: header_identity(sent[0]), keys[1]: header_identity(sent[1])}
        assert found == wanted
        assert [found[key].named for key in keys[:2]] == [True, False]

    async def test_messages_come_in_the_order_asked_for(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Fetch",), None)
        sent = [mail(f"n{number}") for number in range(6)]
        await put(mailbox.target, folder, *sent)
        entries = (await listed_changes(mailbox.source, folder)).entries
        chosen = [entries[4], entries[0], entries[3]]
        await mailbox.target.remove(folder, [entries[0].key])
        # The side that removed it knows; another session may not have been told yet.
        assert await contents(mailbox.target, folder, chosen) == [sent[4], sent[3]]
        assert await contents(mailbox.source, folder, [entries[4], entries[3]]) == [
            sent[4],
            sent[3],
        ]
        assert await contents(mailbox.source, folder, []) == []

    async def test_a_fetch_may_be_left_early(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Early",), None)
        await put(mailbox.target, folder, *[mail(f"n{number}") for number in range(8)])
        entries = (await listed_changes(mailbox.source, folder)).entries
        fetching = mailbox.source.fetch(folder, entries)
        async with aclosing(fetching) as messages:  # type: ignore[type-var]
            async for message in messages:
                assert isinstance(message, Message)
                message.blob.close()
                break
        assert len(await octets(mailbox.source, folder)) == 8

    async def test_a_stream_is_answered_as_it_goes(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Stream",), None)
        blobs: list[WatchedBlob] = []
        answered = most = 0

        async def stream() -> AsyncIterator[Message]:
            nonlocal most
            for number in range(2 * UNANSWERED):
                blobs.append(WatchedBlob(mail(f"n{number}")))
                most = max(most, len(blobs) - answered)
                yield Message(Entry(number, received=WHEN), blobs[-1])

        async for answer in mailbox.target.append(folder, stream()):
            assert isinstance(answer, Appended)
            assert answer.entry.key == answered
            answered += 1
        assert answered == 2 * UNANSWERED
        assert most <= UNANSWERED
        assert all(blob.closed for blob in blobs)

    async def test_an_empty_stream_does_nothing(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Nothing",), None)
        writes = mailbox.target.traffic.writes
        assert await put(mailbox.target, folder) == []
        assert mailbox.target.traffic.writes == writes

    async def test_a_refused_message_takes_no_other_with_it(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Refusing",), None)
        culprits = sorted(mailbox.expectations.refuses) or ["a plain message"]
        good = [mail(f"good {number}") for number in range(7)]
        sent = [*good[:3], AWKWARD[culprits[0]], *good[3:5], AWKWARD[culprits[-1]], *good[5:]]
        answers = await put(mailbox.target, folder, *sent)
        assert [answer.entry.key for answer in answers] == list(range(9))
        refused = [answer.entry.key for answer in answers if isinstance(answer, Refused)]
        assert refused == ([3, 6] if mailbox.expectations.refuses else [])
        wanted = [data for number, data in enumerate(sent) if number not in refused]
        assert await octets(mailbox.source, folder) == wanted

    async def test_flags_are_added_and_removed(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Flagging",), None)
        start = frozenset({"\\Seen", "\\Draft"})
        await put(mailbox.target, folder, mail("one"), mail("two"), mail("three"), flags=start)
        keys = [entry.key for entry in (await listed_changes(mailbox.source, folder)).entries]
        await mailbox.target.remove(folder, [keys[2]])
        changes = [
            change(keys[0], add={"\\Flagged"}, remove={"\\Seen"}),
            change(keys[1], remove={"\\Flagged"}),
            change(keys[2], add={"\\Answered"}),
        ]
        await mailbox.target.flag(folder, changes)
        await mailbox.target.flag(folder, [])
        listing = await listed_changes(mailbox.source, folder)
        flags = [entry.flags for entry in listing.entries]
        assert flags == [{"\\Draft", "\\Flagged"}, {"\\Seen", "\\Draft"}]
        sizes = [entry.size for entry in listing.entries]
        assert sizes == [len(mail("one")), len(mail("two"))]

    async def test_a_keyword_comes_later(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Later",), None)
        await put(mailbox.target, folder, mail("one"))
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        await mailbox.target.flag(folder, [change(entry.key, add={"\\Seen", "Later-1"})])
        [entry] = (await listed_changes(mailbox.source, folder)).entries
        keeps = mailbox.target.capabilities.keeps_keywords and mailbox.expectations.keywords_later
        assert folded(entry.flags) == ({"\\seen", "later-1"} if keeps else {"\\seen"})

    async def test_only_the_named_messages_are_removed(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Removing",), None)
        sent = [mail(f"n{number}") for number in range(5)]
        await put(mailbox.target, folder, *sent)
        keys = [entry.key for entry in (await listed_changes(mailbox.source, folder)).entries]
        assert await mailbox.target.remove(folder, [keys[1], keys[3]]) == 2
        assert await octets(mailbox.source, folder) == [sent[0], sent[2], sent[4]]
        await mailbox.target.remove(folder, [keys[1]])
        assert await mailbox.target.remove(folder, []) == 0
        assert await octets(mailbox.source, folder) == [sent[0], sent[2], sent[4]]

    async def test_flags_and_removals_in_one_look(self, mailbox: Opened) -> None:
        target = mailbox.target
        if not isinstance(target, Amends):
            pytest.skip("flags and removals are two looks here")
        folder = await target.create(("Amending",), None)
        sent = [mail(f"n{number}") for number in range(5)]
        await put(target, folder, *sent)
        keys = [entry.key for entry in (await listed_changes(mailbox.source, folder)).entries]
        doomed: dict[Key, Identity | None] = {
            keys[1]: header_identity(sent[1]),
            keys[2]: header_identity(sent[3]),
            keys[4]: None,
        }
        wanted = [change(keys[0], add={"\\Flagged"})]
        amended = await target.amend(folder, wanted, doomed)
        assert (amended.removed, amended.strange) == (2, frozenset({keys[2]}))
        assert await octets(mailbox.source, folder) == [sent[0], sent[2], sent[3]]
        first, *_ = (await listed_changes(mailbox.source, folder)).entries
        assert folded(first.flags) == {"\\flagged"}
        amended = await target.amend(folder, wanted, doomed)
        assert (amended.removed, amended.strange) == (0, frozenset({keys[2]}))
        assert await octets(mailbox.source, folder) == [sent[0], sent[2], sent[3]]

    async def test_two_folders_at_once(self, mailbox: Opened) -> None:
        folders = [await mailbox.target.create((name,), None) for name in ("Left", "Right")]
        sent = [[mail(f"{side}{number}") for number in range(40)] for side in ("l", "r")]
        await asyncio.gather(
            *(put(mailbox.target, *pair[:1], *pair[1]) for pair in zip(folders, sent, strict=True))
        )
        kept = await asyncio.gather(*(octets(mailbox.source, folder) for folder in folders))
        assert list(kept) == sent

    async def test_everything_is_there_after_a_restart(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Durable", "Box"), None)
        await put(mailbox.target, folder, mail("one"), mail("two"), flags=SYSTEM - {"\\Deleted"})
        old = await listed_changes(mailbox.source, folder)
        again = await mailbox.reopen()
        new = await listed_changes(again, await named(again, ("Durable", "Box")))
        lines = [
            [(entry.key, entry.flags, entry.size, entry.received) for entry in listing.entries]
            for listing in (old, new)
        ]
        assert lines[0] == lines[1]
        assert [line[1] for line in lines[1]] == [SYSTEM - {"\\Deleted"}] * 2
        assert (await listed_changes(again, folder, old.cursor)).vanished == []
        await again.close()

    async def test_reading_changes_nothing(self, mailbox: Opened) -> None:
        folder = await mailbox.target.create(("Read",), None)
        await put(mailbox.target, folder, mail("one"), mail("two"))
        before = await mailbox.target.folders()
        writes = mailbox.target.traffic.writes
        listing = await listed_changes(mailbox.source, folder)
        keys = [entry.key for entry in listing.entries]
        await contents(mailbox.source, folder, listing.entries)
        assert len([pair async for pair in mailbox.source.identify(folder, keys)]) == 2
        after = await listed_changes(mailbox.source, folder)
        assert [entry.flags for entry in after.entries] == [frozenset(), frozenset()]
        assert await mailbox.target.folders() == before
        assert mailbox.target.traffic.writes == writes
        assert mailbox.source.traffic.writes == 0


class WatchedBlob:
    """A blob that tells whether it was closed."""

    def __init__(self, data: bytes) -> None:
        self._blob: Blob = MemoryBlob(data)
        self.closed = False
        self.size = len(data)
        self.digest = self._blob.digest
        self.head = self._blob.head
        self.chunks = self._blob.chunks

    def close(self) -> None:
        self.closed = True


async def put(
    target: Target,
    folder: Folder,
    *messages: bytes,
    flags: Flags = frozenset(),
    received: datetime | None = WHEN,
) -> list[Appended | Refused]:
    """Appends these; the entries' keys count from 0. Returns the answers."""

    async def stream() -> AsyncIterator[Message]:
        for number, data in enumerate(messages):
            yield Message(Entry(number, flags, len(data), received), MemoryBlob(data))

    return [answer async for answer in target.append(folder, stream())]


async def named(store: Source, path: FolderPath) -> Folder:
    """The folder at `path` as the store lists it now."""
    return next(folder for folder in await store.folders() if folder.path == path)


async def listed_changes(store: Source, folder: Folder, since: Cursor | None = None) -> Listing:
    """All pages, checked for what every page owes."""
    pages = [page async for page in store.changes(folder, since)]
    assert pages, "there always is a last page"
    assert [page.cursor is None for page in pages] == [True] * (len(pages) - 1) + [False]
    assert len({page.whole for page in pages}) == 1
    assert since is not None or pages[0].whole
    cursor = pages[-1].cursor
    assert cursor is not None
    return Listing(
        entries=[entry for page in pages for entry in page.entries],
        vanished=[key for page in pages for key in page.vanished],
        whole=pages[0].whole,
        cursor=cursor,
        pages=len(pages),
    )


async def contents(store: Source, folder: Folder, entries: Sequence[Entry]) -> list[bytes]:
    """The octets of these messages, each checked against what its blob says of itself."""
    found = []
    async for message in store.fetch(folder, entries):
        assert isinstance(message, Message), message.reason
        data = b"".join(message.blob.chunks())
        assert message.blob.size == len(data)
        assert message.blob.head(10) == data[:10]
        message.blob.close()
        found.append(data)
    return found


async def octets(store: Source, folder: Folder) -> list[bytes]:
    """The octets of all messages in order."""
    return await contents(store, folder, (await listed_changes(store, folder)).entries)


def keys_of(answers: Sequence[Appended | Refused]) -> list[Key]:
    """The keys that were announced."""
    appended = [answer for answer in answers if isinstance(answer, Appended)]
    return [answer.key for answer in appended if answer.key is not None]


def change(key: Key, add: set[str] | None = None, remove: set[str] | None = None) -> FlagChange:
    return FlagChange(key, frozenset(add or ()), frozenset(remove or ()))
