"""Numbers, names and state that change under us: C1, C2, C13, E15, and the lost ledger."""

from mailhaul.core.errors import Disconnected
from mailhaul.engine.outcomes import Options
from tests.engine.acts import at_source, at_target, lose_the_ledger
from tests.engine.scenarios import SOURCE, TARGET, On, Scenario, Sync

GONE = (
    "“{target}” is gone at the target, where {count} of “{source}” had been put; leave "
    "the folder out with --exclude, or carry it again with --restore"
)

STATES: tuple[Scenario, ...] = (
    Scenario(
        "the source is renumbered between passes",
        source="INBOX: A B:S C*2 d.nameless e.nameless",
        target="INBOX:",
        story=(
            Sync("copied 6"),
            at_source("renumber INBOX 7"),
            Sync("copied 6, carried 0", writes=""),
        ),
        ends="INBOX: A B:S C*2 d.nameless e.nameless",
        adopted_is_fine=True,
    ),
    Scenario(
        "the source is renumbered, and mail came, went and was read",
        source="INBOX: A B C D",
        target="INBOX:",
        story=(
            Sync("copied 4"),
            at_source("expunge INBOX B"),
            at_source("mark INBOX C +F"),
            at_source("deliver INBOX: E"),
            at_source("renumber INBOX"),
            Sync("copied 4, carried 1", writes="append 1, flag 1"),
        ),
        ends="INBOX: A B C:F D E",
    ),
    Scenario(
        "the source is renumbered after the person deleted at the target",
        source="INBOX: A B C*2",
        target="INBOX:",
        story=(
            Sync("copied 4"),
            at_target("expunge INBOX A"),
            at_source("renumber INBOX"),
            Sync("copied 4, carried 0", writes=""),
        ),
        ends="INBOX: B C*2",
    ),
    Scenario(
        "the target is renumbered between passes",
        source="INBOX: A B:S C*2 d.nameless e.nameless",
        target="INBOX: X",
        story=(
            Sync("copied 6"),
            at_target("renumber INBOX 40"),
            at_source("mark INBOX A +F"),
            Sync("copied 6, carried 0", writes="flag 1"),
        ),
        ends="INBOX: X A:F B:S C*2 d.nameless e.nameless",
    ),
    Scenario(
        "both sides are renumbered",
        source="INBOX: A B:S C*2 d.nameless e.nameless A.twin",
        target="INBOX:",
        story=(
            Sync("copied 7"),
            at_target("renumber INBOX 3"),
            at_source("renumber INBOX 5"),
            Sync("copied 7, carried 0", writes=""),
        ),
        ends="INBOX: A B:S C*2 d.nameless e.nameless A.twin",
        adopted_is_fine=True,
    ),
    Scenario(
        "both sides are renumbered, and twins change places at the source",
        source="INBOX: A A.twin",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_target("renumber INBOX"),
            at_source("expunge INBOX A"),
            at_source("deliver INBOX: A"),
            at_source("renumber INBOX"),
            Sync("copied 2, carried 0", writes=""),
            at_source("mark INBOX A +F"),
            Sync("copied 2, carried 0", writes="flag 1"),
        ),
        ends="INBOX: A:F A.twin",
        adopted_is_fine=True,
    ),
    Scenario(
        "the source is renumbered in the middle of the pass",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                "copied 3",
                on=(
                    On(
                        SOURCE,
                        "fetch",
                        3,
                        at_source("renumber INBOX 10"),
                        Disconnected("the server went away"),
                    ),
                ),
                waits=1,
                writes="append 3",
            ),
        ),
        ends="INBOX: A B C",
        adopted_is_fine=True,
    ),
    Scenario(
        "the target is renumbered in the middle of the pass",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync(
                "copied 3",
                on=(
                    On(
                        TARGET,
                        "after append",
                        2,
                        at_target("renumber INBOX 10"),
                        Disconnected("the server went away"),
                    ),
                ),
                waits=1,
                writes="append 3",
            ),
        ),
        ends="INBOX: A B C",
    ),
    Scenario(
        "the target folder is made anew and empty: everything is carried again",
        source="INBOX: A | Work: B C*2",
        target="INBOX:",
        story=(
            Sync("copied 4"),
            at_target("delete Work"),
            at_target("make Work"),
            Sync("copied 4, carried 3", writes="append 3"),
        ),
        ends="INBOX: A | Work: B C*2",
    ),
    Scenario(
        "the target folder is made anew, with some of it and with other mail",
        source="INBOX: A | Work: B C D",
        target="INBOX:",
        story=(
            Sync("copied 4"),
            at_target("delete Work"),
            at_target("deliver Work: X C:S"),
            Sync("copied 4, carried 2", writes="append 2"),
        ),
        ends="INBOX: A | Work: X C:S B D",
    ),
    Scenario(
        "the target folder is deleted by the person: it is not made again",
        source="INBOX: A | Work: B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_target("delete Work"),
            at_source("deliver INBOX: D"),
            Sync(
                "copied 4, carried 1",
                writes="append 1",
                unfinished=(GONE.format(target="Work", source="Work", count="2 messages"),),
            ),
        ),
        ends="INBOX: A D",
        idle=False,
    ),
    Scenario(
        "the target folder is deleted and --restore asks for it again",
        source="INBOX: A | Work: B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_target("delete Work"),
            Sync("copied 3, carried 2", Options(restore=True), writes="append 2, create 1"),
        ),
        ends="INBOX: A | Work: B C",
    ),
    Scenario(
        "the target folder is renamed by the person",
        source="INBOX: A | Work: B",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_target("rename Work Job"),
            Sync(
                "copied 2",
                writes="",
                unfinished=(GONE.format(target="Work", source="Work", count="1 message"),),
            ),
        ),
        ends="INBOX: A | Job: B",
        idle=False,
    ),
    Scenario(
        "the source folder is renamed: it stays where it was put",
        source="INBOX: A | Work: B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("rename Work Job"),
            Sync("copied 3, carried 0", writes=""),
            at_source("deliver Job: D"),
            Sync("copied 4, carried 1", writes="append 1"),
        ),
        ends="INBOX: A | Work: B C D",
        servers="best plain",
    ),
    Scenario(
        "the source folder is renamed and another takes its name",
        source="INBOX: A | Work: B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("rename Work Job"),
            at_source("deliver Work: E"),
            Sync("copied 4"),
        ),
        ends="INBOX: A | Job: B C | Work: B C E",
    ),
    Scenario(
        "the source folder is deleted: what was carried stays",
        source="INBOX: A | Work: B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("delete Work"),
            Sync("copied 1", writes=""),
        ),
        ends="INBOX: A | Work: B C",
    ),
    Scenario(
        "the source folder is made anew with other mail",
        source="INBOX: A | Work: B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("delete Work"),
            at_source("deliver Work: C D"),
            Sync("copied 3, carried 1", writes="append 1"),
        ),
        ends="INBOX: A | Work: B C D",
    ),
    Scenario(
        "the source folder goes during the pass",
        source="INBOX: A | Work: B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("deliver INBOX: D"),
            Sync(
                "copied 2",
                on=(On(TARGET, "before append", 1, at_source("delete Work")),),
            ),
        ),
        ends="INBOX: A D | Work: B C",
        servers="best plain",
    ),
    Scenario(
        "the ledger is lost: what is there is recognised",
        source="INBOX: A B:S C*2 d.nameless e.nameless A.twin | Work: A",
        target="INBOX: X",
        story=(
            Sync("copied 8"),
            at_target("mark INBOX A +F"),
            lose_the_ledger,
            Sync("adopted 8, carried 0", writes=""),
        ),
        ends="INBOX: X A:F B:S C*2 d.nameless e.nameless A.twin | Work: A",
    ),
    Scenario(
        "the ledger is lost after half of it",
        source="INBOX: A B C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            lose_the_ledger,
            at_target("expunge INBOX B"),
            at_source("deliver INBOX: D C"),
            Sync("copied 3, adopted 2, carried 3", writes="append 3"),
        ),
        ends="INBOX: A C B D C",
        unordered=True,
    ),
)
