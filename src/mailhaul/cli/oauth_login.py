"""`mailhaul oauth login`: logs in by OAuth 2 once, and keeps what the next tokens are had by."""

from contextlib import suppress
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault_options import KEY_FILE, VAULT
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    import asyncio

    from mailhaul.vault.oauth import Grant
    from mailhaul.vault.oauth_answers import Given
    from mailhaul.vault.oauth_http import Wire
    from mailhaul.vault.sealed import Vault

# ruff: noqa: PLC0415 - who asks for help doesn't wait for cryptography.

PATIENCE = 900.0
"""Seconds for a person to log in with a browser."""
_LONGEST_LINE = 32 * 1024


def login(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Logs in and keeps the grant. Raises `BadInput`, `RetryLater`, `Closed`."""
    from mailhaul.cli.oauth import asked_for, run_briefly
    from mailhaul.cli.vault import vault_or_new
    from mailhaul.vault.oauth import check_name
    from mailhaul.vault.oauth_http import USUAL_WIRE

    name = arguments.text("NAME") or ""
    check_name(name)
    grant = asked_for(arguments, surroundings, USUAL_WIRE)
    # What a person agrees to must not be lost for want of a place to keep it.
    vault = vault_or_new(arguments, surroundings)
    vault.get(name)
    run_briefly(_login(arguments, surroundings, vault, name, grant))
    return Exit.COMPLETE


async def _login(
    arguments: Arguments,
    surroundings: Surroundings,
    vault: "Vault",
    name: str,
    grant: "Grant",
) -> None:
    from mailhaul.vault.oauth import Flow, keep_grant
    from mailhaul.vault.oauth_answers import missing_scopes
    from mailhaul.vault.oauth_http import USUAL_WIRE
    from mailhaul.vault.oauth_renewal import renewal, renewed_grant
    from mailhaul.vault.oauth_tokens import only_one

    console = surroundings.console

    def now() -> float:
        return surroundings.now().timestamp()

    shown = printable(name, 120)
    if grant.flow is Flow.SERVICE and not grant.account:
        keep_grant(vault, name, grant)
        console.tell(f"kept, and not tried: it acts for whom oauth:{shown}/ADDRESS names")
        console.tell(f"try it: mailhaul oauth check {shown} --account ADDRESS")
        return
    asked = now()
    match grant.flow:
        case Flow.BROWSER:
            found = await _by_browser(arguments, surroundings, grant, name, USUAL_WIRE)
        case Flow.DEVICE:
            found = await _by_device(surroundings, grant, name, USUAL_WIRE)
        case _:
            found = await renewal(USUAL_WIRE, grant, name, asked, learn=surroundings.scrubber.learn)
    if grant.flow in (Flow.BROWSER, Flow.DEVICE):
        asked = now()
    for secret in (found.access, found.refresh):
        if secret is not None:
            surroundings.scrubber.learn(secret)
    fresh = renewed_grant(grant, found, asked)
    async with only_one(vault, name):
        keep_grant(vault, name, fresh)
    missing = missing_scopes(grant.scope, found.scope) if found.scope else []
    if missing:
        console.warn(f"not granted: {printable(' '.join(missing), 300)}; log in again and agree")
    if fresh.refresh is None and grant.flow in (Flow.BROWSER, Flow.DEVICE):
        console.warn(
            f"no refresh token was given: in {found.life / 60:.0f} minutes this login is over; ask "
            "for offline access (--scope)"
        )
    console.tell(f"logged in and kept; a plan refers to it by oauth:{shown}")


async def _by_browser(
    arguments: Arguments, surroundings: Surroundings, grant: "Grant", name: str, wire: "Wire"
) -> "Given":
    import asyncio

    from mailhaul.core.errors import Closed, ClosedReason
    from mailhaul.vault.oauth_issuers import MICROSOFT
    from mailhaul.vault.oauth_login import Question, code_of, code_tokens, is_answer, question
    from mailhaul.vault.oauth_redirect import listening

    console = surroundings.console
    # RFC 8252 7.3 wants the address; Microsoft lets the port differ for `localhost` alone.
    host = "localhost" if grant.issuer.token.startswith(MICROSOFT) else "127.0.0.1"
    asked: list[Question] = []
    async with listening(
        lambda target: bool(asked) and is_answer(asked[0], target), arguments.number("--port", 0)
    ) as redirect:
        asked.append(question(grant, f"http://{host}:{redirect.port}"))
        console.tell("open this in a browser, as the person whose mailbox it is:")
        console.tell(asked[0].url)
        if arguments.given("--paste"):
            console.tell(
                "then paste the address that the browser ends at (it shows an error there):"
            )
            answered = _pasted()
        else:
            answered = redirect.answered
        try:
            async with asyncio.timeout(PATIENCE):
                target = await answered
        except TimeoutError as error:
            raise Closed(
                f"no browser came back within {PATIENCE / 60:.0f} minutes; run it again, and "
                "give --paste if the browser is on another machine",
                ClosedReason.CREDENTIALS,
            ) from error
    code = code_of(asked[0], grant, target, name)
    surroundings.scrubber.learn(code)
    now = surroundings.now().timestamp()
    return await code_tokens(wire, grant, asked[0], code, name, now)


async def _by_device(
    surroundings: Surroundings, grant: "Grant", name: str, wire: "Wire"
) -> "Given":
    import time

    from mailhaul.vault.oauth_login import device_code, device_tokens

    code = await device_code(wire, grant, surroundings.now().timestamp())
    surroundings.console.tell(
        f"on any screen, within {code.lasts / 60:.0f} minutes, open this and enter the code:"
    )
    surroundings.console.tell(code.place)
    surroundings.console.tell(code.code)
    return await device_tokens(wire, grant, code, name, now=time.monotonic)


def _pasted() -> "asyncio.Future[str]":
    """The next line of standard input. A thread waits for it that nobody waits for: Ctrl-C ends the
    program at once."""
    import asyncio
    import os
    import threading

    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()

    def tell(raw: bytes) -> None:
        if answered.done():
            return
        if raw.strip():
            answered.set_result(raw.decode("utf-8", "replace").strip())
        else:
            answered.set_exception(BadInput("no address was pasted; run it again"))

    def read() -> None:
        raw = b""
        # Not by sys.stdin: its lock would be held while the program ends.
        while b"\n" not in raw and len(raw) < _LONGEST_LINE and (more := os.read(0, 4096)):
            raw += more
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, raw.partition(b"\n")[0])

    threading.Thread(target=read, daemon=True).start()
    return answered


COMMAND = Command(
    name="oauth login",
    summary="log in by OAuth 2 once; tokens are renewed from then on",
    story=(
        "Logs in at Microsoft, Google or any other issuer of tokens, and keeps under NAME, sealed "
        "in the vault, what further tokens are had by; a plan refers to it by oauth:NAME. Without "
        "--device, --client or --service-account a browser is used. A login of that name is "
        "replaced. Where there is no vault yet, one is made, and a key file that opens it."
    ),
    operands=(Operand("NAME", "by which plans refer to it, without blanks and /"),),
    groups=(
        Group(
            "who gives tokens",
            (
                Option("--microsoft", "a tenant's domain or id, or organizations", "TENANT"),
                Option("--google", "Google, for people or by a service account"),
                Option("--issuer", "any other, by the https address it names itself", "URL"),
                Option("--inside", "the issuer may lie in your own network"),
            ),
        ),
        Group(
            "how",
            (
                Option("--device", "by a code that is entered on another screen"),
                Option("--paste", "the browser is elsewhere: paste where it ended"),
                Option("--port", "the port of the redirect, if the app has one registered", "N",
                       lowest=1, highest=65535),
                Option("--client", "as an application that is let in to all mailboxes"),
                Option("--service-account", "Google's, by its JSON key file", "FILE"),
            ),
        ),
        Group(
            "as whom",
            (
                Option("--client-id", "the id of the app, as the issuer shows it", "ID"),
                Option("--with-secret", "the app has a secret: ask, or read a line of stdin"),
                Option("--certificate", "instead: a PEM file with key and certificate", "FILE"),
                Option("--account", "the person's address", "ADDRESS"),
                Option("--scope", "another right than that to mail by IMAP", "SCOPE",
                       repeated=True),
            ),
        ),
        Group("the vault", (VAULT, KEY_FILE)),
        Group("output", (DEBUG,)),
    ),
    run=login,
    examples=(
        "mailhaul oauth login contoso --microsoft contoso.onmicrosoft.com --client --client-id ID",
        "mailhaul oauth login anna --microsoft organizations --device --client-id ID",
        "mailhaul oauth login anna --google --client-id ID --with-secret",
        "mailhaul oauth login example --google --service-account key.json",
    ),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.CREDENTIALS, Exit.UNREACHABLE),
)  # fmt: skip
