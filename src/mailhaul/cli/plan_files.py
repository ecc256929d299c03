"""Which plan a command line means: a file, a directory, or the name of one that was started."""

from pathlib import Path

from mailhaul.cli.options import Arguments, Operand

FILE = "plan.toml"
PLAN = Operand("PLAN", f"the plan's file, or the directory of its {FILE}; here unless told", True)


def plan_path(text: str) -> Path:
    """The file itself if it ends in .toml, else plan.toml in that directory."""
    path = Path(text).expanduser()
    return path if path.suffix == ".toml" or path.is_file() else path / FILE


def plan_file(arguments: Arguments) -> Path:
    """The file that the operand PLAN names, by an absolute path; whether it is there, reading it
    tells."""
    return plan_path(arguments.text("PLAN") or ".").absolute()


def started_from(word: str | None) -> Path | None:
    """The file that `word` names, None when it must be a plan's name. Nothing: plan.toml here, if
    there is one."""
    path = plan_path(word or ".")
    return path.absolute() if path.is_file() else None
