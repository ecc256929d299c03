"""`mailhaul report verify`: whether a report is as it was signed."""

from pathlib import Path

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.ordering import OUTPUT
from mailhaul.cli.surroundings import Surroundings

# ruff: noqa: PLC0415 - cryptography is imported once the command line is good.


def report_verify(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Checks signature, roots and files. Raises `BadInput` when there is no report."""
    from mailhaul.report import bundle
    from mailhaul.report.manifest import Untrue

    directory = arguments.text("DIR")
    assert directory is not None
    console = surroundings.console
    as_json = arguments.given("--json")
    try:
        checked = bundle.verify(Path(directory).expanduser(), arguments.text("--key") or "")
    except Untrue as error:
        if as_json:
            console.json({"event": "report", "true": False, "problem": str(error)})
        else:
            console.show([Line(f"this report is not as it was signed: {error}", Tone.BAD)])
        return Exit.DIFFERENT
    if as_json:
        console.json(
            {
                "event": "report",
                "true": True,
                "plan": checked.plan,
                "folders": checked.folders,
                "messages": checked.messages,
                "hashed": checked.hashed,
                "key": checked.key,
            }
        )
        return Exit.COMPLETE
    files = plural(len(checked.documents), "file")
    console.show(
        [
            Line(f"true: the report of “{checked.plan}” is as it was signed", Tone.GOOD),
            Line(
                f"{plural(checked.messages, 'message')} in {plural(checked.folders, 'folder')}, "
                f"{checked.hashed} with the hash of their octets; {files} beside it"
            ),
            Line(f"signed by {checked.key}; compare that with what its sender tells you"),
        ]
    )
    return Exit.COMPLETE


COMMAND = Command(
    name="report verify",
    summary="check that a report is as it was signed, down to every message's line",
    story=(
        "Reads manifest.jsonl, takes every Merkle root anew, checks the signature and the hashes "
        "of the report's other files, and names the first line that isn't as it was signed. "
        "Needs no plan and no database. A signature proves who signed only to those who know the "
        "key: give its fingerprint with --key, or compare it."
    ),
    operands=(Operand("DIR", "the directory of the report, or its manifest.jsonl"),),
    groups=(
        Group(
            "who signed",
            (Option("--key", "only this signer's report is true", "FINGERPRINT"),),
        ),
        OUTPUT,
    ),
    run=report_verify,
    examples=("mailhaul report verify acme-report",),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.DIFFERENT),
)
