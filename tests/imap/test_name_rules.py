"""What servers allow in folder names: the table, and Dovecot and Cyrus asked."""

import pytest

from mailhaul.core.blob import Spool
from mailhaul.core.folder import NameRules
from mailhaul.core.store import Traffic
from mailhaul.imap import commands
from mailhaul.imap.connect import connect
from mailhaul.imap.name_rules import name_rules
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.process import RunningServer


@pytest.mark.parametrize(
    ("called", "folds_case", "refuses"),
    [
        ("Dovecot", False, "/"),
        ("Cyrus IMAPD 3.6.1", False, "%"),
        ("GImap", True, "^"),
        ("Microsoft.Exchange.Imap4.Imap4Server 15.20", True, None),
        ("The Microsoft Exchange IMAP4 service is ready.", True, None),
    ],
)
def test_a_server_is_known_by_what_it_calls_itself(
    called: str, folds_case: bool, refuses: str | None
) -> None:
    rules = name_rules(called, ".")
    assert rules.delimiter == "."
    assert rules.folds_case is folds_case
    assert refuses is None or refuses in rules.forbidden
    assert all(name == name.casefold() for name in rules.reserved)


def test_an_unknown_server_has_no_rules_but_its_delimiter() -> None:
    assert name_rules("", None) == NameRules(delimiter=None)
    assert name_rules("pymap", "/") == NameRules(delimiter="/")


async def creates(server: RunningServer, names: list[str]) -> list[bool]:
    """Whether the server makes a folder of each name."""
    account = server.account()
    session = await connect(
        server.endpoint(account),
        server.credentials(account),
        writable=True,
        spool=Spool(),
        traffic=Traffic(),
    )
    try:
        asked = [session.send(commands.create(name)) for name in names]
        return [(await pending.done()).kind == b"OK" for pending in asked]
    finally:
        session.abort()


async def test_dovecot_takes_what_its_rules_allow(dovecot: Dovecot) -> None:
    rules = name_rules("Dovecot", "/")
    assert rules.longest_component is not None and rules.deepest is not None
    longest = "x" * rules.longest_component
    deepest = "/".join(["y"] * rules.deepest)
    assert await creates(dovecot, [longest, deepest, "z" * 256]) == [True, True, False]


@pytest.mark.parametrize("prefix", ["", "INBOX/"])
async def test_dovecot_takes_no_top_name_that_begins_with_a_tilde(prefix: str) -> None:
    assert name_rules("Dovecot", "/").begins_not == {"~"}
    with Dovecot(prefix=prefix) as server:
        names = [f"{prefix}{name}" for name in ("~a", "b/~c", "d~")]
        assert await creates(server, names) == [False, True, True]


async def test_cyrus_takes_what_its_rules_allow(cyrus: Cyrus) -> None:
    rules = name_rules("Cyrus IMAPD", "/")
    assert rules.longest_component is not None and rules.longest_path is not None
    longest = "x" * rules.longest_component
    path = "/".join(["y" * 99] * (rules.longest_path // 100))
    forbidden = [f"a{character}b" for character in sorted(rules.forbidden)]
    assert await creates(cyrus, [longest, path, "z" * 1000]) == [True, True, False]
    assert not any(await creates(cyrus, forbidden))
