"""One module prints; so nothing gets past the scrubber, and everything can be shown elsewhere."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "mailhaul"
PRINTS = {"cli/render.py"}
# The edge hands the streams to the console; rich draws on the one it is given.
KNOWS_STREAMS = PRINTS | {"cli/main.py"}
MODULES = sorted(
    path.relative_to(SOURCE).as_posix()
    for path in SOURCE.rglob("*.py")
    if path.parts[len(SOURCE.parts)] != "lab"
)


@pytest.mark.parametrize("name", MODULES)
def test_no_other_module_prints(name: str) -> None:
    tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
    calls = [
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert "print" not in calls
    streams = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
        and node.attr in ("stdout", "stderr")
    ]
    assert streams == [] or name in KNOWS_STREAMS


def test_the_test_can_see_a_print() -> None:
    assert set(MODULES) >= KNOWS_STREAMS
    text = (SOURCE / "cli/main.py").read_text(encoding="utf-8")
    assert "sys.stdout" in text
