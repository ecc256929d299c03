"""Built-in profiles: what well-known mail systems want of a zone (profiles.toml)."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.expected import Expected
from mailhaul.dns.names import domain_name
from mailhaul.dns.templates import Table, expected_of, words_of


def profile_names() -> tuple[str, ...]:
    """All profiles by the names that plans and files give them."""
    return tuple(_profiles())


def profile_words(name: str) -> dict[str, bool]:
    """The values that a profile takes, such as `tenant`; True: it may be left out, and what needs
    it is not expected then. Raises `BadInput` for a profile that isn't there."""
    return words_of(profile_table(name))


def profile(name: str, domain: str, values: Mapping[str, str] | None = None) -> Expected:
    """What the profile expects of the domain. Raises `BadInput` for a profile that isn't there, a
    value it needs and doesn't get, or one it doesn't know."""
    table = profile_table(name)
    given = values or {}
    unknown = sorted(set(given) - set(words_of(table)))
    if unknown:
        known = ", ".join(words_of(table)) or "none"
        raise BadInput(
            f"profile {name} takes no value {printable(unknown[0], 60)}; it takes {known}"
        )
    return expected_of(
        {key: value for key, value in table.items() if key != "name"},
        domain_name(domain),
        given,
        where=f"profile {name}",
        source=str(table["name"]),
    )


def profile_table(name: str) -> Table:
    """The profile as it is written. Raises `BadInput` for one that isn't there."""
    profiles = _profiles()
    if name not in profiles:
        raise BadInput(
            f"“{printable(name, 60)}” is no profile; there are {', '.join(profiles)}, and files"
            " with values of your own"
        )
    return profiles[name]


def _profiles() -> Mapping[str, Table]:
    text = files("mailhaul.dns").joinpath("profiles.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
