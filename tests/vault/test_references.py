"""References lead to secrets at the moment of a login, and show none in any error."""

import base64
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput, Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.text import Secret
from mailhaul.plan.references import reference_fault
from mailhaul.vault.outer_keys import key_from_text, make_key_file
from mailhaul.vault.references import Kind, Reference, fingerprint, parse_reference, resolve
from mailhaul.vault.sealed import Vault, make_vault
from mailhaul.vault.usual import key_file_path, usual_vault, vault_path

SECRET = "hunter2-canary"
KEY = key_from_text(base64.b64encode(b"k" * 32).decode(), "key")


class Ring(KeyringBackend):
    """A keyring that knows one password."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        return SECRET if (service, username) == ("mail", "anna/with@slash") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def no_keyring() -> None:
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]


def vault_in(directory: Path) -> Vault:
    vault = make_vault(directory / "vault.json", KEY)
    vault.set("anna@old.example", Secret(SECRET))
    return vault


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("file:secrets/anna", Kind.FILE, "secrets/anna"),
        (" env:ANNA ", Kind.ENV, "ANNA"),
        ("keyring:mail/anna/with@slash", Kind.KEYRING, "mail/anna/with@slash"),
        ("vault:anna@old.example", Kind.VAULT, "anna@old.example"),
        ("oauth:fleet/anna@old.example", Kind.OAUTH, "fleet/anna@old.example"),
        ("command:pass show 'mail anna'", Kind.COMMAND, "pass show 'mail anna'"),
    ],
)
def test_a_reference_is_read_as_it_is_written(text: str, kind: Kind, place: str) -> None:
    reference = parse_reference(text)
    assert reference == Reference(kind, place)
    assert str(reference) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", SECRET, f"{SECRET}:", f"password:{SECRET}", f"FILE:{SECRET}", "file:", "env: ", "vault:"],
)
def test_what_is_no_reference_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_reference(text)
    assert SECRET not in str(caught.value)
    assert "write file:PATH" in str(caught.value)


@pytest.mark.parametrize("text", ["keyring:mail", "keyring:/anna", "keyring:mail/"])
def test_a_keyring_wants_a_service_and_a_user(text: str) -> None:
    with pytest.raises(BadInput, match="SERVICE/USER"):
        parse_reference(text)


@pytest.mark.parametrize("text", ["oauth:/anna", "oauth:fleet/", "oauth:/"])
def test_a_login_has_a_name_and_acts_for_somebody_or_says_nothing_of_it(text: str) -> None:
    with pytest.raises(BadInput, match="oauth:NAME/PERSON"):
        parse_reference(text)


async def test_a_grant_is_never_sent_as_a_password(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    vault.set("oauth:fleet", Secret(SECRET))
    with pytest.raises(Closed, match="write oauth:fleet"):
        await resolve("vault:oauth:fleet", tmp_path, {}, vault)


@pytest.mark.parametrize("text", ["oauth:fleet", "oauth:odd"])
async def test_a_login_that_can_not_be_used_is_named_before_anything_is_connected(
    tmp_path: Path, text: str
) -> None:
    vault = vault_in(tmp_path)
    vault.set("oauth:odd", Secret(SECRET))
    for found in (vault, None):
        with pytest.raises(Closed, match=f"oauth login {text.removeprefix('oauth:')}") as caught:
            await resolve(text, tmp_path, {}, found)
        assert caught.value.reason is ClosedReason.CREDENTIALS
        assert SECRET not in str(caught.value)


def test_an_open_quote_in_a_command_is_found_when_the_plan_is_read() -> None:
    with pytest.raises(BadInput, match="quote is not closed"):
        parse_reference("command:echo 'open")


@pytest.mark.parametrize(
    "text",
    ["file:anna", "env:ANNA", "keyring:mail/anna/with@slash", "vault:anna@old.example"],
)
async def test_every_place_is_looked_into(tmp_path: Path, text: str) -> None:
    keyring.set_keyring(Ring())  # type: ignore[no-untyped-call]
    (tmp_path / "anna").write_text(f"{SECRET}\n")
    learnt: list[str] = []
    found = await resolve(
        text,
        tmp_path,
        {"ANNA": SECRET},
        vault_in(tmp_path / "vault"),
        learn=lambda secret: learnt.append(secret.reveal()),
    )
    assert found.password is not None
    assert found.password.reveal() == SECRET
    assert learnt == [SECRET]
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file:none", "can't be read"),
        (SECRET, "no reference to a secret"),
        ("command:echo 'open", "a quote is not closed"),
        ("file:empty", "is empty"),
        ("file:nul", "holds a line end or NUL"),
        ("env:NONE", "is not set"),
        ("keyring:mail/bob", "the keyring holds nothing there"),
        ("vault:bob", "the vault holds nothing of that name"),
    ],
)
async def test_nothing_there_waits_for_a_person(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "nul").write_text(f"{SECRET}\0x\n")
    with pytest.raises(Closed) as caught:
        await resolve(text, tmp_path, {}, vault_in(tmp_path / "vault"))
    assert caught.value.reason is ClosedReason.CREDENTIALS
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_without_a_vault_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(Closed, match="mailhaul vault set"):
        await resolve("vault:anna", tmp_path, {}, None)


async def test_a_file_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / "anna").write_text(SECRET)
    (tmp_path / "anna").chmod(0o644)
    warnings: list[str] = []
    await resolve("file:anna", tmp_path, {}, None, warn=warnings.append)
    assert ["chmod 600" in text for text in warnings] == [True]


async def test_a_command_is_run_at_every_login_in_the_plans_directory(tmp_path: Path) -> None:
    script = tmp_path / "token"
    script.write_text("#!/bin/sh\necho x >> runs; echo ya29.t; env > environment\n")
    script.chmod(0o700)
    environ = {"PATH": "/bin:/usr/bin", "MAILHAUL_VAULT_KEY": SECRET, "KEPT": "1"}
    learnt: list[str] = []
    found = await resolve(
        f"command:{script}",
        tmp_path,
        environ,
        None,
        learn=lambda secret: learnt.append(secret.reveal()),
    )
    assert found.token is not None and found.password is None
    assert not (tmp_path / "runs").exists()
    for _ in range(2):
        assert (await found.token()).reveal() == "ya29.t"
    assert (tmp_path / "runs").read_text() == "x\nx\n"
    assert learnt == ["ya29.t"] * 2
    seen = (tmp_path / "environment").read_text()
    assert "KEPT=1" in seen and SECRET not in seen


@pytest.mark.parametrize(
    ("command", "said"),
    [("no-such-program-here", "there is no program"), ("false", "ended with 1")],
)
async def test_a_command_that_gives_nothing_waits_for_a_person(
    tmp_path: Path, command: str, said: str
) -> None:
    found = await resolve(f"command:{command}", tmp_path, {"PATH": "/bin:/usr/bin"}, None)
    assert found.token is not None
    with pytest.raises(Closed, match=said):
        await found.token()


async def test_a_command_that_has_worked_is_tried_again_later(tmp_path: Path) -> None:
    script = tmp_path / "token"
    script.write_text("#!/bin/sh\n[ -e ran ] && exit 1; touch ran; echo t\n")
    script.chmod(0o700)
    found = await resolve(f"command:{script}", tmp_path, {"PATH": "/bin:/usr/bin"}, None)
    assert found.token is not None
    await found.token()
    with pytest.raises(RetryLater):
        await found.token()


def with_password(text: str) -> Credentials:
    return Credentials(password=Secret(text))


def test_fingerprints_are_equal_for_equal_secrets_alone() -> None:
    salt = b"salt of the installation"
    one = fingerprint(with_password(SECRET), salt)
    assert one == fingerprint(with_password(SECRET), salt)
    assert one is not None and len(one) == 32 and SECRET not in one
    assert one != fingerprint(with_password(SECRET + " "), salt)
    assert one != fingerprint(with_password(SECRET), b"another salt")


def test_tokens_have_no_fingerprint() -> None:
    async def token() -> Secret:
        return Secret("t")

    assert fingerprint(Credentials(token=token), b"salt") is None
    assert fingerprint(Credentials(), b"salt") is None


def test_the_usual_vault_is_where_the_environment_says(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": f"{tmp_path}/state", "XDG_CONFIG_HOME": f"{tmp_path}/config"}
    assert vault_path(environ) == tmp_path / "state" / "mailhaul" / "vault.json"
    assert usual_vault(environ) is None
    assert key_file_path(environ) is None
    key = make_key_file(tmp_path / "config" / "mailhaul" / "vault.key")
    make_vault(vault_path(environ), key).set("anna", Secret(SECRET))
    vault = usual_vault(environ)
    assert vault is not None
    found = vault.get("anna")
    assert found is not None and found.reveal() == SECRET
    other = usual_vault({**environ, "MAILHAUL_VAULT_PASSPHRASE": "x"})
    assert other is not None
    with pytest.raises(MailhaulError, match="takes a key"):
        other.get("anna")


@pytest.mark.parametrize(
    "text",
    [
        *("file:a", "env:ANNA", "keyring:mail/anna", "vault:anna@old.example", "command:pass x"),
        *("keyring:mail", "keyring:/anna", "keyring:mail/", "file:", "vault: ", "secret"),
        *("FILE:a", "password:x", "command:", "oauth:a", "oauth:a/b", "oauth:/b", "oauth:a/"),
    ],
)
def test_a_plan_and_a_login_agree_on_what_is_a_reference(text: str) -> None:
    try:
        parse_reference(text)
        fine = True
    except BadInput:
        fine = False
    assert (reference_fault(text) is None) == fine
