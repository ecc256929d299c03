"""`mailhaul vault …` as a person uses it: no key shown, no secret shown, nothing kept in clear."""

import stat
from pathlib import Path

import pytest

from mailhaul.vault.outer_keys import key_in_file
from mailhaul.vault.sealed import Vault
from tests.cli.running import Ran, mailhaul

CANARY = "CANARY-kanarienvogel"


def vault(home: Path, *words: str, stdin: str = "", **environ: str) -> Ran:
    return mailhaul(
        "vault",
        *words,
        home=home,
        environ={"XDG_CONFIG_HOME": str(home / "config"), **environ},
        stdin=stdin,
    )


def opened(home: Path) -> Vault:
    key = home / "config" / "mailhaul" / "vault.key"
    return Vault(home / "state" / "mailhaul" / "vault.json", lambda: key_in_file(key))


def told(home: Path, name: str) -> str | None:
    secret = opened(home).get(name)
    return None if secret is None else secret.reveal()


def files(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def test_the_first_secret_makes_a_vault_and_a_key_and_says_where(tmp_path: Path) -> None:
    done = vault(tmp_path, "set", "anna@old.example", stdin=f"{CANARY}\n")
    assert done.code == 0, done.err
    assert f"{tmp_path}/config/mailhaul/vault.key" in done.err
    assert f"{tmp_path}/state/mailhaul/vault.json" in done.err
    assert "vault:anna@old.example" in done.err
    assert told(tmp_path, "anna@old.example") == CANARY
    key = tmp_path / "config" / "mailhaul" / "vault.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o400
    for name, content in files(tmp_path).items():
        assert CANARY.encode() not in content, name
    assert CANARY not in done.out + done.err


def test_names_are_listed_replaced_and_removed(tmp_path: Path) -> None:
    for name, secret in (("bob", "one"), ("anna", "two"), ("bob", "three")):
        assert vault(tmp_path, "set", name, stdin=f"{secret}\r\n").code == 0
    listed = vault(tmp_path, "list")
    assert (listed.code, listed.out) == (0, "anna\nbob\n")
    assert vault(tmp_path, "list", "--json").lines == [
        {"event": "secret", "name": "anna"},
        {"event": "secret", "name": "bob"},
    ]
    assert told(tmp_path, "bob") == "three"
    assert vault(tmp_path, "remove", "bob").code == 0
    again = vault(tmp_path, "remove", "anan")
    assert (again.code, "did you mean anna" in again.err) == (2, True)
    assert vault(tmp_path, "list").out == "anna\n"


def test_another_key_opens_it_from_then_on(tmp_path: Path) -> None:
    vault(tmp_path, "set", "anna", stdin=f"{CANARY}\n")
    new = tmp_path / "new.key"
    done = vault(tmp_path, "rekey", "--new-key-file", str(new))
    assert done.code == 0, done.err
    refused = vault(tmp_path, "set", "bob", stdin="x\n")
    assert refused.code == 2
    assert "doesn't open with this key" in refused.err
    assert vault(tmp_path, "set", "bob", "--key-file", str(new), stdin="x\n").code == 0
    assert vault(tmp_path, "set", "eve", stdin="x\n", MAILHAUL_VAULT_KEY_FILE=str(new)).code == 0
    done = vault(
        tmp_path, "rekey", "--key-file", str(new), "--new-passphrase", stdin="correct horse\n"
    )
    assert done.code == 0, done.err
    (tmp_path / "config" / "mailhaul" / "vault.key").unlink()
    by_phrase = vault(
        tmp_path, "set", "dora", stdin="x\n", MAILHAUL_VAULT_PASSPHRASE="correct horse"
    )
    assert by_phrase.code == 0, by_phrase.err
    assert vault(tmp_path, "list").out == "anna\nbob\ndora\neve\n"


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["set", "anna"], "", "no secret was given"),
        (["set", "anna"], "\n", "no secret was given"),
        (["set", " padded"], "x\n", "can't name a secret"),
        (["list"], "", "there is no vault"),
        (["remove", "anna"], "", "there is no vault"),
        (["rekey"], "", "either --new-key-file FILE or --new-passphrase"),
        (["set", "anna", "--password", CANARY], "", "is no option"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    tmp_path: Path, words: list[str], stdin: str, said: str
) -> None:
    done = vault(tmp_path, *words, stdin=stdin)
    assert done.code == 2
    assert said in done.err
    assert CANARY not in done.err


def test_a_vault_elsewhere_is_used_when_it_is_named(tmp_path: Path) -> None:
    done = vault(tmp_path, "set", "anna", "--vault", "mine", "--key-file", "key", stdin="x\n")
    assert done.code == 0, done.err
    assert (tmp_path / "mine").exists() and (tmp_path / "key").exists()
    assert vault(tmp_path, "list", MAILHAUL_VAULT=str(tmp_path / "mine")).out == "anna\n"
