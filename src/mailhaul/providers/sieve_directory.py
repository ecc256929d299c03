"""One account's Sieve scripts on disk, as Pigeonhole keeps them: a directory of NAME.sieve and a
link to the active one.

What people and their clients wrote is never overwritten: our script stands before theirs and
includes it (`sieve_script`), and a statement of theirs is taken out as a remark (`sieve_reading`).
File calls are made in line.
"""

import contextlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mailhaul.providers import sieve_reading, sieve_script
from mailhaul.providers.effects import same_extra
from mailhaul.providers.extras import Extra, Filter
from mailhaul.providers.immediate import refusal
from mailhaul.providers.sieve_script import NAME, Own, filter_name

_ORPHAN = "dovecot.orig"
"""What Pigeonhole calls a script that lay where the link is to be."""
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Scripts:
    """Where an account's scripts are, and whose the files are to be; None: as it comes."""

    directory: Path
    active: Path
    owner: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Standing:
    """What acts now. `before` is the name of somebody's own script, empty where none acts."""

    own: Own
    is_ours: bool
    before: str


def extras(scripts: Scripts, address: str) -> list[Extra]:
    """What the scripts do for the account."""
    standing = _standing(scripts)
    found = [replace(each, address=address) for each in standing.own.extras]
    if standing.before:
        text = _text(_path(scripts, standing.before))
        script = sieve_reading.read(text, address)
        theirs: Sequence[Extra] = [each for _, each in script.found]
        if not script.plain:
            words = "redirects some mail" if script.redirects else "a script of its own"
            theirs = [Filter(address, standing.before, text, words)]
        found += [each for each in theirs if not any(same_extra(each, one) for one in found)]
    return found


def add(scripts: Scripts, extra: Extra) -> None:
    """The extra stands. Raises `Refused` where our script was changed by hand."""
    if any(same_extra(each, extra) for each in extras(scripts, extra.address)):
        return
    standing = _standing(scripts)
    if standing.before:
        path = _path(scripts, standing.before)
        text = _text(path)
        back = sieve_reading.restored(text, extra)
        if back != text:
            _write(scripts, path, back)
            return
    own = standing.own
    if isinstance(extra, Filter):
        if not standing.before and _lies_there(scripts, extra):
            _settle(scripts, Own(own.extras, extra.name))
            return
        kept = _path(scripts, filter_name(extra.name))
        _write(scripts, kept, extra.script)
    before = standing.before
    if before and not standing.is_ours:
        before = _moved_in(scripts, before)
    _settle(scripts, Own((*own.extras, replace(extra, address="")), before))


def remove(scripts: Scripts, extra: Extra) -> None:
    """The extra doesn't stand, by whomever it was made."""
    standing = _standing(scripts)
    plain = replace(extra, address="")
    left = tuple(each for each in standing.own.extras if not same_extra(each, plain))
    if left != standing.own.extras:
        _settle(scripts, Own(left, standing.before))
        if isinstance(extra, Filter):
            _discard(_path(scripts, filter_name(extra.name)))
    if not standing.before:
        return
    path = _path(scripts, standing.before)
    text = _text(path)
    if isinstance(extra, Filter):
        if same_extra(extra, Filter(extra.address, standing.before, text)):
            if not standing.is_ours:
                _moved_in(scripts, standing.before)
            _settle(scripts, Own(left, ""))
        return
    after = sieve_reading.without(text, extra.address, extra)
    if after != text:
        _write(scripts, path, after)


def _standing(scripts: Scripts) -> _Standing:
    """Raises `Refused` where the active script can't be told, or ours was changed by hand."""
    if scripts.directory.is_symlink():
        raise refusal("EXTRA_REFUSED", f"{scripts.directory} is a link, and isn't followed")
    name = _active(scripts)
    if name != NAME:
        return _Standing(Own(), False, name)
    own = sieve_script.read(_text(_path(scripts, NAME)), _filters(scripts))
    if own is None:
        return _Standing(Own(), False, NAME)
    before = own.before if own.before and _path(scripts, own.before).is_file() else ""
    return _Standing(replace(own, before=before), True, before)


def _active(scripts: Scripts) -> str:
    """The name of the script that acts; empty where none does."""
    link = scripts.active
    if not link.is_symlink():
        return _ORPHAN if link.is_file() else ""
    target = link.parent / link.readlink()
    if not target.is_file():
        return ""
    if target.parent.resolve() != scripts.directory.resolve() or target.suffix != ".sieve":
        raise refusal(
            "EXTRA_REFUSED", f"{link} leads out of {scripts.directory}; let it lead into it"
        )
    return target.stem


def _settle(scripts: Scripts, own: Own) -> None:
    """Our script says that, and acts; where it would say nothing, what was there before acts."""
    ours = _path(scripts, NAME)
    if own.extras:
        if ours.exists() and sieve_script.read(_text(ours), _filters(scripts)) is None:
            raise refusal("EXTRA_DIFFERS", f"{ours} was changed by hand; rename it, and try again")
        _write(scripts, ours, sieve_script.written(own))
        _link(scripts, NAME)
        return
    if own.before:
        _link(scripts, own.before)
    elif scripts.active.is_symlink():
        scripts.active.unlink()
    _forget_compiled(scripts)
    if ours.exists() and sieve_script.read(_text(ours), _filters(scripts)) is not None:
        _discard(ours)


def _moved_in(scripts: Scripts, before: str) -> str:
    """The name of the script that acts, in the directory: a file that lies where the link belongs
    is moved there, as Pigeonhole does."""
    if before == _ORPHAN and not scripts.active.is_symlink():
        _make_directory(scripts)
        there = scripts.directory / f"{_ORPHAN}.sieve"
        if there.exists():
            raise refusal("EXTRA_DIFFERS", f"{there} and {scripts.active} are both there")
        scripts.active.rename(there)
    return before


def _path(scripts: Scripts, name: str) -> Path:
    if name == _ORPHAN and not scripts.active.is_symlink() and scripts.active.is_file():
        return scripts.active
    return scripts.directory / f"{name}.sieve"


def _lies_there(scripts: Scripts, extra: Filter) -> bool:
    """Whether a script of that name and content is there, and only has to be made active."""
    name = extra.name
    if not name or "/" in name or name.startswith(".") or not name.isprintable():
        return False
    path = _path(scripts, name)
    return path.is_file() and same_extra(replace(extra, script=_text(path)), extra)


def _filters(scripts: Scripts) -> dict[str, str]:
    found = sorted(scripts.directory.glob(f"{NAME}-*.sieve"))[:_MOST]
    return {each.stem: _text(each) for each in found}


def _text(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        raw = file.read(4 * sieve_reading.LONGEST)
    return raw.decode("utf-8", "surrogateescape")


def _write(scripts: Scripts, path: Path, text: str) -> None:
    """Whole or not at all, whoever looks."""
    _make_directory(scripts)
    fresh = path.parent / f".mailhaul-{secrets.token_hex(8)}"
    descriptor = os.open(
        fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
            _give(scripts, file.fileno())
        fresh.replace(path)
    except BaseException:
        _discard(fresh)
        raise
    _forget_compiled(scripts)


def _link(scripts: Scripts, name: str) -> None:
    """Makes it the active one."""
    target = os.path.relpath(_path(scripts, name), scripts.active.parent)
    if scripts.active.is_symlink() and str(scripts.active.readlink()) == target:
        return
    fresh = scripts.active.parent / f".mailhaul-{secrets.token_hex(8)}"
    fresh.symlink_to(target)
    if scripts.owner is not None and os.geteuid() == 0:
        os.chown(fresh, *scripts.owner, follow_symlinks=False)
    fresh.replace(scripts.active)
    _forget_compiled(scripts)


def _make_directory(scripts: Scripts) -> None:
    missing = []
    path = scripts.directory
    while not path.exists():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700)
        if scripts.owner is not None and os.geteuid() == 0:
            os.chown(each, *scripts.owner)


def _give(scripts: Scripts, descriptor: int) -> None:
    if scripts.owner is not None and os.geteuid() == 0:
        os.fchown(descriptor, *scripts.owner)


def _forget_compiled(scripts: Scripts) -> None:
    """Pigeonhole takes a compiled script that is as old as its text, to the second, for good."""
    compiled = [*scripts.directory.glob("*.svbin"), scripts.active.with_suffix(".svbin")]
    for each in compiled:
        _discard(each)


def _discard(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
