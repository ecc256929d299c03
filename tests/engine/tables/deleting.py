"""--delete mirror, and the guards around it (C1, C16)."""

from mailhaul.engine.outcomes import Delete, Options
from tests.engine.acts import at_source, at_target, lose_the_ledger
from tests.engine.scenarios import Scenario, Sync

MIRROR = Options(delete=Delete.MIRROR)
EMPTY = (
    "the source lists no message at all, which is more likely a fault than an order: {count} "
    "messages were not removed at the target"
)
MANY = (
    "{count} messages would be removed at the target, more than the {most} allowed: none was; "
    "raise --max-delete if it is meant"
)

DELETING: tuple[Scenario, ...] = (
    Scenario(
        "mirror removes what the source no longer has",
        source="INBOX: A B C | Work: D E",
        target="INBOX:",
        story=(
            Sync("copied 5", MIRROR),
            at_source("expunge INBOX A C"),
            at_source("expunge Work D"),
            Sync("copied 2, removed 3", MIRROR, writes="remove 3"),
        ),
        ends="INBOX: B | Work: E",
    ),
    Scenario(
        "mirror removes at once what went before it was asked for",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_source("expunge INBOX A"),
            Sync("copied 1, removed 0", writes=""),
            Sync("copied 1, removed 1", MIRROR, writes="remove 1"),
        ),
        ends="INBOX: B",
    ),
    Scenario(
        "mirror never touches what mailhaul did not write",
        source="INBOX: A B C",
        target="INBOX: A X",
        story=(
            Sync("copied 2, adopted 1", MIRROR),
            at_target("deliver INBOX: Y"),
            at_source("expunge INBOX A B"),
            Sync("copied 1, removed 1", MIRROR, writes="remove 1"),
        ),
        ends="INBOX: A X C Y",
    ),
    Scenario(
        "mirror and what was flagged, moved or deleted by the person",
        source="INBOX: A B C D",
        target="INBOX:",
        story=(
            Sync("copied 4", MIRROR),
            at_target("mark INBOX A +F"),
            at_target("make Kept"),
            at_target("move INBOX B Kept"),
            at_target("expunge INBOX C"),
            at_source("expunge INBOX A B C"),
            Sync("copied 1, removed 1", MIRROR, writes="remove 1"),
        ),
        ends="INBOX: D | Kept: B",
    ),
    Scenario(
        "mirror and one of several identical copies",
        source="INBOX: A*3",
        target="INBOX:",
        story=(
            Sync("copied 3", MIRROR),
            at_source("expunge INBOX A"),
            Sync("copied 2, removed 1", MIRROR, writes="remove 1"),
        ),
        ends="INBOX: A*2",
    ),
    Scenario(
        "mirror and a message that moved at the source",
        source="INBOX: A B | Kept:",
        target="INBOX:",
        story=(
            Sync("copied 2", MIRROR),
            at_source("move INBOX A Kept"),
            Sync("copied 2, carried 1, removed 1", MIRROR, writes="append 1, remove 1"),
        ),
        ends="INBOX: B | Kept: A",
    ),
    Scenario(
        "a source that came up empty is a fault, not an order",
        source="INBOX: A B | Work: C",
        target="INBOX:",
        story=(
            Sync("copied 3", MIRROR),
            at_source("expunge INBOX A B"),
            at_source("expunge Work C"),
            Sync("", MIRROR, writes="", unfinished=(EMPTY.format(count=3),)),
        ),
        ends="INBOX: A B | Work: C",
    ),
    Scenario(
        "a source whose folders are all gone is a fault as well",
        source="INBOX: A B | Work: C",
        target="INBOX:",
        story=(
            Sync("copied 3", MIRROR),
            at_source("delete Work"),
            at_source("expunge INBOX A B"),
            Sync("", MIRROR, writes="", unfinished=(EMPTY.format(count=2),)),
        ),
        ends="INBOX: A B | Work: C",
    ),
    Scenario(
        "more than --max-delete: none is removed",
        source="INBOX: A B C D",
        target="INBOX:",
        story=(
            Sync("copied 4", MIRROR),
            at_source("expunge INBOX A B C"),
            Sync(
                "copied 1",
                Options(delete=Delete.MIRROR, max_delete=2),
                writes="",
                unfinished=(MANY.format(count=3, most=2),),
            ),
        ),
        ends="INBOX: A B C D",
    ),
    Scenario(
        "mirror and flags that changed in the same folders, and in another one",
        source="INBOX: A B C | Work: D E | Rest: F",
        target="INBOX:",
        story=(
            Sync("copied 6", MIRROR),
            at_source("mark INBOX B +F"),
            at_source("mark Work E +S"),
            at_source("mark Rest F +S"),
            at_source("expunge INBOX A"),
            at_source("expunge Work D"),
            Sync("copied 4, flagged 3, removed 2", MIRROR),
            Sync("copied 4", MIRROR, writes=""),
        ),
        ends="INBOX: B:F C | Work: E:S | Rest: F:S",
    ),
    Scenario(
        "mirror, flags that changed, and one that came back with others",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("expunge INBOX A"),
            Sync("copied 2", writes=""),
            at_source("deliver INBOX: A:F"),
            at_source("mark INBOX C +S"),
            at_source("expunge INBOX B"),
            Sync("copied 2, flagged 2, removed 1", MIRROR),
            Sync("copied 2", MIRROR, writes=""),
        ),
        ends="INBOX: A:F C:S",
    ),
    Scenario(
        "more than --max-delete, and flags that changed beside them",
        source="INBOX: A B C D",
        target="INBOX:",
        story=(
            Sync("copied 4", MIRROR),
            at_source("mark INBOX D +F"),
            at_source("expunge INBOX A B C"),
            Sync(
                "copied 1, flagged 1",
                Options(delete=Delete.MIRROR, max_delete=2),
                writes="flag 1",
                unfinished=(MANY.format(count=3, most=2),),
            ),
            at_target("mark INBOX D -F"),
            Sync("copied 1, removed 3", MIRROR, writes="remove 3"),
        ),
        ends="INBOX: D",
    ),
    Scenario(
        "just --max-delete: all are removed",
        source="INBOX: A B C D",
        target="INBOX:",
        story=(
            Sync("copied 4", MIRROR),
            at_source("expunge INBOX A B C"),
            Sync("copied 1, removed 3", Options(delete=Delete.MIRROR, max_delete=3)),
        ),
        ends="INBOX: D",
    ),
    Scenario(
        "a folder whose source was renumbered freezes: what went then stays",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 3", MIRROR),
            at_source("expunge INBOX A"),
            at_source("renumber INBOX 9"),
            Sync("copied 2, removed 0", MIRROR, writes=""),
            at_source("expunge INBOX B"),
            Sync("copied 1, removed 1", MIRROR, writes="remove 1"),
        ),
        ends="INBOX: A C",
    ),
    Scenario(
        "the target was renumbered: only what is recognised is removed",
        source="INBOX: A B C",
        target="INBOX: X Y",
        story=(
            Sync("copied 3", MIRROR),
            Sync("copied 3", MIRROR),
            at_target("expunge INBOX X"),
            at_target("renumber INBOX"),
            at_source("expunge INBOX A"),
            Sync("copied 2, removed 1", MIRROR, writes="remove 1"),
        ),
        ends="INBOX: Y B C",
    ),
    Scenario(
        "the ledger is lost: what is adopted is never removed",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync("copied 2", MIRROR),
            lose_the_ledger,
            Sync("adopted 2", MIRROR),
            at_source("expunge INBOX A"),
            Sync("adopted 1, removed 0", MIRROR, writes=""),
        ),
        ends="INBOX: A B",
    ),
    Scenario(
        "a folder that is gone from the source is not mirrored",
        source="INBOX: A | Work: B",
        target="INBOX:",
        story=(
            Sync("copied 2", MIRROR),
            at_source("delete Work"),
            Sync("copied 1, removed 0", MIRROR, writes=""),
        ),
        ends="INBOX: A | Work: B",
    ),
)
