"""Files that others read and write too, rewritten whole: nobody ever reads half of one.

What another program wrote between our look and our write is never lost: a file is compared before
it is replaced. File calls are made in line.
"""

import asyncio
import contextlib
import fcntl
import glob
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from mailhaul.core.errors import Closed, ClosedReason, RetryLater
from mailhaul.core.text import printable

PATIENCE = 60.0
"""Seconds that another one of us is waited for."""
_LOOK_AGAIN = 0.02
_ATTEMPTS = 20
_DRAFT = 16
"""Letters behind the name of a file that is still being written."""
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def read(path: Path) -> list[str]:
    """The file's lines, whatever they are. Raises `Closed` where it can't be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _unreachable(path, error) from error
    return _LINE.findall(raw.decode("utf-8", "surrogateescape"))


async def rewrite(path: Path, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
    """Has the file hold what `change` makes of its lines, done when it returns, by one rename; a
    file that comes out the same is left alone. Its owner, its mode and where links lead stay. Its
    time moves on by a second at least: Dovecot reads a file anew by whole seconds and size."""
    real = Path(os.path.realpath(path))  # noqa: ASYNC240, PTH - file calls are made in line
    async with _alone(real):
        _forget_drafts(real)
        for _ in range(_ATTEMPTS):
            before = _stamp(real)
            lines = read(real)
            after = change(lines)
            if list(after) == lines:
                return
            fresh = _written(real, "".join(after), before)
            try:
                # Who writes without our lock has from here to the next line to do so.
                if _stamp(real) == before:
                    fresh.replace(real)
                    _sync(real.parent)
                    return
            finally:
                with contextlib.suppress(FileNotFoundError):
                    fresh.unlink()
            await asyncio.sleep(_LOOK_AGAIN)
    raise RetryLater(f"{path} is being changed again and again by another program", after=30.0)


Stamp = tuple[int, int, int, int, int, int]


def _stamp(path: Path) -> Stamp:
    try:
        told = path.stat()
    except OSError as error:
        raise _unreachable(path, error) from error
    return (
        *(told.st_ino, told.st_size, told.st_mtime_ns),
        *(told.st_mode, told.st_uid, told.st_gid),
    )


def _written(path: Path, text: str, before: Stamp) -> Path:
    """The new file beside the old one."""
    _, _, changed, mode, uid, gid = before
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(_DRAFT // 2)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                file.flush()
                told = os.fstat(file.fileno())
                if (told.st_uid, told.st_gid) != (uid, gid):
                    os.fchown(file.fileno(), uid, gid)
                os.fchmod(file.fileno(), mode & 0o7777)
                later = max(time.time_ns(), (changed // 10**9 + 1) * 10**9)
                os.utime(file.fileno(), ns=(later, later))
                os.fsync(file.fileno())
        except BaseException:
            fresh.unlink()
            raise
    except OSError as error:
        raise _unreachable(path, error) from error
    return fresh


def _forget_drafts(path: Path) -> None:
    """What the killed have left: whoever has the lock is the only one who writes."""
    for each in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * _DRAFT}"):
        with contextlib.suppress(FileNotFoundError):
            each.unlink()


@asynccontextmanager
async def _alone(path: Path) -> AsyncIterator[None]:
    """Only one of us writes at a time, on this machine and over a file system that can lock."""
    try:
        descriptor = os.open(
            path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise _unreachable(path, error) from error
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise RetryLater(f"{path} stays locked by another process") from error
                await asyncio.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreachable(path: Path, error: OSError) -> Closed:
    return Closed(
        f"{printable(str(path), 300)} can't be read or written "
        f"({printable(error.strerror or str(error), 200)}); mailhaul needs to write it and its "
        "directory, and to give it the owner that it has",
        ClosedReason.FORBIDDEN,
    )
