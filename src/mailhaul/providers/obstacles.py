"""What stands in the way at a provider: its own codes, with what to do, and who tells of them.

A provider's control plane knows what IMAP doesn't: a redirection on the address, an auto-reply, a
list of that name. Whoever can ask it implements `Obstacles`; a check hands its answers on. The
codes are those of OVHcloud's API (checkMigrate); of each is known whether trying later helps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailhaul.core.finding import Severity


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One answer. `evidence` is printable: which redirection, which task."""

    code: str
    evidence: str = ""


class Obstacles(Protocol):
    """Something that knows of obstacles for one mailbox pair; looks only."""

    async def obstacles(self) -> Sequence[Obstacle]:
        """Everything in the way now. Raises `RetryLater` and `Closed` like a store."""


@dataclass(frozen=True, slots=True)
class Known:
    """A code we know: `passes` says that trying again later is useful without doing anything."""

    severity: Severity
    means: str
    remedy: str
    passes: bool = False


def _in_progress(what: str) -> Known:
    return Known(
        Severity.BLOCKS,
        f"{what} is being changed at the provider",
        "wait until the provider's task is done, then check again",
        passes=True,
    )


KNOWN: dict[str, Known] = {
    "ACCOUNT_EMPTY": Known(
        Severity.BLOCKS,
        "the account isn't there at the provider",
        "correct the address in the plan, or make the account",
    ),
    "ACCOUNT_INPROGRESS": _in_progress("the account"),
    "DELEGATION_EXIST": Known(
        Severity.WARNS,
        "others have rights on the account; rights are not carried",
        "note them, and grant them at the target",
        passes=True,
    ),
    "DOMAIN_EMPTY": Known(
        Severity.BLOCKS,
        "the domain isn't there at the provider",
        "attach the domain to the service, then check again",
    ),
    "FILTER_EXIST": Known(
        Severity.WARNS,
        "the account has filters; they are not carried",
        "note them, and make them at the target",
        passes=True,
    ),
    "FORWARD_EXIST": Known(
        Severity.BLOCKS,
        "a redirection stands on the address",
        "remove the redirection at the source, and make it at the target if it is still wanted",
    ),
    "FORWARD_LOCAL": Known(
        Severity.BLOCKS,
        "a redirection that keeps a copy stands on the address",
        "remove the redirection at the source, and make it at the target if it is still wanted",
    ),
    "MAILINGLIST_EXIST": Known(
        Severity.BLOCKS,
        "the address is a mailing list",
        "rename or remove the list, or take the address out of the plan",
    ),
    "MAILINGLIST_INPROGRESS": _in_progress("a mailing list of that address"),
    "MAILPROXY_BAD_INFRA": Known(
        Severity.BLOCKS,
        "the service lies on a platform that can't be migrated this way",
        "ask the provider's support, naming this code",
    ),
    "MAILPROXY_EMPTY": Known(
        Severity.BLOCKS,
        "the provider's mail proxy doesn't know the address",
        "ask the provider's support, naming this code",
    ),
    "MAILPROXY_INPROGRESS": _in_progress("the address in the mail proxy"),
    "MAILPROXY_RESERVATION": Known(
        Severity.BLOCKS,
        "the address is reserved by a migration under way",
        "wait until that migration has ended, then check again",
        passes=True,
    ),
    "REDIRECTION_INPROGRESS": _in_progress("a redirection"),
    "RESPONDER_EXIST": Known(
        Severity.BLOCKS,
        "an auto-reply is switched on",
        "switch the auto-reply off at the source, and on at the target if it is still wanted",
        passes=True,
    ),
    "RESPONDER_INPROGRESS": _in_progress("the auto-reply"),
    "NO_FREE_ACCOUNT": Known(
        Severity.BLOCKS,
        "the target service has no unconfigured account left",
        "order an account, then check again",
    ),
    "UNKNOW": Known(
        Severity.BLOCKS,
        "the provider can't tell what is in the way (its code is spelled so)",
        "ask the provider's support, naming the address",
    ),
}

UNHEARD_OF = Known(
    Severity.WARNS,
    "the provider names an obstacle that mailhaul doesn't know",
    "look the code up at the provider",
)
