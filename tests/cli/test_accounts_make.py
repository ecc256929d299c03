"""Mailboxes, aliases and groups are made at the target from the command line, many at once."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mailhaul.cli.exits import Exit
from mailhaul.db import tables
from mailhaul.providers.extras import Alias, Group
from mailhaul.providers.service import AccountState, Verb
from tests.cli.hoster_desk import DOMAIN, PLAN, A, B, HosterDesk, hoster_desk, started_desk
from tests.providers.memory import PASSWORD, Fault

GATED = f"cutover = 2090-01-31 20:00:00\n{PLAN.lstrip()}[gates]\nobjects = []\n"
GO = ("--go", "--as", "Olga Weiss")
OBJECTS = f"""kind,address,to,name,quota
mailbox,cleo@{DOMAIN},,Cleo Roth,2 GB
alias,c@{DOMAIN},cleo@{DOMAIN}
group,all@{DOMAIN},cleo@{DOMAIN} {A},Everybody
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HosterDesk:
    return hoster_desk(tmp_path, monkeypatch, GATED)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HosterDesk:
    return started_desk(tmp_path, monkeypatch, GATED)


def there(desk: HosterDesk) -> set[str]:
    return {e.address for e in desk.ex.accounts if e.state is AccountState.CONFIGURED}


def kept(desk: HosterDesk) -> list[Any]:
    database = desk.database()
    try:
        with database.read() as connection:
            table = tables.event
            return [*connection.execute(select(table).where(table.c.action == "objects_made"))]
    finally:
        database.close()


def test_without_go_nothing_is_made_and_all_is_said(started: HosterDesk) -> None:
    ran = started.run("accounts", "make", started.file)
    assert ran.code is Exit.COMPLETE, ran.err
    assert f"+ mailbox {A} (from p0@configureme.me)" in ran.out
    assert "2 to be made, 0 there already, 3 accounts free" in ran.out
    assert started.ex.asked["begin"] == 0
    assert kept(started) == []


def test_a_dry_run_needs_no_plan_that_was_started(desk: HosterDesk) -> None:
    assert desk.run("accounts", "make", desk.file).code is Exit.COMPLETE
    ran = desk.run("accounts", "make", desk.file, *GO)
    assert (ran.code, desk.ex.asked["begin"]) == (Exit.USAGE, 0)
    assert "no plan has been started" in ran.err


def test_accounts_are_made_and_said_again_they_are_there(started: HosterDesk) -> None:
    ran = started.run("accounts", "make", "acme", *GO)
    assert ran.code is Exit.COMPLETE, ran.err
    assert "2 created" in ran.out
    assert there(started) == {A, B}
    assert {e.password for e in started.ex.accounts if e.address == A} == {PASSWORD}
    ran = started.run("accounts", "make", "acme", *GO, "--json")
    assert [line.get("fate") for line in ran.lines] == [None] * 3 + ["there", "there", None]
    assert ran.lines[-1]["made"] == 0
    first, second = kept(started)
    assert (first.actor, '"made":2' in first.figures) == ("Olga Weiss", True)
    assert '"there":2' in second.figures


def test_the_sources_aliases_and_groups_come_too_where_told(started: HosterDesk) -> None:
    ran = started.run("accounts", "make", "acme", "--beside", *GO)
    assert ran.code is Exit.COMPLETE, ran.err
    assert Alias(A, f"a.weiss@{DOMAIN}") in started.ex.extras
    assert Group(f"team@{DOMAIN}", (A, B), "The team") in started.ex.extras


def test_a_list_says_what_is_made_instead(started: HosterDesk) -> None:
    file = started.home / "objects.csv"
    file.write_text(OBJECTS)
    started.ex.account(A)
    ran = started.run("accounts", "make", "acme", "--csv", str(file))
    assert ran.code is Exit.COMPLETE, ran.err
    assert f"+ alias c@{DOMAIN} (cleo@{DOMAIN})" in ran.out
    ran = started.run("accounts", "make", "acme", "--csv", str(file), *GO)
    assert ran.code is Exit.COMPLETE, ran.err
    assert "3 created" in ran.out
    assert there(started) == {A, f"cleo@{DOMAIN}"}
    assert Alias(f"cleo@{DOMAIN}", f"c@{DOMAIN}") in started.ex.extras


def test_what_is_lacking_is_counted_before_anything_is_begun(started: HosterDesk) -> None:
    started.ex.accounts = started.ex.accounts[:1]
    for words in ((), GO, (*GO, "--despite")):
        ran = started.run("accounts", "make", "acme", *words)
        assert ran.code is not Exit.COMPLETE
        assert "all of them reserved" in ran.out
        if "--despite" not in words:
            assert started.ex.asked["begin"] == 0
    assert there(started) == {A}


def test_licences_are_counted_before_anything_is_begun(started: HosterDesk) -> None:
    started.ex.verbs, started.ex.unused = frozenset({Verb.CREATE}), 1
    for words in ((), GO, (*GO, "--despite")):
        ran = started.run("accounts", "make", "acme", *words)
        assert ran.code is not Exit.COMPLETE
        assert "2 accounts would be made and 1 can be; order or buy 1 more" in ran.out
    assert started.ex.asked["begin"] == 0


def test_one_that_fails_keeps_none_of_the_others_back(started: HosterDesk) -> None:
    started.ex.arm(Fault.FAILS)
    ran = started.run("accounts", "make", "acme", *GO)
    assert ran.code is Exit.INCOMPLETE
    assert "1 created, 1 failed" in ran.out
    assert len(there(started)) == 1
    assert kept(started)[0].why.startswith("not made: ")
    assert started.run("accounts", "make", "acme", *GO).code is Exit.COMPLETE
    assert there(started) == {A, B}


def test_a_password_that_is_not_where_the_plan_says_begins_nothing(started: HosterDesk) -> None:
    del started.environ["NEW"]
    ran = started.run("accounts", "make", "acme", *GO)
    assert ran.code is Exit.CREDENTIALS
    assert started.ex.asked["begin"] == 0


def test_the_gate_shows_what_was_made_and_fixes_the_date(started: HosterDesk) -> None:
    started.ex.arm(Fault.FAILS)
    started.run("accounts", "make", "acme", *GO)
    for address in (A, B):
        started.put(address, state="checked")
    words = ("approve", "acme", "--gate", "objects", "--as", "Olga Weiss", "--yes")
    ran = started.run(*words)
    assert ran.code is Exit.COMPLETE, ran.err
    assert "Made at the provider by Olga Weiss" in ran.out
    assert "1 mailbox there, of which 1 new; 1 failed, 0 still wait." in ran.out
    assert "Not made: " in ran.out
    assert "Mail is to be switched on 2090-01-31 20:00 UTC." in ran.out


NONSENSE = [
    ("nobody says so", ("--go",), "say who with --as NAME"),
    ("two lists", ("--csv", "x.csv", "--beside"), "leave one out"),
    ("no such list", ("--csv", "none.csv"), "can't be read"),
]


@pytest.mark.parametrize(("name", "words", "said"), NONSENSE, ids=[row[0] for row in NONSENSE])
def test_what_makes_no_sense_is_said_before_anybody_is_asked(
    desk: HosterDesk, name: str, words: tuple[str, ...], said: str
) -> None:
    ran = desk.run("accounts", "make", desk.file, *words)
    assert ran.code is Exit.USAGE
    assert said in ran.err + ran.out
    assert not desk.ex.asked


def test_what_stands_beside_accounts_is_listed_for_whoever_makes_it(
    started: HosterDesk, tmp_path: Path
) -> None:
    file = tmp_path / "by-hand.csv"
    ran = started.run("accounts", "inventory", started.file, "--csv", str(file))
    assert ran.code is Exit.COMPLETE, ran.err
    assert "4 things, of which 3 to be made by hand" in ran.out
    table = file.read_text(encoding="utf-8-sig")
    assert f"bert@{DOMAIN},redirection," in table
    assert ",'=cmd|" in table
    text = (started.home / "plan.toml").read_text() + '[accounts]\nextras = "carry"\n'
    (started.home / "plan.toml").write_text(text)
    lines = started.run("accounts", "inventory", started.file, "--json").lines
    courses = {line["kind"]: line["course"] for line in lines[:-1]}
    assert courses == {
        "alias": "carried",
        "redirection": "by_hand",
        "group": "ordered",
        "footer": "by_hand",
    }


def test_no_secret_is_written_down_anywhere(started: HosterDesk) -> None:
    ran = started.run("accounts", "make", "acme", *GO)
    assert ran.code is Exit.COMPLETE, ran.err
    for secret in (PASSWORD, started.environ["KEY"]):
        assert secret not in ran.out + ran.err
        for file in filter(Path.is_file, started.home.rglob("*")):
            assert secret.encode() not in file.read_bytes(), file
