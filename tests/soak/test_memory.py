"""Memory stays flat, whatever the message or the folder: whole `mailhaul copy` processes, measured
from outside. `make soak` takes the sizes of the goal (150 MiB for one message of 2 GiB and for a
folder of 300,000), `make test` smaller ones against a narrower limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.soaking import SOAKING
from tests.servers.dovecot import Dovecot, mail_owner
from tests.servers.process import Account

pytestmark = pytest.mark.soak


LIMIT = (150 if SOAKING else 80) * 1024
"""KiB, as Linux tells ru_maxrss."""
LARGE = (2048 if SOAKING else 192) * 1024**2
FOLDER = 300_000 if SOAKING else 15_000
LAUNCHER = Path(__file__).parents[2] / "bench" / "launch.py"
LINE = b"a line of the largest message anybody ever sent, and then the same again\r\n"


def test_a_huge_message_is_carried_in_flat_memory(dovecot: Dovecot, tmp_path: Path) -> None:
    source, target = dovecot.account(), dovecot.account()
    inbox = _inbox(dovecot, source)
    with (inbox / "1700000000.M1P1.test:2,S").open("wb") as file:
        file.write(b"Message-ID: <large@test>\r\nSubject: large\r\n\r\n")
        block = LINE * (1024 * 1024 // len(LINE))
        for _ in range(LARGE // len(block)):
            file.write(block)
    _hand_over(dovecot, source)
    peak = _copy(dovecot, source, target, tmp_path)
    print(f"message of {LARGE >> 20} MiB: {peak / 1024:.0f} MiB")
    assert peak <= LIMIT


def test_a_huge_folder_is_carried_in_flat_memory(dovecot: Dovecot, tmp_path: Path) -> None:
    source, target = dovecot.account(), dovecot.account()
    inbox = _inbox(dovecot, source)
    for number in range(FOLDER):
        text = b"Message-ID: <%d@test>\nSubject: message %d\n\nbody %d\n" % ((number,) * 3)
        (inbox / f"{1_700_000_000 + number}.M{number}P1.test:2,S").write_bytes(text)
    _hand_over(dovecot, source)
    first = _copy(dovecot, source, target, tmp_path)
    again = _copy(dovecot, source, target, tmp_path)
    print(
        f"{FOLDER} messages: {first / 1024:.0f} MiB, and {again / 1024:.0f} MiB when nothing is new"
    )
    assert max(first, again) <= LIMIT


def _inbox(server: Dovecot, account: Account) -> Path:
    mail = server.home(account) / "mail"
    for name in ("cur", "new", "tmp"):
        (mail / name).mkdir(parents=True, exist_ok=True)
    return mail / "cur"


def _hand_over(server: Dovecot, account: Account) -> None:
    owner, group = mail_owner()
    home = server.home(account)
    subprocess.run(["chown", "-R", f"{owner.pw_uid}:{group.gr_gid}", str(home)], check=True)


def _copy(server: Dovecot, source: Account, target: Account, state: Path) -> int:
    """Peak memory of the copy, in KiB. It has to be complete."""
    environ = {
        **os.environ,
        "MAILHAUL_SOURCE_PASSWORD": source.password,
        "MAILHAUL_TARGET_PASSWORD": target.password,
    }
    words = ["copy", server.url(source), server.url(target), "--state", str(state / "state")]
    script = "import sys; from mailhaul.cli.main import main; sys.exit(main())"
    report, output = state / "report", state / "output"
    # A process started by a large one, as pytest is, would count that one's memory as its own.
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(report), str(output), "3600"]
    command = [sys.executable, "-c", script, *words, "--quiet"]
    subprocess.run([*launcher, *command], env=environ, check=True)
    code, _, _, peak = report.read_text("ascii").split()
    assert code == "0", output.read_text("utf-8", errors="replace")
    return int(peak)
