"""The part of a move to Microsoft 365 that Graph can't do, as PowerShell for an administrator of
Exchange Online to read and run; mailhaul never runs it.

It may be run again: what is there already is left alone or set to the same. What it grants is
taken back by the second half, once the move is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mailhaul.core.errors import BadInput
from mailhaul.providers.addresses import parts
from mailhaul.providers.extras import (
    Alias,
    Delegation,
    Extra,
    Group,
    Redirection,
    Right,
)
from mailhaul.providers.microsoft365_prepared import is_id
from mailhaul.providers.powershell import command, quoted, remark

LARGEST_MESSAGE = "150MB"
"""The most that Exchange Online takes (Set-Mailbox, MaxReceiveSize)."""
_CLIENT = "CLIENT-ID"
_ENTERPRISE = "OBJECT-ID-OF-THE-ENTERPRISE-APPLICATION"


@dataclass(frozen=True, slots=True)
class Needs:
    """What the move needs. `application` and `enterprise` are the ids of the application and of its
    object among the enterprise applications; empty: the runbook shows where they go. `relays` are
    mail hosts by domain, `domains` those to be signed with DKIM."""

    addresses: tuple[str, ...]
    tenant: str = ""
    application: str = ""
    enterprise: str = ""
    extras: tuple[Extra, ...] = ()
    relays: Mapping[str, str] = field(default_factory=dict)
    domains: tuple[str, ...] = ()


def runbook(needs: Needs) -> str:
    """The whole runbook. Raises `BadInput` for what is no address, id or text to be reviewed."""
    for address in needs.addresses:
        parts(address)
    for each in (needs.application, needs.enterprise):
        if each and not is_id(each):
            raise BadInput(f"{quoted(each)} is no id of Microsoft Entra's; copy it from the portal")
    lines = [
        *_beginning(needs),
        *_application(needs),
        *_mailboxes(needs),
        *_beside(needs.extras),
        *_groups(needs.extras),
        *_domains(needs),
        *_inventory(),
        *_way_back(needs),
    ]
    return "\n".join(lines) + "\n"


def _beginning(needs: Needs) -> Iterator[str]:
    yield remark("Written by mailhaul for you to read, and to run where you find it right.")
    yield remark("mailhaul has run nothing of it and never will. It may be run again.")
    yield remark("Wants: Install-Module ExchangeOnlineManagement; the role Exchange Administrator.")
    yield "$ErrorActionPreference = 'Stop'"
    if needs.tenant:
        yield command("Connect-ExchangeOnline", Organization=needs.tenant)
    else:
        yield "Connect-ExchangeOnline"


def _application(needs: Needs) -> Iterator[str]:
    client, enterprise = needs.application or _CLIENT, needs.enterprise or _ENTERPRISE
    yield from _headed("1. The application that mailhaul logs in as, known to Exchange Online")
    if not (needs.application and needs.enterprise):
        yield remark("Put in the two ids first: Entra, Enterprise applications, mailhaul.")
    there = f"Get-ServicePrincipal -Identity {quoted(enterprise)} -ErrorAction SilentlyContinue"
    made = command(
        "New-ServicePrincipal", AppId=client, ObjectId=enterprise, DisplayName="mailhaul"
    )
    yield f"if (-not ({there})) {{ {made} }}"


def _mailboxes(needs: Needs) -> Iterator[str]:
    enterprise = needs.enterprise or _ENTERPRISE
    yield from _headed("2. Each mailbox: IMAP on, the application let in, large messages taken")
    for address in needs.addresses:
        yield command("Set-CASMailbox", Identity=address, ImapEnabled=True)
        yield command(
            "Add-MailboxPermission",
            Identity=address,
            User=enterprise,
            AccessRights="FullAccess",
            AutoMapping=False,
        )
        yield command(
            "Set-Mailbox",
            Identity=address,
            MaxReceiveSize=LARGEST_MESSAGE,
            MaxSendSize=LARGEST_MESSAGE,
        )


def _beside(extras: Sequence[Extra]) -> Iterator[str]:
    lines = [line for extra in extras for line in _extra(extra)]
    if lines:
        yield from _headed("3. Aliases, redirections, rights")
        yield from lines


def _extra(extra: Extra) -> Iterator[str]:
    match extra:
        case Alias(address, alias):
            yield command("Set-Mailbox", Identity=address, EmailAddresses={"Add": f"smtp:{alias}"})
        case Redirection(address, to, copy):
            yield remark(f"mailhaul makes an inbox rule of {address} to {to}. Instead of that one:")
            forwarded = command(
                "Set-Mailbox",
                Identity=address,
                ForwardingSmtpAddress=f"smtp:{to}",
                DeliverToMailboxAndForward=copy,
            )
            yield remark(forwarded)
        case Delegation(address, to, Right.FULL):
            yield command(
                "Add-MailboxPermission", Identity=address, User=to, AccessRights="FullAccess"
            )
        case Delegation(address, to, Right.SEND_AS):
            granted = command(
                "Add-RecipientPermission", Identity=address, Trustee=to, AccessRights="SendAs"
            )
            yield f"{granted} -Confirm:$false"
        case Delegation(address, to, Right.SEND_ON_BEHALF):
            yield command("Set-Mailbox", Identity=address, GrantSendOnBehalfTo={"Add": to})
        case _:
            return


def _groups(extras: Sequence[Extra]) -> Iterator[str]:
    found = [each for each in extras if isinstance(each, Group)]
    if found:
        yield from _headed("4. Groups, which outsiders may write to as they may now")
    for each in found:
        there = f"Get-DistributionGroup -Identity {quoted(each.address)}"
        made = command(
            "New-DistributionGroup",
            Name=each.name or each.address,
            PrimarySmtpAddress=each.address,
            Members=each.members,
            RequireSenderAuthenticationEnabled=False,
        )
        yield f"if (-not ({there} -ErrorAction SilentlyContinue)) {{ {made} }}"


def _domains(needs: Needs) -> Iterator[str]:
    if needs.relays or needs.domains:
        yield from _headed("5. Domains: mail for people who aren't here yet goes on; DKIM")
    for domain, host in needs.relays.items():
        yield command("Set-AcceptedDomain", Identity=domain, DomainType="InternalRelay")
        name = f"mailhaul {domain}"
        there = f"Get-OutboundConnector -Identity {quoted(name)} -ErrorAction SilentlyContinue"
        made = command(
            "New-OutboundConnector",
            Name=name,
            ConnectorType="OnPremises",
            RecipientDomains=domain,
            SmartHosts=host,
            UseMXRecord=False,
            TlsSettings="EncryptionOnly",
        )
        yield f"if (-not ({there})) {{ {made} }}"
    for domain in needs.domains:
        there = f"Get-DkimSigningConfig -Identity {quoted(domain)} -ErrorAction SilentlyContinue"
        made = command("New-DkimSigningConfig", DomainName=domain, Enabled=False)
        yield f"if (-not ({there})) {{ {made} }}"
        yield f"{there} | Format-List Selector1CNAME, Selector2CNAME"
    if needs.domains:
        yield remark("Write both records; when they are seen, switch signing on:")
    for domain in needs.domains:
        yield remark(command("Set-DkimSigningConfig", Identity=domain, Enabled=True))


def _inventory() -> Iterator[str]:
    yield from _headed("6. What mailhaul can't see by Graph: forwarding, and who may what")
    yield (
        "Get-Mailbox -ResultSize Unlimited | Where-Object { $_.ForwardingSmtpAddress -or "
        "$_.ForwardingAddress } | Format-Table PrimarySmtpAddress, ForwardingSmtpAddress, "
        "ForwardingAddress, DeliverToMailboxAndForward"
    )
    yield (
        "Get-Mailbox -ResultSize Unlimited | Get-MailboxPermission | Where-Object "
        "{ $_.User -notlike 'NT AUTHORITY*' } | Format-Table Identity, User, AccessRights"
    )


def _way_back(needs: Needs) -> Iterator[str]:
    enterprise = needs.enterprise or _ENTERPRISE
    yield from _headed("7. When the move is over, and not before: what was granted is taken back")
    for address in needs.addresses:
        line = command(
            "Remove-MailboxPermission",
            Identity=address,
            User=enterprise,
            AccessRights="FullAccess",
        )
        yield remark(f"{line} -Confirm:$false")
    for domain in needs.relays:
        yield remark(command("Set-AcceptedDomain", Identity=domain, DomainType="Authoritative"))
        name = f"mailhaul {domain}"
        yield remark(f"{command('Remove-OutboundConnector', Identity=name)} -Confirm:$false")
    yield remark(f"{command('Remove-ServicePrincipal', Identity=enterprise)} -Confirm:$false")


def _headed(text: str) -> Iterator[str]:
    yield ""
    yield remark(text)
