"""What the tests say of themselves is said however they are run: pytest within pytest."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCENARIO = (
    "tests/engine/test_scenarios.py::test_straight_and_twice[an empty mailbox is carried (best)]"
)

PARAMETER = """
import pytest

@pytest.mark.parametrize("server", ["cyrus", "none of ours"])
def test_a_parameter(server):
    assert server
"""
BY_NAME = """
def test_by_name(request):
    request.getfixturevalue("pymap_server")
"""


@pytest.mark.parametrize(
    "arguments",
    [
        (SCENARIO,),
        (SCENARIO, "-p", "no:cacheprovider"),
        ("tests", "-n", "1", "-k", "straight and empty and mailbox and best"),
    ],
    ids=["alone", "without a cache", "by a worker"],
)
def test_scenarios_are_counted(arguments: tuple[str, ...]) -> None:
    assert "scenarios: 1 tables: 1 straight and twice" in _said_by_pytest(*arguments)


def test_servers_asked_for_by_name_are_told(tmp_path: Path) -> None:
    assert "servers used: pymap\n" in _said_by_a_test(BY_NAME, tmp_path)


def test_a_parameter_called_server_is_no_server_used(tmp_path: Path) -> None:
    assert "servers used" not in _said_by_a_test(PARAMETER, tmp_path)


def _said_by_a_test(code: str, directory: Path) -> str:
    file = directory / "test_of_ours.py"
    file.write_text(code)
    return _said_by_pytest("-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), str(file))


def _said_by_pytest(*arguments: str) -> str:
    """What a run says in which every test passes."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
