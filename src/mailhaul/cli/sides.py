"""What a command line names: options that commands share, endpoints and their secrets."""

from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.pair import addresses, endpoint_given
from mailhaul.cli.secrets import Ways, credentials_for
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.pair import refuse_one_mailbox_twice

# ruff: noqa: PLC0415 - what opens sockets and files is imported once it is asked for.

PAIR_SECRETS = Group(
    "secrets (never on the command line; docs/secrets.md)",
    (
        Option("--source-password-file", "the source's password is the file's first line", "FILE"),
        Option("--target-password-file", "the same for the target", "FILE"),
        Option(
            "--source-token-command",
            "a command that prints an OAuth 2 access token; run at every login",
            "CMD",
        ),
        Option("--target-token-command", "the same for the target", "CMD"),
        Option("--source-oauth", "a login made by mailhaul oauth login (docs/oauth.md)", "NAME"),
        Option("--target-oauth", "the same for the target", "NAME"),
    ),
)
LONE_SECRETS = Group(
    "secrets (never on the command line; docs/secrets.md)",
    (
        Option("--password-file", "the password is the file's first line", "FILE"),
        Option(
            "--token-command",
            "a command that prints an OAuth 2 access token; run at every login",
            "CMD",
        ),
        Option("--oauth", "a login made by mailhaul oauth login (docs/oauth.md)", "NAME"),
    ),
)
JSON = Option("--json", "events as lines of JSON on standard output (docs/json-events.md)")
QUIET = Option("--quiet", "no progress and no tables; only what went wrong")
DEBUG = Option("--debug", "when mailhaul itself is at fault, show where")


def pair_given(arguments: Arguments) -> tuple[Endpoint, Endpoint]:
    """SOURCE and TARGET, two different mailboxes that may well exist. Raises `BadInput`."""
    source = endpoint_given(_text(arguments, "SOURCE"))
    target = endpoint_given(_text(arguments, "TARGET"))
    refuse_one_mailbox_twice(source, target, addresses)
    return source, target


def pair_credentials(
    arguments: Arguments, source: Endpoint, target: Endpoint, surroundings: Surroundings
) -> tuple[Credentials, Credentials]:
    """What logs in to both. Raises `BadInput`."""
    found = [
        _credentials(
            endpoint,
            Ways(
                title=side,
                variable=f"MAILHAUL_{side.upper()}_PASSWORD",
                file_option=f"--{side}-password-file",
                token_option=f"--{side}-token-command",
                oauth_option=f"--{side}-oauth",
                file=arguments.text(f"--{side}-password-file"),
                token_command=arguments.text(f"--{side}-token-command"),
                oauth=arguments.text(f"--{side}-oauth"),
            ),
            surroundings,
        )
        for side, endpoint in (("source", source), ("target", target))
    ]
    return found[0], found[1]


def lone_endpoint(arguments: Arguments) -> Endpoint:
    """ENDPOINT. Raises `BadInput`."""
    return endpoint_given(_text(arguments, "ENDPOINT"))


def lone_credentials(
    arguments: Arguments, endpoint: Endpoint, surroundings: Surroundings
) -> Credentials:
    """What logs in to the only mailbox there is. Raises `BadInput`."""
    ways = Ways(
        title="mailbox",
        variable="MAILHAUL_PASSWORD",
        file_option="--password-file",
        token_option="--token-command",  # noqa: S106 - an option's name
        oauth_option="--oauth",
        file=arguments.text("--password-file"),
        token_command=arguments.text("--token-command"),
        oauth=arguments.text("--oauth"),
    )
    return _credentials(endpoint, ways, surroundings)


def check_endpoint(endpoint: Endpoint, side: str) -> None:
    """Raises `BadInput` for what can be known to be wrong before anything is connected: a path
    that can't be what it is said to be, options that mean nothing, plaintext that isn't allowed.
    `side` is "source" or "target"."""
    from mailhaul.stores.registry import check

    check(endpoint, side)
    if endpoint.is_file:
        return
    from mailhaul.imap.login import login_names
    from mailhaul.imap.tls import check_plaintext, client_context, pinned_fingerprint

    login_names(endpoint)
    check_plaintext(endpoint)
    pinned_fingerprint(endpoint)
    if endpoint.options.get("ca"):
        client_context(endpoint)


def _credentials(endpoint: Endpoint, ways: Ways, surroundings: Surroundings) -> Credentials:
    """What logs in to `endpoint`, and is of the kind that its `auth` option takes. Raises
    `BadInput`, also for an `auth` that there isn't."""
    credentials = credentials_for(
        endpoint,
        ways,
        surroundings.environ,
        surroundings.scrubber,
        surroundings.console.warn,
    )
    wanted = endpoint.options.get("auth")
    if wanted:
        from mailhaul.imap.login import login_names
        from mailhaul.imap.sasl import Mechanism, choose

        every = frozenset(f"AUTH={mechanism.value}" for mechanism in Mechanism)
        choose(every, credentials, wanted, authzid=bool(login_names(endpoint).authzid))
    return credentials


def _text(arguments: Arguments, name: str) -> str:
    text = arguments.text(name)
    assert text is not None
    return text
