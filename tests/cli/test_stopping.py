"""Ctrl-C and SIGTERM, with real processes."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.cli.running import command, environment, maildir, mailhaul
from tests.servers.pymap import Pymap

MESSAGES = 1200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_130_the_state_is_kept_and_the_command_to_go_on_is_shown(
    tmp_path: Path, number: signal.Signals, pymap_server: Pymap
) -> None:
    account = pymap_server.account()
    secret = {"MAILHAUL_TARGET_PASSWORD": account.password, "MAILHAUL_PASSWORD": account.password}
    source = maildir(tmp_path / "a b", {"Sent": MESSAGES})
    target = pymap_server.url(account)
    words = ["copy", f"maildir:{source}", target, "--json"]
    process = subprocess.Popen(
        command(words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(tmp_path, secret),
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
    assert (events[-1]["event"], events[-1]["exit"]) == ("error", 130)
    assert f"go on with: mailhaul {shlex.join(words)}" in complaint
    assert "Traceback" not in complaint
    carried = sum(event["messages"] for event in events if event["event"] == "carried")
    assert 0 < carried < MESSAGES

    done = mailhaul(*words, home=tmp_path, environ=secret)
    assert done.code == 0, done.err
    assert done.lines[-1]["census"] == MESSAGES
    listed = mailhaul("ls", target, "--json", home=tmp_path, environ=secret)
    assert listed.lines[-1]["messages"] == MESSAGES


TURN, BLOCK = "await asyncio.sleep(0.01)", "time.sleep(0.01)"
STUBBORN = textwrap.dedent(
    """
    import asyncio, os, sys, time
    from mailhaul.cli.exits import Exit, Interrupted
    from mailhaul.cli.render import Console
    from mailhaul.cli.scrub import Scrubber
    from mailhaul.cli.stopping import run

    async def work(stop):
        print("ready", flush=True)
        while not {hears} or not stop.asked:
            {waits}
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
    ("waits", "grace", "signals", "code"),
    [
        pytest.param(TURN, 60.0, 1, 0, id="it ends by itself"),
        pytest.param(TURN, 0.05, 1, 42, id="it is cut off after the grace"),
        pytest.param(TURN, 60.0, 2, 130, id="the second leaves at once"),
        pytest.param(BLOCK, 60.0, 2, 130, id="the second leaves at once, even from a busy loop"),
    ],
)
def test_the_first_asks_and_the_second_leaves(
    waits: str, grace: float, signals: int, code: int
) -> None:
    script = STUBBORN.format(hears=code == 0, grace=grace, waits=waits)
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
    if waits == TURN:
        assert "stopping" in process.stderr.readline()
    if signals == 2:
        # Equal signals do not queue up: the first has to be taken before the second comes.
        time.sleep(0.5)
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


@pytest.mark.parametrize("name", ["ls", "doctor"])
def test_what_changes_nothing_stops_at_once_and_says_only_that(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = [name, f"imap://a@127.0.0.1:{silent.getsockname()[1]}"]
        process = subprocess.Popen(
            command(words),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment(tmp_path, {"MAILHAUL_PASSWORD": "x"}),
        )
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "mailhaul: interrupted; nothing was changed\n")
