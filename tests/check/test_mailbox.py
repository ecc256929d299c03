"""One row a case: what both sides are like, and what is said about it. Nothing is changed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailhaul.check.checked import EDGES, Checked
from mailhaul.check.codes import MEANINGS, Code
from mailhaul.check.mailbox import check_mailbox, checked_without_login
from mailhaul.core.errors import Closed, ClosedReason, FolderFailed, MailhaulError, RetryLater
from mailhaul.core.finding import Severity
from mailhaul.core.folder import FolderPath, NameRules, Role
from mailhaul.core.message import Flags
from mailhaul.core.store import Quota
from mailhaul.engine.outcomes import Options, Side
from mailhaul.plan.model import Budget
from mailhaul.providers.obstacles import KNOWN, Obstacle
from mailhaul.stores.maildir_target import maildir_target
from mailhaul.stores.memory import Faults, MemorySource, MemoryTarget
from mailhaul.stores.memory_mailbox import Habits, MemoryMailbox

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def mail(name: str, body: bytes = b"Hello.\r\n", extra: bytes = b"") -> bytes:
    return b"Subject: %s\r\nMessage-ID: <%s@x>\r\n%s\r\n%s" % (
        name.encode(),
        name.encode(),
        extra,
        body,
    )


def mailbox(
    content: dict[FolderPath, Sequence[bytes]] | None = None, habits: Habits | None = None
) -> MemoryMailbox:
    made = MemoryMailbox(habits)
    for path, messages in (content or {}).items():
        made.make(path)
        for data in messages:
            made.deliver(data, path)
    return made


def plain() -> MemoryMailbox:
    return mailbox({("INBOX",): [mail("one"), mail("two")], ("Work",): [mail("three")]})


def faulty(operation: str, error: MailhaulError, times: int = 10**9, folder: str = "") -> Faults:
    left = times

    def faults(what: str, where: str) -> None:
        nonlocal left
        if what == operation and (not folder or where == folder) and left > 0:
            left -= 1
            raise error

    return faults


async def look(
    source: MemoryMailbox,
    target: MemoryMailbox | None = None,
    options: Options | None = None,
    *,
    source_faults: Faults | None = None,
    target_faults: Faults | None = None,
    probe: bool = False,
    obstacles: Sequence["Ways"] = (),
    target_budget: Budget | None = None,
    append_limit: int | None = None,
    waits: list[float] | None = None,
) -> Checked:
    slept = [] if waits is None else waits

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return await check_mailbox(
        MemorySource(source, source_faults),
        MemoryTarget(target if target is not None else mailbox(), target_faults),
        options or Options(),
        probe=probe,
        now=NOW.timestamp,
        obstacles=obstacles,
        target_budget=target_budget or Budget(),
        append_limit=append_limit,
        sleep=sleep,
        token="test",
    )


@dataclass
class Ways:
    """Somebody who knows of obstacles."""

    told: list[Obstacle] = field(default_factory=list)
    error: MailhaulError | None = None

    async def obstacles(self) -> list[Obstacle]:
        if self.error is not None:
            raise self.error
        return self.told


def codes(checked: Checked) -> list[str]:
    return [finding.code for finding in checked.findings]


def evidence(checked: Checked, code: Code | str) -> str:
    [one] = [finding for finding in checked.findings if finding.code == code]
    return one.evidence


async def test_a_mailbox_that_is_well_is_counted_and_nothing_is_said() -> None:
    source, target = plain(), mailbox()
    checked = await look(source, target)
    assert codes(checked) == []
    assert not checked.blocked and checked.worst is None
    sizes = [len(stored.data) for path in source.paths for stored in source.messages(path)]
    assert (checked.messages, checked.octets) == (3, sum(sizes))
    assert [(folder.path, folder.messages) for folder in checked.folders] == [
        (("INBOX",), 2),
        (("Work",), 1),
    ]
    assert [link.target for link in checked.map] == [("INBOX",), ("Work",)]
    assert checked.rate.octets_read and checked.rate.octets_read > 0
    assert checked.rate.octets_written is None
    assert checked.source is not None and checked.source.capabilities.server == "memory"


@dataclass(frozen=True)
class Case:
    """What is looked at, and what must be found with which words in its evidence."""

    expected: dict[Code, str]
    source: Callable[[], MemoryMailbox] = plain
    target: Callable[[], MemoryMailbox] = mailbox
    options: Options = field(default_factory=Options)
    append_limit: int | None = None
    budget: Budget = field(default_factory=Budget)


def old_and_new() -> MemoryMailbox:
    made = mailbox()
    made.deliver(mail("old"), received=NOW - timedelta(days=900))
    made.deliver(mail("new"), received=NOW - timedelta(days=9))
    return made


def flagged(flags: Flags) -> MemoryMailbox:
    made = mailbox()
    made.deliver(mail("one"), flags=flags)
    return made


def dated(when: datetime) -> MemoryMailbox:
    made = mailbox()
    made.deliver(mail("one"), received=when)
    return made


def subscribed() -> MemoryMailbox:
    made = plain()
    made.make(("News",), subscribed=True)
    return made


def with_view() -> MemoryMailbox:
    made = plain()
    made.make(("All Mail",), Role.ALL)
    return made


def in_folders(*names: str) -> Callable[[], MemoryMailbox]:
    return lambda: mailbox({(name,): [mail(name)] for name in names})


LARGE = mail("large", b"x" * 78 + b"\r\n" + (b"x" * 78 + b"\r\n") * 61)
CASES: dict[str, Case] = {
    "the target takes no message so large": Case(
        {Code.TOO_LARGE: "1 message of 5.0 kB above 4.0 kB"},
        source=lambda: mailbox({("INBOX",): [LARGE, mail("small")]}),
        target=lambda: mailbox(habits=Habits(append_limit=4000)),
    ),
    "the preset knows the limit that the target doesn't tell": Case(
        {Code.TOO_LARGE: "1 message of 5.0 kB above 4.0 kB"},
        source=lambda: mailbox({("INBOX",): [LARGE]}),
        append_limit=4000,
    ),
    "more messages than the quota": Case(
        {Code.QUOTA_SHORT: "1 message too many"},
        target=lambda: mailbox(habits=Habits(most_messages=2)),
    ),
    "hardly less than the quota": Case(
        {Code.QUOTA_TIGHT: "3 messages are to come, 0 messages of 3 messages are used"},
        target=lambda: mailbox(habits=Habits(most_messages=3)),
    ),
    "what is there already counts once": Case(
        {Code.TARGET_NOT_EMPTY: "2 messages", Code.QUOTA_TIGHT: "2 messages of 3 messages"},
        target=lambda: mailbox({("INBOX",): [mail("one"), mail("two")]}, Habits(most_messages=3)),
    ),
    "what strangers take counts twice": Case(
        {Code.TARGET_NOT_EMPTY: "2 messages", Code.QUOTA_SHORT: "1 message too many"},
        target=lambda: mailbox(
            {("Elsewhere",): [mail("one"), mail("two")]}, Habits(most_messages=4)
        ),
    ),
    "a folder has to be renamed": Case(
        {Code.FOLDERS_RENAMED: "“a^b” → “a_b”"},
        source=in_folders("a^b"),
        target=lambda: mailbox(
            habits=Habits(names=NameRules(delimiter="/", forbidden=frozenset("^")))
        ),
    ),
    "two folders collide where case is folded": Case(
        {Code.FOLDERS_RENAMED: "~2"},
        source=in_folders("Trips", "TRIPS"),
        target=lambda: mailbox(habits=Habits(names=NameRules(folds_case=True))),
    ),
    "a reserved name": Case(
        {Code.FOLDERS_RENAMED: "“Files” → “Files~2”"},
        source=in_folders("Files"),
        target=lambda: mailbox(habits=Habits(names=NameRules(reserved=frozenset({"files"})))),
    ),
    "the plan maps to where nothing can be": Case(
        {Code.FOLDER_MAP: "the target can't have that folder"},
        source=in_folders("Work"),
        target=lambda: mailbox(habits=Habits(names=NameRules(forbidden=frozenset("^")))),
        options=Options(maps={("Work",): ("a^b",)}),
    ),
    "the plan maps a folder that isn't there": Case(
        {Code.FOLDER_MAP: "Wrok"}, options=Options(maps={("Wrok",): ("Work",)})
    ),
    "folders are excluded": Case(
        {Code.FOLDERS_LEFT_OUT: "“Work”"}, options=Options(exclude=("Work",))
    ),
    "a view of other folders": Case(
        {Code.FOLDERS_LEFT_OUT: "“All Mail”", Code.NOTICE: "lie in other folders too"},
        source=with_view,
    ),
    "the target keeps no keywords": Case(
        {Code.KEYWORDS_LOST: "1 message: $forwarded"},
        source=lambda: flagged(frozenset({"$Forwarded"})),
        target=lambda: mailbox(habits=Habits(keeps_keywords=False)),
    ),
    "the target keeps no received dates": Case(
        {Code.RECEIVED_LOST: "3 messages"},
        target=lambda: mailbox(habits=Habits(keeps_received=False)),
    ),
    "the target keeps no subscriptions": Case(
        {Code.SUBSCRIPTIONS_LOST: "subscribed"},
        source=subscribed,
        target=lambda: mailbox(habits=Habits(keeps_subscriptions=False)),
    ),
    "marked as deleted": Case(
        {Code.MARKED_DELETED: "1 message"}, source=lambda: flagged(frozenset({"\\Deleted"}))
    ),
    "a date before 1970": Case(
        {Code.ODD_DATES: "1 message"}, source=lambda: dated(datetime(1955, 1, 1, tzinfo=UTC))
    ),
    "a date in the future": Case(
        {Code.ODD_DATES: "1 message"}, source=lambda: dated(NOW + timedelta(days=90))
    ),
    "twice in one folder": Case(
        {Code.DUPLICATES: "2 messages"},
        source=lambda: mailbox({("INBOX",): [mail("one")] * 3, ("Work",): [mail("one")]}),
    ),
    "without Message-ID": Case(
        {Code.WITHOUT_MESSAGE_ID: "1 message"},
        source=lambda: mailbox({("INBOX",): [b"Subject: x\r\n\r\nx\r\n"]}),
    ),
    "no octets at all": Case(
        {Code.EMPTY_MESSAGES: "1 message", Code.WITHOUT_MESSAGE_ID: "1 message"},
        source=lambda: mailbox({("INBOX",): [b"", mail("one")]}),
    ),
    "nothing at all": Case({Code.SUSPICIOUSLY_EMPTY: "not one"}, source=mailbox),
    "odd octets in the sample": Case(
        {Code.AWKWARD_CONTENT: "8-bit octets in the header (1), NUL octets (1)"},
        source=lambda: mailbox(
            {("INBOX",): [mail("one", b"a\0b\r\n"), mail("two", extra=b"X: \xff\r\n")]}
        ),
    ),
    "a message that is listed and not handed over": Case(
        {Code.NOT_FETCHED: "“INBOX” 2: no such item"},
        source=lambda: mailbox(
            {("INBOX",): [mail("good"), mail("bad")]},
            Habits(unreadable=lambda data: "no such item" if b"bad" in data else None),
        ),
    ),
    "days by the limits of the target": Case(
        {Code.DAILY_LIMIT: "4 days by the target's limits"},
        source=lambda: mailbox({("INBOX",): [mail("x", b"x" * 340 + b"\r\n")]}),
        budget=Budget(octets_per_day_each=100),
    ),
    "older mail stays and needs no room": Case(
        {}, source=old_and_new, options=Options(since=NOW - timedelta(days=30))
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_will_go_wrong_is_said_and_nothing_is_changed(case: Case) -> None:
    source, target = case.source(), case.target()
    checked = await look(
        source,
        target,
        case.options,
        append_limit=case.append_limit,
        target_budget=case.budget,
    )
    assert set(codes(checked)) == {code.value for code in case.expected}
    for code, words in case.expected.items():
        assert words in evidence(checked, code)
    assert not source.written and not target.written
    blocking = [code for code in case.expected if MEANINGS[code].severity is Severity.BLOCKS]
    assert checked.blocked == bool(blocking)


async def test_findings_come_worst_first() -> None:
    source = mailbox({("INBOX",): [mail("one")] * 2, ("Work",): [LARGE]})
    target = mailbox(habits=Habits(append_limit=4000, most_messages=1))
    checked = await look(source, target)
    assert codes(checked) == ["QUOTA_SHORT", "TOO_LARGE", "DUPLICATES"]
    assert all(finding.remedy for finding in checked.findings)


async def test_older_messages_count_apart() -> None:
    checked = await look(old_and_new(), options=Options(since=NOW - timedelta(days=30)))
    assert (checked.messages, checked.folders[0].older) == (1, 1)


async def test_the_histogram_counts_every_message_once() -> None:
    sizes = [10, 9_999, 10_000, 99_999, 1_000_000, 6_000_000]
    checked = await look(mailbox({("INBOX",): [b"x" * size for size in sizes]}))
    steps = {step.below: step.messages for step in checked.histogram if step.messages}
    assert steps == {10_000: 2, 100_000: 2, 5_000_000: 1, 10_000_000: 1}
    assert [step.below for step in checked.histogram] == [*EDGES, None]
    assert sum(step.octets for step in checked.histogram) == sum(sizes) == checked.octets


CREDENTIALS = Closed("anna: the server says no; correct it", ClosedReason.CREDENTIALS)


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        (ClosedReason.CREDENTIALS, "CREDENTIALS"),
        (ClosedReason.FORBIDDEN, "FORBIDDEN"),
        (ClosedReason.UNREACHABLE, "UNREACHABLE"),
        (ClosedReason.TLS, "UNREACHABLE"),
    ],
)
async def test_a_closed_side_blocks_and_the_other_is_looked_at_all_the_same(
    reason: ClosedReason, ending: str
) -> None:
    error = Closed("the reason in words", reason)
    one = await look(plain(), target_faults=faulty("open", error))
    assert (codes(one), one.messages, one.map) == ([f"TARGET_{ending}"], 3, ())
    assert evidence(one, f"TARGET_{ending}") == "the reason in words"
    other = await look(plain(), source_faults=faulty("open", error))
    assert (codes(other), other.messages) == ([f"SOURCE_{ending}"], 0)
    assert other.target is not None and other.source is None
    expected = frozenset({Side.TARGET}) if reason is ClosedReason.CREDENTIALS else frozenset()
    assert one.refused == expected


async def test_a_refused_login_is_never_tried_twice() -> None:
    tries = 0

    def faults(operation: str, folder: str) -> None:
        nonlocal tries
        if operation == "open":
            tries += 1
            raise CREDENTIALS

    await look(plain(), target_faults=faults)
    assert tries == 1


@pytest.mark.parametrize("operation", ["open", "folders", "page", "identify", "fetch"])
async def test_a_server_that_is_away_for_a_moment_is_waited_for(operation: str) -> None:
    waits: list[float] = []
    away = RetryLater("busy", after=5.0)
    checked = await look(plain(), source_faults=faulty(operation, away, times=2), waits=waits)
    assert (codes(checked), checked.messages, checked.again_after) == ([], 3, None)
    assert waits == [5.0, 5.0]


@pytest.mark.parametrize("operation", ["open", "page", "identify"])
async def test_one_that_stays_away_is_worth_another_try_later(operation: str) -> None:
    away = RetryLater("throttled for long", after=299.0, throttled=True)
    waits: list[float] = []
    checked = await look(plain(), source_faults=faulty(operation, away), waits=waits)
    assert (codes(checked)[0], checked.blocked, waits) == ("SOURCE_AWAY", True, [])
    assert checked.again_after == 299.0
    assert checked.refused == frozenset()


async def test_a_folder_that_fails_does_not_stop_the_others() -> None:
    broken = faulty("page", FolderFailed("its index is broken; mend it"), folder="Work")
    checked = await look(plain(), source_faults=broken)
    assert codes(checked) == ["FOLDER_UNREADABLE"]
    assert "“Work”: its index is broken" in evidence(checked, Code.FOLDER_UNREADABLE)
    assert checked.messages == 2


class Liar(MemorySource):
    """States other counts than it lists."""

    async def folders(self):  # type: ignore[no-untyped-def]
        found = await super().folders()
        return [replace(folder, count=(folder.count or 0) + 5) for folder in found]


async def test_counts_that_stay_different_are_told() -> None:
    checked = await check_mailbox(
        Liar(plain()), MemoryTarget(mailbox()), Options(), now=NOW.timestamp
    )
    assert codes(checked) == ["COUNTS_DIFFER"]
    assert "“INBOX”: counted 7, listed 2" in evidence(checked, Code.COUNTS_DIFFER)


async def test_mail_that_comes_and_goes_while_looking_is_no_finding() -> None:
    source = plain()

    def person(operation: str, folder: str) -> None:
        if (operation, folder) == ("page", "INBOX") and source.total() < 6:
            source.deliver(mail(f"new {source.total()}"))
        if (operation, folder) == ("identify", "Work"):
            source.expunge(1, path=("Work",))

    checked = await look(source, source_faults=person)
    assert codes(checked) == []


async def test_obstacles_are_handed_on_with_a_remedy() -> None:
    told = [
        Obstacle("RESPONDER_EXIST", "since 1 May"),
        Obstacle("FILTER_EXIST"),
        Obstacle("SOMETHING_NEW", "x\x1b[31m"),
    ]
    checked = await look(plain(), obstacles=[Ways(told)])
    found = {finding.code: finding for finding in checked.findings}
    assert found["RESPONDER_EXIST"].severity is Severity.BLOCKS
    assert found["RESPONDER_EXIST"].remedy == KNOWN["RESPONDER_EXIST"].remedy
    assert found["FILTER_EXIST"].evidence == KNOWN["FILTER_EXIST"].means
    assert found["SOMETHING_NEW"].severity is Severity.WARNS
    assert "\x1b" not in found["SOMETHING_NEW"].evidence


async def test_a_provider_that_does_not_answer_is_worth_another_try() -> None:
    checked = await look(plain(), obstacles=[Ways(error=RetryLater("busy", after=120))])
    assert (codes(checked), checked.again_after) == (["TARGET_AWAY"], 120)


def test_a_reference_that_leads_nowhere_reads_like_a_refused_login() -> None:
    checked = checked_without_login([(Side.SOURCE, CREDENTIALS)])
    assert (codes(checked), checked.refused) == (["SOURCE_CREDENTIALS"], frozenset({Side.SOURCE}))


def test_octets_of_a_quota_are_judged_with_a_margin() -> None:
    from mailhaul.check.census import SourceCensus
    from mailhaul.check.judging import of_the_target
    from mailhaul.core.store import Capabilities

    def judged(used: int, limit: int) -> list[str]:
        census = SourceCensus(None, None, NOW)
        census.total.octets, census.total.messages = 1000, 1
        can = Capabilities("x", quota=Quota(used, limit))
        return [finding.code for finding in of_the_target(census, can, (), (), False)]

    assert judged(0, 0) == []
    assert judged(0, 10_000) == []
    assert judged(100, 1200) == ["QUOTA_TIGHT"]
    assert judged(201, 1200) == ["QUOTA_SHORT"]


# --- the probe -----------------------------------------------------------------------------------


def munging(data: bytes) -> bytes:
    header, separator, body = data.partition(b"\r\n\r\n")
    return bytes(88 if octet > 127 else octet for octet in header) + separator + body


async def probed(habits: Habits, **more: Faults) -> tuple[Checked, MemoryMailbox]:
    target = mailbox({("INBOX",): [mail("theirs")]}, habits)
    before = target.clone()
    checked = await look(plain(), target, probe=True, **more)  # type: ignore[arg-type]
    assert [stored.data for stored in target.messages()] == [
        stored.data for stored in before.messages()
    ]
    return checked, target


async def test_a_faithful_target_is_called_so_and_nothing_is_left() -> None:
    checked, target = await probed(Habits())
    assert codes(checked) == ["TARGET_NOT_EMPTY", "PROBE_FAITHFUL"]
    assert len(checked.fidelity) >= 12 and all(each.kept for each in checked.fidelity)
    assert target.paths == [("INBOX",)]
    assert checked.rate.octets_written and checked.rate.octets_written > 0


async def test_without_asking_for_it_nothing_is_tried() -> None:
    target = mailbox()
    await look(plain(), target)
    assert not target.written


@pytest.mark.parametrize(
    ("habits", "code", "words"),
    [
        (Habits(alters=munging), "PROBE_ALTERED", "the header: 8-bit header octets → X"),
        (
            Habits(alters=lambda data: data.replace(b"\0", b"\x80")),
            "PROBE_ALTERED",
            "NUL octets: NUL → 0x80",
        ),
        (
            Habits(refuses=lambda data: "no NUL here" if b"\0" in data else None),
            "PROBE_REFUSED",
            "NUL octets: no NUL here",
        ),
        (Habits(keeps_keywords=False), "PROBE_FLAGS", "loses $Forwarded, mailhaul-probe"),
        (Habits(alters=lambda data: data[:-1]), "PROBE_ALTERED", "altered, unexplained"),
    ],
)
async def test_what_the_target_does_to_odd_messages_is_told_by_name(
    habits: Habits, code: str, words: str
) -> None:
    checked, target = await probed(habits)
    told = [finding.evidence for finding in checked.findings if finding.code == code]
    assert any(words in each for each in told), told
    assert "PROBE_FAITHFUL" not in codes(checked)
    assert target.paths == [("INBOX",)]


async def test_a_target_that_tells_no_keys_is_read_back_as_well() -> None:
    checked, target = await probed(Habits(announces_keys=False))
    assert "PROBE_FAITHFUL" in codes(checked)
    assert target.paths == [("INBOX",)]


async def test_a_probe_that_breaks_off_still_cleans_up() -> None:
    broken = faulty("after append", Closed("the mailbox is full", ClosedReason.FULL))
    checked, target = await probed(Habits(), target_faults=broken)
    assert "the mailbox is full" in evidence(checked, Code.PROBE_FAILED)
    assert target.paths == [("INBOX",)]


async def test_a_scratch_folder_that_stays_is_named_now_and_at_the_next_check() -> None:
    broken = faulty("before remove", FolderFailed("read-only"))
    checked, target = await probed(Habits(), target_faults=broken)
    assert evidence(checked, Code.PROBE_FOLDER_LEFT) == "“mailhaul-probe-test”"
    again = await look(plain(), target)
    assert "of an earlier probe" in evidence(again, Code.PROBE_FOLDER_LEFT)


async def test_a_small_limit_leaves_the_big_message_out() -> None:
    checked, _ = await probed(Habits(append_limit=100_000))
    assert "PROBE_FAITHFUL" in codes(checked)
    assert "a big message" not in [each.oddity.value for each in checked.fidelity]


def test_every_code_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Code)
    blocking = {code for code, meaning in MEANINGS.items() if meaning.severity is Severity.BLOCKS}
    assert all(MEANINGS[code].remedy for code in blocking)
    assert all(known.remedy for known in KNOWN.values())
    assert not set(KNOWN) & {code.value for code in Code}


class Hanging(MemoryTarget):
    """Stores what it is given, and doesn't answer."""

    async def append(self, folder, messages):  # type: ignore[no-untyped-def]
        async for answer in super().append(folder, messages):
            yield answer
            await asyncio.sleep(60)


async def test_a_probe_that_is_cancelled_still_cleans_up() -> None:
    target = mailbox()
    work = check_mailbox(
        MemorySource(plain()), Hanging(target), Options(), probe=True, now=NOW.timestamp
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await work
    assert target.written["append"] == 1
    assert target.paths == [("INBOX",)]


async def test_files_are_not_probed(tmp_path: Path) -> None:
    target = maildir_target(tmp_path / "out")
    checked = await check_mailbox(
        MemorySource(plain()), target, Options(), probe=True, now=NOW.timestamp
    )
    assert codes(checked) == ["PROBE_SKIPPED"]
    assert not (tmp_path / "out").exists()
