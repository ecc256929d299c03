"""Where passwords and tokens come from, in which order, and what is said when there is none."""

import asyncio
import sys
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from mailhaul.cli.scrub import Scrubber
from mailhaul.cli.secrets import Ways, credentials_for
from mailhaul.core.endpoint import Credentials, parse_endpoint
from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater

ENDPOINT = "imaps://anna%40old.example@mail.old.example"
VARIABLE = "MAILHAUL_SOURCE_PASSWORD"


class Ring(KeyringBackend):
    """A keyring that knows one password."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        known = ("mailhaul", "imaps://anna%40old.example@mail.old.example")
        return "of the keyring" if (service, username) == known else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def no_keyring() -> None:
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stdin").touch()
    monkeypatch.setattr(sys, "stdin", (tmp_path / "stdin").open())


def ask(
    *,
    url: str = ENDPOINT,
    file: Path | str | None = None,
    command: str | None = None,
    oauth: str | None = None,
    environ: dict[str, str] | None = None,
    scrubber: Scrubber | None = None,
    warnings: list[str] | None = None,
) -> Credentials:
    ways = Ways(
        "source",
        VARIABLE,
        "--source-password-file",
        "--source-token-command",
        "--source-oauth",
        None if file is None else str(file),
        command,
        oauth,
    )
    told = warnings if warnings is not None else []
    return credentials_for(
        parse_endpoint(url),
        ways,
        environ if environ is not None else {},
        scrubber or Scrubber(),
        told.append,
    )


def password(found: Credentials) -> str:
    assert found.password is not None
    return found.password.reveal()


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_file_goes_before_the_environment_and_that_before_the_keyring(tmp_path: Path) -> None:
    keyring.set_keyring(Ring())  # type: ignore[no-untyped-call]
    file = written(tmp_path / "password", b"of the file\n")
    environ = {VARIABLE: "of the environment"}
    assert password(ask(file=file, environ=dict(environ))) == "of the file"
    assert password(ask(environ=dict(environ))) == "of the environment"
    assert password(ask()) == "of the keyring"
    assert password(ask(environ={VARIABLE: ""})) == "of the keyring"


def test_the_variable_is_taken_out_of_the_environment(tmp_path: Path) -> None:
    for file in (None, written(tmp_path / "password", b"x\n")):
        environ = {VARIABLE: "secret", "PATH": "/bin"}
        ask(file=file, environ=environ)
        assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"simple", "simple"),
        (b"line end\n", "line end"),
        (b"windows\r\n", "windows"),
        (b" blanks  stay \n", " blanks  stay "),
        (b"first\nsecond\n", "first"),
        ("ünïcödé €\n".encode(), "ünïcödé €"),
        (b"\xef\xbb\xbfmarked\n", "marked"),
        (rb'quotes"and\backslash', r'quotes"and\backslash'),
    ],
)
def test_the_password_is_the_first_line_of_the_file(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    assert password(ask(file=written(tmp_path / "password", content))) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\nsecond\n", "is empty"),
        (b"latin \xe4\n", "is not UTF-8"),
        (b"nul\0\n", "holds a line end or NUL"),
        (b"x" * 70_000, "too long"),
    ],
)
def test_a_file_without_a_usable_password_is_refused(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        ask(file=written(tmp_path / "password", content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        ask(file=tmp_path / "none")
    assert f"--source-password-file: {tmp_path}/none can't be read" in str(caught.value)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_a_file_that_others_can_read_is_warned_about(
    tmp_path: Path, mode: int, warned: int
) -> None:
    warnings: list[str] = []
    ask(file=written(tmp_path / "pass word", b"x\n", mode), warnings=warnings)
    assert len(warnings) == warned
    assert all(f"chmod 600 '{tmp_path}/pass word'" in text for text in warnings)


def test_nothing_at_all_is_answered_with_every_way() -> None:
    with pytest.raises(BadInput) as caught:
        ask()
    for word in ("--source-password-file", VARIABLE, "keyring set mailhaul", "anna%40old.example"):
        assert word in str(caught.value)


def test_the_admins_password_is_asked_for_when_an_admin_logs_in() -> None:
    with pytest.raises(BadInput) as caught:
        ask(url=f"{ENDPOINT}?admin=root&login=dovecot")
    assert "keyring set mailhaul imaps://root@mail.old.example" in str(caught.value)


def test_a_path_needs_no_password(tmp_path: Path) -> None:
    assert ask(url="maildir:/mail") == Credentials()
    with pytest.raises(BadInput, match="leave --source-password-file out"):
        ask(url="maildir:/mail", file=tmp_path / "password")


@pytest.mark.parametrize(
    ("file", "command", "oauth"),
    [("password", "true", None), (None, "true", "anna"), ("password", None, "anna")],
)
def test_two_places_for_a_secret_exclude_each_other(
    file: str | None, command: str | None, oauth: str | None
) -> None:
    with pytest.raises(BadInput, match="exclude each other"):
        ask(file=file, command=command, oauth=oauth)


def test_a_login_that_nobody_made_is_named(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), VARIABLE: "x"}
    with pytest.raises(Closed, match="mailhaul oauth login anna"):
        ask(oauth="anna", environ=environ)
    assert VARIABLE not in environ


def test_what_is_found_never_shows(tmp_path: Path) -> None:
    scrubber = Scrubber()
    found = ask(file=written(tmp_path / "password", b"hunter2\n"), scrubber=scrubber)
    assert "hunter2" not in repr(found)
    assert scrubber.clean("it is hunter2!") == "it is ***!"


async def token(command: str, scrubber: Scrubber | None = None) -> str:
    found = ask(command=command, scrubber=scrubber)
    assert found.token is not None
    return (await found.token()).reveal()


async def test_a_token_command_is_run_at_every_login(tmp_path: Path) -> None:
    script = written(
        tmp_path / "token", f"#!/bin/sh\necho x >> {tmp_path}/runs; echo ya29.t\n".encode(), 0o700
    )
    scrubber = Scrubber()
    found = ask(command=str(script), scrubber=scrubber)
    assert found.token is not None
    assert not (tmp_path / "runs").exists()
    for _ in range(2):
        assert (await found.token()).reveal() == "ya29.t"
    assert (tmp_path / "runs").read_text() == "x\nx\n"
    assert scrubber.clean("Bearer ya29.t") == "Bearer ***"


async def test_arguments_are_split_as_a_shell_does() -> None:
    assert await token("printf '%s' 'a b'|cat".replace("'a b'|cat", "a.b")) == "a.b"
    assert await token("sh -c 'echo one; true two'") == "one"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("false", "ended with 1"),
        (
            "sh -c 'echo first >&2; echo no consent >&2; exit 3'",
            "ended with 3, saying “no consent”",
        ),
        ("true", "printed no token"),
        ("echo two words", "printed no token"),
        ("printf 'a\\nb'", "printed no token"),
        ("printf '\\303\\244'", "printed no token"),
    ],
)
async def test_a_command_that_gives_no_token_ends_the_login(command: str, said: str) -> None:
    with pytest.raises(Closed) as caught:
        await token(command)
    assert said in str(caught.value)
    assert caught.value.reason is ClosedReason.CREDENTIALS


async def test_a_command_that_has_worked_is_tried_again_later(tmp_path: Path) -> None:
    script = written(
        tmp_path / "token",
        f"#!/bin/sh\n[ -e {tmp_path}/ran ] && exit 1; touch {tmp_path}/ran; echo t\n".encode(),
        0o700,
    )
    found = ask(command=str(script))
    assert found.token is not None
    await found.token()
    with pytest.raises(RetryLater) as caught:
        await found.token()
    assert caught.value.after > 0


async def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailhaul.cli.secrets.TOKEN_DEADLINE", 0.05)
    async with asyncio.timeout(5):
        with pytest.raises(Closed, match="has not ended"):
            await token("sleep 60")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "is empty"),
        ("no-such-program-anywhere --token", "there is no program no-such-program-anywhere"),
        ("echo 'unclosed", "a quote is not closed"),
    ],
)
def test_a_command_that_can_not_be_run_is_known_before_any_connection(
    command: str, said: str
) -> None:
    with pytest.raises(BadInput) as caught:
        ask(command=command)
    assert said in str(caught.value)
