"""`mailhaul plan schema`: what may stand in plan.toml, for editors."""

import json

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command
from mailhaul.cli.surroundings import Surroundings


def schema(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Prints the JSON Schema of plan.toml."""
    from mailhaul.plan.schema import plan_schema  # noqa: PLC0415 - pydantic takes its time

    text = json.dumps(plan_schema(), indent=2, ensure_ascii=False)
    surroundings.console.say(f"{text}\n")
    return Exit.COMPLETE


COMMAND = Command(
    name="plan schema",
    summary="print the JSON Schema of plan.toml, for editors",
    story=(
        "Prints the JSON Schema of plan.toml. An editor that is told of it completes keys, shows "
        "what each means and marks what is misspelt; with Even Better TOML or taplo, write "
        "“#:schema ./plan.schema.json” on the plan's first line."
    ),
    operands=(),
    groups=(),
    run=schema,
    examples=("mailhaul plan schema > plan.schema.json",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
