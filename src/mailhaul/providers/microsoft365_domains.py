"""Domains of a tenant: what Graph says of each, as records to write and a proof to show.

`serviceConfigurationRecords` is what Microsoft wants in the zone, and goes before any profile.
Graph v1.0 tells neither DKIM's records (`Get-DkimSigningConfig` does) nor to which host a domain
relays; both are in the runbook.
"""

from collections.abc import Iterator, Sequence

from mailhaul.core.errors import BadInput, Closed, ClosedReason
from mailhaul.core.text import printable
from mailhaul.dns.expected import Expected, Moment, Wanted
from mailhaul.dns.names import domain_name, inside
from mailhaul.dns.records import Kind, MailHost, RecordSet
from mailhaul.providers.fields import Fields
from mailhaul.providers.service import DomainStatus, HostedDomain, Mode

EMAIL = "Email"
"""The service of a domain that makes Exchange Online accept its mail (`supportedServices`)."""
_RELAYS = "EmailInternalRelayOnly"
_SOURCE = "Microsoft 365 (serviceConfigurationRecords)"
_LONGEST_TTL = 7 * 86400


def hosted_domain(
    found: Fields, wanted: Sequence[Fields] = (), proofs: Sequence[Fields] = ()
) -> HostedDomain:
    """The domain, with the records of its service and, while Microsoft asks whose it is, of its
    proof. Raises `Closed` (protocol) for records that can't be."""
    name = found.text("id")
    status = status_of(found)
    proof = _proof(name, proofs) if status is DomainStatus.UNPROVEN else None
    return HostedDomain(
        name=name,
        status=status,
        mode=Mode.NON_AUTHORITATIVE if _RELAYS in services(found) else Mode.AUTHORITATIVE,
        proof=proof,
        expected=_expected(name, wanted, proof) if wanted or proof else None,
    )


def status_of(found: Fields) -> DomainStatus:
    """Where the domain is: OK once it is proven and Exchange Online takes its mail."""
    state = found.one("state")
    operation, status = state.text("operation").casefold(), state.text("status").casefold()
    if operation == "forcedelete" and status != "failed":
        return DomainStatus.DELETING
    if status == "failed":
        return DomainStatus.ERROR
    if found.truth("isVerified") is not True:
        return DomainStatus.UNPROVEN
    if status in ("inprogress", "scheduled") or EMAIL not in services(found):
        return DomainStatus.CREATING
    return DomainStatus.OK


def services(found: Fields) -> tuple[str, ...]:
    """What the domain is used for (`supportedServices`)."""
    return found.texts("supportedServices")


def _proof(domain: str, proofs: Sequence[Fields]) -> RecordSet | None:
    """Microsoft takes a TXT or an MX record; TXT harms nothing."""
    for each in proofs:
        if each.text("recordType").casefold() == "txt" and each.text("text"):
            return RecordSet(_name(domain, each), Kind.TXT, _ttl(each), (each.text("text"),))
    return None


def _expected(domain: str, wanted: Sequence[Fields], proof: RecordSet | None) -> Expected:
    mail = [each for each in wanted if each.text("supportedService").casefold() == "email"]
    terms, ending = _spf(mail)
    ttls = [_ttl(each) for each in mail]
    return Expected(
        domain=_checked(domain),
        mx=tuple(_mail_hosts(mail)),
        spf=terms,
        spf_all=ending,
        records=(*_ownership(proof), *_aliases(domain, mail)),
        ttl=min(ttls, default=3600),
        source=_SOURCE,
    )


def _mail_hosts(mail: Sequence[Fields]) -> Iterator[MailHost]:
    for each in mail:
        if each.text("recordType").casefold() == "mx":
            preference = each.number("preference") or 0
            if not 0 <= preference <= 65535:
                raise _senseless(each, f"preference {preference}")
            yield MailHost(preference, _checked(each.text("mailExchange")))


def _aliases(domain: str, mail: Sequence[Fields]) -> Iterator[Wanted]:
    for each in mail:
        if each.text("recordType").casefold() == "cname" and each.text("canonicalName"):
            name = _name(domain, each)
            topic = name.partition(".")[0]
            values = (_checked(each.text("canonicalName")),)
            yield Wanted(topic, name, Kind.CNAME, values, Moment.SWITCH, _ttl(each))


def _ownership(proof: RecordSet | None) -> Iterator[Wanted]:
    if proof is not None:
        yield Wanted("ownership", proof.name, proof.kind, proof.values, Moment.NOW, proof.ttl)


def _spf(mail: Sequence[Fields]) -> tuple[tuple[str, ...], str]:
    """The terms of the SPF record that Microsoft wants, and how it ends."""
    for each in mail:
        text = each.text("text")
        if each.text("recordType").casefold() == "txt" and text.casefold().startswith("v=spf1"):
            # Microsoft's own example has a blank after the colon.
            terms = text.replace("include: ", "include:").split()[1:]
            if not all(term.isascii() and term.isprintable() for term in terms):
                raise _senseless(each, text)
            endings = [term for term in terms if term.lstrip("+-~?").casefold() == "all"]
            return tuple(term for term in terms if term not in endings), "".join(endings[-1:])
    return (), ""


def _name(domain: str, record: Fields) -> str:
    name, owner = _checked(record.text("label")), _checked(domain)
    return name if inside(name, owner) else f"{name}.{owner}"


def _ttl(record: Fields) -> int:
    ttl = record.number("ttl")
    return 3600 if ttl is None or not 0 < ttl <= _LONGEST_TTL else ttl


def _checked(name: str) -> str:
    try:
        return domain_name(name)
    except BadInput as error:
        raise Closed(
            f"Graph names a record that no zone can hold: {error}; ask Microsoft's support",
            ClosedReason.PROTOCOL,
        ) from error


def _senseless(record: Fields, what: str) -> Closed:
    return Closed(
        f"Graph wants a record that no zone can hold: {record.where}: {printable(what, 200)}; "
        "ask Microsoft's support",
        ClosedReason.PROTOCOL,
    )
