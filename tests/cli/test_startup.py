"""What is loaded at start-up; counted in modules, for seconds depend on the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import environment, maildir

HEAVY = frozenset({"rich", "keyring", "truststore", "typer", "click", "getpass", "pygments"})
SLOW = frozenset({"shutil", "tempfile", "bz2", "lzma"})
"""Some 5 ms together; asking for a password in earnest loads them."""
NETWORK = frozenset({"asyncio", "ssl", "sqlite3", "socket"})

SCRIPT = """
import json, sys
sys.argv = ["mailhaul", *{words!r}]
from mailhaul.cli.main import main
code = main()
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(words: list[str], home: Path) -> tuple[int, set[str]]:
    """The exit code, and every module that running `words` has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(words=words)],
        capture_output=True,
        check=True,
        env=environment(home, {"MAILHAUL_PASSWORD": "x"}),
        encoding="utf-8",
        timeout=60,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize("words", [["--version"], ["--help"], [], ["cpoy"]])
def test_without_a_command_no_command_is_loaded(words: list[str], tmp_path: Path) -> None:
    _, modules = loaded(words, tmp_path)
    assert modules.isdisjoint(HEAVY | SLOW | {"asyncio", "ssl", "sqlite3"})
    commands = {f"mailhaul.cli.{name}" for name in ("copy", "verify", "ls", "doctor")}
    assert modules.isdisjoint(commands)


@pytest.mark.parametrize(
    "words",
    [
        ["copy", "--help"],
        ["verify", "--help"],
        ["ls", "--help"],
        ["doctor", "--help"],
        ["copy", "imaps://a@h", "imaps://a@h"],
        ["copy", "maildir:/none", "maildir:/other", "--since", "soon"],
    ],
)
def test_help_and_bad_input_open_nothing(words: list[str], tmp_path: Path) -> None:
    _, modules = loaded(words, tmp_path)
    assert modules.isdisjoint(HEAVY | SLOW | {"asyncio", "ssl", "sqlite3"})


def test_a_whole_pass_loads_nothing_that_only_a_person_needs(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 1})
    words = ["copy", f"maildir:{source}", f"eml:{tmp_path}/b"]
    code, modules = loaded(words, tmp_path)
    assert code == 0
    assert modules.isdisjoint(HEAVY | SLOW)


def test_a_connection_loads_what_it_needs_and_no_more(tmp_path: Path) -> None:
    code, modules = loaded(["ls", "imap://a@127.0.0.1:1"], tmp_path)
    assert code == 5
    assert {"asyncio", "socket"} <= modules
    assert modules.isdisjoint(HEAVY | SLOW | {"sqlite3"})
