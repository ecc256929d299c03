"""Assertions in the harness tell what differs; and one line counts what was proved."""

import pytest

pytest.register_assert_rewrite("tests.engine.scenarios")

COUNTED = {
    "straight": "straight and twice",
    "killed": "killed and run again",
    "cut": "cut and gone on",
    "stopped": "stopped and begun again",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many scenarios ran, and at how many points they were interrupted."""
    found: dict[str, list[tuple[str, int]]] = {}
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name in COUNTED:
                scenario, count = str(value).rsplit("|", 1)
                found.setdefault(name, []).append((scenario, int(count)))
    if not found:
        return
    tables = {scenario for runs in found.values() for scenario, _ in runs}
    parts = [
        f"{sum(count for _, count in found[name])} {words}"
        for name, words in COUNTED.items()
        if name in found
    ]
    terminalreporter.write_line(f"scenarios: {len(tables)} tables: {', '.join(parts)}")
