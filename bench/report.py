"""The table: each contestant's median, and mailhaul's ratio to the floor, round by round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.contestants import Taken
from bench.scenarios import Result

PEAK_LIMIT = 64.0
START_LIMIT = 0.150
TRIPS_LIMIT = 5
COLUMNS = (
    *("scenario", "floor s", "mailhaul s", "ratio", "goal", "pass ratio", "mbsync s"),
    *("CPU s", "MiB", "trips", "writes", "verdict"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One scenario, summed up. Ratios are medians over the rounds, each against the floor's run
    of the same round. `pass_ratio` is by the contestants' own clocks, start-up left out."""

    name: str
    walls: Mapping[str, float]
    cpus: Mapping[str, float]
    peaks: Mapping[str, float]
    ratio: float | None
    spread: tuple[float, float] | None
    pass_ratio: float | None
    goal: float | None
    goal_is_pass: bool
    trips: Mapping[str, int]
    writes: int | None
    missed: tuple[str, ...]
    altered: Mapping[str, str]


def summed(result: Result) -> Line:
    """What the runs of one scenario come to."""
    runs, scenario = result.runs, result.scenario
    floor, ours = runs.get("floor", []), runs.get("mailhaul", [])
    ratios = [our.wall / its.wall for our, its in zip(ours, floor, strict=False)]
    passes = [
        our.clock / its.clock
        for our, its in zip(ours, floor, strict=False)
        if our.clock is not None and its.clock
    ]
    ratio = median(ratios) if ratios else None
    pass_ratio = median(passes) if passes else None
    trips, writes = _wire(ours)
    peaks = {name: max(taken.peak for taken in takens) for name, takens in runs.items()}
    missed = []
    judged = pass_ratio if scenario.delta else ratio
    if scenario.ratio is not None and judged is not None and judged > scenario.ratio:
        missed.append(f"ratio {judged:.2f}")
    if peaks.get("mailhaul", 0) > PEAK_LIMIT:
        missed.append(f"{peaks['mailhaul']:.0f} MiB")
    if scenario.delta and not scenario.mutate:
        missed.extend(
            f"{count} trips to {side}" for side, count in trips.items() if count > TRIPS_LIMIT
        )
        if writes:
            missed.append(f"{writes} writes")
    return Line(
        scenario.name,
        {name: median(taken.wall for taken in takens) for name, takens in runs.items()},
        {name: median(taken.cpu for taken in takens) for name, takens in runs.items()},
        peaks,
        ratio,
        (min(ratios), max(ratios)) if ratios else None,
        pass_ratio,
        scenario.ratio,
        scenario.delta,
        trips,
        writes,
        tuple(missed),
        result.altered,
    )


def table(lines: Sequence[Line], starts: Mapping[str, float]) -> str:
    """For a terminal."""
    rows = [COLUMNS, *(_row(line) for line in lines)]
    if starts:
        rows.append(_start_row(starts))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def start_missed(starts: Mapping[str, float]) -> bool:
    return starts.get("mailhaul", 0.0) > START_LIMIT


def _row(line: Line) -> tuple[str, ...]:
    spread = f" ({line.spread[0]:.2f}–{line.spread[1]:.2f})" if line.spread else ""
    goal = "" if line.goal is None else f"≤ {line.goal}" + (" pass" if line.goal_is_pass else "")
    mbsync = _figure(line.walls.get("mbsync"))
    if "mbsync" in line.altered:
        mbsync += " inexact"
    return (
        line.name,
        _figure(line.walls.get("floor")),
        _figure(line.walls.get("mailhaul")),
        _figure(line.ratio) + spread,
        goal,
        _figure(line.pass_ratio),
        mbsync,
        " / ".join(_figure(line.cpus.get(name)) for name in ("floor", "mailhaul")),
        " / ".join(_figure(line.peaks.get(name), 0) for name in ("floor", "mailhaul")),
        " / ".join(str(count) for count in line.trips.values()) or "–",
        "–" if line.writes is None else str(line.writes),
        ", ".join(line.missed) if line.missed else "ok" if "mailhaul" in line.walls else "–",
    )


def _start_row(starts: Mapping[str, float]) -> tuple[str, ...]:
    ours = starts.get("mailhaul")
    return (
        "start",
        _figure(starts.get("floor")),
        _figure(ours),
        "",
        f"≤ {START_LIMIT} s",
        "",
        _figure(starts.get("mbsync")),
        *("", "", "", ""),
        "–" if ours is None else "missed" if ours > START_LIMIT else "ok",
    )


def _figure(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _wire(takens: Sequence[Taken]) -> tuple[dict[str, int], int | None]:
    """The most round trips a side, and the most writes, in any run; by mailhaul's own summary."""
    trips: dict[str, int] = {}
    writes: int | None = None
    for taken in takens:
        told = taken.said.get("round_trips")
        if isinstance(told, dict):
            for side, count in told.items():
                trips[side] = max(trips.get(side, 0), int(count))
        wrote = taken.said.get("wire_writes")
        if isinstance(wrote, int):
            writes = max(writes or 0, wrote)
    return trips, writes
