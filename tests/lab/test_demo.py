"""`make demo` tells the truth: it is right when all is right, and says so when it is not."""

import subprocess
import sys

from mailhaul.lab import demo
from mailhaul.lab.mail import FOLDERS, sample_mailbox
from mailhaul.lab.servers import embedded_server


def test_the_demo_carries_everything_and_proves_it() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "mailhaul.lab.demo"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = finished.stdout.splitlines()
    assert sum(line.endswith("  the same") for line in lines) == 2 * len(FOLDERS)
    assert "DIFFERENT" not in finished.stdout
    assert "The demo took" in finished.stdout
    assert lines[-1].endswith("mailhaul copy --help")
    assert [len(line) <= demo.WIDEST for line in lines if "Two mail servers" in line] == [True]


def test_the_demo_sees_what_differs() -> None:
    sample = [message for message in sample_mailbox(60) if message.folder == ("INBOX",)]
    with embedded_server("old.example") as old, embedded_server("new.example") as new:
        source, target = demo.Side(old, "anna", "one"), demo.Side(new, "anna", "two")
        for side in (source, target):
            side.server.add_user(side.user, side.password)
            with side.connect() as connection:
                connection.fill(sample)
        assert demo.differences(source, target, len(sample)) == []
        with target.connect() as connection:
            connection.store(("INBOX",), "1:* +FLAGS (\\Deleted)")
        assert demo.differences(source, target, len(sample)) == [
            "INBOX is not the same on both sides"
        ]
        with target.connect() as connection:
            connection.command(b"SELECT INBOX")
            connection.command(b"EXPUNGE")
        assert len(demo.differences(source, target, len(sample))) == 2
