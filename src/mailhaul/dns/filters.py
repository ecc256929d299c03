"""Third-party filters, recognised by the names that MX leads to (filters.toml, and files)."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.names import domain_name, inside

Suffixes = Mapping[str, tuple[str, ...]]
"""Filter's name → what its hosts' names end with."""


@cache
def known_filters() -> Suffixes:
    """The table that comes with mailhaul."""
    text = files("mailhaul.dns").joinpath("filters.toml").read_text(encoding="utf-8")
    return _suffixes(tomllib.loads(text), "filters.toml")


def read_filters(path: Path) -> Suffixes:
    """The known filters and those of a file of the same form, whose own say counts where both name
    one. Raises `BadInput` for a file that can't be read."""
    where = printable(str(path), 300)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{where} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where} is no TOML: {printable(str(error), 200)}") from error
    return {**known_filters(), **_suffixes(table, where)}


def filter_of(hosts: Iterable[str], table: Suffixes | None = None) -> str | None:
    """The filter to which any of these hosts belongs; None: none that is known."""
    filters = known_filters() if table is None else table
    for host in hosts:
        for name, suffixes in filters.items():
            if any(inside(host, suffix) for suffix in suffixes):
                return name
    return None


def _suffixes(table: Mapping[str, object], where: str) -> Suffixes:
    filters = table.get("filters")
    if not isinstance(filters, Mapping):
        raise BadInput(f"{where}: a table [filters] is missing")
    found: dict[str, tuple[str, ...]] = {}
    for name, suffixes in filters.items():
        if not isinstance(suffixes, list) or not all(isinstance(each, str) for each in suffixes):
            raise BadInput(f"{where}: {printable(str(name), 60)}: a list of names is wanted")
        found[str(name)] = tuple(map(domain_name, suffixes))
    return found
