"""`mailhaul report`: a plan's figures as a page, tables and JSON, and a signed list of messages."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.installation import PLAN, WHERE, Installation, installation, plan_meant
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.journey.rows import MailboxRow
    from mailhaul.report.manifest import FolderLines

# ruff: noqa: PLC0415 - the database is imported once the command line is good.

KEY_FILE = "signing.key"


def report(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Writes the report of a plan, also of one that is under way. Raises `BadInput`."""
    from mailhaul.journey.orders import Selection, chosen
    from mailhaul.report import bundle
    from mailhaul.report.figures import draw
    from mailhaul.report.manifest import signing_key

    console = surroundings.console
    addresses = arguments.texts("--mailbox")
    with installation(arguments, surroundings) as home:
        with home.database.read() as connection:
            plan = plan_meant(connection, arguments.text("PLAN"))
            rows = list(chosen(connection, plan, Selection(addresses)))
            drawn = draw(
                connection,
                plan.id,
                at=home.clock.now(),
                time_zone=plan.plan.time_zone,
                addresses=addresses,
            )
        out = arguments.text("--out")
        directory = Path(out or f"{_file_name(plan.name)}-report").expanduser()
        key = signing_key(Path(arguments.text("--key") or home.directory / KEY_FILE).expanduser())
        written = bundle.write(directory, drawn, _folders(home, rows), key)
    whole = drawn.account.adds_up and not (drawn.account.refused or drawn.account.missing)
    if arguments.given("--json"):
        console.json(
            {
                "event": "report",
                "directory": str(written.directory),
                "files": list(written.files),
                "messages": written.messages,
                "key": written.key,
                "whole": whole,
            }
        )
        return Exit.COMPLETE
    shown = printable(str(written.directory), 200)
    console.show(
        [
            Line(f"{shown}: {', '.join(written.files)}", Tone.GOOD),
            Line(
                f"{plural(len(drawn.mailboxes), 'mailbox', 'mailboxes')}, "
                f"{plural(written.messages, 'message')} in the manifest, signed by {written.key}"
            ),
            Line(f"whoever gets it checks it with: mailhaul report verify {shown}"),
        ]
    )
    return Exit.COMPLETE


def _folders(home: Installation, rows: "list[MailboxRow]") -> "Iterator[FolderLines]":
    from mailhaul.engine.ledger import FolderRow, Ledger
    from mailhaul.journey.ledgers import read_ledger
    from mailhaul.report.manifest import FolderLines, MessageLine

    def messages(ledger: Ledger, folder: FolderRow) -> Iterator[MessageLine]:
        for each in ledger.rows(folder):
            yield MessageLine(
                source_key=str(each.source_key),
                target_key="" if each.target_key is None else str(each.target_key),
                fate=each.fate.value,
                size=each.size,
                received=each.received,
                sha256="" if each.digest is None else each.digest.hex(),
                reason=each.reason,
            )

    for row in rows:
        with read_ledger(home.database, home.directory, row) as ledger:
            for folder in ledger.folders():
                yield FolderLines(
                    row.address,
                    "/".join(folder.source),
                    "/".join(folder.target),
                    messages(ledger, folder),
                )
        with read_ledger(home.database, home.directory, row, back=True) as ledger:
            for folder in ledger.folders():
                yield FolderLines(
                    f"{row.address} (way back)",
                    "/".join(folder.source),
                    "/".join(folder.target),
                    messages(ledger, folder),
                )


def _file_name(name: str) -> str:
    kept = "".join(each if each.isalnum() or each in "-_." else "-" for each in name)
    return kept.strip("-.")[:80] or "plan"


COMMAND = Command(
    name="report",
    summary="write a plan's report: page, tables, JSON and a signed list of all messages",
    story=(
        "Writes a directory: report.html (one file, prints well), report.json, mailboxes.csv, "
        "folders.csv and not-carried.csv with the same figures, and manifest.jsonl: a line a "
        "message with its SHA-256, a Merkle root a folder, signed (Ed25519). All is drawn from "
        "rows, so that it is right at any moment, also after a crash."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "what and where",
            (
                Option("--mailbox", "only this mailbox (repeatable)", "ADDRESS", repeated=True),
                Option("--out", "the directory (unless told NAME-report here)", "DIR"),
                Option("--key", "the signing key's file (unless told the installation's)", "FILE"),
            ),
        ),
        WHERE,
        OUTPUT,
    ),
    run=report,
    examples=("mailhaul report acme", "mailhaul report acme --mailbox anna@acme.example --out a"),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
