"""From a plan's section to the provider that speaks to that control plane."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.providers.provider import Provider

MODULES: dict[str, str] = {
    "lab": "lab",
    "microsoft365": "microsoft365",
    "cyrus": "cyrus",
    "dovecot": "dovecot",
    "static": "static",
    "ovh-domain": "ovh",
    "ovh-mxplan": "ovh",
    "ovh-pro": "ovh",
    "ovh-exchange": "ovh",
}
"""Kind of provider, as plans call it, and its module, which is imported when it is asked for and
has `open_provider(settings: Settings) -> Provider`. The module opens no connection by that."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a control plane is reached. `service` is its name there, `url` where it is asked other
    than its vendor's usual place, `values` what else the kind needs; each provider's page says.
    `login` gives what it logs in with, asked at every login so that a changed secret or a fresh
    token is found. Paths are relative to `directory`. `secrets` are those that came with what was
    begun and isn't over, by task: who opens a provider again and again in one process hands in the
    same ones; nobody writes them down."""

    kind: str
    service: str
    login: Callable[[], Awaitable[Credentials]]
    url: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    directory: Path = Path()
    secrets: dict[str, Secret] = field(default_factory=dict)


def open_provider(settings: Settings) -> Provider:
    """The provider, which has not been asked anything yet. Raises `BadInput` for a kind that nobody
    knows and for settings that can't be."""
    module = MODULES.get(settings.kind)
    if module is None:
        raise BadInput(
            f"“{printable(settings.kind, 50)}” is no provider; there are {', '.join(MODULES)}"
        )
    opened = import_module(f"mailhaul.providers.{module}").open_provider(settings)
    provider: Provider = opened
    return provider
