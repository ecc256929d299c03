"""What a tenant's directory says of its people, licences and domains, read with types.

An account is a person of the directory who has a mailbox, or is licensed for one. Its address is
`mail`, which Exchange Online sets; before it does, the name for signing in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailhaul.core.text import printable
from mailhaul.providers.addresses import same
from mailhaul.providers.fields import Fields
from mailhaul.providers.service import Account, AccountState

USER_FIELDS = (
    "id,userPrincipalName,mail,displayName,accountEnabled,userType,usageLocation,"
    "proxyAddresses,assignedLicenses,licenseAssignmentStates,serviceProvisioningErrors"
)

_MAIL_PLANS = ("EXCHANGE_S_", "EXCHANGE_L_")
_NO_MAILBOX = ("EXCHANGE_S_FOUNDATION", "EXCHANGE_S_ARCHIVE")
"""Service plans that come with other products and give nobody a mailbox."""
_USABLE = frozenset({"Enabled", "Warning"})
"""`capabilityStatus` of a subscription that licences can still be assigned from."""


@dataclass(frozen=True, slots=True)
class Licence:
    """A subscription that gives mailboxes. `plans` are the service plans that do; `bought` and
    `used` count seats."""

    id: str
    name: str
    plans: frozenset[str]
    bought: int
    used: int

    @property
    def free(self) -> int:
        return max(0, self.bought - self.used)


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the directory. `trouble` is what Microsoft says went wrong with licence or mailbox,
    printable."""

    id: str
    login: str
    mail: str
    name: str
    enabled: bool
    guest: bool
    location: str
    proxies: tuple[str, ...]
    licences: tuple[tuple[str, frozenset[str]], ...]
    trouble: str = ""

    @property
    def address(self) -> str:
        return self.mail or self.login

    @property
    def aliases(self) -> tuple[str, ...]:
        """Further addresses (`smtp:`); the primary one is written `SMTP:`."""
        found = (
            address
            for kind, _, address in (proxy.partition(":") for proxy in self.proxies)
            if kind.casefold() == "smtp" and address and not same(address, self.address)
        )
        return tuple(sorted(found, key=str.casefold))

    def licensed(self, licences: Sequence[Licence]) -> bool:
        """Whether one of these licences, without its mail switched off, is assigned."""
        plans = {licence.id: licence.plans for licence in licences}
        return any(bool(plans.get(sku, frozenset()) - off) for sku, off in self.licences)


def person(found: Fields) -> Person:
    """The user as Graph writes one."""
    return Person(
        id=found.text("id"),
        login=found.text("userPrincipalName"),
        mail=found.text("mail"),
        name=found.text("displayName"),
        enabled=found.truth("accountEnabled") is not False,
        guest=found.text("userType").casefold() == "guest",
        location=found.text("usageLocation"),
        proxies=found.texts("proxyAddresses"),
        licences=tuple(
            (each.text("skuId").lower(), frozenset(map(str.lower, each.texts("disabledPlans"))))
            for each in found.each("assignedLicenses")
        ),
        trouble=_trouble(found),
    )


def mail_licences(found: Sequence[Fields]) -> list[Licence]:
    """Those of the subscriptions that give mailboxes, by name."""
    licences = []
    for each in found:
        plans = frozenset(
            plan.text("servicePlanId").lower()
            for plan in each.each("servicePlans")
            if _gives_mailbox(plan.text("servicePlanName").upper())
        )
        if plans and each.text("capabilityStatus") in _USABLE:
            units = each.one("prepaidUnits")
            licences.append(
                Licence(
                    id=each.text("skuId").lower(),
                    name=printable(each.text("skuPartNumber"), 100),
                    plans=plans,
                    bought=(units.number("enabled") or 0) + (units.number("warning") or 0),
                    used=each.number("consumedUnits") or 0,
                )
            )
    return sorted(licences, key=lambda licence: licence.name)


def account_of(
    found: Person,
    licences: Sequence[Licence],
    *,
    used: int | None = None,
    messages: int | None = None,
    answers: bool = True,
) -> Account | None:
    """The account of that person; None for who has none. `answers`: whether the mailbox did, where
    it was asked."""
    licensed = found.licensed(licences)
    if found.guest or not (found.mail or licensed):
        return None
    state = AccountState.CONFIGURED
    if licensed and not (found.mail and answers):
        state = AccountState.BUSY
    elif not found.enabled:
        state = AccountState.LOCKED
    return Account(
        address=found.address,
        state=state,
        name=found.name,
        used=used,
        messages=messages,
        aliases=found.aliases,
    )


def _gives_mailbox(plan: str) -> bool:
    return plan.startswith(_MAIL_PLANS) and not plan.startswith(_NO_MAILBOX)


def _trouble(found: Fields) -> str:
    said = [
        f"the licence {each.text('skuId')} failed: {each.text('error')}"
        for each in found.each("licenseAssignmentStates")
        if each.text("state").casefold() == "error"
    ]
    said += [
        f"Exchange refuses: {each.text('errorDetail') or each.text('serviceInstance')}"
        for each in found.each("serviceProvisioningErrors")
        if each.truth("isResolved") is False
        and each.text("serviceInstance").casefold().startswith("exchange")
    ]
    return printable("; ".join(said), 500)
