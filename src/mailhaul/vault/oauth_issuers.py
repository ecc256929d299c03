"""Issuers of tokens: Microsoft's and Google's as they document them, any other by its metadata
(RFC 8414; OpenID Connect Discovery 1.0)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import printable
from mailhaul.vault.oauth import Flow, Issuer
from mailhaul.vault.oauth_http import Answer, Wire, check_url, get_shape

MICROSOFT = "https://login.microsoftonline.com"
ANY_TENANT = "{tenantid}"
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_OF_MANY = ("common", "organizations", "consumers")


@dataclass(frozen=True, slots=True)
class Vendor:
    """An issuer that is known: what mail is asked for by whoever logs in, and by an application
    that is let in to all mailboxes; empty where the flow can't have it."""

    issuer: Issuer
    person: str
    application: str = ""
    service: str = ""
    device: bool = True


def microsoft(tenant: str) -> Vendor:
    """Microsoft's, of that tenant: a domain of it, its id, or `organizations`. Raises `BadInput`.

    The scopes are those of IMAP (learn.microsoft.com, “Authenticate an IMAP, POP or SMTP connection
    using OAuth”); an application needs a tenant, for nobody is asked whose it is.
    """
    if _TENANT.fullmatch(tenant) is None:
        raise BadInput(
            f"“{printable(tenant, 60)}” is no tenant; give one of its domains, such as "
            "contoso.onmicrosoft.com, or its id"
        )
    place = f"{MICROSOFT}/{tenant}/oauth2/v2.0"
    # Behind a domain, and behind the names for many, tokens come from a tenant with an id.
    known = tenant if re.fullmatch(r"[0-9a-fA-F-]{36}", tenant) else ANY_TENANT
    return Vendor(
        Issuer(
            f"{MICROSOFT}/{known}/v2.0",
            f"{place}/token",
            f"{place}/authorize",
            f"{place}/devicecode",
        ),
        person="https://outlook.office.com/IMAP.AccessAsUser.All offline_access",
        application="" if tenant in _OF_MANY else "https://outlook.office365.com/.default",
    )


def google() -> Vendor:
    """Google's (developers.google.com/identity/protocols/oauth2). Its device flow is for a few
    scopes, and mail is not among them."""
    return Vendor(
        Issuer(
            "https://accounts.google.com",
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com/o/oauth2/v2/auth",
            revoke="https://oauth2.googleapis.com/revoke",
        ),
        person="https://mail.google.com/",
        service="https://mail.google.com/",
        device=False,
    )


async def discovered(wire: Wire, name: str, *, inside: bool) -> Issuer:
    """The issuer of that name (an https URL), as its metadata tells it. Raises `Closed` when there
    is none, or when it is another issuer's (RFC 8414 3.3), and `RetryLater`."""
    parts = check_url(name, inside=inside)
    root = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    places = (
        f"{root}{path}/.well-known/openid-configuration",
        f"{root}/.well-known/oauth-authorization-server{path}",
    )
    for place in places:
        answer = await get_shape(wire, place, inside=inside)
        if answer.status == 429 or answer.status >= 500:
            raise RetryLater(
                f"{printable(parts.netloc, 120)} can't tell now how tokens are had (status "
                f"{answer.status})",
                after=answer.after or 30,
            )
        if answer.status == 200 and answer.shape:
            return _issuer(name, answer, inside)
    raise Closed(
        f"{printable(name, 200)} says nothing of itself as an issuer of tokens; give the issuer's "
        "own address, as its documents name it",
        ClosedReason.PROTOCOL,
    )


def is_same_issuer(issuer: Issuer, told: str) -> bool:
    """Whether `told` (RFC 9207) names that issuer."""
    pattern = re.escape(issuer.name).replace(re.escape(ANY_TENANT), "[0-9a-fA-F-]{36}")
    return re.fullmatch(pattern, told) is not None


def check_flow(vendor: Vendor, flow: Flow) -> None:
    """Raises `BadInput` where that vendor doesn't let in to mail by that flow."""
    if flow is Flow.DEVICE and not vendor.device:
        raise BadInput(
            "Google's device flow is not for mail; leave --device out, and give --paste if the "
            "browser is on another machine"
        )
    if flow is Flow.CLIENT and not vendor.application:
        if vendor.issuer.name.startswith(MICROSOFT):
            cure = "name the tenant by its domain or id"
        else:
            cure = "Google does that by a service account: give --service-account FILE"
        raise BadInput(f"nobody but a tenant lets an application in to its mailboxes; {cure}")


def _issuer(name: str, answer: Answer, inside: bool) -> Issuer:
    shape = answer.shape
    if _words(shape, "issuer") != name:
        raise Closed(
            f"{printable(name, 200)} says that it is {printable(_words(shape, 'issuer'), 200)}; "
            "give the issuer by that name, if it is whom you mean",
            ClosedReason.PROTOCOL,
        )
    found = Issuer(
        name,
        _words(shape, "token_endpoint"),
        _words(shape, "authorization_endpoint"),
        _words(shape, "device_authorization_endpoint"),
        _words(shape, "revocation_endpoint"),
        tells_itself=shape.get("authorization_response_iss_parameter_supported") is True,
        basic=not _takes_post(shape),
        inside=inside,
    )
    if not found.token:
        raise Closed(f"{printable(name, 200)} names no token endpoint", ClosedReason.PROTOCOL)
    for place in (found.token, found.authorize, found.device, found.revoke):
        if place:
            check_url(place, inside=inside)
    return found


def _takes_post(shape: Mapping[str, object]) -> bool:
    # What isn't told is client_secret_basic (RFC 8414 2).
    methods = shape.get("token_endpoint_auth_methods_supported")
    return isinstance(methods, list) and "client_secret_post" in methods


def _words(shape: Mapping[str, object], key: str) -> str:
    value = shape.get(key)
    return value if isinstance(value, str) else ""


def shown_issuer(issuer: Issuer) -> str:
    """Its host, for a line."""
    return printable(urlsplit(issuer.token).hostname or issuer.name, 120)
