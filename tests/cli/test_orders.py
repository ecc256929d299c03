"""A plan is steered from the command line; nothing runs here but the orders themselves."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from mailhaul.cli.exits import Exit
from mailhaul.cli.main import run
from mailhaul.cli.render import Console
from mailhaul.cli.scrub import Scrubber
from mailhaul.cli.surroundings import Surroundings
from mailhaul.db import tables
from mailhaul.db.database import Database, open_database
from tests.cli.test_startup import loaded

PLAN = """
name = "acme"
[source]
url = "imaps://{address}@old.example"
secret = "env:OLD"
[target]
url = "imaps://{address}@new.example"
secret = "env:NEW"
[gates]
go = ["Olga Weiss"]
sign_off = ["Olga Weiss"]
"""
A, B = "anna@acme.example", "bert@acme.example"


@dataclass
class Ran:
    code: Exit
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Desk:
    """A person's desk: a plan's file, and the command line."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return str(self.home / "plan.toml")

    def write(self, *addresses: str, plan: str = PLAN) -> None:
        (self.home / "plan.toml").write_text(plan, encoding="utf-8")
        text = "\n".join(["address", *addresses]) + "\n"
        (self.home / "mailboxes.csv").write_text(text, encoding="utf-8")

    def run(self, *words: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        scrubber = Scrubber()
        console = Console(out, err, scrubber, self.environ)
        surroundings = Surroundings(
            console, self.environ, scrubber, now=lambda: datetime.now().astimezone()
        )
        return Ran(run(words, surroundings), out.getvalue(), err.getvalue())

    def database(self) -> Database:
        return open_database(None, self.home / "state" / "mailhaul")

    def put(self, address: str, **values: Any) -> None:
        """Changes a mailbox's row as a worker might have."""
        database = self.database()
        table = tables.mailbox
        with database.begin() as connection:
            connection.execute(update(table).where(table.c.address == address).values(**values))
        database.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with a plan of two mailboxes that has been started."""
    made = Desk(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "dumb"})
    made.write(A, B)
    ran = made.run("start", made.file)
    assert (ran.code, ran.err) == (Exit.COMPLETE, "")
    assert "plan acme: loaded, 2 new mailboxes" in ran.out
    yield made


def test_starting_again_takes_over_what_has_changed(desk: Desk) -> None:
    desk.write(B, "cleo@acme.example")
    ran = desk.run("start", desk.file)
    assert ran.code is Exit.COMPLETE
    assert "brought up to date, 1 new mailbox" in ran.out
    assert f"{A} is no longer listed" in ran.out
    assert "started: 1 mailbox (cleo@acme.example)" in ran.out
    assert desk.run("start", desk.file).out.startswith("plan acme: unchanged")


def test_a_plan_with_mistakes_is_refused_whole(desk: Desk) -> None:
    wrong = PLAN.replace('"acme"', '"other"').replace("env:NEW", "hunter2")
    desk.write(A, plan=wrong + '\n[[waves]]\nname = "empty"\n')
    ran = desk.run("start", desk.file)
    assert ran.code is Exit.USAGE
    assert desk.run("status", "other").code is Exit.USAGE


def test_a_new_plan_whose_time_is_past_is_not_kept(desk: Desk) -> None:
    past = PLAN.replace('name = "acme"', 'name = "late"\ncutover = 2001-01-01T00:00:00Z')
    desk.write(A, plan=past)
    assert desk.run("start", desk.file).code is Exit.USAGE
    assert "no plan “late”" in desk.run("status", "late").err


def test_a_plan_is_named_by_its_file_or_its_name_and_needs_none_when_alone(desk: Desk) -> None:
    for words in ((desk.file,), ("acme",), ()):
        ran = desk.run("status", *words)
        assert ran.code is Exit.COMPLETE
        assert ran.out.startswith("plan acme: running, no worker runs")


def test_pause_and_resume_say_for_whom(desk: Desk) -> None:
    desk.put(B, state="completed")
    ran = desk.run("pause", "acme")
    assert ran.code is Exit.COMPLETE
    assert f"paused: 1 mailbox ({A})" in ran.out
    assert f"left as it was: 1 mailbox ({B}): it is completed" in ran.out
    assert desk.run("status").out.startswith("plan acme: paused")
    ran = desk.run("resume", "acme", "--mailbox", A, "--json")
    assert ran.lines == [
        {
            "event": "ordered",
            "order": "resume",
            "plan": "acme",
            "done": [A],
            "left": [],
            "remarks": [],
        }
    ]
    assert desk.run("pause", "acme", "--mailbox", B).code is Exit.INCOMPLETE


REFUSED = [
    ("a plan that is not there", ["pause", "other"], "no plan “other”"),
    ("a mailbox that is not there", ["pause", "acme", "--mailbox", "x@y"], "no mailbox x@y"),
    ("cancelling without a word on what was carried", ["cancel", "acme"], "--keep"),
    ("both words on it", ["cancel", "acme", "--keep", "--undo"], "--undo"),
    ("an approval without a name", ["approve", "acme", "--gate", "go"], "--as NAME"),
    ("a sign-off without a name", ["complete", "acme"], "--as NAME"),
    ("an approval of everything", ["approve", "acme", "--as", "Olga Weiss"], "what is approved"),
    (
        "a name that the plan does not allow",
        ["approve", "acme", "--gate", "go", "--as", "Eve", "--yes"],
        "Eve may not open",
    ),
    ("another place", ["status", "--state", "/nowhere/at/all"], "no plan has been started in"),
    ("a database of another kind", ["status", "--database", "mysql://h/x"], "postgresql"),
]


@pytest.mark.parametrize(
    ("words", "text"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_can_not_be_meant_is_refused(desk: Desk, words: list[str], text: str) -> None:
    ran = desk.run(*words)
    assert ran.code is Exit.USAGE
    assert text in ran.err


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_gate_is_opened_by_reading_and_typing_yes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = ("approve", "acme", "--gate", "go", "--as", "olga weiss")
    desk.put(A, state="synced", census=5, copied=5)
    ran = desk.run(*go)
    assert ran.code is Exit.INCOMPLETE
    assert f"{B} is planned" in ran.err
    answer(monkeypatch, "no\n")
    ran = desk.run(*go, "--without", B)
    assert (ran.code, "not agreed" in ran.err) == (Exit.INCOMPLETE, True)
    assert f"1 left out: {B}" in ran.out
    answer(monkeypatch, "")
    assert desk.run(*go, "--without", B).code is Exit.INCOMPLETE
    answer(monkeypatch, "yes\n")
    ran = desk.run(*go, "--without", B)
    assert ran.code is Exit.COMPLETE
    assert "the gate “go” is open, by the word of olga weiss" in ran.out
    assert "gates opened" in desk.run("status").out


def test_with_json_the_agreed_text_is_one_line(desk: Desk) -> None:
    for address in (A, B):
        desk.put(address, state="synced")
    words = ("approve", "acme", "--gate", "go", "--as", "Olga Weiss", "--yes", "--json")
    ran = desk.run(*words)
    [line] = ran.lines
    assert line["text"] + "\n" == ran.err
    assert (line["event"], line["gate"], line["by"]) == ("gate_opened", "go", "Olga Weiss")
    assert line["text"].startswith("Go for the mailboxes without a wave of plan acme.")
    assert "@" in line["login"]


def test_leftovers_are_approved_and_the_plan_signed_off(desk: Desk) -> None:
    sign_off = ("complete", "acme", "--as", "Olga Weiss", "--yes")
    desk.put(A, state="verified", grade="perfect")
    desk.put(B, state="verified", grade="investigate", refused=1)
    database = desk.database()
    with database.begin() as connection:
        values = {"folder": "INBOX", "key": "7", "fate": "refused", "reason": "too large"}
        connection.execute(insert(tables.leftover).values(mailbox_id=2, **values))
    database.close()
    ran = desk.run(*sign_off)
    assert ran.code is Exit.INCOMPLETE
    assert f"{B}: its grade is investigate and nobody has approved it" in ran.err
    assert "refused: INBOX, no subject: too large; key 7" in desk.run("status", "--mailbox", B).out
    ran = desk.run("approve", "acme", "--mailbox", B, "--as", "Olga Weiss")
    assert (ran.code, ran.out) == (Exit.COMPLETE, f"approved: 1 mailbox ({B})\n")
    ran = desk.run(*sign_off)
    assert ran.code is Exit.COMPLETE
    assert "plan acme is completed" in ran.out
    [line] = desk.run("status", "--json").lines
    assert (line["state"], line["milestones"]["completed"], line["grade"]) == (
        *("completed", 2),
        "investigate",
    )


def test_a_refused_secret_is_tried_again_by_name_only(desk: Desk) -> None:
    desk.put(A, state="waiting", resume_state="copying", refused_secret="f", reason="refused")
    ran = desk.run("retry", "acme")
    assert ran.code is Exit.INCOMPLETE
    assert "--same-secret" in ran.out
    assert desk.run("retry", "acme", "--mailbox", A, "--same-secret").code is Exit.COMPLETE


def test_cancel_and_sync_are_carried_out(desk: Desk) -> None:
    desk.put(A, state="synced")
    ran = desk.run("sync", "acme", "--mailbox", A)
    assert ran.out == f"synced once more: 1 mailbox ({A})\n"
    assert desk.run("cancel", "acme", "--undo").out.startswith("cancelled, to be undone: 2")
    assert desk.run("status").out.startswith("plan acme: cancelled")


def test_who_turns_mail_back_is_told_when_nobody_carries_it(desk: Desk) -> None:
    desk.put(A, state="sweeping")
    words = ("return", "acme", "--as", "Olga Weiss")
    assert "no worker runs" not in desk.run(*words, "--dry-run").err
    assert "no worker runs" in desk.run(*words).err


def test_mail_is_turned_back_by_a_named_person(desk: Desk) -> None:
    desk.put(A, state="sweeping")
    assert "say who with --as NAME" in desk.run("return", "acme").err
    assert "may not open" in desk.run("return", "acme", "--as", "Mallory").err
    words = ("return", "acme", "--as", "Olga Weiss")
    dry = desk.run(*words, "--dry-run")
    assert f"would go back: 1 mailbox ({A})" in dry.out
    assert f"({B}): it is planned: its mail has not been switched" in dry.out
    assert "bring back the old ones yourself" in dry.out
    assert "nothing was written" in dry.out
    ran = desk.run(*words, "--json")
    assert (ran.code, ran.lines[0]["done"], ran.lines[0]["dry_run"]) == (Exit.COMPLETE, [A], False)
    again = desk.run(*words, "--mailbox", A)
    assert again.code is Exit.INCOMPLETE
    assert "it is on its way back already" in again.out
    told = desk.run("log", "acme").out
    assert "way back for Olga Weiss" in told


def test_the_log_is_told_and_proved(desk: Desk) -> None:
    desk.run("pause", "acme", "--mailbox", A)
    lines = desk.run("log", "--json").lines
    assert [line["action"] for line in lines] == ["loaded", "started", "paused"]
    assert [line["mailbox"] for line in lines] == [None, None, A]
    assert desk.run("log", "--mailbox", A).out.count("\n") == 1
    assert "planned → paused" in desk.run("log", "--after", "2").out
    ran = desk.run("log", "--proof")
    assert (ran.code, "the log is whole: 3 records" in ran.out) == (Exit.COMPLETE, True)
    database = desk.database()
    with database.begin() as connection:
        connection.exec_driver_sql("update event set actor = 'eve' where number = 2")
    database.close()
    ran = desk.run("log", "--proof")
    assert (ran.code, "record 2 has been changed" in ran.out) == (Exit.DIFFERENT, True)


def test_every_mailbox_is_listed_without_its_secrets(desk: Desk) -> None:
    ran = desk.run("status", "--all")
    assert ran.out.count("planned") == 2
    lines = desk.run("status", "--all", "--json").lines
    assert [line["address"] for line in lines] == [A, B]
    assert "env:OLD" not in json.dumps(lines)


def test_watching_ends_with_the_plan_and_tells_changes_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile = iter(["status", "cancel"])

    def sleep(_: float) -> None:
        if next(meanwhile) == "cancel":
            desk.run("cancel", "acme", "--keep")

    monkeypatch.setattr("time.sleep", sleep)
    ran = desk.run("status", "acme", "--watch")
    told = ran.out.splitlines()
    assert ran.code is Exit.COMPLETE
    assert len(told) == 2
    assert "running, no worker runs: 2 planned" in told[0]
    assert "cancelled: 2 cancelled" in told[1]


@pytest.mark.parametrize(
    "words", ["status", "status --all", "log --proof", "report --out HOME/out"]
)
def test_who_only_looks_waits_for_no_writer(desk: Desk, words: str) -> None:
    database = desk.database()
    with database.begin() as writer:
        writer.exec_driver_sql("update plan set ended_at = ended_at")
        ran = desk.run(*words.replace("HOME", str(desk.home)).split())
    database.close()
    assert ran.code is Exit.COMPLETE


def test_another_installation_is_another_world(desk: Desk, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    assert desk.run("start", desk.file, "--state", elsewhere).code is Exit.COMPLETE
    desk.run("cancel", "acme", "--keep", "--state", elsewhere)
    assert desk.run("status", "--state", elsewhere).out.startswith("plan acme: cancelled")
    assert desk.run("status").out.startswith("plan acme: running")


@pytest.mark.parametrize(
    "name",
    ["start", "status", "log", "pause", "resume", "retry", "sync", "approve", "complete", "cancel"],
)
def test_help_opens_no_database(name: str, tmp_path: Path) -> None:
    code, modules = loaded([name, "--help"], tmp_path)
    assert code == 0
    assert modules.isdisjoint({"sqlalchemy", "pydantic", "rich", "asyncio", "sqlite3"})
