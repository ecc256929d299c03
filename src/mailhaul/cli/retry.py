"""`mailhaul retry`: what failed, was blocked or refused is tried again."""

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Group, Option
from mailhaul.cli.ordering import carry_out, order
from mailhaul.cli.surroundings import Surroundings


def retry(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Tries again. Raises `BadInput`."""
    from mailhaul.journey import orders  # noqa: PLC0415 - needs the database

    same = arguments.given("--same-secret")
    return carry_out(
        arguments,
        surroundings,
        lambda connection, plan, chosen, at, actor: orders.retry(
            connection, plan, chosen, same_secret=same, at=at, actor=actor
        ),
        "tried again",
    )


COMMAND = order(
    "retry",
    "try again where a person had to act",
    "Has mailboxes tried again that failed or were blocked, once you have mended what was wrong, "
    "and has messages offered to the target again that it refused. "
    "A mailbox that waits for credentials needs no retry: it goes on by itself once its secret "
    "has changed. --same-secret tries refused credentials once more, unchanged, for accounts that "
    "were locked or not enabled; servers lock accounts after too many refusals.",
    retry,
    groups=(
        Group(
            "credentials",
            (Option("--same-secret", "also try credentials once more that were refused"),),
        ),
    ),
    examples=(
        "mailhaul retry acme",
        "mailhaul retry acme --mailbox anna@acme.example --same-secret",
    ),
)
