"""`mailhaul oauth remove`: takes a login back at its issuer, and forgets it."""

from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Operand
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import KEY_FILE, VAULT
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.vault.oauth import Grant

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.


def remove(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Forgets the login. Raises `BadInput` when there is none of that name."""
    from mailhaul.cli.oauth import run_briefly
    from mailhaul.cli.parsing import closest
    from mailhaul.cli.vault import vault_given
    from mailhaul.vault.oauth import PREFIX, grant_names, kept_grant

    name = arguments.text("NAME") or ""
    vault = vault_given(arguments, surroundings)
    names = grant_names(vault)
    if name not in names:
        raise BadInput(f"there is no login named {printable(name, 120)}" + closest(name, names))
    try:
        grant = kept_grant(vault, name)
    except BadInput:
        grant = None  # what can't be read can't be taken back; with the wrong key nothing goes
    if grant is not None:
        run_briefly(_take_back(surroundings, grant))
    vault.remove(f"{PREFIX}{name}")
    surroundings.console.tell("removed; copies of the vault's file still hold it")
    return Exit.COMPLETE


async def _take_back(surroundings: Surroundings, grant: "Grant") -> None:
    """Tells the issuer that its tokens are to be good no more (RFC 7009), where it can be told."""
    from mailhaul.vault.oauth_http import USUAL_WIRE
    from mailhaul.vault.oauth_issuers import shown_issuer
    from mailhaul.vault.oauth_renewal import take_back

    shown = shown_issuer(grant.issuer)
    try:
        done = await take_back(
            USUAL_WIRE, grant, surroundings.now().timestamp(), learn=surroundings.scrubber.learn
        )
    except MailhaulError as error:
        surroundings.console.warn(f"not taken back at {shown}: {error}")
        return
    if done:
        surroundings.console.tell(f"taken back at {shown}")
    else:
        surroundings.console.tell(
            f"{shown} isn't told: take what was granted back there, if it must not be used any more"
        )


COMMAND = Command(
    name="oauth remove",
    summary="take a login by OAuth 2 back at its issuer, and forget it",
    story=(
        "Has the issuer end what was granted, where it can be told to (Google and many others; "
        "not Microsoft), and removes the login NAME from the vault. A plan that refers to it waits."
    ),
    operands=(Operand("NAME", "as mailhaul oauth list shows it"),),
    groups=(Group("the vault", (VAULT, KEY_FILE)), Group("output", (DEBUG,))),
    run=remove,
    examples=("mailhaul oauth remove anna",),
    exits=(Exit.COMPLETE, Exit.USAGE),
)
