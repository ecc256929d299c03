"""OVHcloud: the four kinds of mail service that plans can name, and how each is opened.

`service` is what OVHcloud calls it: the domain for the older MX Plan, the service's name for the
newer ones. Exchange services stand in an organization, which mostly has the same name.
"""

from mailhaul.core.errors import BadInput
from mailhaul.dns.names import domain_name
from mailhaul.providers.ovh_api import Api
from mailhaul.providers.ovh_legacy import LegacyPlan
from mailhaul.providers.ovh_platform import Platform, PlatformProvider, Shape
from mailhaul.providers.plan_values import chosen, known_only
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings

LEGACY = "ovh-domain"
_VALUES = {Platform.EXCHANGE.value: ("place", "license", "organization")}
"""What plans can say, where it is more than the place."""
_LICENCES = ("basic", "standard", "enterprise")


def open_provider(settings: Settings) -> Provider:
    """See `registry`. Raises `BadInput` for values that the kind doesn't have."""
    return opened(settings, Api(settings.url or settings.values.get("place", ""), settings.login))


def opened(settings: Settings, api: Api) -> Provider:
    """The provider by that way to OVHcloud. Raises as `open_provider` does."""
    known_only(settings, _VALUES.get(settings.kind, ("place",)))
    chosen(settings, "license", _LICENCES, _LICENCES[0])
    if not settings.service:
        raise BadInput("the service is missing; write its name as OVHcloud's panel shows it")
    if settings.kind == LEGACY:
        return LegacyPlan(domain_name(settings.service), api)
    platform = Platform(settings.kind)
    return PlatformProvider(
        Shape(platform, _root(platform, settings)), settings.service, api, settings.values
    )


def _root(platform: Platform, settings: Settings) -> tuple[str, ...]:
    service = settings.service
    match platform:
        case Platform.MXPLAN:
            return "email", "mxplan", service
        case Platform.PRO:
            return "email", "pro", service
        case Platform.EXCHANGE:
            organization = settings.values.get("organization", service)
            return "email", "exchange", organization, "service", service
