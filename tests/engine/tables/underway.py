"""Deleted or moved at the source while its copy was on its way: the run was cut off before it could
write a row, and when the next one looks the source message is gone (A2, F15)."""

from errno import ENOSPC

from mailhaul.core.errors import Disconnected
from mailhaul.engine.outcomes import Options
from tests.engine.acts import at_source, at_target
from tests.engine.scenarios import TARGET, Act, On, Scenario, Sync
from tests.engine.tables.deleting import MIRROR

STOPPED = (
    "the pass was stopped, for this machine says: No space left at /state/x; mend that and run "
    "again",
)


def _cut(count: int, act: Act, when: str = "after append") -> On:
    """The connection breaks at that append, and meanwhile somebody does something."""
    return On(TARGET, when, count, act, Disconnected("cut"))


def stopped(count: int, options: Options, when: str = "after append") -> Sync:
    """A run that ends at that append; before the next one anything may happen."""
    error = OSError(ENOSPC, "No space left", "/state/x")
    on = (On(TARGET, when, count, None, error, "INBOX"),)
    return Sync(options=options, on=on, raises=OSError, unfinished=STOPPED)


UNDERWAY: tuple[Scenario, ...] = (
    Scenario(
        "deleted at the source while its copy arrives and the line breaks: mirror removes it",
        source="INBOX: A B C",
        target="INBOX: X",
        story=(
            Sync(
                "copied 2, removed 1",
                MIRROR,
                on=(_cut(2, at_source("expunge INBOX B")),),
                waits=1,
            ),
            Sync("copied 2", MIRROR, writes=""),
        ),
        ends="INBOX: X A C",
    ),
    Scenario(
        "deleted at the source between a run that ended amid sending and the next: mirror",
        source="INBOX: A B C | Work: D",
        target="INBOX: X",
        story=(
            stopped(2, MIRROR),
            at_source("expunge INBOX B"),
            Sync("copied 3, removed 1", MIRROR),
        ),
        ends="INBOX: X A C | Work: D",
    ),
    Scenario(
        "deleted at the source while its copy was on its way: it stays, and is known as ours",
        source="INBOX: A B C",
        target="INBOX: X",
        story=(
            stopped(2, Options()),
            at_source("expunge INBOX B"),
            Sync("copied 2, removed 0"),
            Sync("copied 2, removed 0", writes=""),
            Sync("copied 2, removed 1", MIRROR, writes="remove 1"),
        ),
        ends="INBOX: X A C",
    ),
    Scenario(
        "deleted at the source after a delta that ended amid sending",
        source="INBOX: A B",
        target="INBOX: X",
        story=(
            Sync("copied 2", MIRROR),
            at_source("deliver INBOX: C D E:S"),
            stopped(2, MIRROR),
            at_source("expunge INBOX A D"),
            Sync("copied 3, removed 2", MIRROR),
        ),
        ends="INBOX: X B C E:S",
    ),
    Scenario(
        "a flag that was on its way when a run ended is taken back at the source",
        source="INBOX: A B:F",
        target="INBOX: X",
        story=(
            Sync("copied 2"),
            at_source("mark INBOX A +F +S"),
            at_source("mark INBOX B -F"),
            stopped(1, Options(), "after flag"),
            at_source("mark INBOX A -F"),
            at_source("mark INBOX B +F"),
            Sync("copied 2, flagged 2"),
        ),
        ends="INBOX: X A:S B:F",
    ),
    Scenario(
        "flags that were on their way are taken back once and for all",
        source="INBOX: A",
        target="INBOX: X",
        story=(
            Sync("copied 1"),
            at_source("mark INBOX A +F"),
            stopped(1, Options(), "after flag"),
            at_source("mark INBOX A -F +S"),
            stopped(1, Options(), "after flag"),
            at_source("mark INBOX A -S"),
            Sync("copied 1, flagged 1"),
            at_target("mark INBOX A +F +S"),
            at_source("mark INBOX A +R"),
            Sync("copied 1, flagged 1"),
        ),
        ends="INBOX: X A:SRF",
    ),
    Scenario(
        "a flag that was on its way together with removals is taken back at the source",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_source("mark INBOX A +F"),
            at_source("expunge INBOX B"),
            stopped(1, MIRROR, "after flag"),
            at_source("mark INBOX A -F"),
            Sync("copied 1, flagged 1, removed 1", MIRROR),
        ),
        ends="INBOX: A",
    ),
    Scenario(
        "a flag of a message that was on its way is taken back at the source",
        source="INBOX: A:F B:FS",
        target="INBOX: X",
        story=(
            stopped(2, Options()),
            at_source("mark INBOX A -F +S"),
            at_source("mark INBOX B -F"),
            Sync("copied 2"),
        ),
        ends="INBOX: X A:S B:S",
    ),
    Scenario(
        "twins with other flags are on their way",
        source="INBOX: A:S A A:F B:R B:F",
        target="INBOX: X",
        story=(stopped(2, Options()), Sync("copied 5")),
        ends="INBOX: X A:S A A:F B:R B:F",
    ),
    Scenario(
        "a twin's flag is taken back while they are on their way",
        source="INBOX: A:S A:F A",
        target="INBOX: X",
        story=(stopped(3, Options()), at_source("mark INBOX A -S"), Sync("copied 3")),
        ends="INBOX: X A A:F A",
    ),
    Scenario(
        "a twin is deleted while they are on their way, and the other has other flags",
        source="INBOX: A:S A:F B",
        target="INBOX:",
        story=(
            stopped(2, MIRROR),
            at_source("expunge INBOX A"),
            Sync("copied 2, removed 1", MIRROR),
        ),
        ends="INBOX: A:F B",
        unordered=True,
    ),
    Scenario(
        "all that was on its way is deleted at the source",
        source="INBOX: A B C | Work: D",
        target="INBOX:",
        story=(
            stopped(3, MIRROR),
            at_source("expunge INBOX A B C"),
            Sync("copied 1, removed 3", MIRROR),
        ),
        ends="INBOX: | Work: D",
    ),
    Scenario(
        "moved at the source while its copy was on its way",
        source="INBOX: A B C | Kept:",
        target="INBOX:",
        story=(
            stopped(2, MIRROR),
            at_source("move INBOX B Kept"),
            Sync("copied 3, removed 1", MIRROR),
        ),
        ends="INBOX: A C | Kept: B",
    ),
    Scenario(
        "moved away at the source while its copy was on its way, and back before mirror is asked",
        source="INBOX: A B C | Kept:",
        target="INBOX:",
        story=(
            stopped(2, Options()),
            at_source("move INBOX B Kept"),
            Sync("copied 3"),
            at_source("move Kept B INBOX"),
            Sync("copied 3, removed 1", MIRROR),
        ),
        ends="INBOX: A B C | Kept:",
        unordered=True,
    ),
    Scenario(
        "one of identical messages is deleted at the source while they are on their way",
        source="INBOX: A*3 B",
        target="INBOX:",
        story=(
            stopped(3, MIRROR),
            at_source("expunge INBOX A"),
            Sync("copied 3, removed 1", MIRROR),
        ),
        ends="INBOX: A*2 B",
        unordered=True,
    ),
    Scenario(
        "two of identical messages are deleted at the source while they are on their way",
        source="INBOX: c.nameless*3 B",
        target="INBOX:",
        story=(
            stopped(3, MIRROR),
            at_source("expunge INBOX c.nameless c.nameless"),
            Sync("copied 2, removed 2", MIRROR),
        ),
        ends="INBOX: c.nameless B",
        unordered=True,
    ),
    Scenario(
        "what was not sent yet and is put there by hand is the person's, deleted here or not",
        source="INBOX: A B C D",
        target="INBOX:",
        story=(
            stopped(1, MIRROR),
            at_source("expunge INBOX D"),
            at_target("deliver INBOX: D"),
            Sync("copied 3, removed 0", MIRROR),
        ),
        ends="INBOX: A D B C",
        unordered=True,
    ),
    Scenario(
        "what looks the same by size and date and was there before is a stranger's",
        source="INBOX: A@5 B@5 C",
        target="INBOX: X@5 Y@5",
        story=(
            stopped(1, MIRROR, "before append"),
            at_source("expunge INBOX A B"),
            Sync("copied 1, removed 0", MIRROR),
        ),
        ends="INBOX: X@5 Y@5 C",
    ),
    Scenario(
        "deleted at the source and at the target while its copy was on its way",
        source="INBOX: A B C",
        target="INBOX: X",
        story=(
            stopped(2, MIRROR),
            at_source("expunge INBOX B"),
            at_target("expunge INBOX B"),
            Sync("copied 2, removed 0", MIRROR),
        ),
        ends="INBOX: X A C",
    ),
)
