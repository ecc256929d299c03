"""Every exit code, from real processes; docs/exit-codes.md says the same."""

import io
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.cli.exits import MEANINGS, Exit, exit_for
from mailhaul.cli.main import run
from mailhaul.cli.options import Arguments, Command, Group
from mailhaul.cli.render import Console
from mailhaul.cli.scrub import Scrubber
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import (
    BadInput,
    Closed,
    ClosedReason,
    Disconnected,
    FolderFailed,
    MailhaulError,
    RetryLater,
)
from mailhaul.core.text import Secret
from tests.cli.running import command, environment, maildir, mailhaul
from tests.servers.dovecot import Dovecot
from tests.servers.pymap import Pymap

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("x"), Exit.USAGE),
        (FolderFailed("x"), Exit.INCOMPLETE),
        (RetryLater("x"), Exit.UNREACHABLE),
        (Disconnected("x"), Exit.UNREACHABLE),
        (Closed("x", ClosedReason.CREDENTIALS), Exit.CREDENTIALS),
        (Closed("x", ClosedReason.FORBIDDEN), Exit.CREDENTIALS),
        (Closed("x", ClosedReason.UNREACHABLE), Exit.UNREACHABLE),
        (Closed("x", ClosedReason.TLS), Exit.UNREACHABLE),
        (Closed("x", ClosedReason.PROTOCOL), Exit.UNREACHABLE),
        (Closed("x", ClosedReason.FULL), Exit.FULL),
    ],
)
def test_every_error_has_its_code(error: MailhaulError, code: Exit) -> None:
    assert exit_for(error) is code


@pytest.mark.parametrize("reason", ClosedReason)
def test_no_reason_is_forgotten(reason: ClosedReason) -> None:
    assert exit_for(Closed("x", reason)) in MEANINGS


def test_the_page_lists_every_code_with_its_meaning() -> None:
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+?) \|", text, re.MULTILINE)
    assert rows == [(str(code.value), MEANINGS[code]) for code in Exit]


def test_0_all_is_carried_and_again_nothing_is_to_do(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 3, "Sent": 2})
    for _ in range(2):
        ran = mailhaul("copy", f"maildir:{source}", f"eml:{tmp_path}/b", home=tmp_path)
        assert (ran.code, "complete: all 5 messages" in ran.out) == (0, True)
    ran = mailhaul("verify", f"maildir:{source}", f"eml:{tmp_path}/b", home=tmp_path)
    assert (ran.code, "equal: " in ran.out) == (0, True)


def test_0_what_verifies_is_told_with_the_same_choice_of_folders(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 1, "Sent Mail": 1})
    pair = (f"maildir:{source}", f"eml:{tmp_path}/b")
    chosen = ("--folder", "Sent*", "--map", "Sent Mail=Old/Sent", "--since", "2001-01-01")
    ran = mailhaul("copy", *pair, "--quiet", *chosen, home=tmp_path)
    assert (ran.code, ran.out) == (0, "")
    ran = mailhaul("copy", *pair, *chosen, home=tmp_path)
    (told,) = re.findall(r"^next: prove it: mailhaul (.*)$", ran.out, re.MULTILINE)
    assert shlex.split(told) == ["verify", *pair, *chosen]
    assert mailhaul(*shlex.split(told), home=tmp_path).code == 0


USAGE: list[tuple[str, Callable[[Path], list[str]], str]] = [
    ("no command", lambda here: [], "no command"),
    ("an unknown command", lambda here: ["cpoy"], "did you mean copy?"),
    ("an option before the command", lambda here: ["--quiet", "copy"], "stands before the command"),
    ("a malformed URL", lambda here: ["ls", "imaps://"], "names no host"),
    (
        "a port that is no number",
        lambda here: ["ls", "imaps://a@h:abc"],
        "the port of “imaps://a@h:abc” is no number from 1 to 65535; write",
    ),
    ("a port that is too high", lambda here: ["ls", "imaps://a@h:70000"], "from 1 to 65535"),
    ("port 0", lambda here: ["ls", "imaps://a@h:0"], "from 1 to 65535"),
    ("half an IPv6 address", lambda here: ["ls", "imaps://a@[::1"], "between [ and ]"),
    (
        "a percent sign in the user",
        lambda here: ["ls", "imaps://a%zz@h"],
        "; write a % in it as %25",
    ),
    ("what is not UTF-8 in the user", lambda here: ["ls", "imaps://a%ff@h"], "; write"),
    ("an unknown scheme", lambda here: ["ls", "pop3://a@h"], "is no endpoint"),
    ("a password in the URL", lambda here: ["ls", "imaps://a:hunter2@h"], "holds a password"),
    (
        "a state directory without a name",
        lambda here: ["copy", f"maildir:{here}/a", f"eml:{here}/b", "--state", ""],
        "--state is empty",
    ),
    (
        "a state directory that is a file",
        lambda here: ["copy", f"maildir:{here}/a", f"eml:{here}/b", "--state", "/dev/null"],
        "the state directory /dev/null can't be made",
    ),
    (
        "a way to log in that there isn't",
        lambda here: ["ls", "imaps://a@h.invalid?auth=magic", "--password-file", f"{here}/pw"],
        "auth=magic is unknown",
    ),
    (
        "a way to log in that takes no password",
        lambda here: ["ls", "imaps://a@h.invalid?auth=xoauth2", "--password-file", f"{here}/pw"],
        "auth=xoauth2 needs an access token",
    ),
    ("no password", lambda here: ["ls", "imaps://a@h.invalid"], "no password for the mailbox"),
    ("a path without mail", lambda here: ["ls", f"maildir:{here}/none"], "none"),
    ("a directory that is no Maildir", lambda here: ["ls", f"maildir:{here}/junk"], "Maildir"),
    ("plaintext across the net", lambda here: ["ls", "imap://a@h.invalid"], "?plaintext=yes"),
    (
        "no fingerprint",
        lambda here: ["copy", f"maildir:{here}/a", "imaps://a@h.invalid?fingerprint=12"],
        "is no SHA-256 fingerprint",
    ),
    ("no such authority", lambda here: ["ls", "imaps://a@h.invalid?ca=/none"], "/none"),
    (
        "a login template that is none",
        lambda here: ["doctor", "imaps://a@h.invalid?login=plesk"],
        "login=plesk is no template",
    ),
    (
        "the same mailbox twice",
        lambda here: ["copy", "imaps://a@h.invalid", "imaps://a@h.invalid"],
        "the same mailbox",
    ),
    (
        "the same place twice",
        lambda here: ["copy", f"maildir:{here}/a", f"maildir:{here}/b/../a"],
        "the same place",
    ),
    (
        "a folder that isn't there",
        lambda here: ["copy", f"maildir:{here}/a", f"eml:{here}/b", "--folder", "Nix"],
        "Nix",
    ),
    (
        "no date",
        lambda here: ["copy", f"maildir:{here}/a", f"eml:{here}/b", "--since", "soon"],
        "is no date",
    ),
    (
        "a guard without what it guards",
        lambda here: ["copy", f"maildir:{here}/a", f"eml:{here}/b", "--max-delete", "5"],
        "only with --delete mirror",
    ),
    (
        "state that is none",
        lambda here: ["copy", f"maildir:{here}/a", f"eml:{here}/b", "--state", f"{here}/junk"],
        "ledger",
    ),
    (
        "a state directory that can't be made",
        lambda here: [
            "copy",
            f"maildir:{here}/a",
            f"eml:{here}/b",
            "--state",
            f"{here}/file/x",
        ],
        "--state",
    ),
]


@pytest.mark.parametrize(
    ("words", "said"), [row[1:] for row in USAGE], ids=[row[0] for row in USAGE]
)
def test_2_bad_input_gets_one_sentence_with_the_cure(
    tmp_path: Path, words: Callable[[Path], list[str]], said: str
) -> None:
    maildir(tmp_path / "a", {"": 1})
    (tmp_path / "file").touch()
    (tmp_path / "pw").write_text("secret\n")
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "ledger.sqlite").write_bytes(b"no database at all " * 100)
    ran = mailhaul(*words(tmp_path), home=tmp_path)
    assert ran.code == 2
    complaints = [line for line in ran.err.splitlines() if line.startswith("mailhaul: ")]
    assert len(complaints) == 1
    assert said in complaints[0]
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert list((tmp_path / "b").rglob("*.eml")) == []


def test_3_what_could_not_be_done_is_listed(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 1, "Sent": 2})
    words = ("copy", f"maildir:{source}", f"eml:{tmp_path}/b")
    assert mailhaul(*words, home=tmp_path).code == 0
    shutil.rmtree(tmp_path / "b" / "0002")
    (source / ".Sent" / "cur" / "1800000000.M9P1.host:2,").write_text("Subject: new\n\nx\n")
    ran = mailhaul(*words, home=tmp_path)
    assert ran.code == 3
    assert "not done: “Sent” is gone at the target" in ran.out
    assert mailhaul(*words, "--restore", home=tmp_path).code == 0


def test_3_what_stays_refused_is_listed_by_every_pass(tmp_path: Path, pymap_server: Pymap) -> None:
    source = maildir(tmp_path / "a", {"": 1})
    (source / "cur" / "1800000000.M9P1.host:2,").touch()
    account = pymap_server.account()
    words = ("copy", f"maildir:{source}", pymap_server.url(account))
    environ = {"MAILHAUL_TARGET_PASSWORD": account.password}
    said = "refused: INBOX 1800000000.M9P1.host: empty message: it has no octets"
    for more in ((), (), ("--quiet",), ("--retry-refused",)):
        ran = mailhaul(*words, *more, home=tmp_path, environ=environ)
        assert (ran.code, ran.out.count(said)) == (3, 1), more
        assert "saved as" not in ran.out
    ran = mailhaul(*words, "--json", home=tmp_path, environ=environ)
    assert [line["fate"] for line in ran.lines if line["event"] == "settled"] == ["refused"]
    assert list((tmp_path / "state").rglob("*.eml")) == []


def with_small_files(
    *words: str, home: Path, kib: int, environ: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs `mailhaul WORDS` where no file may grow beyond that size: as on a disk that is full."""
    return subprocess.run(
        ["/bin/sh", "-c", f'ulimit -f {kib * 2}; exec "$@"', "sh", *command(words)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=environment(home, environ),
        timeout=60,
    )


def test_3_a_disk_that_is_full_of_state_is_no_defect(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 300, "Sent": 300})
    words = ("copy", f"maildir:{source}", f"maildir:{tmp_path}/b")
    # The ledger is the first to grow that large.
    ran = with_small_files(*words, home=tmp_path, kib=60)
    assert (ran.returncode, ran.stderr.count("make room there")) == (3, 1), ran.stderr
    assert "defect" not in ran.stderr
    assert mailhaul(*words, home=tmp_path).code == 0
    assert len(list((tmp_path / "b").rglob("cur/*"))) == 600


def test_3_a_large_message_without_room_to_wait_is_told_where_it_waits(
    tmp_path: Path, pymap_server: Pymap
) -> None:
    source = maildir(tmp_path / "a", {"": 1}, size=6_000_000)
    account = pymap_server.account()
    url = pymap_server.url(account)
    known = {f"MAILHAUL_{side}_PASSWORD": account.password for side in ("SOURCE", "TARGET")}
    assert mailhaul("copy", f"maildir:{source}", url, home=tmp_path, environ=known).code == 0
    words = ("copy", url, f"eml:{tmp_path}/b", "--state", f"{tmp_path}/here")
    ran = with_small_files(*words, home=tmp_path, kib=3000, environ=known)
    assert (ran.returncode, f"no room in {tmp_path}/here" in ran.stderr) == (3, True), ran.stderr
    assert mailhaul(*words, home=tmp_path, environ=known).code == 0


def test_4_a_refused_password_is_tried_once(tmp_path: Path, pymap_server: Pymap) -> None:
    url = pymap_server.url(pymap_server.account())
    wrong = {"MAILHAUL_PASSWORD": "hunter2-is-wrong"}
    ran = mailhaul("ls", url, home=tmp_path, environ=wrong)
    assert ran.code == 4
    assert "refused the login" in ran.err
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("imap://a@127.0.0.1:1", "refuses connections"),
        ("imaps://a@nowhere.invalid", "leads nowhere"),
        ("imaps://a@127.0.0.1:{port}", "TLS"),
    ],
)
def test_5_no_server_or_no_tls(tmp_path: Path, pymap_server: Pymap, url: str, said: str) -> None:
    url = url.format(port=pymap_server.port)
    ran = mailhaul("ls", url, home=tmp_path, environ={"MAILHAUL_PASSWORD": "x"})
    assert ran.code == 5
    assert said in ran.err


def test_6_a_target_that_is_full(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 200}, size=1000)
    with Dovecot(quota=50_000) as server:
        account = server.account()
        words = ("copy", f"maildir:{source}", server.url(account))
        environ = {"MAILHAUL_TARGET_PASSWORD": account.password}
        ran = mailhaul(*words, home=tmp_path, environ=environ)
    assert ran.code == 6
    assert "full" in ran.err


def test_7_a_difference_is_named(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {"": 2})
    target = maildir(tmp_path / "b", {"": 1})
    ran = mailhaul("verify", f"maildir:{source}", f"maildir:{target}", home=tmp_path)
    assert ran.code == 7
    assert "missing: INBOX" in ran.out


def surroundings(home: Path) -> tuple[Surroundings, io.StringIO, io.StringIO]:
    scrubber = Scrubber()
    scrubber.learn(Secret("hunter2"))
    out, err = io.StringIO(), io.StringIO()
    environ = {"XDG_STATE_HOME": str(home)}
    console = Console(out, err, scrubber, environ)
    return Surroundings(console, environ, scrubber, lambda: datetime.now(UTC)), out, err


def broken(error: BaseException) -> Command:
    def run_it(arguments: Arguments, around: Surroundings) -> Exit:
        raise error

    return Command("copy", "", "", (), (Group("output", (DEBUG,)),), run_it)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("hunter2 slipped in"),
        KeyError("hunter2"),
        ExceptionGroup("hunter2", [ValueError("hunter2")]),
    ],
)
def test_1_a_defect_is_one_sentence_and_a_report_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("mailhaul.cli.main.command_named", lambda name: broken(error))
    around, out, err = surroundings(tmp_path)
    assert run(["copy"], around) is Exit.DEFECT
    (report,) = (tmp_path / "mailhaul" / "crashes").iterdir()
    text = report.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert report.stat().st_mode & 0o777 == 0o600
    assert str(report) in err.getvalue()
    assert len(err.getvalue().splitlines()) == 1
    assert "hunter2" not in text + out.getvalue() + err.getvalue()
    run(["copy", "--debug"], around)
    assert "Traceback" in err.getvalue()
    assert "hunter2" not in err.getvalue()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ExceptionGroup("", [Closed("full", ClosedReason.FULL)]), Exit.FULL, "mailhaul: full\n"),
        (
            ExceptionGroup("", [ExceptionGroup("", [BadInput("cure it")])]),
            Exit.USAGE,
            "mailhaul: cure it\n",
        ),
        (
            OSError(28, "No space left on device", "/state/x"),
            Exit.INCOMPLETE,
            "mailhaul: this machine says: No space left on device at /state/x; mend that and run "
            "it again\n",
        ),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "mailhaul: interrupted\n"),
    ],
)
def test_errors_are_found_wherever_they_come_from(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: Exit,
    said: str,
) -> None:
    monkeypatch.setattr("mailhaul.cli.main.command_named", lambda name: broken(error))
    around, _, err = surroundings(tmp_path)
    assert run(["copy"], around) is code
    assert err.getvalue() == said


def test_with_json_the_last_line_says_why_it_broke_off(tmp_path: Path) -> None:
    ran = mailhaul("ls", "imap://a@127.0.0.1:1", "--json", home=tmp_path, stdin="")
    assert ran.lines == [{"event": "error", "exit": 2, "text": ran.lines[0]["text"]}]
    environ = {"MAILHAUL_PASSWORD": "x"}
    ran = mailhaul("ls", "imap://a@127.0.0.1:1", "--json", home=tmp_path, environ=environ)
    assert [line["exit"] for line in ran.lines] == [5]
