"""One line counts what the scenarios proved, from what their tests wrote on their reports."""

from collections.abc import Iterable

import pytest

COUNTED = {
    "straight": "straight and twice",
    "killed": "killed and run again",
    "cut": "cut and gone on",
    "stopped": "stopped and begun again",
}


def tally(passed: Iterable[pytest.TestReport]) -> str:
    """How many scenarios ran, and at how many points they were interrupted; empty for none."""
    found: dict[str, list[tuple[str, int]]] = {}
    for report in passed:
        for name, value in report.user_properties:
            if name in COUNTED:
                scenario, count = str(value).rsplit("|", 1)
                found.setdefault(name, []).append((scenario, int(count)))
    if not found:
        return ""
    tables = {scenario for runs in found.values() for scenario, _ in runs}
    parts = [
        f"{sum(count for _, count in found[name])} {words}"
        for name, words in COUNTED.items()
        if name in found
    ]
    return f"scenarios: {len(tables)} tables: {', '.join(parts)}"
