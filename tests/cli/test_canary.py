"""What `mailhaul canary` lists, and the line of `mailhaul status`: from rows alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from mailhaul.cli.exits import Exit
from mailhaul.db import tables
from tests.cli.test_orders import PLAN, A, B, Desk

MORE = """
[dns]
mx = ["10 mx.new.example"]
[canary]
on = true
"""
NOW = 1_800_000_000.0
REACHED = json.dumps(
    {"host": "mx.new.example", "address": "192.0.2.9", "encrypted": True, "distrust": ""}
)
SEEN = json.dumps(
    [
        {
            "token": "ab" * 16,
            "side": "new",
            "path": ["INBOX"],
            "key": 7,
            "seen": NOW + 4,
            "role": "inbox",
            "received": None,
            "hops": ["mx.new.example"],
            "gone": True,
        }
    ]
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    found.write(A, B, plan=PLAN + MORE)
    assert found.run("start", found.file).code is Exit.COMPLETE
    return found


def put(desk: Desk, address: str, **values: Any) -> None:
    """A row as a worker might have left it."""
    database = desk.database()
    with database.begin() as connection:
        box = connection.execute(
            select(tables.mailbox.c.id).where(tables.mailbox.c.address == address)
        ).scalar_one()
        domain = connection.execute(select(tables.domain.c.id)).scalar_one()
        usual = {"via": "new", "kind": "ask", "stage": "due", "sent_at": NOW, "outcome": ""}
        row = {**usual, "domain_id": domain, "mailbox_id": box, "reached": REACHED, **values}
        connection.execute(insert(tables.canary).values(**row))
    database.close()


def asked(desk: Desk) -> None:
    put(desk, A, verdict="accepted", outcome="accepted", said="250 fine", takes_anyone=False)
    put(desk, B, verdict="refused", outcome="refused", said="550 5.1.1 who?", takes_anyone=False)


def test_a_plan_that_has_none_says_how_to_want_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"XDG_STATE_HOME": str(tmp_path / "state")})
    desk.write(A, B)
    desk.run("start", desk.file)
    ran = desk.run("canary", desk.file)
    assert (ran.code, ran.out) == (
        Exit.COMPLETE,
        "the plan has no canary mail; on = true under [canary] wants it\n",
    )
    assert "canary" not in desk.run("status", desk.file).out
    (line,) = desk.run("status", desk.file, "--json").lines
    assert line["canary"] is None


def test_who_is_refused_is_told_with_the_cure(desk: Desk) -> None:
    asked(desk)
    ran = desk.run("canary", desk.file)
    summary = "1 of 2 addresses accepted by the new system's host, 1 refused"
    assert f"acme.example: {summary}\n" in ran.out
    assert "blocks: RECIPIENT_REFUSED: mx.new.example (192.0.2.9): bert@acme.example" in ran.out
    assert "create the mailbox" in " ".join(ran.out.split())
    assert f"canary mail: {summary}" in desk.run("status", desk.file).out
    *rows, domain = desk.run("canary", desk.file, "--json").lines
    assert [(row["mailbox"], row["outcome"]) for row in rows] == [(A, "accepted"), (B, "refused")]
    (finding,) = rows[1]["findings"]
    assert (finding["code"], finding["severity"]) == ("RECIPIENT_REFUSED", "blocks")
    assert (domain["wanted"], domain["accepted"], domain["refused"]) == (2, 1, 1)


def test_a_message_is_told_with_its_way_and_delay(desk: Desk) -> None:
    put(
        desk, A, via="mx", kind="send", stage="over", token="ab" * 16, verdict="accepted",
        outcome="arrived", said="250 queued", taken_at=NOW, seen=SEEN, side="new",
    )  # fmt: skip
    ran = desk.run("canary", desk.file, "--mailbox", A)
    assert "1 message sent, 1 arrived after 4 s, at most 4 s" in ran.out
    assert "the MX that resolvers name" in ran.out
    (row, _) = desk.run("canary", desk.file, "--mailbox", A, "--json").lines
    assert (row["seconds"], row["places"][0]["removed"]) == (4.0, True)
    assert [each["code"] for each in row["findings"]] == ["CANARY_ARRIVED"]
    (only,) = desk.run("canary", desk.file, "--mailbox", B, "--json").lines
    assert only["event"] == "canary_domain"
