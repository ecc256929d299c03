"""What earlier tools and servers left: imapsync's, mbsync's and OfflineIMAP's copies, altered
octets (C7, C10, finding 3). What is the same is adopted; what only looks so is not."""

from mailhaul.engine.outcomes import Options
from tests.engine.acts import at_source
from tests.engine.scenarios import Scenario, Sync

ADOPTION: tuple[Scenario, ...] = (
    Scenario(
        "imapsync's copies are adopted, exact and all of them",
        source="INBOX: A B:S C | Work: D",
        target="INBOX: A B:S C | Work: D",
        story=(Sync("adopted 4", writes=""),),
        ends="INBOX: A B:S C | Work: D",
    ),
    Scenario(
        "imapsync dropped duplicates: the missing ones are carried",
        source="INBOX: A*3 B",
        target="INBOX: A B",
        story=(Sync("adopted 2, copied 2, carried 2", writes="append 2"),),
        ends="INBOX: A B A*2",
    ),
    Scenario(
        "imapsync doubled some: the surplus is the person's",
        source="INBOX: A B",
        target="INBOX: A*2 B",
        story=(Sync("adopted 2", writes=""),),
        ends="INBOX: A*2 B",
    ),
    Scenario(
        "copies under another date are adopted by their octets",
        source="INBOX: A@3 b.nameless@4",
        target="INBOX: A@9 b.nameless@9",
        story=(Sync("adopted 2", writes=""),),
        ends="INBOX: A@9 b.nameless@9",
    ),
    Scenario(
        "mbsync's copies with X-TUID are adopted",
        source="INBOX: A B:S C",
        target="INBOX: A.tuid B.tuid:S",
        story=(Sync("adopted 2, copied 1", writes="append 1"),),
        ends="INBOX: A.tuid B.tuid:S C",
    ),
    Scenario(
        "OfflineIMAP's copies are adopted",
        source="INBOX: A B",
        target="INBOX: A.offline",
        story=(Sync("adopted 1, copied 1", writes="append 1"),),
        ends="INBOX: A.offline B",
    ),
    Scenario(
        "copies that a server altered are adopted",
        source="INBOX: A.eight B.nul C.eight",
        target="INBOX: A.munged B.nonul",
        story=(Sync("adopted 2, copied 1", writes="append 1"),),
        ends="INBOX: A.munged B.nonul C.eight",
    ),
    Scenario(
        "the same header on another message is not adopted",
        source="INBOX: A B a.nameless",
        target="INBOX: A.longer B.twin@3 b.nameless",
        story=(Sync("copied 3, adopted 0", writes="append 3"),),
        ends="INBOX: A.longer B.twin@3 b.nameless A B a.nameless",
    ),
    Scenario(
        "a copy in another folder is not adopted",
        source="INBOX: A",
        target="INBOX: | Old: A",
        story=(Sync("copied 1", writes="append 1"),),
        ends="INBOX: A | Old: A",
    ),
    Scenario(
        "each of two twins adopts its own",
        source="INBOX: A A.twin A.tuid",
        target="INBOX: A.twin:F A",
        story=(
            Sync("copied 1, adopted 2", writes="append 1"),
            at_source("mark INBOX A +R"),
            Sync("copied 1, adopted 2", writes="flag 1"),
        ),
        ends="INBOX: A.twin:F A:R A.tuid",
    ),
    Scenario(
        "a server that alters what it stores gets nothing twice",
        source="INBOX: A.eight B.nul C",
        target="INBOX:",
        story=(
            Sync("copied 3", writes="append 3"),
            at_source("mark INBOX A.eight +S"),
            Sync("copied 3, carried 0", writes="flag 1"),
        ),
        target_habits={
            "alters": lambda data: (
                data.replace(b"\xfcber \xe2\x82\xac", b"Xber XXX")
                .replace(b"\x00", b"\x80")
                .replace(b"\r\r\n", b"\r\n")
            )
        },
        ends="INBOX: A.munged:S B.nonul C",
    ),
    Scenario(
        "folders are merged by --map, and the same mail in both is there twice",
        source="INBOX: A | One: B C | Two: C D",
        target="INBOX:",
        story=(
            Sync("copied 5", Options(maps={("One",): ("All",), ("Two",): ("All",)})),
            at_source("deliver Two: E"),
            Sync("copied 6, carried 1", Options(maps={("One",): ("All",), ("Two",): ("All",)})),
        ),
        ends="INBOX: A | All: B C C D E",
        unordered=True,
    ),
)
