"""Where the vault of this person or service lies, unless they say otherwise, and what opens it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mailhaul.vault.outer_keys import KEY_VARIABLE, PASSPHRASE_VARIABLE, OuterKey, key_from
from mailhaul.vault.sealed import Vault

VAULT_VARIABLE = "MAILHAUL_VAULT"
KEY_FILE_VARIABLE = "MAILHAUL_VAULT_KEY_FILE"


def vault_path(environ: Mapping[str, str]) -> Path:
    """$MAILHAUL_VAULT, else `mailhaul/vault.json` below $XDG_STATE_HOME (~/.local/state)."""
    if given := environ.get(VAULT_VARIABLE, ""):
        return Path(given).expanduser()
    return _below(environ, "XDG_STATE_HOME", "~/.local/state") / "vault.json"


def key_file_path(environ: Mapping[str, str]) -> Path | None:
    """$MAILHAUL_VAULT_KEY_FILE; else, where no variable holds the key or a passphrase,
    `mailhaul/vault.key` below $XDG_CONFIG_HOME (~/.config), if it is there: apart from the vault,
    so that a copy of one directory is worth nothing."""
    if given := environ.get(KEY_FILE_VARIABLE, ""):
        return Path(given).expanduser()
    if environ.get(KEY_VARIABLE) or environ.get(PASSPHRASE_VARIABLE):
        return None
    usual = usual_key_file(environ)
    return usual if usual.exists() else None


def usual_key_file(environ: Mapping[str, str]) -> Path:
    """Where a key file is made when nothing else was said."""
    return _below(environ, "XDG_CONFIG_HOME", "~/.config") / "vault.key"


def usual_vault(environ: Mapping[str, str], ask: Callable[[], str] | None = None) -> Vault | None:
    """The vault, not yet opened; None when there is none. `ask` is who may be asked for its
    passphrase, if it comes to that."""
    path = vault_path(environ)
    if not path.exists():
        return None

    def outer() -> OuterKey:
        return key_from(environ, key_file_path(environ), ask)

    return Vault(path, outer)


def _below(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    # The XDG base directory specification has relative paths ignored.
    given = environ.get(variable, "")
    root = Path(given) if given.startswith("/") else Path(usual).expanduser()
    return root / "mailhaul"
