"""Runs one command and tells what it took: a small process, so that its size hides nobody's.

    launch.py REPORT OUTPUT SECONDS COMMAND…

REPORT gets exit status, wall and CPU seconds, peak RSS in KiB. After SECONDS the command is killed,
which shows as status -9.

A child's peak RSS starts at the size of the process that forks it (Linux keeps the old high-water
mark across exec), which is why the bench itself doesn't start contestants.
"""

import os
import signal
import sys
import time


def main() -> None:
    report, output, seconds, *command = sys.argv[1:]
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, handle, 1), (os.POSIX_SPAWN_DUP2, handle, 2)]
    begun = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(process, signal.SIGKILL))
    signal.alarm(int(seconds))
    _, status, used = os.wait4(process, 0)
    signal.alarm(0)
    wall = time.perf_counter() - begun
    code = os.waitstatus_to_exitcode(status)
    with open(report, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib is big
        file.write(f"{code} {wall} {used.ru_utime + used.ru_stime} {used.ru_maxrss}")


if __name__ == "__main__":
    main()
