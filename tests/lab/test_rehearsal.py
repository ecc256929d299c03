"""The demo rehearses a weekend and tells the truth about it; so does a plan of one's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailhaul.lab.demo import OTHERS, PILOT
from mailhaul.lab.subsidiary import NAMES
from tests.cli.running import mailhaul

PATIENCE = 400.0
"""Seconds; on two cores that have nothing else to do it is 85 and 60."""


def lab(program: str, *words: str | Path) -> str:
    """What `python -m mailhaul.lab.PROGRAM` says when it succeeds."""
    with subprocess.Popen(
        [sys.executable, "-m", f"mailhaul.lab.{program}", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            told, _ = process.communicate(timeout=PATIENCE)
        finally:
            # Asked, it takes its servers and its worker with it.
            process.terminate()
    assert process.returncode == 0, told[-6000:]
    return told


@pytest.mark.timeout(PATIENCE + 30)
def test_the_demo_moves_mailboxes_and_accounts_and_all_is_in_its_place(tmp_path: Path) -> None:
    told = lab("demo", "--directory", tmp_path)
    assert told.count("as it should be\n") == len(PILOT) + len(OTHERS) + len(NAMES)
    for trouble in (
        "kill -9",
        "15 minutes",
        "line is cut",
        "mailbox is full",
        "refuses one message",
    ):
        assert trouble in told
    words = " ".join(told.split())
    for name in NAMES:
        assert re.search(rf"account is {name}01 now, and unused\d has become {name};", words)
    assert "a redirection and an auto-reply went with them, and act" in words
    assert "true: the report of “rosenberg” is as it was signed" in told
    assert "WRONG" not in told
    assert (tmp_path / "rosenberg-report" / "report.html").stat().st_size > 10_000
    # Nothing but what other programs print is wider than a terminal.
    mine = [line for line in told.splitlines() if re.match(r"(Fri|Sat|Sun|Mon) \d\d:\d\d  ", line)]
    assert len(mine) > 15
    assert max(map(len, mine)) <= 80


PLAN = """
name = "Small"
time_zone = "Europe/Berlin"
cutover = 2035-03-02 20:00:00

[source]
url = "imaps://{address}@mail.small.example"
secret = "file:secrets/source/{address}"

[target]
url = "imaps://{address}@new.small.example"
secret = "command:/bin/false {address}"
preset = "exchange-online"

[carry]
exclude = ["Trash"]

[hours]
start = "18:00"
end = "16:00"

[sweeps]
every = "1h"
for = "6h"

[gates]
go = ["Ada Adler", "Ben Bauer"]

[source.provider]
kind = "ovh-mxplan"
service = "small.example"
secret = "command:/bin/false"

[target.provider]
kind = "ovh-exchange"
service = "exchange.small.example"
secret = "command:/bin/false"

[accounts]
extras = "carry"

[[webhooks]]
url = "https://hooks.small.example/moved"
"""


@pytest.mark.timeout(PATIENCE + 30)
def test_a_plan_of_one_s_own_is_rehearsed_without_its_systems(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    addresses = "\n".join(f"person{number}@small.example" for number in range(3))
    (tmp_path / "mailboxes.csv").write_text(f"address\n{addresses}\n", encoding="utf-8")
    census = tmp_path / "census"
    census.write_text(
        '{"event": "checked", "mailbox": "person0@small.example", "messages": 90, "bytes": 90000}\n'
        '{"event": "end"}\n',
        encoding="utf-8",
    )
    told = lab(
        "rehearsal",
        *(tmp_path / "plan.toml", "--minutes", "1"),
        *("--census", census, "--keep", tmp_path / "kept"),
    )
    assert "all 3 mailboxes" in told
    assert "1 of 3 as counted" in told
    assert told.count("as it should be\n") == 3
    assert re.search(r"go +ready \w+ \S+, opened \w+ \S+: Ada Adler or Ben Bauer", told)
    written = (tmp_path / "kept" / "plan.toml").read_text(encoding="utf-8")
    assert "small.example" not in written.replace("person", "")
    assert "webhooks" not in written
    assert "accounts" not in written
    assert "ovh" not in written
    assert "Not played: carry.exclude, webhooks, accounts." in " ".join(told.split())
    assert (tmp_path / "kept" / "rehearsal-report" / "report.json").exists()


def test_a_plan_with_a_mistake_is_not_rehearsed(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN.replace("20:00:00", "20:00:00 Uhr"), encoding="utf-8")
    ran = mailhaul("rehearse", tmp_path / "plan.toml", home=tmp_path)
    assert ran.code == 2
    assert "plan.toml" in ran.err
    assert ran.out == ""


def test_what_can_not_be_rehearsed_is_said(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "mailboxes.csv").write_text("address\na@small.example\n", encoding="utf-8")
    for words, said in (
        (("--minutes", "soon"), "--minutes soon is no number"),
        (("--minutes", "0"), "is not from 1 to 600"),
        (("--census", str(tmp_path / "plan.toml")), "mailhaul check PLAN --json > census"),
        (("--keep", str(tmp_path)), "is not empty"),
    ):
        ran = mailhaul("rehearse", tmp_path / "plan.toml", *words, home=tmp_path)
        assert ran.code == 2
        assert said in " ".join((ran.out + ran.err).split())
