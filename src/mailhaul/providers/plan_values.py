"""Settings of a provider as plans write them: texts, each read in one way."""

from collections.abc import Collection

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.names import domain_name
from mailhaul.providers.registry import Settings


def known_only(settings: Settings, names: Collection[str]) -> None:
    """Raises `BadInput` for a setting that the provider hasn't got."""
    for name in settings.values:
        if name not in names:
            raise BadInput(
                f"“{printable(name, 60)}” is no setting of the provider {settings.kind}; there "
                f"are {', '.join(sorted(names))}"
            )


def listed(settings: Settings, name: str) -> tuple[str, ...]:
    """What stands there, cut at commas."""
    return tuple(each.strip() for each in settings.values.get(name, "").split(",") if each.strip())


def domains(settings: Settings, name: str = "domains") -> tuple[str, ...]:
    """The domains that stand there, as in `dns.names`. Raises `BadInput`."""
    return tuple(domain_name(each) for each in listed(settings, name))


def chosen(settings: Settings, name: str, choices: Collection[str], usual: str) -> str:
    """One of the choices. Raises `BadInput` for anything else."""
    value = settings.values.get(name, usual)
    if value not in choices:
        raise BadInput(
            f"{name} of the provider {settings.kind} is “{printable(value, 60)}”; write one of "
            f"{', '.join(choices)}"
        )
    return value
