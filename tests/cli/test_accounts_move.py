"""Accounts are moved from the command line: three steps, orders, and how it stands. What a worker
would have found is written into the rows; nothing runs here but the command line itself."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from mailhaul.cli.exits import Exit
from mailhaul.cli.picking import picked
from mailhaul.core.errors import BadInput
from mailhaul.db import tables
from mailhaul.journey.account_states import MoveState
from mailhaul.journey.account_steps import StepState
from mailhaul.journey.control import service_name
from mailhaul.plan.load import load_plan
from mailhaul.providers.actions import Add, Remove
from mailhaul.providers.actions_text import written
from mailhaul.providers.extras import Alias, Group, Redirection
from mailhaul.providers.service import DomainStatus
from mailhaul.vault.outer_keys import make_key_file
from mailhaul.vault.sealed import make_vault
from mailhaul.vault.usual import usual_vault
from tests.cli.hoster_desk import PLAN, A, B, HosterDesk, started_desk
from tests.cli.running import maildir
from tests.providers.memory import Fault

ACCOUNTS = '[accounts]\npath = "new"\nextras = "carry"\n[gates]\naccounts = ["Olga Weiss"]\n'
GO = ("--go", "--as", "Olga Weiss")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HosterDesk:
    return started_desk(tmp_path, monkeypatch, PLAN + ACCOUNTS)


def moves(desk: HosterDesk) -> dict[str, Any]:
    database = desk.database()
    move, mailbox = tables.account_move, tables.mailbox
    with database.read() as connection:
        rows = connection.execute(
            select(move, mailbox.c.address).join(mailbox, mailbox.c.id == move.c.mailbox_id)
        )
        found = {row.address: row for row in rows}
    database.close()
    return found


def put(desk: HosterDesk, address: str, **values: Any) -> None:
    """The move's row as a worker might have left it."""
    number = moves(desk)[address].id
    database = desk.database()
    with database.begin() as connection:
        move = tables.account_move
        connection.execute(update(move).where(move.c.id == number).values(**values))
    database.close()


def step(desk: HosterDesk, address: str, **values: Any) -> None:
    row = moves(desk)[address]
    usual = {
        "move_id": row.id, "round": row.round, "position": 0, "part": "move", "kind": "rename",
        "side": "source", "words": f"rename {address}, at the source", "key": f"k{row.id}",
        "state": StepState.BEGUN.value,
    }  # fmt: skip
    database = desk.database()
    with database.begin() as connection:
        connection.execute(insert(tables.account_step).values({**usual, **values}))
    database.close()


def looked(desk: HosterDesk, addresses: Sequence[str] = (A, B)) -> None:
    """A worker has looked, and found nothing in the way; the sources are files, which need no
    server here."""
    section = load_plan(Path(desk.file)).target.provider
    assert section is not None
    for number, address in enumerate(addresses):
        put(
            desk,
            address,
            ready=True,
            path="new",
            evidence=json.dumps(["server model: mxplan-1"]),
            temporary=address.replace("@", "01@"),
            placeholder=f"p{number}@configureme.me",
            octets=5_000,
            looked_at=1.0,
        )
        database = desk.database()
        with database.begin() as connection:
            connection.execute(
                insert(tables.placeholder).values(
                    service=service_name(section),
                    name=f"p{number}@configureme.me",
                    move_id=moves(desk)[address].id,
                    reserved_at=1.0,
                )
            )
        database.close()
        box = maildir(desk.home / address, {"": 1})
        desk.put(address, source=f"maildir:{box}")


def test_a_dry_run_shows_all_three_steps_and_begins_nothing(desk: HosterDesk) -> None:
    looked(desk)
    ran = desk.run("accounts", "move", "acme")
    assert ran.code is Exit.COMPLETE, ran.err
    for words in ("step 1 of 3: destination", "step 2 of 3: information", "step 3 of 3: check"):
        assert words in ran.out
    assert "after these 1 unconfigured account will remain" in ran.out
    assert "server model: mxplan-1" in ran.out
    assert "nothing was begun" in ran.out
    assert {row.state for row in moves(desk).values()} == {"waiting"}
    assert desk.mx.asked["begin"] + desk.ex.asked["begin"] == 0


def test_a_yes_is_kept_with_name_and_text_and_a_worker_is_to_move_them(desk: HosterDesk) -> None:
    looked(desk)
    ran = desk.run("accounts", "move", "acme", *GO, "--yes")
    assert ran.code is Exit.COMPLETE, ran.err
    assert "agreed by Olga Weiss" in ran.out
    assert "no worker runs" in ran.err
    for row in moves(desk).values():
        assert (row.state, row.acknowledged_by) == (MoveState.MOVING.value, "Olga Weiss")
        assert "renamed at the source" in row.text
    assert desk.mx.asked["begin"] + desk.ex.asked["begin"] == 0


def test_one_account_goes_and_the_others_go_on_waiting(desk: HosterDesk) -> None:
    looked(desk)
    ran = desk.run("accounts", "move", "acme", "--mailbox", A, *GO, "--yes", "--json")
    assert ran.code is Exit.COMPLETE, ran.err
    assert [line["event"] for line in ran.lines] == [
        "account_checked", "gate_opened", "accounts_move",
    ]  # fmt: skip
    assert {row.address: row.state for row in moves(desk).values()} == {A: "moving", B: "waiting"}


def test_somebody_who_may_not_say_so_is_told_before_anything_is_shown(desk: HosterDesk) -> None:
    looked(desk)
    ran = desk.run("accounts", "move", "acme", "--go", "--as", "Somebody Else", "--yes")
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert "may not open the gate" in ran.err


def test_what_nobody_has_looked_at_is_not_moved(desk: HosterDesk) -> None:
    ran = desk.run("accounts", "move", "acme", *GO, "--yes")
    assert ran.code is not Exit.COMPLETE
    assert "nobody has looked at it yet" in ran.err
    assert "no worker runs" in ran.err
    assert {row.state for row in moves(desk).values()} == {"waiting"}


def domain_goes(desk: HosterDesk) -> None:
    desk.ex.domains[0].status = DomainStatus.ERROR


def address_is_taken(desk: HosterDesk) -> None:
    desk.ex.account(A)


def group_of_that_name(desk: HosterDesk) -> None:
    desk.mx.extras.append(Group(A, (B,)))


MEANWHILE = [
    (domain_goes, "DOMAIN_FAILED"),
    (address_is_taken, "ADDRESS_TAKEN"),
    (group_of_that_name, "MAILINGLIST_EXIST"),
]


@pytest.mark.parametrize(("happens", "code"), MEANWHILE, ids=[row[1] for row in MEANWHILE])
def test_what_has_come_in_the_way_since_the_look_keeps_all_where_they_are(
    desk: HosterDesk, happens: Any, code: str
) -> None:
    looked(desk)
    happens(desk)
    ran = desk.run("accounts", "move", "acme", *GO, "--yes")
    assert ran.code is Exit.INCOMPLETE
    assert f"blocks: {code}" in ran.out
    assert {row.state for row in moves(desk).values()} == {"waiting"}


def test_what_the_steps_take_away_themselves_is_not_in_the_way(desk: HosterDesk) -> None:
    looked(desk)
    desk.mx.extras.append(Redirection(A, "anna@elsewhere.example"))
    assert desk.run("accounts", "move", "acme", *GO, "--yes").code is Exit.COMPLETE


def test_a_control_plane_that_is_away_begins_nothing(desk: HosterDesk) -> None:
    looked(desk)
    desk.mx.arm(Fault.EXPIRED, always=True)
    ran = desk.run("accounts", "move", "acme", *GO, "--yes")
    assert ran.code is Exit.CREDENTIALS
    assert {row.state for row in moves(desk).values()} == {"waiting"}


def test_a_password_that_is_nowhere_begins_nothing(desk: HosterDesk) -> None:
    looked(desk)
    desk.put(A, source=f"imaps://{A.replace('@', '%40')}@127.0.0.1:1", source_secret="env:NONE")
    ran = desk.run("accounts", "move", "acme", *GO, "--yes")
    assert ran.code is Exit.INCOMPLETE
    assert "blocks: PASSWORD_WRONG" in ran.out
    assert {row.state for row in moves(desk).values()} == {"waiting"}


@pytest.mark.parametrize(("length", "code"), [(8, True), (9, False), (30, False), (31, True)])
def test_a_password_is_as_long_as_the_provider_wants_for_a_hand_over(
    desk: HosterDesk, length: int, code: bool
) -> None:
    looked(desk)
    put(desk, A, path="legacy")
    put(desk, B, state="moved")
    desk.environ["PW"] = "x" * length
    desk.put(A, source=f"imaps://{A.replace('@', '%40')}@127.0.0.1:1", source_secret="env:PW")
    ran = desk.run("accounts", "move", "acme", "--mailbox", A)
    assert ("PASSWORD_UNFIT" in ran.out) is code


def test_a_placeholder_is_chosen_by_name_and_looked_at_again(desk: HosterDesk) -> None:
    looked(desk)
    ran = desk.run("accounts", "move", "acme", "--mailbox", A, "--placeholder", "p2@configureme.me")
    assert ran.code is Exit.COMPLETE, ran.err
    row = moves(desk)[A]
    assert (row.placeholder, row.chosen, row.ready) == ("p2@configureme.me", True, False)
    ran = desk.run("accounts", "move", "acme", "--mailbox", A, "--placeholder", "p1@configureme.me")
    assert ran.code is not Exit.COMPLETE
    assert "reserved for another account" in ran.err


def test_how_it_stands_is_shown_step_by_step(desk: HosterDesk) -> None:
    looked(desk)
    put(desk, A, state="failed", resume_state="moving", reason="the task ended in error")
    step(desk, A, said="internal error\x1b[2J", by_person=False)
    ran = desk.run("accounts", "status", "acme")
    assert ran.code is Exit.INCOMPLETE
    assert "1 waiting, 1 failed" in ran.out
    assert f"→ 1. rename {A}, at the source" in ran.out
    assert "\x1b" not in ran.out
    lines = desk.run("accounts", "status", "acme", "--mailbox", A, "--json").lines
    assert [line["event"] for line in lines] == [
        "account_move", "account_step", "accounts_status",
    ]  # fmt: skip
    assert lines[-1]["states"]["failed"] == 1


def test_how_long_an_address_was_nowhere_is_told(desk: HosterDesk) -> None:
    put(desk, A, state="moved", nowhere_from=100.0, nowhere_until=104.5, guarded=True)
    ran = desk.run("accounts", "status", "acme", "--mailbox", A)
    assert "the address was nowhere for 4.5 s at the most; its mail was taken meanwhile" in ran.out


def test_tasks_are_asked_after(desk: HosterDesk) -> None:
    assert "no task is waited for" in desk.run("provider", "tasks", "acme").out
    step(desk, A, task="4711")
    ran = desk.run("provider", "tasks", "acme")
    assert ran.code is Exit.INCOMPLETE
    assert "source 4711: rename" in ran.out
    assert "knows no task 4711" in ran.out
    ran = desk.run("provider", "tasks", "acme", "--side", "target", "--task", "8", "--json")
    assert [line["event"] for line in ran.lines] == ["provider_task", "provider_tasks"]
    assert "which with --side" in desk.run("provider", "tasks", "acme", "--task", "8").err


def test_an_order_is_only_said_unless_told_to_go(desk: HosterDesk) -> None:
    put(desk, A, state="moved", path="new", moved_at=1.0)
    words = ("accounts", "undo", "acme", "--mailbox", A, "--as", "Olga Weiss")
    ran = desk.run(*words)
    assert (ran.code, moves(desk)[A].state) == (Exit.COMPLETE, "moved")
    assert f"would be taken back: 1 mailbox ({A})" in ran.out
    ran = desk.run(*words, "--go")
    assert (ran.code, moves(desk)[A].state) == (Exit.COMPLETE, "undoing"), ran.err


def test_an_old_account_is_kept_until_its_mailbox_is_verified(desk: HosterDesk) -> None:
    put(desk, A, state="moved", path="new", temporary="anna01@acme.example")
    words = ("accounts", "retire", "acme", "--mailbox", A, "--as", "Olga Weiss", "--go")
    ran = desk.run(*words)
    assert ran.code is Exit.INCOMPLETE
    assert "its old account stays until it is verified" in ran.out
    desk.put(A, state="completed", since_at=1.0)
    ran = desk.run(*words)
    assert (ran.code, moves(desk)[A].state) == (Exit.COMPLETE, "retiring"), ran.out


def test_a_failed_move_is_tried_again(desk: HosterDesk) -> None:
    put(desk, A, state="failed", resume_state="moving")
    ran = desk.run("accounts", "retry", "acme", "--mailbox", A)
    assert (ran.code, moves(desk)[A].state) == (Exit.COMPLETE, "moving"), ran.err


NOBODY = [("move", ("--go",)), ("undo", ("--go",)), ("undo", ()), ("retire", ())]


@pytest.mark.parametrize(("order", "words"), NOBODY, ids=["move", "undo", "dry undo", "retire"])
def test_nobodys_word_moves_nothing(desk: HosterDesk, order: str, words: tuple[str, ...]) -> None:
    ran = desk.run("accounts", order, "acme", *words)
    assert ran.code is Exit.USAGE
    assert "say who with --as NAME" in ran.err


@pytest.mark.parametrize("order", ["move", "status"])
def test_a_plan_that_moves_no_accounts_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    desk = started_desk(tmp_path, monkeypatch)
    ran = desk.run("accounts", order, "acme")
    assert ran.code is Exit.USAGE
    assert "moves no accounts" in ran.err


PICKED = [
    ("all", [0, 1, 2, 3]),
    ("2", [1]),
    ("3,1", [0, 2]),
    ("1-3", [0, 1, 2]),
    ("1, 2-3; 2", [0, 1, 2]),
]


@pytest.mark.parametrize(("answer", "places"), PICKED, ids=[row[0] for row in PICKED])
def test_what_is_picked(answer: str, places: list[int]) -> None:
    assert picked(answer, 4) == places


@pytest.mark.parametrize("answer", ["", "0", "5", "3-2", "1-9", "x", "1.5", ",", "--"])
def test_what_can_not_be_picked(answer: str) -> None:
    with pytest.raises(BadInput):
        picked(answer, 4)


def test_what_a_move_took_away_and_did_not_put_up_is_still_listed(desk: HosterDesk) -> None:
    looked(desk)
    redirection, alias = Redirection(A, "anna@elsewhere.example"), Alias(A, "a@acme.example")
    done = {"state": StepState.DONE.value}
    guard = Alias("anna01@acme.example", A)
    moved = Alias("anna01@acme.example", alias.alias)
    for number, action in enumerate([Remove(redirection), Remove(guard), Remove(moved)]):
        step(desk, A, position=number, key=f"r{number}", action=written(action), **done)
    added = {"side": "target", "action": written(Add(alias))}
    step(desk, A, position=3, key="a", **added, **done)
    desk.mx.extras.clear()
    lines = desk.run("accounts", "inventory", desk.file, "--json").lines
    assert [(line["kind"], line["address"], line["course"]) for line in lines[:-1]] == [
        ("redirection", A, "by_hand")
    ]
    assert "taken away at the source" in lines[0]["why"]


def test_every_state_of_a_step_can_be_shown(desk: HosterDesk) -> None:
    for number, state in enumerate(StepState):
        step(desk, A, position=number, key=str(state), state=state.value)
    ran = desk.run("accounts", "status", "acme", "--mailbox", A)
    assert [line.split()[0] for line in ran.out.splitlines() if "rename" in line] == [
        *("·", "→", "✓", "✗", "✗", "←", "!"),
    ]  # fmt: skip


@pytest.mark.parametrize("state", [MoveState.MOVED, MoveState.RETIRED])
def test_what_is_left_to_a_person_is_told_with_its_reason(
    desk: HosterDesk, state: MoveState
) -> None:
    left = {"state": StepState.LEFT.value, "said": "bob is not here"}
    step(desk, A, position=0, key="a", words="give bob a right", **left)
    put(desk, A, state=state.value)
    out = desk.run("accounts", "status", "acme").out
    assert f"{A}: left to a person: give bob a right (bob is not here)" in " ".join(out.split())
    assert "bob is not here" in desk.run("accounts", "status", "acme", "--mailbox", A).out


class Terminal(io.StringIO):
    """A person at a terminal, who types these lines."""

    def isatty(self) -> bool:
        return True


SITS = [
    ("yes", "1\nyes\n", {A: "moving", B: "waiting"}),
    ("Yes, to all", "\nYES\n", {A: "moving", B: "moving"}),
    ("a slip of the hand", "7\n2\nyes\n", {A: "waiting", B: "moving"}),
    ("no", "\nno\n", {A: "waiting", B: "waiting"}),
    ("the end of the input", "", {A: "waiting", B: "waiting"}),
]


@pytest.mark.parametrize(("name", "typed", "states"), SITS, ids=[row[0] for row in SITS])
def test_on_a_terminal_a_person_picks_and_says_yes(
    desk: HosterDesk,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    typed: str,
    states: dict[str, str],
) -> None:
    looked(desk)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    ran = desk.run("accounts", "move", "acme", *GO)
    assert {row.address: row.state for row in moves(desk).values()} == states
    assert (ran.code is Exit.COMPLETE) == ("moving" in states.values()), ran.err


def test_a_password_that_is_asked_for_goes_into_the_vault_and_nowhere_else(
    desk: HosterDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked(desk)
    canary = "canary-of-anna-9"
    vault, key = desk.home / "vault.json", desk.home / "vault.key"
    make_vault(vault, make_key_file(key))
    desk.environ |= {"MAILHAUL_VAULT": str(vault), "MAILHAUL_VAULT_KEY_FILE": str(key)}
    put(desk, A, path="legacy")
    desk.put(A, source=f"imaps://{A.replace('@', '%40')}@127.0.0.1:1", source_secret=f"vault:{A}")
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    asked: list[str] = []

    def typed(text: str) -> str:
        asked.append(text)
        return canary

    monkeypatch.setattr("getpass.getpass", typed)
    ran = desk.run("accounts", "move", "acme", "--mailbox", A, *GO)
    # Nobody listens there: nothing is begun, and the password has been kept all the same.
    assert ran.code is Exit.UNREACHABLE
    assert [A in text for text in asked] == [True]
    kept = usual_vault(desk.environ)
    assert kept is not None
    found = kept.get(A)
    assert found is not None
    assert found.reveal() == canary
    assert canary not in ran.out + ran.err
    for file in filter(Path.is_file, desk.home.rglob("*")):
        assert canary.encode() not in file.read_bytes(), file


def test_what_another_plan_has_reserved_is_shown_to_nobody_else(desk: HosterDesk) -> None:
    looked(desk)
    own = desk.run("accounts", "check", desk.file, "--json").lines
    assert {line.get("placeholder") for line in own[1:-1]} == {
        "p0@configureme.me", "p1@configureme.me",
    }  # fmt: skip
    desk.write(A, plan=PLAN.replace('"acme"', '"other"') + ACCOUNTS)
    others = desk.run("accounts", "check", desk.file, "--json").lines
    assert [line.get("placeholder") for line in others[1:-1]] == ["p2@configureme.me"]
