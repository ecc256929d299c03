"""The options that the commands `mailhaul vault …` share."""

from mailhaul.cli.options import Option

VAULT = Option("--vault", "the vault's file, if not the usual one (docs/vault.md)", "FILE")
KEY_FILE = Option("--key-file", "the file with the key that opens it", "FILE")
