"""Where an account is to be found before and after its move: endpoints, directories, passwords."""

from dataclasses import replace
from pathlib import Path

from mailhaul.core.endpoint import Endpoint, parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.journey.account_rows import MoveRow
from mailhaul.journey.means import Means
from mailhaul.journey.plans import PlanRow
from mailhaul.journey.rows import MailboxRow
from mailhaul.plan.templates import endpoint_text, filled_reference
from mailhaul.providers.actions import Action, Configure, Create, HandOver, Unlock


def renamed(endpoint: str, address: str, to: str) -> str:
    """The endpoint of the same mailbox once its address `address` is `to`. Raises `BadInput` where
    the endpoint doesn't say the address, whole or up to the @."""
    found = parse_endpoint(endpoint)
    if found.is_file:
        raise BadInput(
            f"{printable(endpoint, 200)} is no account at a provider; name its server instead"
        )
    user = _instead(found.user, address, to)
    options = dict(found.options)
    authzid = _instead(options.get("authzid", ""), address, to)
    if user is None and authzid is None:
        raise BadInput(
            f"{printable(endpoint, 200)} doesn't say {printable(address, 100)}: how its mailbox is "
            "reached once the account is renamed can't be told; write {address} or {user} into it"
        )
    if authzid is not None:
        options["authzid"] = authzid
    return endpoint_text(replace(found, user=user or found.user, options=options))


def kept_at(means: Means, plan: PlanRow, row: MoveRow) -> Path:
    """The directory of the account's safety copy."""
    assert plan.plan.accounts is not None
    return means.directory / plan.plan.accounts.safety_copy / str(row.mailbox)


def kept_endpoint(means: Means, plan: PlanRow, row: MoveRow) -> Endpoint:
    """The safety copy as a mailbox."""
    return parse_endpoint(f"eml:{kept_at(means, plan, row) / 'mail'}")


async def secret_for(
    means: Means, plan: PlanRow, row: MoveRow, person: MailboxRow, action: Action
) -> Secret | None:
    """The password that the action needs beside it, as it is now; None where there is none, or the
    mailbox is opened by somebody else's. Raises `Closed` (credentials)."""
    accounts = plan.plan.accounts
    match action:
        case HandOver() | Unlock():
            endpoint, reference = parse_endpoint(person.source), person.source_secret
        case Configure() | Create():
            endpoint, reference = parse_endpoint(person.target), person.target_secret
            if accounts is not None and accounts.password:
                found = filled_reference(accounts.password, row.address)
                return (await means.resolve(found, plan.directory)).password
        case _:
            return None
    if not reference or endpoint.is_file or endpoint.options.keys() & {"admin", "login", "authzid"}:
        return None
    return (await means.resolve(reference, plan.directory)).password


def _instead(name: str, address: str, to: str) -> str | None:
    """The name as it is from then on; None where it isn't of that address."""
    if name.casefold() == address.casefold():
        return to
    local = address.rpartition("@")[0]
    return to.rpartition("@")[0] if local and name.casefold() == local.casefold() else None
