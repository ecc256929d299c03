"""Which plan a command line means."""

from pathlib import Path

from mailhaul.cli.options import Arguments, Operand

PLAN = Operand("PLAN", "the plan's file, or the directory of its plan.toml")


def plan_path(text: str) -> Path:
    """The file itself if it ends in .toml, else plan.toml in that directory."""
    path = Path(text).expanduser()
    return path if path.suffix == ".toml" or path.is_file() else path / "plan.toml"


def plan_file(arguments: Arguments) -> Path:
    """The file that the operand PLAN names; whether it is there, reading it tells."""
    text = arguments.text("PLAN")
    assert text is not None
    return plan_path(text)
