"""`mailhaul oauth check`: has a fresh token given for each login, and says what is wrong."""

from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Json, Line, Tone
from mailhaul.cli.exits import Exit, exit_for
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import KEY_FILE, VAULT
from mailhaul.core.errors import MailhaulError
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.vault.oauth_tokens import Tokens

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.


def check(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Checks one login, or all. Raises `BadInput`."""
    from mailhaul.cli.oauth import run_briefly, tokens_of
    from mailhaul.cli.vault import vault_given
    from mailhaul.vault.oauth import grant_names

    vault = vault_given(arguments, surroundings)
    name = arguments.text("NAME")
    vault.get(name or "")  # whoever is asked for a passphrase is asked here
    names = grant_names(vault) if name is None else [name]
    tokens = tokens_of(vault, surroundings)
    codes: list[Exit] = []

    async def every() -> None:
        for each in names:
            codes.append(await _check(arguments, surroundings, tokens, each))

    run_briefly(every())
    if not names:
        surroundings.console.tell("no logins; mailhaul oauth login makes one")
    return max(codes, default=Exit.COMPLETE)


async def _check(
    arguments: Arguments, surroundings: Surroundings, tokens: "Tokens", name: str
) -> Exit:
    from mailhaul.vault.oauth_answers import rights_in

    shown, console = printable(name, 120), surroundings.console
    code, seconds, rights = Exit.COMPLETE, 0.0, None
    try:
        grant = await tokens.fresh(name, arguments.text("--account") or "")
    except MailhaulError as error:
        said, code = str(error), exit_for(error)
    else:
        seconds = grant.life
        said = f"a fresh token was given, for {seconds / 60:.0f} minutes"
        rights = rights_in(grant.access) if grant.access is not None else None
    if rights is not None:
        said += f"; it is good for {', '.join(rights) or 'nothing: has an administrator agreed?'}"
    if arguments.given("--json"):
        line: dict[str, Json] = {"event": "login", "name": name, "good": code is Exit.COMPLETE}
        console.json({**line, "said": said, "seconds": round(seconds), "rights": rights})
    else:
        tone = Tone.GOOD if code is Exit.COMPLETE else Tone.BAD
        console.show([Line(f"{shown}: {said}", tone)])
    return code


COMMAND = Command(
    name="oauth check",
    summary="have a fresh token given for each login, and say what is wrong",
    story=(
        "Asks the issuer for a fresh token, for the login NAME or for all, and says what to do "
        "where none is given. After permissions were changed at the issuer, this brings them into "
        "the token that is used. Run it daily, and a login that is about to end is noticed."
    ),
    operands=(Operand("NAME", "as mailhaul oauth list shows it", optional=True),),
    groups=(
        Group("as whom", (Option("--account", "whom a service account acts for", "ADDRESS"),)),
        Group("the vault", (VAULT, KEY_FILE)),
        Group("output", (Option("--json", "as lines of JSON on standard output"), DEBUG)),
    ),
    run=check,
    examples=("mailhaul oauth check", "mailhaul oauth check contoso"),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.CREDENTIALS, Exit.UNREACHABLE),
)
