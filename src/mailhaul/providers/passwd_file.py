"""Dovecot's passwd-file: read row by row, and rewritten whole so that nobody ever reads half of it.

Rows that nobody asked about stay as they are, to the octet. What another program wrote between our
look and our write is never lost: the file is compared before it is replaced.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mailhaul.core.errors import Closed, ClosedReason, RetryLater
from mailhaul.core.text import printable

PATIENCE = 60.0
_LOOK_AGAIN = 0.02
_ATTEMPTS = 20
_RULE = re.compile(r"\*:(?:(bytes)=(\d{1,18})|(storage)=(\d{1,15})([KMGT]?)B?)", re.IGNORECASE)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_UNITS = {"": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_QUOTA = "userdb_quota_rule"
_NO_LOGIN = "nologin"


@dataclass(frozen=True, slots=True)
class Row:
    """One account: user:password:uid:gid:gecos:home:shell:extra fields, as they stand there."""

    user: str
    password: str = ""
    uid: str = ""
    gid: str = ""
    gecos: str = ""
    home: str = ""
    shell: str = ""
    extra: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The row as the file has it, with its end."""
        fields = (self.user, self.password, self.uid, self.gid, self.gecos, self.home, self.shell)
        return ":".join([*fields, " ".join(self.extra)]) + "\n"

    @property
    def is_locked(self) -> bool:
        return any(each.partition("=")[0] == _NO_LOGIN for each in self.extra)

    @property
    def quota(self) -> int | None:
        """Octets; None where the row says nothing of it."""
        for each in self.extra:
            name, _, rule = each.partition("=")
            found = _RULE.fullmatch(rule) if name == _QUOTA else None
            if found is not None:
                if found[1]:
                    return int(found[2])
                return int(found[4]) * _UNITS[found[5].upper()]
        return None

    @property
    def locked(self) -> tuple[str, ...]:
        """Its extra fields when nobody may log in."""
        return self.extra if self.is_locked else (*self.extra, _NO_LOGIN)

    @property
    def unlocked(self) -> tuple[str, ...]:
        """Its extra fields when its owner may."""
        return tuple(each for each in self.extra if each.partition("=")[0] != _NO_LOGIN)


def quota_rule(octets: int) -> str:
    """The extra field for that quota."""
    return f"{_QUOTA}=*:bytes={octets}"


def row(line: str) -> Row | None:
    """What the line says; None for a remark, a blank one and what is no account."""
    text = line.rstrip("\r\n")
    if not text.strip() or text.startswith(("#", ":")):
        return None
    fields = text.split(":", 7)
    user, password, uid, gid, gecos, home, shell, extra = [*fields, *[""] * (8 - len(fields))]
    return Row(user, password, uid, gid, gecos, home, shell, tuple(extra.split()))


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
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
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
