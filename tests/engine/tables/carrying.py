"""What is carried, how often, and as what: new mail, copies, what was there before."""

from tests.engine.acts import at_source, at_target
from tests.engine.scenarios import Scenario, Sync
from tests.stores.awkward import AWKWARD

ODD = " ".join(
    f"{number}.odd" for number, name in enumerate(AWKWARD) if name not in ("a long line",)
)

CARRYING: tuple[Scenario, ...] = (
    Scenario(
        "an empty mailbox is carried",
        source="INBOX:",
        target="INBOX:",
        story=(Sync("", writes=""),),
        ends="INBOX:",
    ),
    Scenario(
        "everything is carried with flags, keywords and dates",
        source="INBOX: A B:SF C:RD+$Forwarded+Work D@0:T | Old/2020: E | Empty:",
        target="INBOX:",
        story=(Sync("copied 5, carried 5", writes="append 5, create 3"),),
        ends="INBOX: A B:SF C:RD+$Forwarded+Work D@0:T | Old: | Old/2020: E | Empty:",
    ),
    Scenario(
        "subscriptions are carried",
        source="INBOX^: A | Lists^: B | Other: C",
        target="INBOX:",
        story=(Sync("copied 3"),),
        ends="INBOX^: A | Lists^: B | Other: C",
    ),
    Scenario(
        "new mail is carried by the next pass",
        source="INBOX: A B",
        target="INBOX:",
        story=(
            Sync("copied 2", writes="append 2"),
            at_source("deliver INBOX: C:S"),
            at_source("deliver Work: D"),
            Sync("copied 4, carried 2", writes="append 2, create 1"),
        ),
        ends="INBOX: A B C:S | Work: D",
    ),
    Scenario(
        "the same octets many times keep their number",
        source="INBOX: A*3 B A:S",
        target="INBOX:",
        story=(
            Sync("copied 5", writes="append 5"),
            at_source("deliver INBOX: A B"),
            Sync("copied 7", writes="append 2"),
        ),
        ends="INBOX: A*3 B A:S A B",
    ),
    Scenario(
        "different messages under one Message-ID are different",
        source="INBOX: A A.twin A.longer A.twin@3",
        target="INBOX:",
        story=(Sync("copied 4", writes="append 4"),),
        ends="INBOX: A A.twin A.longer A.twin@3",
    ),
    Scenario(
        "messages without a Message-ID, and without any header",
        source="INBOX: a.nameless b.nameless a.nameless c.headless d.headless",
        target="INBOX:",
        story=(Sync("copied 5", writes="append 5"),),
        ends="INBOX: a.nameless b.nameless a.nameless c.headless d.headless",
    ),
    Scenario(
        "awkward octets are carried as they are",
        source=f"INBOX: {ODD}",
        target="INBOX:",
        story=(Sync(f"copied {len(AWKWARD) - 1}"),),
        ends=f"INBOX: {ODD}",
        every=7,
    ),
    Scenario(
        "what the target holds already is adopted",
        source="INBOX: A B:S C",
        target="INBOX: B A:F X",
        story=(Sync("copied 1, adopted 2, flagged 1", writes="append 1, flag 1"),),
        ends="INBOX: B:S A:F X C",
    ),
    Scenario(
        "numbers that were used and given up before are no obstacle",
        source="INBOX: A B C",
        target="INBOX: X Y",
        story=(
            at_source("expunge INBOX A C"),
            at_target("expunge INBOX Y"),
            Sync("copied 1"),
            at_source("deliver INBOX: D E"),
            at_source("expunge INBOX D"),
            at_target("deliver INBOX: Z"),
            at_target("expunge INBOX Z"),
            Sync("copied 2", writes="append 1"),
        ),
        ends="INBOX: X B E",
    ),
    Scenario(
        "numbers as large as they can be",
        source="INBOX: A B",
        target="INBOX: X",
        story=(
            at_source("renumber INBOX 4294967200"),
            at_target("renumber INBOX 4294967200"),
            Sync("copied 2", writes="append 2"),
            at_source("deliver INBOX: C"),
            at_source("mark INBOX A +S"),
            Sync("copied 3", writes="append 1, flag 1"),
        ),
        ends="INBOX: X A:S B C",
    ),
    Scenario(
        "marked as deleted, but not expunged: it is carried with its mark",
        source="INBOX: A:T B:ST C",
        target="INBOX:",
        story=(
            Sync("copied 3"),
            at_source("mark INBOX C +T"),
            at_source("mark INBOX A -T"),
            Sync("copied 3", writes="flag 2"),
        ),
        ends="INBOX: A B:ST C:T",
    ),
)
