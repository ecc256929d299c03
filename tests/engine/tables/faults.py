"""Servers that refuse, throttle, fill up, hold back, and count wrong (B1–B14, C3, C18, D11–D18)."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from errno import ENOSPC

from mailhaul.core.errors import Closed, ClosedReason, Disconnected, FolderFailed, RetryLater
from mailhaul.core.folder import Cursor, Folder, NameRules
from mailhaul.core.store import Changes, Source
from mailhaul.engine.outcomes import Options
from tests.engine.acts import at_source, at_target, source_becomes, target_becomes
from tests.engine.notation import octets
from tests.engine.scenarios import SOURCE, TARGET, Listing, On, Scenario, Sync
from tests.engine.tables.deleting import EMPTY, MIRROR

VIRUS = "550 it contains a virus"
FULL = "the mailbox is full; make room or raise its quota"
BROKEN = "the server sent an answer without a body"


def _only(words: str, *names: str) -> Callable[[bytes], str | None]:
    unwanted = {octets(name) for name in names}
    return lambda data: words if data in unwanted else None


def _count_one_more(source: Source) -> Source:
    def more(folder: Folder) -> Folder:
        counted = folder.count if folder.path != ("INBOX",) else (folder.count or 0) + 1
        return replace(folder, count=counted)

    return Listing(source, more)  # type: ignore[return-value]


class Blank(Listing):
    """A source whose folders are there, and empty."""

    async def changes(self, folder: Folder, since: Cursor | None) -> AsyncIterator[Changes]:
        cursor = None
        async for page in self._source.changes(folder, since):
            cursor = page.cursor
        yield Changes((), whole=True, cursor=cursor)


def _blank(source: Source) -> Source:
    return Blank(source, lambda folder: replace(folder, count=0, size=0, state=None, tail=None))  # type: ignore[return-value]


def _day(day: int) -> datetime:
    return datetime(2024, 1, day, tzinfo=UTC)


FAULTS: tuple[Scenario, ...] = (
    Scenario(
        "a message that the target refuses does not hold up the others",
        source="INBOX: A B C D E",
        target="INBOX:",
        target_habits={"refuses": _only(VIRUS, "C")},
        story=(Sync("copied 4, refused 1", writes="append 4"),),
        ends="INBOX: A B D E",
    ),
    Scenario(
        "all messages are refused",
        source="INBOX: A B | Work: C",
        target="INBOX:",
        target_habits={"refuses": lambda data: VIRUS},
        story=(Sync("refused 3", writes="create 1"),),
        ends="INBOX: | Work:",
    ),
    Scenario(
        "refused messages are offered again when asked for, and only then",
        source="INBOX: A B C",
        target="INBOX:",
        target_habits={"refuses": _only(VIRUS, "B")},
        story=(
            Sync("copied 2, refused 1"),
            target_becomes(refuses=lambda data: None),
            Sync("copied 2, refused 1", writes=""),
            Sync("copied 3, carried 1", Options(retry_refused=True), writes="append 1"),
        ),
        ends="INBOX: A C B",
        unordered=True,
    ),
    Scenario(
        "a refused message is deleted at the source",
        source="INBOX: A B",
        target="INBOX:",
        target_habits={"refuses": _only(VIRUS, "B")},
        story=(
            Sync("copied 1, refused 1"),
            at_source("expunge INBOX B"),
            Sync("copied 1", writes=""),
        ),
        ends="INBOX: A",
    ),
    Scenario(
        "a message larger than the target takes",
        source="INBOX: A B.big C",
        target="INBOX:",
        target_habits={"append_limit": 1000},
        story=(Sync("copied 2, refused 1", writes="append 2"),),
        ends="INBOX: A C",
    ),
    Scenario(
        "a large message is flagged at the source: it is not offered again",
        source="INBOX: A B.big C",
        target="INBOX:",
        target_habits={"append_limit": 1000},
        story=(
            Sync("copied 2, refused 1"),
            at_source("mark INBOX B.big +F"),
            at_source("mark INBOX A +F"),
            Sync("copied 2, refused 1", writes="flag 1"),
        ),
        ends="INBOX: A:F C",
    ),
    Scenario(
        "the limit is raised: the large message follows",
        source="INBOX: A B.big C",
        target="INBOX:",
        target_habits={"append_limit": 1000},
        story=(
            Sync("copied 2, refused 1"),
            target_becomes(append_limit=None),
            Sync("copied 3", Options(retry_refused=True), writes="append 1"),
        ),
        ends="INBOX: A C B.big",
        unordered=True,
    ),
    Scenario(
        "a message that the source can't hand over is missing, and tried again",
        source="INBOX: A B:S C",
        target="INBOX:",
        source_habits={"unreadable": _only(BROKEN, "B")},
        story=(
            Sync("copied 2, missing 1", writes="append 2"),
            Sync("copied 2, missing 1", writes=""),
            source_becomes(unreadable=lambda data: None),
            Sync("copied 3, carried 1", writes="append 1"),
        ),
        ends="INBOX: A C B:S",
        unordered=True,
    ),
    Scenario(
        "an unreadable message heals and is flagged during the pass: its date is kept",
        source="INBOX: A B C",
        target="INBOX:",
        source_habits={"unreadable": _only(BROKEN, "B")},
        story=(
            Sync(
                "copied 3",
                on=(
                    On(TARGET, "after append", 2, at_source("mark INBOX B +F")),
                    On(SOURCE, "folders", 2, source_becomes(unreadable=lambda data: None)),
                ),
            ),
        ),
        ends="INBOX: A C B:F",
        unordered=True,
        servers="best plain",
    ),
    Scenario(
        "the target is full in mid-folder; then there is room",
        source="INBOX: A B C D | Work: E",
        target="INBOX:",
        target_habits={"most_messages": 3},
        story=(
            Sync(raises=Closed, unfinished=(FULL,)),
            target_becomes(most_messages=None),
            Sync("copied 5"),
        ),
        ends="INBOX: A B C D | Work: E",
        unordered=True,
    ),
    Scenario(
        "the target is full from the beginning; then the person makes room",
        source="INBOX: A B",
        target="INBOX: X Y",
        target_habits={"most_messages": 2},
        story=(
            Sync(raises=Closed, unfinished=(FULL,)),
            at_target("expunge INBOX X Y"),
            Sync("copied 2"),
        ),
        ends="INBOX: A B",
    ),
    Scenario(
        "the disk of this machine is full in mid-folder; then there is room",
        source="INBOX: A B C | Work: D",
        target="INBOX:",
        story=(
            Sync(
                on=(
                    On(
                        TARGET,
                        "before append",
                        2,
                        None,
                        OSError(ENOSPC, "No space left", "/state/x"),
                    ),
                ),
                raises=OSError,
                unfinished=(
                    "the pass was stopped, for this machine says: No space left at /state/x; mend "
                    "that and run again",
                ),
            ),
            Sync("copied 4"),
        ),
        ends="INBOX: A B C | Work: D",
    ),
    Scenario(
        "the target throttles, again and again",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                "copied 3",
                on=tuple(
                    On(TARGET, "before append", 1, None, RetryLater("slow down", throttled=True))
                    for _ in range(12)
                ),
                waits=12,
                writes="append 3",
            ),
        ),
        ends="INBOX: A B C",
    ),
    Scenario(
        "the source throttles between two messages",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                "copied 3",
                on=(On(SOURCE, "fetch", 2, None, RetryLater("later", after=300, throttled=True)),),
                waits=1,
                writes="append 3",
            ),
        ),
        ends="INBOX: A B C",
    ),
    Scenario(
        "a server that fails again and again without progress is given up, and said so",
        source="INBOX: A | Work: B",
        target="INBOX:",
        story=(
            Sync(
                "census 2, copied 1",
                Options(retries=3),
                on=tuple(
                    On(SOURCE, "fetch", 1, None, RetryLater("out of order"), "Work")
                    for _ in range(4)
                ),
                waits=3,
                unfinished=("“Work”: given up after 3 tries: out of order",),
            ),
            Sync("copied 2"),
        ),
        ends="INBOX: A | Work: B",
    ),
    Scenario(
        "a keyword that the target does not keep is not asked for again",
        source="INBOX: A:+$Label1 B:S+$Label2",
        target="INBOX:",
        target_habits={"keeps_keywords": False},
        story=(
            Sync("copied 2", writes="append 2"),
            at_source("mark INBOX A +F"),
            Sync("copied 2, flagged 1", writes="flag 1"),
        ),
        ends="INBOX: A:F B:S",
    ),
    Scenario(
        "a target with few keywords, spelled its own way",
        source="INBOX: A:+One B:+ONE C:+Two D:+Three",
        target="INBOX:",
        target_habits={"most_keywords": 2},
        story=(
            Sync("copied 4"),
            at_source("mark INBOX D +S"),
            Sync("copied 4", writes="flag 1"),
        ),
        ends="INBOX: A:+One B:+One C:+Two D:S",
    ),
    Scenario(
        "a target that does not keep dates",
        source="INBOX: A B",
        target="INBOX:",
        target_habits={"keeps_received": False},
        story=(
            Sync("copied 2"),
            at_source("deliver INBOX: C"),
            Sync("copied 3, carried 1", writes="append 1"),
        ),
        ends="INBOX: A@0 B@0 C@0",
    ),
    Scenario(
        "a folder that can't be made leaves the others alone",
        source="INBOX: A | Bad: B C | Work: D",
        target="INBOX:",
        story=(
            Sync(
                "census 4, copied 2",
                on=(
                    On(TARGET, "before create", 1, None, FolderFailed("the name is taken"), "Bad"),
                ),
                unfinished=("“Bad” could not be made: the name is taken",),
            ),
            Sync("copied 4"),
        ),
        ends="INBOX: A | Bad: B C | Work: D",
    ),
    Scenario(
        "a folder that can't be opened leaves the others alone, and follows later",
        source="INBOX: A | Bad: B C | Work: D",
        target="INBOX:",
        story=(
            Sync(
                "census 4, copied 2",
                on=(On(SOURCE, "page", 1, None, FolderFailed("no rights to read it"), "Bad"),),
                unfinished=("“Bad”: no rights to read it",),
            ),
            Sync("copied 4"),
        ),
        ends="INBOX: A | Bad: B C | Work: D",
    ),
    Scenario(
        "reserved and forbidden names are mapped before the first octet",
        source="INBOX: A | Files: B | a*b: C",
        target="INBOX:",
        target_habits={
            "names": NameRules(
                delimiter="/", forbidden=frozenset("*"), reserved=frozenset({"files"})
            )
        },
        story=(
            Sync("copied 3"),
            at_source("deliver Files: D"),
            Sync("copied 4, carried 1", writes="append 1"),
        ),
        ends="INBOX: A | Files~2: B D | a_b: C",
    ),
    Scenario(
        "the source counts one message more than it lists",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync(
                "census 3, copied 2",
                wrap=_count_one_more,
                writes="append 2",
                unfinished=(
                    "“INBOX”: the source counts 3 messages, of which 2 are accounted for; run "
                    "again, and if it stays so look at the source",
                ),
            ),
        ),
        ends="INBOX: A B",
        idle=False,
    ),
    Scenario(
        "--since leaves out what is older",
        source="INBOX: A@3 B@9:S C@5",
        target="INBOX:",
        story=(
            Sync("copied 1, skipped 2", Options(since=_day(8)), writes="append 1"),
            at_source("deliver INBOX: D@2 E@11"),
            Sync("copied 2, skipped 3", Options(since=_day(8)), writes="append 1"),
        ),
        ends="INBOX: B@9:S E@11",
    ),
    Scenario(
        "an earlier --since takes up the rest, and none takes up all",
        source="INBOX: A@3 B@9 C@5",
        target="INBOX:",
        story=(
            Sync("copied 1, skipped 2", Options(since=_day(8))),
            Sync("copied 2, skipped 1", Options(since=_day(5)), writes="append 1"),
            Sync("copied 3", writes="append 1"),
        ),
        ends="INBOX: B@9 C@5 A@3",
        unordered=True,
    ),
    Scenario(
        "a skipped message that is flagged keeps its date when it is taken up",
        source="INBOX: A@3 B@9 C@5",
        target="INBOX:",
        story=(
            Sync("copied 1, skipped 2", Options(since=_day(8))),
            at_source("mark INBOX A +F"),
            Sync("copied 2, skipped 1", Options(since=_day(5))),
            at_source("mark INBOX A +S"),
            Sync("copied 3"),
        ),
        ends="INBOX: A@3:SF B@9 C@5",
        unordered=True,
    ),
    Scenario(
        "the older first, the newer in another pass",
        source="INBOX: A@3 B@9 C@5 D@8",
        target="INBOX:",
        story=(
            Sync("copied 2, skipped 2", Options(before=_day(8)), writes="append 2"),
            at_source("mark INBOX A +F"),
            Sync("copied 4", writes="append 2, flag 1"),
        ),
        ends="INBOX: A@3:F C@5 B@9 D@8",
        unordered=True,
    ),
    Scenario(
        "a window of time that moves on",
        source="INBOX: A@3 B@9 C@5",
        target="INBOX:",
        story=(
            Sync("copied 1, skipped 2", Options(since=_day(5), before=_day(8)), writes="append 1"),
            Sync("copied 2, skipped 1", Options(since=_day(8)), writes="append 1"),
            Sync("copied 3", writes="append 1"),
        ),
        ends="INBOX: C@5 B@9 A@3",
        unordered=True,
    ),
    Scenario(
        "the two newest of each folder first, then the rest",
        source="INBOX: A B C D E | Work: F | Old: G H I",
        target="INBOX:",
        story=(
            Sync("copied 5, skipped 4", Options(newest=2), writes="create 2, append 5"),
            Sync("copied 9", writes="append 4"),
        ),
        ends="INBOX: D E A B C | Work: F | Old: H I G",
        unordered=True,
    ),
    Scenario(
        "the newest, when more came in since: they are the newest, and what was skipped stays so",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 1, skipped 2", Options(newest=1), writes="append 1"),
            at_source("deliver INBOX: D"),
            Sync("copied 2, skipped 2", Options(newest=1), writes="append 1"),
        ),
        ends="INBOX: C D",
    ),
    Scenario(
        "a later --since leaves what is there",
        source="INBOX: A@3 B@9",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            Sync("copied 2", Options(since=_day(8)), writes=""),
        ),
        ends="INBOX: A@3 B@9",
    ),
    Scenario(
        "cut off thrice in a row, after the target had it",
        source="INBOX: A B C D",
        target="INBOX:",
        story=(
            Sync(
                "copied 4",
                on=(
                    On(TARGET, "after append", 1, None, Disconnected("cut")),
                    On(TARGET, "after append", 2, None, Disconnected("cut")),
                    On(TARGET, "after append", 3, None, Disconnected("cut")),
                ),
                waits=3,
                writes="append 4",
            ),
        ),
        ends="INBOX: A B C D",
    ),
    Scenario(
        "cut off among twins, after the target had some",
        source="INBOX: A*4 A.twin b.nameless*2",
        target="INBOX:",
        story=(
            Sync(
                "copied 7",
                on=(
                    On(TARGET, "after append", 3, None, Disconnected("cut")),
                    On(TARGET, "after append", 6, None, Disconnected("cut")),
                ),
                waits=2,
                writes="append 7",
            ),
        ),
        ends="INBOX: A*4 A.twin b.nameless*2",
    ),
    Scenario(
        "cut off at a server that alters headers and bodies",
        source="INBOX: A.eight B.nul C",
        target="INBOX:",
        target_habits={
            "alters": lambda data: (
                data.replace(b"\xfcber \xe2\x82\xac", b"Xber XXX")
                .replace(b"\x00", b"\x80")
                .replace(b"\r\r\n", b"\r\n")
            )
        },
        story=(
            Sync(
                "copied 3",
                on=(
                    On(TARGET, "after append", 1, None, Disconnected("cut")),
                    On(TARGET, "after append", 2, None, Disconnected("cut")),
                ),
                waits=2,
                writes="append 3",
            ),
        ),
        ends="INBOX: A.munged B.nonul C",
    ),
    Scenario(
        "the password is changed in the middle: one attempt, then a person",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                on=(
                    On(
                        SOURCE,
                        "fetch",
                        2,
                        None,
                        Closed("the password is wrong", ClosedReason.CREDENTIALS),
                    ),
                ),
                raises=Closed,
                unfinished=("the password is wrong",),
            ),
            Sync("copied 3"),
        ),
        ends="INBOX: A B C",
    ),
    Scenario(
        "the source lists nothing for once, then everything again",
        source="INBOX: A B*2 | Work: c.nameless",
        target="INBOX:",
        story=(
            Sync("copied 4"),
            Sync(wrap=_blank),
            Sync("copied 4, carried 0", writes=""),
        ),
        ends="INBOX: A B*2 | Work: c.nameless",
    ),
    Scenario(
        "the source lists nothing for once, and --delete mirror is asked for",
        source="INBOX: A B*2 | Work: c.nameless",
        target="INBOX:",
        story=(
            Sync("copied 4", MIRROR),
            Sync("", MIRROR, wrap=_blank, writes="", unfinished=(EMPTY.format(count=4),)),
            Sync("copied 4, carried 0", MIRROR, writes=""),
        ),
        ends="INBOX: A B*2 | Work: c.nameless",
    ),
)
