"""What a rehearsal has started ends with it, even when it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import sys, time
from pathlib import Path
from mailhaul.lab.stage import stage

with stage(Path(sys.argv[1]), "old.example", "new.example") as found:
    found.wind(60.0, 1_800_000_000.0)
    found.start_worker()
    print(found._worker.pid, flush=True)
    time.sleep(600)
"""


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_gone(process: int, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(process):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            return False
        time.sleep(0.05)
    return True


def test_the_worker_of_a_killed_rehearsal_stops(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8") as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    assert until_gone(worker)


def test_a_program_on_a_tether_is_asked_to_stop_when_its_input_ends(tmp_path: Path) -> None:
    code = "from mailhaul.lab.tether import tether; import time; tether(); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as program:
        assert program.stdin is not None
        program.stdin.close()
        assert program.wait(30) == -signal.SIGTERM
