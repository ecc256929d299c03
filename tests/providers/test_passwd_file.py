"""The passwd-file: rows that nobody asked about stay to the octet, and no write is ever lost."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhaul.core.errors import Closed, ClosedReason, RetryLater
from mailhaul.providers.dovecot_layout import Layout
from mailhaul.providers.passwd_file import Row, row
from mailhaul.providers.rewriting import read, rewrite

ROWS: list[tuple[str, Row | None]] = [
    ("a@b.test:{PLAIN}x", Row("a@b.test", "{PLAIN}x")),
    (
        "a@b.test:{PLAIN}x:1:2:Ann B:/h:/s\n",
        Row("a@b.test", "{PLAIN}x", "1", "2", "Ann B", "/h", "/s"),
    ),
    (
        "a:x::::/h::userdb_quota_rule=*:bytes=7 nologin\r\n",
        Row("a", "x", home="/h", extra=("userdb_quota_rule=*:bytes=7", "nologin")),
    ),
    ("# a remark: with colons", None),
    ("", None),
    (" \t", None),
    (":nobody:x", None),
]


@pytest.mark.parametrize(("line", "expected"), ROWS)
def test_a_line_is_an_account_or_none(line: str, expected: Row | None) -> None:
    assert row(line) == expected
    assert expected is None or row(expected.line) == expected


@pytest.mark.parametrize(
    ("extra", "locked", "quota"),
    [
        ((), False, None),
        (("nologin",), True, None),
        (("nologin=y", "userdb_quota_rule=*:storage=5G"), True, 5 << 30),
        (("userdb_quota_rule=*:storage=100"), False, None),
        (("userdb_quota_rule=*:bytes=9", "nologins"), False, 9),
        (("userdb_quota_rule=Trash:bytes=9",), False, None),
        (("userdb_quota_rule=*:bytes=nine",), False, None),
    ],
)
def test_extra_fields_tell_lock_and_quota(
    extra: tuple[str, ...], locked: bool, quota: int | None
) -> None:
    found = Row("a", extra=tuple(extra))
    assert (found.is_locked, found.quota) == (locked, quota)
    shut = Row("a", extra=found.locked)
    assert shut.is_locked
    assert shut.locked == shut.extra
    assert Row("a", extra=shut.unlocked).extra == found.unlocked
    assert not Row("a", extra=shut.unlocked).is_locked


LINES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30),
        st.just("other@b.test:{PLAIN}x::::/h::"),
        st.just("ann@b.test:{PLAIN}x::::/h::keep=me"),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(LINES, st.booleans(), st.booleans())
def test_only_the_row_that_was_meant_is_written(told: list[str], ended: bool, gone: bool) -> None:
    lines = [f"{each}\n" for each in told]
    if lines and not ended:
        lines[-1] = lines[-1].removesuffix("\n")
    layout = Layout(Path("users"), frozenset({"b.test"}), True, "/h/%u")
    after = None if gone else Row("ann@b.test", "new")
    changed = layout.changed(lines, "Ann@B.test", after)
    others = [each.rstrip("\n") for each in lines if not each.startswith("ann@b.test:")]
    kept = [each.rstrip("\n") for each in changed if not each.startswith("ann@b.test:")]
    assert kept == others
    ours = [each for each in changed if each.startswith("ann@b.test:")]
    assert ours == ([] if after is None else [after.line])


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ("~/sieve", "/h/a~b/sieve"),
        ("~", "/h/a~b"),
        ("~/%n", "/h/a~b/a~b"),
        ("/sieve/%d/%n", "/sieve/b.test/a~b"),
    ],
)
def test_only_a_tilde_at_the_beginning_is_the_home(pattern: str, place: str) -> None:
    layout = Layout(
        Path("users"), frozenset({"b.test"}), True, "/h/%n", sieve=pattern, active=pattern
    )
    assert str(layout.scripts(Row("a~b@b.test", uid="1", gid="1")).directory) == place


async def test_all_who_write_at_once_are_heard(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("first\n")

    def adding(number: int) -> "list[str]":
        return [f"{number}\n"]

    await asyncio.gather(
        *(rewrite(users, lambda lines, n=number: [*lines, *adding(n)]) for number in range(20))  # type: ignore[misc]
    )
    assert sorted(read(users)) == sorted(["first\n", *(f"{number}\n" for number in range(20))])


async def test_what_another_program_writes_meanwhile_is_kept(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("first\n")
    seen: list[list[str]] = []

    def change(lines: Sequence[str]) -> Sequence[str]:
        seen.append(list(lines))
        if len(seen) == 1:
            with users.open("a") as file:
                file.write("an editor was faster\n")
        return [*lines, "ours\n"]

    await rewrite(users, change)
    assert read(users) == ["first\n", "an editor was faster\n", "ours\n"]
    assert len(seen) == 2
    assert _names(tmp_path) == [".users.lock", "users"]


async def test_who_never_stops_writing_is_left_alone(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("")

    def change(lines: Sequence[str]) -> Sequence[str]:
        users.write_text("".join(lines) + "again\n")
        return [*lines, "ours\n"]

    with pytest.raises(RetryLater):
        await rewrite(users, change)
    assert "ours\n" not in read(users)


async def test_owner_mode_and_link_stay_and_the_time_moves_on(tmp_path: Path) -> None:
    real, users = tmp_path / "real", tmp_path / "users"
    real.write_text("a\n")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 1234, 4321)
    users.symlink_to(real)
    before = real.stat()
    for text in ("b\n", "c\n", "d\n"):
        last = int(real.stat().st_mtime)
        await rewrite(users, lambda _, text=text: [text])  # type: ignore[misc]
        assert int(real.stat().st_mtime) > last
    after = real.stat()
    assert users.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


async def test_a_change_that_changes_nothing_leaves_the_file_alone(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_bytes(b"caf\xe9 \xff\n")
    before = users.stat()
    await rewrite(users, list)
    assert (users.stat().st_ino, users.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    await rewrite(users, lambda lines: [*lines, "x\n"])
    assert users.read_bytes() == b"caf\xe9 \xff\nx\n"


WRITING = """
import asyncio, pathlib, sys
from mailhaul.providers.rewriting import rewrite

def turned(lines):
    return [*lines[1:], lines[0]]

async def main():
    print("begun", flush=True)
    while True:
        await rewrite(pathlib.Path(sys.argv[1]), turned)

asyncio.run(main())
"""


@pytest.mark.parametrize("milliseconds", [3, 11, 26])
async def test_who_is_killed_leaves_a_whole_file(milliseconds: int, tmp_path: Path) -> None:
    users = tmp_path / "users"
    rows = [f"user{number}@b.test:{{PLAIN}}x::::/h/{number}::\n" for number in range(500)]
    users.write_text("".join(rows))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITING, str(users), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    await asyncio.sleep(milliseconds / 1000)
    process.kill()
    await process.wait()
    assert sorted(read(users)) == sorted(rows)
    await rewrite(users, lambda lines: [*lines, "more\n"])
    assert sorted(read(users)) == sorted([*rows, "more\n"])
    assert _names(tmp_path) == [".users.lock", "users"]


async def test_a_file_that_is_not_there_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(Closed, match="needs to write it") as raised:
        await rewrite(tmp_path / "users", lambda lines: lines)
    assert raised.value.reason is ClosedReason.FORBIDDEN


def _names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())
