"""Who is measured, how each is called, and what one run of it took."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
DEADLINE = 60
"""Seconds after which a run has failed: many times what the slowest scenario should take."""

MBSYNC = """\
IMAPStore far
Host {source.host}
Port {source.port}
User {source.user}
Pass {source.password}
SSLType None
AuthMechs LOGIN
DisableExtension COMPRESS=DEFLATE

IMAPStore near
Host {target.host}
Port {target.port}
User {target.user}
Pass {target.password}
SSLType None
AuthMechs LOGIN
DisableExtension COMPRESS=DEFLATE

Channel all
Far :far:
Near :near:
Patterns *
Sync Pull
Create Near
Expunge Near
CopyArrivalDate yes
SyncState {state}/
"""


@dataclass(frozen=True, slots=True)
class Leg:
    """One mailbox and the way to it."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Call:
    """A command line and what stands in its environment beside the usual."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one whole process took: seconds, CPU seconds, peak RSS in MiB; and what it said of
    itself (the last line of its output, when that is JSON)."""

    wall: float
    cpu: float
    peak: float
    said: Mapping[str, object]
    code: int
    output: str

    @property
    def clock(self) -> float | None:
        """Seconds of the pass alone, by the contestant's own clock."""
        seconds = self.said.get("seconds")
        return float(seconds) if isinstance(seconds, int | float) else None


@dataclass(frozen=True, slots=True)
class Contestant:
    """`call` makes the command for one pass; `state` is a directory of its own that is there.

    `exact` says whether an inexact copy is a failure or just what this one does. `start` does
    nothing but begin and end.
    """

    name: str
    call: Callable[[Leg, Leg, Path], Call]
    start: Call
    exact: bool = True


def contestants(wanted: Sequence[str]) -> list[Contestant]:
    """Those wanted, in that order. Raises `SystemExit` when one can't be had."""
    found: list[Contestant] = []
    for name in wanted:
        if name not in _ALL:
            raise SystemExit(f"“{name}” is no contestant; there are {', '.join(_ALL)}")
        found.append(_ALL[name]())
    return found


def run(call: Call, seconds: int = DEADLINE) -> Taken:
    """One whole process, from the outside."""
    with tempfile.TemporaryDirectory() as directory:
        report, output = Path(directory) / "report", Path(directory) / "output"
        launcher = (sys.executable, "-I", "-S", str(HERE / "launch.py"))
        subprocess.run(
            [*launcher, str(report), str(output), str(seconds), *call.command],
            env={**os.environ, **call.environment},
            check=True,
        )
        code, wall, cpu, peak = report.read_text("ascii").split()
        text = output.read_text("utf-8", errors="replace")
    return Taken(float(wall), float(cpu), int(peak) / 1024, _last_json(text), int(code), text)


def _floor() -> Contestant:
    script = str(HERE / "floor.py")

    def call(source: Leg, target: Leg, state: Path) -> Call:
        legs = (
            *(f"{source.host}:{source.port}", source.user),
            *(f"{target.host}:{target.port}", target.user),
        )
        if source.password != target.password:
            raise AssertionError("the floor knows one password for both sides")
        return Call(
            (sys.executable, script, *legs, str(state / "floor.state")),
            {"FLOOR_PASSWORD": source.password},
        )

    return Contestant("floor", call, Call((sys.executable, script, "--version")))


def _mailhaul() -> Contestant:
    program = Path(sys.executable).with_name("mailhaul")
    if not program.exists():
        raise SystemExit(
            f"mailhaul is not installed beside {sys.executable}: make test installs it"
        )

    def call(source: Leg, target: Leg, state: Path) -> Call:
        options = ("--delete", "mirror", "--max-delete", "1000", "--json", "--quiet")
        return Call(
            (
                *(str(program), "copy"),
                f"imap://{source.user}@{source.host}:{source.port}",
                f"imap://{target.user}@{target.host}:{target.port}",
                *options,
                *("--state", str(state)),
            ),
            {
                "MAILHAUL_SOURCE_PASSWORD": source.password,
                "MAILHAUL_TARGET_PASSWORD": target.password,
            },
        )

    return Contestant("mailhaul", call, Call((str(program), "--version")))


def _mbsync() -> Contestant:
    program = shutil.which("mbsync")
    if program is None:
        raise SystemExit("mbsync is not installed: apt-get install isync, or leave it out")

    def call(source: Leg, target: Leg, state: Path) -> Call:
        configuration = state / "mbsyncrc"
        configuration.write_text(MBSYNC.format(source=source, target=target, state=state))
        return Call((str(program), "-c", str(configuration), "-q", "all"))

    return Contestant("mbsync", call, Call((program, "--version")), exact=False)


def _last_json(text: str) -> Mapping[str, object]:
    lines = text.rstrip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    try:
        said = json.loads(lines[-1])
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


_ALL: Mapping[str, Callable[[], Contestant]] = {
    "floor": _floor,
    "mailhaul": _mailhaul,
    "mbsync": _mbsync,
}
