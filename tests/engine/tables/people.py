"""What people do at either side between passes: the three-way rule, and moves (C12, C15, C16)."""

from tests.engine.acts import at_source, at_target
from tests.engine.scenarios import SOURCE, TARGET, On, Scenario, Sync

PEOPLE: tuple[Scenario, ...] = (
    Scenario(
        "a flag that changed at the source is changed at the target",
        source="INBOX: A B:SF C:S",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("mark INBOX A +SF"),
            at_source("mark INBOX B -F +$Work"),
            Sync("copied 3, flagged 2, carried 0", writes="flag 2"),
        ),
        ends="INBOX: A:SF B:S+$Work C:S",
    ),
    Scenario(
        "a flag that the person changed at the target stands",
        source="INBOX: A B:S C:F",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_target("mark INBOX A +F"),
            at_target("mark INBOX B -S"),
            at_target("mark INBOX C -F +$Work"),
            Sync("copied 3, flagged 0", writes=""),
        ),
        ends="INBOX: A:F B C:+$Work",
    ),
    Scenario(
        "flags that changed at both sides are merged three ways",
        source="INBOX: A B:SF C:SF D",
        target="INBOX:",
        story=(
            Sync("copied 4"),
            at_source("mark INBOX A +S"),
            at_target("mark INBOX A +F"),
            at_source("mark INBOX B -S"),
            at_target("mark INBOX B -F"),
            at_source("mark INBOX C -F"),
            at_target("mark INBOX C -F +$Mine"),
            at_source("mark INBOX D +S"),
            at_target("mark INBOX D +S"),
            Sync("copied 4", writes="flag 2"),
        ),
        ends="INBOX: A:SF B C:S+$Mine D:S",
    ),
    Scenario(
        "a flag set, then taken away again at the source",
        source="INBOX: A",
        target="INBOX:",
        story=(
            Sync("copied 1"),
            at_source("mark INBOX A +F"),
            Sync("copied 1, flagged 1"),
            at_target("mark INBOX A +S"),
            at_source("mark INBOX A -F"),
            Sync("copied 1, flagged 1"),
        ),
        ends="INBOX: A:S",
    ),
    Scenario(
        "a message that the person deleted at the target stays deleted",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_target("expunge INBOX B"),
            Sync("copied 3, carried 0", writes=""),
        ),
        ends="INBOX: A C",
    ),
    Scenario(
        "deleted at the target, then flagged at the source: it does not come back",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_target("expunge INBOX B"),
            at_source("mark INBOX B +SF"),
            at_source("mark INBOX A +F"),
            Sync("copied 3, carried 0", writes="flag 1"),
        ),
        ends="INBOX: A:F C",
    ),
    Scenario(
        "a message that the person moved at the target stays where it is",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_target("make Kept"),
            at_target("move INBOX A Kept"),
            at_source("mark INBOX A +S"),
            Sync("copied 2, carried 0", writes=""),
        ),
        ends="INBOX: B | Kept: A",
    ),
    Scenario(
        "moved by the person to a folder that is carried as well",
        source="INBOX: A B | Kept: C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_target("move INBOX A Kept"),
            Sync("copied 3, carried 0", writes=""),
        ),
        ends="INBOX: B | Kept: C A",
    ),
    Scenario(
        "moved at both sides to the same folder: no second copy",
        source="INBOX: A B | Kept: C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_target("move INBOX A Kept"),
            at_source("move INBOX A Kept"),
            Sync("copied 2, adopted 1, carried 0", writes=""),
        ),
        ends="INBOX: B | Kept: C A",
    ),
    Scenario(
        "deleted at the source, kept at the target",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("expunge INBOX A C"),
            Sync("copied 1, removed 0", writes=""),
        ),
        ends="INBOX: A B C",
    ),
    Scenario(
        "gone at both sides",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_source("expunge INBOX A"),
            at_target("expunge INBOX A"),
            Sync("copied 1", writes=""),
        ),
        ends="INBOX: B",
    ),
    Scenario(
        "moved at the source: a copy in the new folder, the old one is never removed",
        source="INBOX: A B | Kept:",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_source("move INBOX A Kept"),
            Sync("copied 2, carried 1", writes="append 1"),
        ),
        ends="INBOX: A B | Kept: A",
    ),
    Scenario(
        "moved away and back again at the source: one copy, not two",
        source="INBOX: A B | Kept:",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_source("move INBOX A Kept"),
            Sync("copied 2, carried 1"),
            at_source("move Kept A INBOX"),
            Sync("copied 2, carried 0", writes=""),
        ),
        ends="INBOX: A B | Kept: A",
    ),
    Scenario(
        "mail that arrives at the target meanwhile is left alone",
        source="INBOX: A B",
        target="INBOX: X:S",
        story=(
            Sync("copied 2", writes="append 2"),
            at_target("deliver INBOX: Y:F"),
            at_source("deliver INBOX: C"),
            at_target("deliver INBOX: Z"),
            Sync("copied 3", writes="append 1"),
        ),
        ends="INBOX: X:S A B Y:F Z C",
    ),
    Scenario(
        "mail arrives at the target between two of ours",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                "copied 3",
                on=(On(TARGET, "before append", 2, at_target("deliver INBOX: Y Z")),),
            ),
            at_source("deliver INBOX: D"),
            Sync("copied 4, carried 1"),
        ),
        ends="INBOX: A Y Z B C D",
    ),
    Scenario(
        "the same mail arrives at both sides at once",
        source="INBOX: A",
        target="INBOX:",
        story=(
            Sync("copied 1"),
            at_source("deliver INBOX: B C"),
            at_target("deliver INBOX: B:S"),
            Sync("copied 2, adopted 1, carried 1", writes="append 1"),
        ),
        ends="INBOX: A B:S C",
    ),
    Scenario(
        "mail that arrives at the source during the pass is carried in it",
        source="INBOX: A B | Work: C",
        target="INBOX:",
        story=(
            Sync(
                "copied 5, carried 5",
                on=(
                    On(TARGET, "before append", 2, at_source("deliver INBOX: D")),
                    On(TARGET, "after append", 3, at_source("deliver Work: E")),
                ),
            ),
        ),
        ends="INBOX: A B D | Work: C E",
    ),
    Scenario(
        "mail arrives in an idle folder during the pass",
        source="INBOX: A | Work: C",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_source("deliver Work: D"),
            Sync(
                "copied 4, carried 2",
                on=(On(TARGET, "before append", 1, at_source("deliver INBOX: B")),),
            ),
        ),
        ends="INBOX: A B | Work: C D",
    ),
    Scenario(
        "a message is read at the source during the pass",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                "copied 3",
                on=(On(TARGET, "before append", 2, at_source("mark INBOX A +S")),),
            ),
        ),
        # A server that tells no state can't be noticed; the next pass lists it again.
        servers="best plain",
        ends="INBOX: A:S B C",
    ),
    Scenario(
        "a message vanishes between the listing and the fetch",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                "copied 2, carried 2",
                on=(On(SOURCE, "fetch", 1, at_source("expunge INBOX A")),),
                writes="append 2",
            ),
        ),
        ends="INBOX: B C",
    ),
    Scenario(
        "one goes and one arrives during the pass, so that the count is the same",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("deliver INBOX: D"),
            Sync(
                "copied 4",
                on=(
                    On(TARGET, "before append", 1, at_source("expunge INBOX A")),
                    On(TARGET, "after append", 1, at_source("deliver INBOX: E")),
                ),
            ),
        ),
        servers="best plain",
        ends="INBOX: A B C D E",
    ),
)
