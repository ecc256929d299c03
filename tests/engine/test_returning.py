"""The way back after a pass forward that came to a bad end; all else is in the scenarios."""

from tests.engine.scenarios import TARGET, On, Scenario, Sync, straight
from tests.engine.tables.returning import back

CUT_OFF = Scenario(
    "a copy that a killed run forward had left is not sent back",
    source="INBOX: A B@11 C@11",
    target="INBOX:",
    story=(
        Sync(
            raises=OSError,
            unfinished=(
                "the pass was stopped, for this machine says: gone; mend that and run again",
            ),
            on=(On(TARGET, "after append", count=2, error=OSError("gone")),),
        ),
        back("adopted 1, skipped 1", writes=""),
        Sync("copied 2, adopted 1"),
    ),
    ends="INBOX: A B@11 C@11",
    source_ends="INBOX: A B@11 C@11",
    servers="best",
    target_habits={"window": 1},
    unordered=True,
    adopted_is_fine=True,
)


async def test_a_copy_without_a_row_is_recognised_at_the_old_side() -> None:
    await straight(CUT_OFF, "best")
