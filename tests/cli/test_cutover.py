"""The night of the switch from the command line: what is shown, and what a person may order."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from mailhaul.cli.exits import Exit
from mailhaul.db import tables
from tests.cli.test_orders import PLAN, A, B, Desk

DNS = """
[dns]
mx = ["10 mx.new.example"]
"""
NOW = 1_800_000_000.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    found.write(A, B, plan=PLAN + DNS)
    assert found.run("start", found.file).code is Exit.COMPLETE
    return found


def rows(desk: Desk, name: str) -> list[Any]:
    database = desk.database()
    try:
        with database.read() as connection:
            return [*connection.execute(select(tables.metadata.tables[name]))]
    finally:
        database.close()


def zone(desk: Desk, **values: Any) -> None:
    """The domain's row as a look might have left it."""
    database = desk.database()
    with database.begin() as connection:
        connection.execute(update(tables.domain).values(**values))
    database.close()


def synced(desk: Desk) -> None:
    for address in (A, B):
        desk.put(address, state="synced", census=1, copied=1)


def steps(desk: Desk) -> dict[str, dict[str, Any]]:
    ran = desk.run("cutover", "acme", "--no-look", "--json")
    assert ran.code is Exit.COMPLETE, ran.err
    return {line["step"]: line for line in ran.lines if line["event"] == "cutover_step"}


def test_the_runbook_is_shown_and_nothing_is_changed(desk: Desk) -> None:
    before = rows(desk, "event")
    ran = desk.run("cutover", "acme", "--no-look")
    assert ran.code is Exit.COMPLETE
    for words in ("go or no-go", "customer", "acme.example", "watched"):
        assert words in ran.out
    assert rows(desk, "event") == before


def test_a_profile_that_is_not_known_starts_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    desk.write(A, plan=PLAN + '[dns]\nprofile = "exchnge-online"\n')
    for words in (("plan", "check"), ("start",)):
        ran = desk.run(*words, desk.file)
        assert ran.code is Exit.USAGE
        assert "is no profile" in ran.out + ran.err


def test_steps_come_one_after_the_other(desk: Desk) -> None:
    found = steps(desk)
    assert (found["records"]["state"], found["go"]["state"]) == ("now", "later")
    synced(desk)
    zone(desk, looked_at=NOW, mx="old", ready=True, ttl=300, lowered_at=1.0, cached_until=2.0)
    found = steps(desk)
    assert [found[key]["state"] for key in ("records", "ttl", "synced")] == ["done"] * 3
    assert found["people"]["by_word"]
    ran = desk.run("cutover", "acme", "--done", "people", "--as", "Olga Weiss")
    assert ran.code is Exit.COMPLETE
    assert "done, by the word of Olga Weiss" in ran.out
    found = steps(desk)
    assert "Olga Weiss said so" in found["people"]["evidence"]
    assert found["go"]["state"] == "now"
    assert found["switch"]["state"] == "later"


def test_what_dns_says_against_it_keeps_the_gate_shut_until_a_person_goes_despite_it(
    desk: Desk,
) -> None:
    synced(desk)
    words = ("cutover", "acme", "--go", "--as", "Olga Weiss", "--yes")
    ran = desk.run(*words)
    assert ran.code is not Exit.COMPLETE
    assert "nobody has looked at it yet" in ran.err
    assert "no worker runs" in ran.err
    assert rows(desk, "gate") == []
    ran = desk.run(*words, "--despite", "it is a rehearsal")
    assert ran.code is Exit.COMPLETE, ran.err
    assert "it is a rehearsal" in ran.out
    assert "no worker runs" in ran.err
    (domain,) = rows(desk, "domain")
    assert (domain.state, domain.wave) == ("switching", "")
    (override,) = rows(desk, "override")
    assert (override.given_by, override.why) == ("Olga Weiss", "it is a rehearsal")
    found = steps(desk)
    assert found["go"]["state"] == "done"
    assert found["switch"]["state"] == "now"


def test_where_a_worker_runs_nobody_is_told_to_start_one(desk: Desk) -> None:
    synced(desk)
    database = desk.database()
    with database.begin() as connection:
        values = {"name": "w", "process": "p", "version": "0", "since_at": NOW, "seen_at": NOW}
        connection.execute(insert(tables.worker).values(values))
    database.close()
    ran = desk.run("cutover", "acme", "--go", "--as", "Olga Weiss", "--yes")
    assert "nobody has looked at it yet" in ran.err
    assert "no worker runs" not in ran.err


def test_sweeps_are_ended_by_a_named_person_with_a_reason(desk: Desk) -> None:
    desk.put(A, state="sweeping")
    words = ("cutover", "acme", "--end-sweeps", "--as", "Olga Weiss")
    ran = desk.run(*words)
    assert ran.code is Exit.USAGE
    assert "for a reason" in ran.err
    ran = desk.run(*words, "--despite", "that server is gone", "--json")
    assert ran.lines[-1]["mailboxes"] == [A]
    (override,) = rows(desk, "override")
    assert (override.gate, override.why) == ("sweeps", "that server is gone")


WRONG = [
    ("nobody", ("--go",), "say who with --as"),
    ("somebody who may not", ("--go", "--as", "Kim"), "may not open"),
    ("two orders", ("--go", "--end-sweeps", "--as", "Olga Weiss"), "two orders"),
    ("a step that shows itself", ("--done", "switch", "--as", "Olga Weiss"), "is no step"),
    ("a filter that isn't there", ("--done", "forward", "--as", "Olga Weiss"), "is no step"),
    ("a wave that isn't there", ("--wave", "x"), "has no mailbox"),
]


@pytest.mark.parametrize(("name", "words", "said"), WRONG)
def test_what_makes_no_sense_is_refused(
    name: str, words: tuple[str, ...], said: str, desk: Desk
) -> None:
    ran = desk.run("cutover", "acme", *words)
    assert ran.code is Exit.USAGE
    assert said in ran.err


def test_a_plan_without_dns_has_a_runbook_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    desk.write(A)
    desk.run("start", desk.file)
    assert [*steps(desk)] == ["synced", "go", "final", "sweeps", "verify", "complete"]


def test_trouble_is_told_as_such(desk: Desk) -> None:
    zone(desk, state="failed", resume_state="switching", reason="no such key", wave="")
    found = steps(desk)["switch"]
    assert found["state"] == "trouble"
    assert "no such key" in found["evidence"]


def test_probes_and_messages_are_counted_where_the_plan_wants_them(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    desk.write(A, B, plan=f"{PLAN}{DNS}[canary]\non = true\n")
    desk.run("start", desk.file)
    assert steps(desk)["probe"]["evidence"] == "0 of 2"
    database = desk.database()
    with database.begin() as connection:
        boxes = [*connection.execute(select(tables.mailbox.c.id)).scalars()]
        (domain,) = connection.execute(select(tables.domain.c.id)).scalars()
        for box, outcome in zip(boxes, ("accepted", "refused"), strict=True):
            connection.execute(
                insert(tables.canary).values(
                    domain_id=domain, mailbox_id=box, via="new", kind="ask", sent_at=1.0,
                    outcome=outcome,
                )
            )  # fmt: skip
    database.close()
    found = steps(desk)["probe"]
    assert (found["state"], found["evidence"]) == ("trouble", "1 of 2, 1 not")
