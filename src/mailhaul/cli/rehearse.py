"""`mailhaul rehearse`: a plan as it would go, between stand-ins for its mail systems."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from mailhaul.cli.exits import Exit
from mailhaul.cli.installation import WHERE
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.plan_files import PLAN, plan_file
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

# ruff: noqa: PLC0415 - plans are read once the command line is good.

SHORTEST, LONGEST = 1.0, 600.0


def rehearse(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Rehearses the plan. Raises `PlanErrors`, and `BadInput` where the stand-ins are missing."""
    from mailhaul.plan.load import load_plan

    path = plan_file(arguments)
    load_plan(path)
    minutes = _minutes(arguments.text("--minutes") or "2")
    if importlib.util.find_spec("pymap") is None:
        raise BadInput(
            "the stand-in mail servers are not installed; pip install 'mailhaul[demo]' brings them"
        )
    words = [str(path), "--minutes", str(minutes)]
    for option in ("--census", "--keep", "--state", "--database"):
        text = arguments.text(option)
        if text is not None:
            is_path = option != "--database"
            words += [option, str(Path(text).expanduser()) if is_path else text]
    # The pipe's end tells it that we are no more, however we ended.
    end, ours = os.pipe()
    try:
        # A program of its own: nothing that moves real mail imports what plays at it.
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "mailhaul.lab.rehearsal", "--tethered", *words],
            check=False,
            env=dict(surroundings.environ),
            stdin=end,
        )
    finally:
        os.close(end)
        os.close(ours)
    return Exit(done.returncode) if done.returncode in {*Exit} else Exit.DEFECT


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError as error:
        raise BadInput(
            f"--minutes {printable(text, 40)} is no number; write --minutes 5"
        ) from error
    if not SHORTEST <= minutes <= LONGEST:
        raise BadInput(f"--minutes {minutes:g} is not from {SHORTEST:g} to {LONGEST:g}")
    return minutes


COMMAND = Command(
    name="rehearse",
    summary="play a plan through with stand-ins for its mail systems, days in minutes",
    story=(
        "Plays PLAN through on this machine, by a clock that is wound: its waves, gates, hours, "
        "sweeps and budgets are the plan's, the mail systems are stand-ins with mailboxes of the "
        "same proportions, scaled down as it says; mail comes in, people read, move and delete, "
        "and there is trouble. In the end it shows the forecast beside what was seen, which gate "
        "waited for whom, and whether every message is where it should be. Nothing of your own "
        "systems is touched, and no secret is read."
    ),
    operands=(PLAN,),
    groups=(
        Group(
            "how",
            (
                Option("--minutes", "how long it may take (2 unless told); longer is closer", "N"),
                Option(
                    "--census",
                    "the mailboxes' sizes, as mailhaul check PLAN --json wrote them (unless told "
                    "what the installation has counted)",
                    "FILE",
                ),
                Option("--keep", "keep all of it (report, log, database) in this place", "DIR"),
            ),
        ),
        WHERE,
        Group("output", (DEBUG,)),
    ),
    run=rehearse,
    examples=("mailhaul rehearse plan.toml", "mailhaul rehearse plan.toml --minutes 10 --keep try"),
    exits=(
        Exit.COMPLETE,
        Exit.USAGE,
        Exit.INCOMPLETE,
        Exit.DIFFERENT,
        Exit.INTERRUPTED,
    ),
)
