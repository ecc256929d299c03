"""The lab's hoster (`python -m mailhaul.lab.hoster`), asked over HTTP on loopback: kind `lab`.

For rehearsals: the hoster is not a product, but its servers, its mail and its waiting are real.
"""

import ssl
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.dns.answers import Server
from mailhaul.dns.guard import allowance
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.zone import ZoneWriter
from mailhaul.providers import lab_words as words
from mailhaul.providers.actions import Action
from mailhaul.providers.actions_text import extra_of, written
from mailhaul.providers.extras import Extra
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.provider import Planned, Provider, Refused, Task, Unsupported
from mailhaul.providers.registry import Settings
from mailhaul.providers.service import Account, Contacts, HostedDomain, Service
from mailhaul.providers.web import Answer, Web, checked_origin

LOOPBACK = allowance(["127.0.0.0/8", "::1"])
"""Where the hoster's name server may be: a rehearsal leads nowhere else."""
LONGEST_PAUSE = 2.0
_Value = TypeVar("_Value")
_ASK = TypeAdapter(dict[str, str])


def open_provider(settings: Settings) -> Provider:
    """The service of that name at the hoster whose control plane is at `settings.url`. Its login is
    the hoster's token. Raises `BadInput` for an address that isn't on this machine."""
    if not settings.url:
        raise BadInput("a provider of the kind “lab” needs the url that its hoster has told")
    # Where that is plain HTTP, it is loopback; a rehearsal has no certificates.
    if not checked_origin(settings.url).startswith("http:"):
        raise BadInput(
            f"{printable(settings.url, 200)} is not on this machine, where the hoster of a "
            "rehearsal is; write the url that it has told"
        )
    return LabProvider(settings)


class LabProvider:
    """A `Provider`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # On loopback nothing is encrypted, and the system's authorities take long to load.
        self._web = Web(settings.url, trust=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._path = f"/services/{quote(settings.service, safe='')}"

    async def service(self) -> Service:
        """As `Provider` has it, and so on."""
        return await self._ask("service", words.SERVICE)

    async def accounts(self) -> Sequence[Account]:
        return await self._ask("accounts", words.ACCOUNTS)

    async def account(self, address: str) -> Account | None:
        return await self._ask("account", words.ACCOUNT, address=address)

    async def extras(self, address: str = "") -> Sequence[Extra]:
        return [extra_of(text) for text in await self._ask("extras", words.TEXTS, address=address)]

    async def obstacles(self, address: str, action: Action | None = None) -> Sequence[Obstacle]:
        told = {} if action is None else {"action": written(action)}
        return await self._ask("obstacles", words.OBSTACLES, address=address, **told)

    async def domains(self) -> Sequence[HostedDomain]:
        return await self._ask("domains", words.DOMAINS)

    async def contacts(self) -> Contacts:
        return await self._ask("contacts", words.CONTACTS)

    async def zone(self, domain: str) -> ZoneWriter:
        held = await self._ask("zone", words.ZONE, domain=domain)
        key = TsigKey(held.key, Secret(held.secret), held.algorithm)
        return UpdatedZone(domain, Server(held.server, held.port), key, LOOPBACK)

    async def plan(self, action: Action) -> Planned:
        return await self._ask("plan", words.PLANNED, action=written(action))

    async def begin(self, action: Action, key: str, secret: Secret | None = None) -> Task:
        told = {} if secret is None else {"secret": secret.reveal()}
        return await self._ask("begin", words.TASK, action=written(action), key=key, **told)

    async def task(self, number: str) -> Task:
        return await self._ask("task", words.TASK, task=number)

    async def close(self) -> None:
        await self._web.close()

    async def _ask(self, verb: str, kind: TypeAdapter[_Value], **told: str) -> _Value:
        login = await self._settings.login()
        token = await login.token() if login.token else login.password
        headers = {
            "Authorization": f"Bearer {token.reveal() if token else ''}",
            "Content-Type": "application/json",
        }
        try:
            answer = await self._web.exchange(
                "POST", f"{self._path}/{verb}", headers, _ASK.dump_json(told)
            )
        except RetryLater as error:
            # It is on this machine: whoever waits for it needn't wait long.
            after = error.after if error.throttled else min(error.after, LONGEST_PAUSE)
            raise RetryLater(str(error), after=after, throttled=error.throttled) from error
        try:
            if answer.status == 200:
                return kind.validate_json(answer.body)
            trouble = words.TROUBLE.validate_json(answer.body)
        except ValidationError as error:
            raise Closed(
                f"the hoster's answer to “{verb}” makes no sense; is it another version of "
                f"mailhaul? ({printable(str(error), 200)})",
                ClosedReason.PROTOCOL,
            ) from error
        raise self._error(answer, trouble)

    def _error(self, answer: Answer, trouble: words.Trouble) -> Exception:
        said, name = printable(trouble.text, 1000), printable(self._settings.service, 60)
        match answer.status:
            case 401:
                return Closed(
                    f"the hoster doesn't let us in at {name} ({said}); give its token anew",
                    ClosedReason.CREDENTIALS,
                )
            case 403:
                return Closed(
                    f"the hoster doesn't let this token do that at {name} ({said}); take another",
                    ClosedReason.FORBIDDEN,
                )
            case 405:
                return Unsupported(said)
            case 409 if trouble.findings:
                return Refused(trouble.findings)
            case 404 | 422:
                return BadInput(said)
        return Closed(
            f"the hoster answers {answer.status} at {name} ({said}), which makes no sense",
            ClosedReason.PROTOCOL,
        )
