"""`mailhaul check` as a person uses it: a whole plan, the worst first, and nothing changed."""

import imaplib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailhaul.check.checked import Checked, FolderCensus, Rate, Server, found
from mailhaul.check.codes import Code
from mailhaul.check.codes_page import codes_table, obstacles_table
from mailhaul.cli.check_report import (
    Row,
    WaveForecast,
    end_line,
    forecasts,
    kept,
    row_line,
    summary,
    wave_line,
)
from mailhaul.cli.exits import Exit
from mailhaul.core.store import Capabilities
from mailhaul.plan.forecast import Forecast
from mailhaul.plan.model import Plan, System
from tests.cli.running import Ran, mailhaul
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account, RunningServer

MAIL = b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nHello.\r\n"
WRONG = "hunter2-canary"
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def fill(server: RunningServer, account: Account, messages: Sequence[bytes]) -> None:
    client = imaplib.IMAP4(server.host, server.port, timeout=20)
    client.login(account.user, account.password)
    for data in messages:
        assert client.append("INBOX", "", "", data)[0] == "OK"
    client.logout()


def plan_of(
    home: Path,
    pairs: Sequence[tuple[tuple[RunningServer, Account], tuple[RunningServer, Account]]],
    *,
    wrong: int | None = None,
    more: str = "",
) -> Path:
    """A plan for these mailboxes; the source's secret of number `wrong` is a wrong one."""
    (home / "secrets").mkdir()
    rows = ["address,source,target,source_secret,target_secret"]
    for number, ((ours, our), (theirs, their)) in enumerate(pairs):
        address = f"user{number}@old.example"
        for side, password in (("source", our.password), ("target", their.password)):
            text = WRONG if number == wrong and side == "source" else password
            file = home / "secrets" / f"{address}.{side}"
            file.write_text(f"{text}\n")
            file.chmod(0o600)
        rows.append(
            f"{address},{ours.url(our)},{theirs.url(their)},"
            f"file:secrets/{address}.source,file:secrets/{address}.target"
        )
    (home / "mailboxes.csv").write_text("\n".join(rows) + "\n")
    path = home / "plan.toml"
    path.write_text(
        'name = "the move"\n'
        f"{more}\n"
        '[source]\nurl = "imaps://{address}@old.example"\nsecret = "env:NONE"\n'
        '[target]\nurl = "imaps://{address}@new.example"\nsecret = "env:NONE"\n'
    )
    return path


def check(home: Path, *words: str) -> Ran:
    return mailhaul("check", *words, home=home)


@pytest.fixture
def five(dovecot: Dovecot, tmp_path: Path) -> Path:
    """A plan of five mailboxes between two accounts each; one source password is wrong."""
    pairs = []
    for number in range(5):
        ours, theirs = dovecot.account(), dovecot.account()
        fill(dovecot, ours, [MAIL % (n, n) for n in range(number + 1)])
        pairs.append(((dovecot, ours), (dovecot, theirs)))
    return plan_of(
        tmp_path, pairs, wrong=2, more='time_zone = "Europe/Paris"\ncutover = "2099-05-01 18:00"'
    )


def test_one_wrong_password_of_five_blocks_one_mailbox(five: Path, tmp_path: Path) -> None:
    done = check(tmp_path, str(five))
    assert done.code == 3, done.err
    first, _, _, *rows = done.out.splitlines()
    assert first.startswith("the move: 5 mailboxes, 12 messages, ")
    assert first.endswith("1 of 5 blocked")
    assert re.match(r"user2@old\.example +blocked +\? +\? +SOURCE_CREDENTIALS", rows[0])
    assert [row.split()[1] for row in rows[1:5]] == ["fine"] * 4
    assert "blocks: SOURCE_CREDENTIALS (1 mailbox)" in done.out
    assert "→ correct the secret where it lies" in done.out
    assert "source  Dovecot" in done.out
    assert "latest safe start 20" in done.out
    assert WRONG not in done.out + done.err


def test_only_what_is_asked_for_is_looked_at(five: Path, tmp_path: Path) -> None:
    words = ("--mailbox", "user0@old.example", "--mailbox", "USER4@old.example")
    done = check(tmp_path, str(five), *words, "--json")
    assert done.code == 0, done.err
    lines = done.lines
    assert sorted(line["mailbox"] for line in lines if line["event"] == "checked") == [
        "user0@old.example",
        "user4@old.example",
    ]
    assert [line["event"] for line in lines[2:]] == ["forecast", "check"]
    assert lines[-1] == {
        "event": "check",
        "plan": "the move",
        "mailboxes": 2,
        "blocked": 0,
        "messages": 6,
        "bytes": lines[-1]["bytes"],
        "exit": 0,
    }
    assert lines[2]["latest_start"] and lines[2]["seconds"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mailbox", "user9@old.example"], "isn't in the plan"),
        (["--wave", "first"], "has no mailbox in the plan"),
    ],
)
def test_what_is_not_in_the_plan_is_refused(
    five: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    done = check(tmp_path, str(five), *words)
    assert (done.code, said in done.err) == (2, True)


def test_a_wrong_plan_is_refused_whole(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('name = "x"\nnonsense = 1\n')
    done = check(tmp_path, "plan.toml")
    assert done.code == 2
    assert "nonsense" in done.err
    assert check(tmp_path, "none.toml").code == 2


def test_the_probe_tells_what_cyrus_does(dovecot: Dovecot, cyrus: Cyrus, tmp_path: Path) -> None:
    ours, theirs = dovecot.account(), cyrus.account()
    fill(dovecot, ours, [MAIL % (1, 1), b"Subject: Gr\xfc\xdfe\r\nMessage-ID: <8@x>\r\n\r\nx\r\n"])
    plan = plan_of(tmp_path, [((dovecot, ours), (cyrus, theirs))])
    done = check(tmp_path, str(plan), "--probe")
    assert done.code == 0, done.err
    assert "8-bit header octets → X (1 of 2 sampled messages are of that kind)" in done.out
    assert "PROBE_REFUSED" in done.out and "munge8bit" in done.out
    assert "PROBE_FOLDER_LEFT" not in done.out


def test_a_secret_that_is_nowhere_blocks_before_anything_is_connected(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, [((dovecot, dovecot.account()), (dovecot, dovecot.account()))])
    (tmp_path / "secrets" / "user0@old.example.target").unlink()
    done = check(tmp_path, str(plan), "--json")
    assert done.code == 3
    [finding] = done.lines[0]["findings"]
    assert finding["code"] == "TARGET_CREDENTIALS"
    assert "can't be read: No such file" in finding["evidence"]


def test_the_page_lists_every_code_as_the_program_knows_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    assert codes_table() in page
    assert obstacles_table() in page


def documented(page: str, event: str) -> list[str]:
    """The keys that the page lists for the event, without those inside others."""
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{event}` |")]
    return re.findall(r"`([a-z_]+)`", re.sub(r"\(.*?\)", "", row.split("|")[2]))


def test_every_key_of_the_json_lines_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    row = Row("anna@old.example", "", Checked())
    wave = WaveForecast("", None, Forecast(0, 0, NOW, NOW), None, False, False, 0)
    for line in (row_line(row), wave_line(wave), end_line("plan", [row], Exit.COMPLETE)):
        event, *keys = line
        assert (event, keys) == ("event", documented(page, str(line["event"])))


def test_what_is_kept_of_a_row_says_the_same_in_the_table() -> None:
    can = Capabilities("Dovecot", extensions=frozenset({"X"}))
    finding = found(Code.DUPLICATES, "1 message")
    checked = Checked((finding,), 5, 100, (FolderCensus(("INBOX",)),), source=Server(can))
    row = Row("anna@old.example", "", checked)
    plan = Plan(name="p", source=System(url="x"), target=System(url="y"))
    assert kept(row).checked.folders == ()
    assert summary(plan, [kept(row)], [], probed=True) == summary(plan, [row], [], probed=True)


def test_a_plan_without_measured_speed_has_no_forecast() -> None:
    plan = Plan(name="p", source=System(url="x"), target=System(url="y"))
    assert forecasts(plan, [Row("anna@old.example", "", Checked())], NOW) == []


def test_a_cutover_that_comes_too_soon_is_said_aloud() -> None:
    cutover = NOW + timedelta(hours=1)
    plan = Plan(name="p", source=System(url="x"), target=System(url="y"), cutover=cutover)
    measured = Checked((), 1000, 10**9, source=Server(Capabilities("x")), rate=Rate(1e6, 10.0))
    [wave] = forecasts(plan, [Row("anna@old.example", "", measured)], NOW)
    assert wave.late and wave.latest is None
    lines = [
        block.text for block in summary(plan, [], [wave], probed=True) if hasattr(block, "text")
    ]
    assert any("too late for the cutover at 2026-05-01 01:00" in line for line in lines)
    assert any("for 1.0 GB" in line for line in lines)
