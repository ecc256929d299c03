"""The codes of obstacles, each with what it means and what a person does.

OVHcloud's are those of its API (checkMigrate, MigrationCheckStruct), which doesn't say what they
mean nor which of them block; which of them pass by themselves is what its own control panel says
(ovh/manager). Ours are for what its API has no code for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mailhaul.core.finding import Severity
from mailhaul.providers.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD


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


UNHEARD_OF = Known(
    Severity.WARNS,
    "the provider names an obstacle that mailhaul doesn't know",
    "look the code up at the provider",
)

OVHCLOUD: Mapping[str, Known] = {
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
    "UNKNOW": Known(
        Severity.BLOCKS,
        "the provider can't tell what is in the way (its code is spelled so)",
        "ask the provider's support, naming the address",
    ),
}
"""All seventeen."""

_CONTACTS = "change it in the provider's panel; both people confirm by the code that they are sent"


def _contact(role: str, side: str) -> Known:
    return Known(
        Severity.BLOCKS, f"whoever asks isn't the {role} contact of the {side} service", _CONTACTS
    )


OURS: Mapping[str, Known] = {
    "SOURCE_ADMINISTRATOR": _contact("administrative", "source"),
    "SOURCE_TECHNICAL": _contact("technical", "source"),
    "TARGET_ADMINISTRATOR": _contact("administrative", "target"),
    "TARGET_TECHNICAL": _contact("technical", "target"),
    "CONTACTS_UNTOLD": Known(
        Severity.WARNS,
        "the provider doesn't tell who the service's contacts are",
        "see for yourself that you are administrative and technical contact of both services",
    ),
    "DOMAIN_CREATING": Known(
        Severity.BLOCKS,
        "the provider is still adding the domain",
        "wait until the domain's status is OK, then check again",
        passes=True,
    ),
    "DOMAIN_UNPROVEN": Known(
        Severity.BLOCKS,
        "the provider waits for a record that shows whose the domain is",
        "write the record that it asks for into the zone, then check again",
        passes=True,
    ),
    "DOMAIN_FAILED": Known(
        Severity.BLOCKS,
        "the domain's status at the provider is an error, or it is being removed",
        "see in the provider's panel what is wrong, or detach the domain and attach it again",
    ),
    "DOMAIN_CLAIMED": Known(
        Severity.BLOCKS,
        "another platform already says that the domain is its own (authoritative)",
        "set the domain to non-authoritative there, and attach it as non-authoritative here",
    ),
    "DOMAIN_IN_USE": Known(
        Severity.BLOCKS,
        "the domain still has accounts, aliases or groups on the service",
        "move or remove these first",
    ),
    "NO_FREE_ACCOUNT": Known(
        Severity.BLOCKS,
        "the target service has no unconfigured account left",
        "order an account, then check again",
    ),
    "NO_LICENCE": Known(
        Severity.BLOCKS,
        "the target service has no licence left",
        "buy a licence or free one, then check again",
    ),
    "PLACEHOLDER_GONE": Known(
        Severity.BLOCKS,
        "the unconfigured account isn't there any more; somebody configured or removed it",
        "let another one be picked, and leave those that are reserved as they are",
    ),
    "PLACEHOLDER_RESERVED": Known(
        Severity.BLOCKS,
        "the unconfigured account is reserved for another mailbox",
        "let another one be picked, or order an account",
    ),
    "PLACEHOLDER_FILLED": Known(
        Severity.BLOCKS,
        "the unconfigured account holds mail already; whoever gets it would find somebody else's",
        "empty it, or let another one be picked",
    ),
    "ADDRESS_TAKEN": Known(
        Severity.BLOCKS,
        "an account, alias or group of that address exists already",
        "rename or remove it, or choose another address",
    ),
    "ADDRESS_REFUSED": Known(
        Severity.BLOCKS,
        "the provider can't have an account of that address",
        "choose an address of letters, digits, dots and dashes",
    ),
    "ALIAS_EXIST": Known(
        Severity.WARNS,
        "the account has aliases; they are not carried",
        "note them, and make them at the target",
    ),
    "EXTRA_DIFFERS": Known(
        Severity.BLOCKS,
        "something else of that kind stands there already",
        "look at it, and remove it first if it isn't wanted",
    ),
    "EXTRA_REFUSED": Known(
        Severity.BLOCKS,
        "the provider can't express it",
        "make it by hand, or leave out what can't be expressed",
    ),
    "QUOTA_TOO_SMALL": Known(
        Severity.BLOCKS,
        "the account holds more than fits",
        "choose an account of a larger quota, or make room at the source",
    ),
    "SIZE_UNKNOWN": Known(
        Severity.WARNS,
        "the provider doesn't tell how much the account holds, or how much fits",
        "compare both by mailhaul check before the move",
    ),
    "ACCOUNT_LOCKED": Known(
        Severity.BLOCKS,
        "the account is locked at the provider",
        "unlock it, then check again",
    ),
    "ACCOUNT_UNCONFIGURED": Known(
        Severity.BLOCKS,
        "the account is an unconfigured one",
        "correct the address in the plan, or configure the account",
    ),
    "ACCOUNT_NOT_EMPTY": Known(
        Severity.BLOCKS,
        "the account holds mail",
        "save its mail first; mailhaul deletes no account that holds mail behind your back",
    ),
    "IMAP_OFF": Known(
        Severity.BLOCKS,
        "IMAP is switched off for the account",
        "switch IMAP on for it at the provider",
    ),
    "FEATURE_GAP": Known(
        Severity.WARNS,
        "the source service holds what the target service can't",
        "save it by hand, or choose a service that has it",
    ),
    "PASSWORD_WRONG": Known(
        Severity.BLOCKS,
        "the account's password is not the one that was given; nothing was begun",
        "give the right one",
    ),
    "PASSWORD_UNFIT": Known(
        Severity.BLOCKS,
        "the provider doesn't take such a password, or there is none",
        "give one by the provider's rules (OVHcloud: "
        f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters)",
    ),
    "SERVICE_UNKNOWN": Known(
        Severity.BLOCKS,
        "the provider has no such service, or this login may not see it",
        "correct the service's name in the plan",
    ),
    "PATH_UNKNOWN": Known(
        Severity.BLOCKS,
        "the services don't say by which path accounts go from one to the other",
        "name the path in the plan: accounts.path is legacy, new, create or none",
    ),
    "PATH_IMPOSSIBLE": Known(
        Severity.BLOCKS,
        "a service can't do what the path needs",
        "choose another path, or do by hand what it can't and choose the path “none”",
    ),
    "NO_NAME_LEFT": Known(
        Severity.BLOCKS,
        "every temporary name that was tried is taken",
        "name a temporary address in the plan (accounts.temporary)",
    ),
    "UNGUARDED": Known(
        Severity.WARNS,
        "while the account moves, mail to it is refused for a short while",
        "begin at a quiet time; senders get such mail back and may send it again",
    ),
}
