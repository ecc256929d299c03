"""Programs that an operator names: words stay words, and a secret is told to nobody else."""

import os
import time
from pathlib import Path

import pytest

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret
from mailhaul.providers.programs import program, run

FIELDS = {"address": "ann@b.test", "local": "ann"}


@pytest.mark.parametrize(
    ("line", "address", "words"),
    [
        ("/bin/p -u {address}", "a@b.test", ("/bin/p", "-u", "a@b.test")),
        ("/bin/p 'a {address} c'", "x", ("/bin/p", "a x c")),
        ("/bin/p {address}", "a b; rm -rf /", ("/bin/p", "a b; rm -rf /")),
        ("/bin/p {address}", "$(id)`id`'\"", ("/bin/p", "$(id)`id`'\"")),
        ("/bin/p {address}", "{local}@x", ("/bin/p", "{local}@x")),
        ("/bin/p --user={address}", "-d", ("/bin/p", "--user=-d")),
    ],
)
def test_what_is_filled_in_stays_one_word(line: str, address: str, words: tuple[str, ...]) -> None:
    assert program(line, ["address"]).filled({"address": address}) == words


def test_an_address_is_never_an_option() -> None:
    with pytest.raises(BadInput, match="begins with a dash"):
        program("/bin/p {address}", ["address"]).filled({"address": "-d@b.test"})


@pytest.mark.parametrize(
    "line", ["", "saslpasswd2 x", "./p", "/bin/p {adress}", "/bin/p {", "/bin/p 'x"]
)
def test_a_line_that_names_no_program_is_bad_input(line: str) -> None:
    with pytest.raises(BadInput):
        program(line, FIELDS)


async def test_the_secret_goes_to_standard_input_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILHAUL_SECRET", "from the environment")
    script = tmp_path / "script"
    script.write_text(
        '#!/bin/sh\ncat > "$1/input"; env > "$1/environment"; tr "\\0" " " < /proc/$$/cmdline '
        '> "$1/arguments"\n'
    )
    script.chmod(0o755)
    await run(program(f"{script} {tmp_path} {{address}}", FIELDS), FIELDS, Secret("s3cret\npä"))
    assert (tmp_path / "input").read_text() == "s3cret\npä"
    assert "ann@b.test" in (tmp_path / "arguments").read_text()
    for name in ("environment", "arguments"):
        assert "s3cret" not in (tmp_path / name).read_text()
    assert "MAILHAUL" not in (tmp_path / "environment").read_text()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo 'no such user \x1b[2J' >&2; exit 3", r"no such user \\x1b\[2J"),
        ("exit 3", "it ended with 3"),
        ("cat >&2; exit 3", "it ended with 3"),
        ("printf %0195d 0 >&2; cat >&2; exit 3", "it ended with 3"),
        ("kill -9 $$", "it ended with -9"),
    ],
    ids=["its last line", "nothing said", "the secret itself", "a part of it", "killed"],
)
async def test_a_no_is_told_without_the_secret(script: str, said: str) -> None:
    with pytest.raises(Closed, match=said) as raised:
        await run(program(f'/bin/sh -c "{script}"', FIELDS), FIELDS, Secret("s3cret"))
    assert raised.value.reason is ClosedReason.FORBIDDEN
    assert "s3c" not in str(raised.value)


async def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(Closed, match="can't be run"):
        await run(program("/no/such/program", FIELDS), FIELDS)


async def test_who_takes_too_long_is_ended_with_all_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    line = f"/bin/sh -c 'sleep 60 & echo $! > {tmp_path}/child; wait'"
    with pytest.raises(RetryLater, match="did not end"):
        await run(program(line, FIELDS), FIELDS, patience=0.3)
    assert time.monotonic() - begun < 10
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.01)  # noqa: ASYNC251 - the kernel is quick
    assert not _runs(child)


def _runs(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    assert os.getpid() != number
    return state != "Z"
