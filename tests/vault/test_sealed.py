"""The vault keeps what it is given, tells nobody, and finds out what was done to its file."""

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.vault.outer_keys import (
    Cost,
    OuterKey,
    key_from,
    key_from_text,
    key_in_file,
    make_key_file,
)
from mailhaul.vault.sealed import Vault, make_vault

CANARY = "CANARY-kanarienvogel-7391"
CHEAP = Cost(memory=8, time=1, lanes=1)
Shape = dict[str, Any]


def key(number: int = 1) -> OuterKey:
    return key_from_text(base64.b64encode(bytes([number]) * 32).decode(), "the test's key")


def passphrase(text: str = "correct horse") -> OuterKey:
    return OuterKey(passphrase=Secret(text))


def vault_in(directory: Path, outer: OuterKey | None = None) -> Vault:
    vault = make_vault(directory / "vault.json", outer or key(), CHEAP)
    vault.set("anna@old.example", Secret(CANARY))
    vault.set("bob@old.example", Secret("bob's"))
    return vault


def reopened(vault: Vault, outer: OuterKey | None = None) -> Vault:
    return Vault(vault.path, lambda: outer or key())


def told(vault: Vault, name: str) -> str | None:
    secret = vault.get(name)
    return None if secret is None else secret.reveal()


@pytest.mark.parametrize("outer", [key(), passphrase()], ids=["key", "passphrase"])
def test_what_is_set_is_there_again(tmp_path: Path, outer: OuterKey) -> None:
    vault = reopened(vault_in(tmp_path, outer), outer)
    assert vault.names() == ["anna@old.example", "bob@old.example"]
    assert told(vault, "anna@old.example") == CANARY
    assert told(vault, "nobody") is None


def test_another_value_replaces_the_first_and_a_removed_one_is_gone(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    vault.set("anna@old.example", Secret("newer, ünïcödé"))
    assert told(vault, "anna@old.example") == "newer, ünïcödé"
    assert vault.remove("anna@old.example")
    assert not vault.remove("anna@old.example")
    assert told(reopened(vault), "anna@old.example") is None


def test_what_another_process_sets_is_seen(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    other = reopened(vault)
    assert told(other, "bob@old.example") == "bob's"
    vault.set("bob@old.example", Secret("changed"))
    assert told(other, "bob@old.example") == "changed"


def test_the_file_is_its_owners_alone_and_holds_no_secret(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    raw = vault.path.read_bytes()
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    for form in (
        CANARY.encode(),
        base64.b64encode(CANARY.encode()),
        CANARY.encode().hex().encode(),
    ):
        assert form not in raw
    assert [path.name for path in tmp_path.iterdir()] == ["vault.json"]
    assert CANARY not in repr(vault.get("anna@old.example"))


def _shape(vault: Vault) -> Shape:
    shape = json.loads(vault.path.read_text())
    assert isinstance(shape, dict)
    return shape


def _swap(shape: Shape) -> None:
    entries = shape["entries"]
    one, other = entries["anna@old.example"], entries["bob@old.example"]
    entries["anna@old.example"], entries["bob@old.example"] = other, one


def _rename(shape: Shape) -> None:
    shape["entries"]["eve@old.example"] = shape["entries"].pop("anna@old.example")


def _drop(shape: Shape) -> None:
    del shape["entries"]["bob@old.example"]


def _version(shape: Shape) -> None:
    shape["entries"]["anna@old.example"]["version"] = 7


def _flip(shape: Shape) -> None:
    sealed = bytearray(base64.b64decode(shape["entries"]["anna@old.example"]["sealed"]))
    sealed[0] ^= 1
    shape["entries"]["anna@old.example"]["sealed"] = base64.b64encode(sealed).decode()


def _last(shape: Shape) -> None:
    shape["last"] = 0


@pytest.mark.parametrize("change", [_swap, _rename, _drop, _version, _flip, _last])
def test_a_changed_file_is_found(tmp_path: Path, change: Callable[[Shape], None]) -> None:
    vault = vault_in(tmp_path)
    shape = _shape(vault)
    change(shape)
    vault.path.write_text(json.dumps(shape))
    for opened in (vault, reopened(vault)):
        with pytest.raises(BadInput) as caught:
            opened.get("anna@old.example")
        assert "was changed by something else than mailhaul; restore it" in str(caught.value)
        with pytest.raises(BadInput):
            opened.set("eve@old.example", Secret("x"))


def test_entries_are_bound_to_their_name_even_where_the_list_of_them_is_sealed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = vault_in(tmp_path)
    shape = _shape(vault)
    _swap(shape)
    vault.path.write_text(json.dumps(shape))
    monkeypatch.setattr("mailhaul.vault.sealed.hmac.compare_digest", lambda one, other: True)
    for name in ("anna@old.example", "bob@old.example"):
        with pytest.raises(BadInput, match="was changed"):
            reopened(vault).get(name)


def test_an_older_entry_put_back_is_found(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    before = _shape(vault)["entries"]["anna@old.example"]
    vault.set("anna@old.example", Secret("newer"))
    shape = _shape(vault)
    shape["entries"]["anna@old.example"] = before
    vault.path.write_text(json.dumps(shape))
    with pytest.raises(BadInput, match="was changed"):
        vault.get("anna@old.example")


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    whole = vault.path.read_bytes().rstrip()
    for length in range(0, len(whole), 37):
        vault.path.write_bytes(whole[:length])
        with pytest.raises(BadInput, match="is no vault, or it was cut off"):
            vault.get("anna@old.example")


@pytest.mark.parametrize(
    "raw",
    [b"[]", b"{}", b"null", b'"text"', b"\xff\xfe", b'{"format": "mailhaul vault 2"}', b"[" * 9999],
)
def test_what_is_no_vault_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "vault.json").write_bytes(raw)
    with pytest.raises(BadInput, match="is no vault"):
        Vault(tmp_path / "vault.json", key).get("x")


@pytest.mark.parametrize(
    ("made", "given", "said"),
    [
        (key(1), key(2), "doesn't open with this key"),
        (passphrase(), passphrase("not-this"), "doesn't open with this passphrase"),
        (key(), passphrase(), "takes a key"),
        (passphrase(), key(), "takes a passphrase"),
    ],
)
def test_the_wrong_key_is_one_sentence(
    tmp_path: Path, made: OuterKey, given: OuterKey, said: str
) -> None:
    vault = vault_in(tmp_path, made)
    with pytest.raises(BadInput) as caught:
        reopened(vault, given).get("anna@old.example")
    assert said in str(caught.value)
    assert "not-this" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("outer", [key(9), passphrase("another")])
def test_after_the_lock_was_changed_only_the_new_key_opens(tmp_path: Path, outer: OuterKey) -> None:
    vault = vault_in(tmp_path)
    entries = _shape(vault)["entries"]
    running = reopened(vault)
    assert told(running, "anna@old.example") == CANARY
    vault.lock_with(outer, CHEAP)
    assert _shape(vault)["entries"] == entries
    assert told(reopened(vault, outer), "anna@old.example") == CANARY
    assert told(running, "anna@old.example") == CANARY  # who holds the data key goes on
    with pytest.raises(BadInput):
        reopened(vault).get("anna@old.example")


def test_a_passphrase_check_without_end_is_refused(tmp_path: Path) -> None:
    vault = vault_in(tmp_path, passphrase())
    shape = _shape(vault)
    shape["lock"]["memory"] = 1 << 40
    vault.path.write_text(json.dumps(shape))
    with pytest.raises(BadInput, match="costlier"):
        reopened(vault, passphrase()).get("anna@old.example")


def test_a_vault_is_never_made_over_another(tmp_path: Path) -> None:
    vault_in(tmp_path)
    with pytest.raises(BadInput, match="already"):
        make_vault(tmp_path / "vault.json", key())


SETTER = """
import base64, sys
from pathlib import Path
from mailhaul.core.text import Secret
from mailhaul.vault.outer_keys import key_from_text
from mailhaul.vault.sealed import Vault
path, who = Path(sys.argv[1]), sys.argv[2]
key = key_from_text(base64.b64encode(bytes([1]) * 32).decode(), "key")
for number in range(20):
    Vault(path, lambda: key).set(f"{who}-{number}", Secret(f"{who}{number}"))
"""


def test_many_who_set_at_once_lose_nothing(tmp_path: Path) -> None:
    vault = vault_in(tmp_path)
    running = [
        subprocess.Popen([sys.executable, "-c", SETTER, str(vault.path), who]) for who in "abcd"
    ]
    assert [process.wait(60) for process in running] == [0] * 4
    expected = {f"{who}-{number}": f"{who}{number}" for who in "abcd" for number in range(20)}
    assert {name: told(vault, name) for name in vault.names() if "@" not in name} == expected
    assert len(vault.names()) == 82


def test_a_disk_that_is_full_leaves_the_vault_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = vault_in(tmp_path)
    before = vault.path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match="No space left"):
        vault.set("eve@old.example", Secret("x"))
    assert vault.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["vault.json"]


@pytest.mark.parametrize("name", ["", " padded", "two\nlines", "x" * 201, "\u202e"])
def test_a_name_that_can_not_be_shown_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="can't name a secret"):
        vault_in(tmp_path).set(name, Secret("x"))


def test_a_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    made = make_key_file(tmp_path / "deep" / "key")
    assert stat.S_IMODE((tmp_path / "deep" / "key").stat().st_mode) == 0o400
    found = key_in_file(tmp_path / "deep" / "key")
    assert made.octets is not None and found.octets is not None
    assert found.octets.reveal() == made.octets.reveal()
    with pytest.raises(BadInput, match="there already"):
        make_key_file(tmp_path / "deep" / "key")


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"A" * 43 + b"=\n", 0o440, "can be read by others"),
        (b"short\n", 0o400, "holds no key"),
        (b"\xff\xfe", 0o400, "holds no key"),
        (b"A" * 44, 0o400, "holds no key"),
    ],
)
def test_a_key_file_that_is_none_is_refused(
    tmp_path: Path, content: bytes, mode: int, said: str
) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(BadInput, match=said) as caught:
        key_in_file(tmp_path / "key")
    assert "short" not in str(caught.value)


def test_the_key_file_goes_before_the_environment_and_that_before_a_person(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key")
    in_file = (tmp_path / "key").read_text().strip()
    in_environment = base64.b64encode(b"e" * 32).decode()
    environ = {"MAILHAUL_VAULT_KEY": in_environment, "MAILHAUL_VAULT_PASSPHRASE": "phrase"}

    def revealed(outer: OuterKey) -> str:
        secret = outer.octets or outer.passphrase
        assert secret is not None
        return secret.reveal()

    assert revealed(key_from(environ, tmp_path / "key", lambda: "asked")) == in_file
    assert revealed(key_from(environ, None, lambda: "asked")) == in_environment
    del environ["MAILHAUL_VAULT_KEY"]
    assert revealed(key_from(environ, None, lambda: "asked")) == "phrase"
    assert revealed(key_from({}, None, lambda: "asked")) == "asked"
    with pytest.raises(BadInput, match="nothing opens the vault"):
        key_from({}, None)
