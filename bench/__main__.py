"""`make bench`: plays the scenarios and prints one table. Exit code 1: a copy was not exact, or
(with --strict) a goal was missed; 2: wrong usage."""

import argparse
import compileall
import dataclasses
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from os import cpu_count
from pathlib import Path
from statistics import median

import mailhaul
from bench import domains, journeys
from bench.contestants import Contestant, contestants, run
from bench.link import measure
from bench.report import Line, start_missed, summed, table
from bench.scenarios import SCENARIOS, Result, opened

ROUND_TRIP = 40.0
ROUND_TRIP_SLACK = 1.0
THROUGHPUT = 200.0
ALONE = {domains.NAME: domains.play, journeys.NAME: journeys.play}
"""What is played by itself, and compared with nothing in the same table."""


def main() -> int:
    options = _options()
    names = options.only or [scenario.name for scenario in SCENARIOS]
    known = {scenario.name: scenario for scenario in SCENARIOS}
    tell = _silent if options.json or options.quiet else _tell
    if len(names) == 1 and names[0] in ALONE:
        return ALONE[names[0]](tell, as_json=options.json, strict=options.strict)
    if strangers := [name for name in names if name not in known]:
        print(
            f"no such scenario: {', '.join(strangers)}; there are {', '.join(known)},"
            f" and {' and '.join(ALONE)}, each alone"
        )
        return 2
    players = contestants(options.contestants or _default())
    results: list[Result] = []
    # As an installed package is; a checkout whose files just changed would compile at each start.
    compileall.compile_dir(str(Path(mailhaul.__file__).parent), quiet=2)
    starts = {player.name: _start(player, options.runs) for player in players}
    if any(known[name].round_trip for name in names):
        _check_wire(tell)
    with opened() as bench:
        for name in names:
            results.append(bench.play(known[name], players, options.runs, tell))
    lines = [summed(result) for result in results]
    wrong = [sentence for result in results for sentence in result.wrong]
    _show(options.json, lines, starts, wrong, options.runs)
    missed = any(line.missed for line in lines) or start_missed(starts)
    return 1 if wrong or (options.strict and missed) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="one scenario, repeatable")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help="floor mailhaul mbsync")
    parser.add_argument("--json", action="store_true", help="figures for a program")
    parser.add_argument("--quiet", action="store_true", help="the table alone")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    return parser.parse_args()


def _default() -> list[str]:
    return ["floor", "mailhaul", *(["mbsync"] if shutil.which("mbsync") else [])]


def _start(player: Contestant, runs: int) -> float:
    run(player.start)
    return median(run(player.start).wall for _ in range(max(runs, 5)))


def _check_wire(tell: Callable[[str], None]) -> None:
    """The delaying proxy does what it says, or nothing measured behind it means anything."""
    best = None
    for _ in range(3):
        found = measure(ROUND_TRIP)
        best = found if best is None or found.throughput > best.throughput else best
        exact = abs(found.round_trip - ROUND_TRIP) <= ROUND_TRIP_SLACK
        if exact and found.throughput >= THROUGHPUT:
            tell(f"wire: {found.round_trip:.1f} ms, {found.throughput:.0f} MB/s")
            return
    print(f"warning: the wire is off: {best}; is the machine busy?", file=sys.stderr)


def _show(
    as_json: bool,
    lines: Sequence[Line],
    starts: dict[str, float],
    wrong: Sequence[str],
    runs: int,
) -> None:
    machine = f"{cpu_count()} cores, Python {platform.python_version()}, Dovecot {_dovecot()}"
    if as_json:
        print(
            json.dumps(
                {
                    "machine": machine,
                    "runs": runs,
                    "start": starts,
                    "scenarios": [dataclasses.asdict(line) for line in lines],
                    "wrong": list(wrong),
                }
            )
        )
        return
    print()
    print(table(lines, starts))
    print(
        f"\n{machine}; {runs} rounds, interleaved; medians; whole processes; a ratio is the\n"
        "median over the rounds of mailhaul against the floor in the same round (least–most);\n"
        "the pass ratio leaves start-up out, by both's own clocks, and counts for S3 and S4;\n"
        "MiB is the peak; mail_fsync=never on both sides; every copy compared message by message."
    )
    for sentence in wrong:
        print(f"\nNOT EXACT: {sentence}")


def _dovecot() -> str:
    shown = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=False)
    return shown.stdout.split()[0] if shown.stdout else "?"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _silent(text: str) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
