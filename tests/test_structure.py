"""The house holds: imports run one way (docs/architecture.md), and what is kept to one place is."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "mailhaul"

MAY_IMPORT = {
    "core": set(),
    "imap": {"core"},
    "stores": {"core", "imap"},
    "engine": {"core"},
    "plan": {"core"},
    "db": {"core"},
    "vault": {"core"},
    "dns": {"core"},
    "canary": {"core"},
    "providers": {"core", "dns", "imap"},
    "check": {"core", "engine", "plan", "providers"},
    "journey": {
        "core",
        "imap",
        "stores",
        "engine",
        "plan",
        "db",
        "vault",
        "check",
        "dns",
        "canary",
        "providers",
    },
    "report": {"core", "engine", "plan", "db", "journey"},
    "cli": {
        *("core", "imap", "stores", "engine"),
        *("plan", "db", "vault", "check", "journey", "report", "dns", "providers"),
    },
    "lab": {
        *("core", "imap", "stores", "engine", "cli"),
        *("plan", "db", "vault", "check", "journey", "report", "dns", "providers"),
    },
}
"""Which rooms each room may import besides itself; a room that is not here has no place yet."""

PRINTS = {"cli/render.py", "lab/demo.py"}
PARSES_FOR_DISPLAY: set[str] = set()
"""Modules that may use the `email` package, on a copy, for display only."""


@dataclass(frozen=True)
class Import:
    """One import of one module."""

    where: str
    line: int
    module: str

    @property
    def room(self) -> str:
        return self.where.split("/")[0].removesuffix(".py")

    @property
    def imported_room(self) -> str | None:
        first, *rest = self.module.split(".")
        return rest[0] if first == "mailhaul" and rest else None

    def __str__(self) -> str:
        return f"{self.where}:{self.line} imports {self.module}"


def modules() -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_bytes(), str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


MODULES = modules()


def imports_of(where: str, tree: ast.Module) -> Iterator[Import]:
    """Every import, also inside functions; one of the package's own root counts by its names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(where, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"{'.' * node.level}{node.module or ''}"
            names = [f".{alias.name}" for alias in node.names] if module == "mailhaul" else [""]
            yield from (Import(where, node.lineno, module + name) for name in names)
        elif isinstance(node, ast.Call) and _is_lazy_import(node):
            argument = node.args[0]
            if isinstance(argument, ast.Constant):
                yield Import(where, node.lineno, str(argument.value))


def _is_lazy_import(node: ast.Call) -> bool:
    return ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")


def wrong_arrows(found: list[Import]) -> list[str]:
    return [
        str(one)
        for one in found
        if one.imported_room in MAY_IMPORT
        and one.imported_room not in {one.room, *MAY_IMPORT.get(one.room, set())}
    ]


IMPORTS = [one for where, tree in MODULES.items() for one in imports_of(where, tree)]


def test_every_room_has_its_place_in_the_table() -> None:
    rooms = {where.split("/")[0] for where in MODULES if "/" in where}
    assert rooms == set(MAY_IMPORT)


def test_imports_run_one_way() -> None:
    assert wrong_arrows(IMPORTS) == []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("core/store.py", "from mailhaul.imap.client import Session"),
        ("core/store.py", "import mailhaul.engine.passes"),
        ("engine/passes.py", "from mailhaul.stores.memory import MemoryStore"),
        ("engine/passes.py", "def later():\n    from mailhaul import stores"),
        ("imap/client.py", "import importlib\nimportlib.import_module('mailhaul.engine.passes')"),
        ("stores/imap.py", "from mailhaul.engine import passes"),
        ("cli/copy.py", "from mailhaul.lab import demo"),
    ],
)
def test_an_arrow_that_runs_the_wrong_way_is_found(where: str, source: str) -> None:
    assert wrong_arrows(list(imports_of(where, ast.parse(source))))


def test_imports_are_absolute() -> None:
    assert [str(one) for one in IMPORTS if one.module.startswith(".")] == []


def test_core_stands_on_the_standard_library_alone() -> None:
    import sys

    foreign = [
        str(one)
        for one in IMPORTS
        if one.room == "core"
        and one.module.split(".")[0] not in {*sys.stdlib_module_names, "mailhaul"}
    ]
    assert foreign == []


def test_no_message_passes_through_the_email_package() -> None:
    users = {one.where for one in IMPORTS if one.module.split(".")[0] in ("email", "mailbox")}
    assert users <= PARSES_FOR_DISPLAY


def test_only_one_module_prints() -> None:
    printing = {
        where
        for where, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "input", "breakpoint")
    }
    assert printing <= PRINTS


def swallows_everything(node: ast.ExceptHandler) -> bool:
    """Catches whatever comes and doesn't end by raising it on."""
    broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
    last = node.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def test_every_exception_is_caught_at_the_edge_only() -> None:
    swallowing = {
        where
        for where, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and swallows_everything(node)
    }
    assert swallowing <= {"cli/main.py", "journey/worker.py"}


def test_every_module_says_what_it_is_for() -> None:
    silent = [where for where, tree in MODULES.items() if not ast.get_docstring(tree)]
    assert silent == []


def test_the_workflow_engine_is_known_to_one_module() -> None:
    users = {one.where for one in IMPORTS if one.module.split(".")[0] == "dbos"}
    assert users == {"journey/dbos_engine.py"}
