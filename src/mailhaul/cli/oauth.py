"""What the commands `mailhaul oauth …` share: what a command line asks for, as a grant to be."""

from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, TypeVar

from mailhaul.cli.options import Arguments
from mailhaul.cli.surroundings import Surroundings
from mailhaul.cli.vault import secret_given
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.vault.oauth import Client, Flow, Grant
from mailhaul.vault.oauth_http import Wire
from mailhaul.vault.oauth_issuers import Vendor, check_flow, discovered, google, microsoft

if TYPE_CHECKING:
    from mailhaul.vault.oauth_tokens import Tokens
    from mailhaul.vault.sealed import Vault

_LONGEST_FILE = 64 * 1024
Told = TypeVar("Told")


def asked_for(arguments: Arguments, surroundings: Surroundings, wire: Wire) -> Grant:
    """The grant that the command line asks for, without tokens. Asks for a client secret, and an
    issuer for its metadata. Raises `BadInput`, and what `discovered` raises."""
    flow = _flow(arguments)
    known = _vendor(arguments, wire)
    client = _client(arguments, surroundings, flow)
    scope = " ".join(arguments.texts("--scope"))
    if not scope:
        check_flow(known, flow)
        scope = {Flow.CLIENT: known.application, Flow.SERVICE: known.service}.get(
            flow, known.person
        )
    if not scope:
        raise BadInput("which right is asked for? give --scope, as the issuer's documents name it")
    account = arguments.text("--account") or ""
    return Grant(flow, known.issuer, client, scope, account, mark=token_hex(8))


def tokens_of(vault: "Vault", surroundings: Surroundings) -> "Tokens":
    """Who gives the vault's tokens; the scrubber learns each before it is used."""
    from mailhaul.vault.oauth_tokens import Tokens  # noqa: PLC0415 - help doesn't wait for it

    return Tokens(
        vault,
        learn=surroundings.scrubber.learn,
        now=lambda: surroundings.now().timestamp(),
    )


def _flow(arguments: Arguments) -> Flow:
    chosen = [
        flow
        for flow, given in (
            (Flow.DEVICE, arguments.given("--device")),
            (Flow.CLIENT, arguments.given("--client")),
            (Flow.SERVICE, arguments.text("--service-account") is not None),
        )
        if given
    ]
    if len(chosen) > 1:
        raise BadInput("--device, --client and --service-account exclude each other; give one")
    return chosen[0] if chosen else Flow.BROWSER


def _vendor(arguments: Arguments, wire: Wire) -> Vendor:
    tenant, name = arguments.text("--microsoft"), arguments.text("--issuer")
    given = [tenant is not None, arguments.given("--google"), name is not None]
    if sum(given) != 1:
        raise BadInput("who gives tokens? give one of --microsoft TENANT, --google, --issuer URL")
    inside = arguments.given("--inside")
    if name is None and inside:
        raise BadInput("--inside is for an --issuer of your own; leave it out")
    if tenant is not None:
        return microsoft(tenant)
    if name is not None:
        return Vendor(run_briefly(discovered(wire, name, inside=inside)), person="")
    return google()


def _client(arguments: Arguments, surroundings: Surroundings, flow: Flow) -> Client:
    name, certificate = arguments.text("--client-id"), arguments.text("--certificate")
    service, secret = arguments.text("--service-account"), arguments.given("--with-secret")
    if service is not None:
        if name is not None or certificate is not None or secret:
            raise BadInput("the file of --service-account says who the client is; leave that out")
        from mailhaul.vault.oauth_assertions import service_client  # noqa: PLC0415

        client = service_client(_file(service, "--service-account"))
    elif name is None:
        raise BadInput("who is mailhaul to the issuer? give --client-id, the id of the app there")
    elif certificate is not None:
        if secret:
            raise BadInput("--certificate and --with-secret exclude each other; give one")
        from mailhaul.vault.oauth_assertions import client_with_certificate  # noqa: PLC0415

        client = client_with_certificate(name, _file(certificate, "--certificate"))
    else:
        client = Client(name)
        if secret or flow is Flow.CLIENT:
            client = replace(client, secret=secret_given("the app", surroundings))
    if client.key is not None:
        surroundings.scrubber.learn(client.key)
    return client


def _file(text: str, option: str) -> bytes:
    path = Path(text).expanduser()
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise BadInput(
            f"{option}: {printable(text, 200)} can't be read: {error.strerror}"
        ) from error
    if len(raw) > _LONGEST_FILE:
        raise BadInput(f"{option}: {printable(text, 200)} is too long to be that file")
    return raw


def run_briefly(work: Coroutine[None, None, Told]) -> Told:
    """Runs `work` to its end; Ctrl-C ends it at once. Whoever is to be asked something is asked
    outside of it."""
    import asyncio  # noqa: PLC0415 - who gives wrong options doesn't wait for it

    return asyncio.run(work)
