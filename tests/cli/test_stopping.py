"""Ctrl-C and SIGTERM, with real processes."""

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.cli.running import command, environment, maildir, mailhaul

MESSAGES = 3000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130_the_state_is_kept_and_the_command_to_go_on_is_shown(
    tmp_path: Path, number: signal.Signals
) -> None:
    source = maildir(tmp_path / "a b", {"Sent": MESSAGES})
    words = ["copy", f"maildir:{source}", f"maildir:{tmp_path}/b", "--json"]
    process = subprocess.Popen(
        command(words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(tmp_path),
        encoding="utf-8",
    )
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "carried" and events[-1]["messages"]:
            process.send_signal(number)
            break
    rest, complaint = process.communicate(timeout=30)
    assert process.returncode == 130, complaint
    events += [json.loads(line) for line in rest.splitlines()]
    assert events[-1]["event"] == "error"
    assert events[-1]["exit"] == 130
    assert f"go on with: mailhaul {shlex.join(words)}" in complaint
    assert "Traceback" not in complaint

    carried = sum(event["messages"] for event in events if event["event"] == "carried")
    assert 0 < carried < MESSAGES
    done = mailhaul(*words, home=tmp_path)
    assert done.code == 0, done.err
    again = sum(line["messages"] for line in done.lines if line["event"] == "carried")
    # What was stored but not told before the stop is found again, not sent again.
    assert again <= MESSAGES - carried
    assert done.lines[-1]["census"] == MESSAGES
    assert len(list((tmp_path / "b" / ".Sent" / "cur").iterdir())) == MESSAGES


STUBBORN = textwrap.dedent(
    """
    import asyncio, os, sys
    from mailhaul.cli.exits import Exit, Interrupted
    from mailhaul.cli.render import Console
    from mailhaul.cli.scrub import Scrubber
    from mailhaul.cli.stopping import run

    async def work(stop):
        print("ready", flush=True)
        while not {hears} or not stop.asked:
            await asyncio.sleep(0.01)
        return Exit.COMPLETE

    console = Console(sys.stdout, sys.stderr, Scrubber(), os.environ)
    try:
        sys.exit(run(work, console, "go on", grace={grace}))
    except Interrupted as error:
        print(error)
        sys.exit(42)
    """
)


@pytest.mark.parametrize(
    ("hears", "grace", "signals", "code"),
    [
        ("it ends by itself", 60.0, 1, 0),
        ("it is cut off after the grace", 0.05, 1, 42),
        ("the second leaves at once", 60.0, 2, 130),
    ],
)
def test_the_first_asks_and_the_second_leaves(
    hears: str, grace: float, signals: int, code: int
) -> None:
    script = STUBBORN.format(hears=hears == "it ends by itself", grace=grace)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    # It has understood the first before the second comes: equal signals do not queue up.
    assert "stopping" in process.stderr.readline()
    if signals == 2:
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == code
    assert ("go on" in out) == (code == 42)


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    source = maildir(tmp_path / "a", {f"folder{number}": 1 for number in range(300)})
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command(["ls", f"maildir:{source}"]),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        env=environment(tmp_path),
        encoding="utf-8",
        timeout=30,
    )
    os.close(writing)
    assert done.returncode == 130
    assert done.stderr == ""
