"""`mailhaul oauth list`: the logins in the vault, and how they stand."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Json, Table
from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import KEY_FILE, VAULT
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.vault.oauth import Grant

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.


def list_logins(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Lists the logins. Raises `BadInput`."""
    from mailhaul.cli.vault import vault_given
    from mailhaul.vault.oauth import grant_names, kept_grant

    vault = vault_given(arguments, surroundings)
    found = [
        (name, grant)
        for name in grant_names(vault)
        if (grant := kept_grant(vault, name)) is not None
    ]
    if arguments.given("--json"):
        for name, grant in found:
            surroundings.console.json(login_line(name, grant))
    elif not found:
        surroundings.console.tell("no logins; mailhaul oauth login makes one")
    else:
        heading = ("name", "how", "at", "account", "last token", "may do")
        rows = tuple(_row(name, grant, surroundings) for name, grant in found)
        surroundings.console.show([Table(heading, rows)])
    return Exit.COMPLETE


def login_line(name: str, grant: "Grant") -> dict[str, Json]:
    """One login as a line of JSON."""
    return {
        "event": "login",
        "name": name,
        "flow": grant.flow.value,
        "issuer": grant.issuer.name,
        "client": grant.client.id,
        "account": grant.account,
        "scope": grant.scope,
        "asked": _time(grant.asked),
        "ends": _time(grant.asked + grant.life) if grant.asked else None,
    }


def _time(posix: float) -> str | None:
    if not posix:
        return None
    return datetime.fromtimestamp(posix, UTC).isoformat(timespec="seconds")


def _row(name: str, grant: "Grant", surroundings: Surroundings) -> tuple[str, ...]:
    from mailhaul.vault.oauth_issuers import shown_issuer

    zone = surroundings.now().tzinfo
    last = f"{datetime.fromtimestamp(grant.asked, zone):%Y-%m-%d %H:%M}" if grant.asked else "never"
    return (
        printable(name, 60),
        grant.flow.value,
        shown_issuer(grant.issuer),
        printable(grant.account, 60),
        last,
        printable(grant.scope, 120),
    )


COMMAND = Command(
    name="oauth list",
    summary="list the logins by OAuth 2 in the vault, and how they stand",
    story=(
        "Lists the logins that the vault keeps: how and where they were made, for whom, when the "
        "last token was had, and what for. Asks no issuer; mailhaul oauth check does."
    ),
    operands=(),
    groups=(
        Group("the vault", (VAULT, KEY_FILE)),
        Group("output", (Option("--json", "as lines of JSON on standard output"), DEBUG)),
    ),
    run=list_logins,
    examples=("mailhaul oauth list",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
