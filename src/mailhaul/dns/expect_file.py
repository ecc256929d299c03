"""Expectations of your own, as a TOML file (`--expect FILE`, docs/dns.md).

Written like the built-in profiles. It may start from one (`profile = "exchange-online"`, with a
table `[values]`); what it then says itself takes that profile's place, its records those with the
same name and kind. A table `[domain."example.org"]` says the same things for one domain only.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.expected import Expected
from mailhaul.dns.names import domain_name
from mailhaul.dns.profiles import profile_table
from mailhaul.dns.templates import Table, expected_of

MOST_OCTETS = 1 << 20
_AROUND = frozenset({"profile", "values", "domain"})


def read_expect_file(path: Path, domain: str) -> Expected:
    """What the file expects of the domain. Raises `BadInput` for a file that can't be read or has a
    mistake, which is named by its key."""
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except OSError as error:
        raise BadInput(
            f"{printable(str(path), 300)} can't be read: {error.strerror or type(error).__name__}"
        ) from error
    if len(octets) > MOST_OCTETS:
        raise BadInput(f"{printable(str(path), 300)} is larger than 1 MB: is it the right file?")
    try:
        table = tomllib.loads(octets.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{printable(str(path), 300)} is no TOML: {printable(str(error), 200)}"
        ) from error
    return expected_by(table, domain, where=printable(path.name, 200))


def expected_by(table: Table, domain: str, *, where: str) -> Expected:
    """What the table, as read from such a file, expects of the domain. Raises `BadInput`."""
    name = domain_name(domain)
    values, content = _parts(table, where)
    for written, own in _table(table, "domain", where).items():
        if not isinstance(own, Mapping):
            raise BadInput(f'{where}: domain: write [domain."{printable(written, 100)}"]')
        if domain_name(written) == name:
            own_values, own_content = _parts(cast("Table", own), where)
            values, content = {**values, **own_values}, _over(content, own_content)
            if "profile" in own:
                table = {**table, "profile": own["profile"]}
    source = ""
    if "profile" in table:
        base = profile_table(str(table["profile"]))
        source = f"{base['name']}, {where}"
        content = _over({key: each for key, each in base.items() if key != "name"}, content)
    return expected_of(content, name, values, where=where, source=source)


def _parts(table: Table, where: str) -> tuple[dict[str, str], dict[str, object]]:
    """The values to fill in, and what is expected."""
    values = {key: str(each) for key, each in _table(table, "values", where).items()}
    return values, {key: each for key, each in table.items() if key not in _AROUND}


def _table(table: Table, key: str, where: str) -> Table:
    found = table.get(key, {})
    if not isinstance(found, Mapping):
        raise BadInput(f"{where}: {key}: a table is wanted")
    return found


def _over(base: Table, own: Table) -> dict[str, object]:
    """`base` with what `own` says instead; records by name and kind."""
    taken = {(str(row.get("name")), str(row.get("kind")).upper()) for row in _rows(own)}
    kept = [row for row in _rows(base) if (str(row.get("name")), str(row.get("kind"))) not in taken]
    # What is no table goes along, so that it is named as a mistake where the rest is read.
    odd = own.get("record", ())
    if isinstance(odd, str) or not isinstance(odd, Sequence):
        return {**base, **own}
    return {**base, **own, "record": [*kept, *odd]}


def _rows(table: Table) -> list[Table]:
    rows = table.get("record", ())
    if isinstance(rows, str) or not isinstance(rows, Sequence):
        return []
    return [row for row in rows if isinstance(row, Mapping)]
