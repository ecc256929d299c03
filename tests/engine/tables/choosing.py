"""What is asked for: some folders, a rehearsal, names of one's own."""

from mailhaul.engine.outcomes import Options
from tests.engine.acts import at_source
from tests.engine.scenarios import Scenario, Sync

CHOOSING: tuple[Scenario, ...] = (
    Scenario(
        "a dry run writes nothing, and the pass after it everything",
        source="INBOX: A B | Work: C",
        target="INBOX: X",
        story=(
            Sync("census 3, carried 0", Options(dry_run=True), writes="", listed="INBOX 2, Work 1"),
            Sync("copied 3", writes="append 3, create 1"),
        ),
        ends="INBOX: X A B | Work: C",
    ),
    Scenario(
        "a dry run between passes tells and changes nothing",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync("copied 2"),
            at_source("deliver INBOX: C"),
            at_source("deliver Work: D"),
            Sync("census 4, carried 0", Options(dry_run=True), writes="", listed="INBOX 1, Work 1"),
            Sync("copied 4, carried 2"),
            Sync("census 4, carried 0", Options(dry_run=True), listed="INBOX 0, Work 0"),
            Sync("copied 4, carried 0", writes=""),
        ),
        ends="INBOX: A B C | Work: D",
    ),
    Scenario(
        "only the folders that are asked for",
        source="INBOX: A | Work: B | Work/Old: C | Junk: D",
        target="INBOX:",
        story=(
            Sync("copied 2", Options(folders=("Work*",), exclude=("Junk",))),
            Sync("copied 2", Options(folders=("Work*",)), writes=""),
        ),
        ends="INBOX: | Work: B | Work/Old: C",
    ),
    Scenario(
        "more folders are asked for later",
        source="INBOX: A | Work: B",
        target="INBOX:",
        story=(
            Sync("copied 1", Options(folders=("INBOX",))),
            at_source("deliver INBOX: C"),
            Sync("copied 3", writes="create 1, append 2"),
        ),
        ends="INBOX: A C | Work: B",
    ),
    Scenario(
        "a folder goes where --map says",
        source="INBOX: A | Work: B | Work/Old: C",
        target="INBOX:",
        story=(
            Sync("copied 3", Options(maps={("Work",): ("Job", "Mine")})),
            at_source("deliver Work/Old: D"),
            Sync("copied 4, carried 1", Options(maps={("Work",): ("Job", "Mine")})),
        ),
        ends="INBOX: A | Job: | Job/Mine: B | Job/Mine/Old: C D",
    ),
)
