"""The hoster's control plane: requests in JSON, answered from the books, begun as tasks.

`POST /services/NAME/VERB` is a provider's, one path for each verb of `providers.provider`;
`POST /operator/VERB` is for whoever runs the rehearsal (`operating`). Errors are JSON too: `text`,
and `findings` where the hoster says no.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.lab.hoster import rules
from mailhaul.lab.hoster.books import Books, Box, Job, Line, Sold
from mailhaul.lab.hoster.operating import Operator
from mailhaul.lab.hoster.platforms import BadScript, NotDelivered, Platform, Size
from mailhaul.lab.hoster.setup import Setup
from mailhaul.lab.hoster.sieve import script
from mailhaul.lab.hoster.web import Reply, Request
from mailhaul.lab.hoster.work import Work
from mailhaul.lab.wire import Refusal
from mailhaul.providers.actions import Action, Add, Delete, HandOver
from mailhaul.providers.actions_text import action_of, written, written_extra
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Alias, Extra
from mailhaul.providers.lab_words import (
    ACCOUNT,
    ACCOUNTS,
    CONTACTS,
    DOMAINS,
    OBSTACLES,
    PLANNED,
    SERVICE,
    TASK,
    TEXTS,
    TROUBLE,
    ZONE,
    HeldZone,
    Trouble,
)
from mailhaul.providers.obstacles import Obstacle, finding, standing
from mailhaul.providers.provider import Planned, Refused, Task, TaskState, Unsupported, demand
from mailhaul.providers.service import (
    Access,
    Account,
    AccountState,
    Content,
    Service,
    Verb,
)

FAILED = (TaskState.ERROR, TaskState.CANCELLED)
WAYS = frozenset({Access.IMAP, Access.SMTP, Access.WEBMAIL})
_PRODUCTS = {Line.LEGACY: "MX Plan", Line.NEW: "MX Plan", Line.EXCHANGE: "Hosted Exchange"}
_EVIDENCE = {
    Line.LEGACY: ("Plan: MX Plan 100 (an offer is named)",),
    Line.NEW: ("Server model: mxplan-rehearsal",),
    Line.EXCHANGE: ("Server model: exchange-rehearsal",),
}
_CONTENTS = frozenset({Content.MAIL, Content.RULES})


class _Asked(BaseModel):
    """What a verb is asked with; which of it, the verb knows."""

    model_config = ConfigDict(extra="forbid")

    address: str = ""
    action: str | None = None
    key: str = ""
    secret: str | None = None
    task: str = ""
    domain: str = ""


Verbs = Mapping[str, Callable[[Sold, _Asked], Awaitable[bytes]]]


class _HungUp(Exception):
    """Nothing is said."""


class Desk:
    """Answers requests; see the module."""

    def __init__(
        self, setup: Setup, books: Books, platforms: Mapping[str, Platform], work: Work
    ) -> None:
        self._setup = setup
        self._books = books
        self._platforms = platforms
        self._work = work
        self._operator = Operator(books, platforms, work)
        self._verbs: Verbs = {
            "service": self._service,
            "accounts": self._accounts,
            "account": self._account,
            "extras": self._extras,
            "obstacles": self._obstacles,
            "domains": self._domains,
            "contacts": self._contacts,
            "zone": self._zone,
            "plan": self._plan,
            "begin": self._begin,
            "task": self._task,
        }

    async def answer(self, request: Request) -> Reply:
        """Whatever is asked, something is answered."""
        try:
            match request.path.split("/"):
                case ["", "operator", verb] if request.token == self._setup.operator:
                    return Reply(200, await self._operator.obey(verb, request.body))
                case ["", "services", name, verb] if request.token == self._setup.token:
                    return await self._serve(unquote(name), verb, request.body)
                case ["", "operator" | "services", *_]:
                    return _trouble(401, "the token is not known here, or has expired")
            return _trouble(404, "there is nothing here")
        except Refused as refused:
            return _trouble(409, str(refused), refused)
        except Unsupported as error:
            return _trouble(405, str(error))
        except (BadInput, ValidationError) as error:
            return _trouble(422, printable(str(error), 500))
        except (OSError, Refusal, BadScript, NotDelivered) as error:
            return _trouble(503, f"a platform failed: {error}", headers={"Retry-After": "1"})
        except _HungUp:
            return Reply(200, hang_up=True)

    async def _serve(self, name: str, verb: str, body: bytes) -> Reply:
        sold = self._books.service(name)
        work = self._verbs.get(verb)
        if sold is None or work is None:
            return _trouble(404, f"there is no service “{printable(name, 60)}” here")
        match self._books.met(name, "away", "throttled", "expired", "forbidden"):
            case "away":
                return _trouble(503, "away", headers={"Retry-After": "1"})
            case "throttled":
                return _trouble(429, "too many requests", headers={"Retry-After": "2"})
            case "expired":
                return _trouble(401, "the token has expired")
            case "forbidden":
                return _trouble(403, "the token may not do this")
        return Reply(200, await work(sold, _Asked.model_validate_json(body)))

    async def _service(self, sold: Sold, asked: _Asked) -> bytes:
        boxes = self._books.boxes(sold.name)
        free = [box for box in boxes if box.state is AccountState.PLACEHOLDER]
        exchange = sold.line is Line.EXCHANGE
        more = {Content.CALENDAR, Content.CONTACTS, Content.SHARING} if exchange else set()
        return SERVICE.dump_json(
            Service(
                kind="lab",
                name=sold.name,
                product=_PRODUCTS[sold.line],
                verbs=self._can(sold),
                contents=_CONTENTS | more,
                generation=sold.line.generation,
                evidence=_EVIDENCE[sold.line],
                free=len(free) if sold.line is not Line.LEGACY else None,
                fresh=len(free) == len(boxes),
                quota=sold.quota,
            )
        )

    async def _accounts(self, sold: Sold, asked: _Asked) -> bytes:
        extras = self._standing(sold)
        found = [self._shown(box, extras, None) for box in self._books.boxes(sold.name)]
        return ACCOUNTS.dump_json(tuple(found))

    async def _account(self, sold: Sold, asked: _Asked) -> bytes:
        box = self._books.box(sold.name, asked.address)
        if box is None:
            return ACCOUNT.dump_json(None)
        size = await self._size(box)
        return ACCOUNT.dump_json(self._shown(box, self._standing(sold), size))

    async def _extras(self, sold: Sold, asked: _Asked) -> bytes:
        found = [
            written_extra(each)
            for each in self._standing(sold)
            if not asked.address or same(each.address, asked.address)
        ]
        return TEXTS.dump_json(tuple(found))

    async def _obstacles(self, sold: Sold, asked: _Asked) -> bytes:
        return OBSTACLES.dump_json(tuple(await self._against(sold, asked)))

    async def _against(self, sold: Sold, asked: _Asked) -> list[Obstacle]:
        if asked.action is not None:
            action = self._demanded(sold, asked)
            if rules.holds(self._books, sold, action):
                return []
            return await self._refusals(sold, action, retried=False)
        box = self._books.box(sold.name, asked.address)
        told = list(standing(asked.address, self._standing(sold)))
        if box is None and not told:
            return [Obstacle("ACCOUNT_EMPTY", printable(asked.address, 200))]
        if self._books.busy(sold.name, asked.address):
            told.append(Obstacle("ACCOUNT_INPROGRESS", printable(asked.address, 200)))
        return told

    async def _domains(self, sold: Sold, asked: _Asked) -> bytes:
        return DOMAINS.dump_json(tuple(map(self._operator.dressed, self._books.domains(sold.name))))

    async def _contacts(self, sold: Sold, asked: _Asked) -> bytes:
        return CONTACTS.dump_json(sold.contacts)

    async def _zone(self, sold: Sold, asked: _Asked) -> bytes:
        zones = self._setup.zones
        if zones is None or self._books.domain(sold.name, asked.domain) is None:
            shown = printable(asked.domain, 253)
            raise Unsupported(f"{sold.name} doesn't hold the zone {shown}")
        return ZONE.dump_json(HeldZone(**zones.model_dump()))

    async def _plan(self, sold: Sold, asked: _Asked) -> bytes:
        action = self._demanded(sold, asked)
        line = printable(f"{sold.name}: {asked.action}", 1000)
        if rules.holds(self._books, sold, action):
            return PLANNED.dump_json(Planned(True, (line,)))
        against = await self._refusals(sold, action, retried=False)
        return PLANNED.dump_json(Planned(False, (line,), tuple(map(finding, against))))

    async def _begin(self, sold: Sold, asked: _Asked) -> bytes:
        action = self._demanded(sold, asked)
        secret = None if asked.secret is None else Secret(asked.secret)
        if self._books.met(sold.name, "request lost"):
            raise _HungUp
        task = await self._begun(sold, action, asked.key, secret)
        if self._books.met(sold.name, "answer lost"):
            raise _HungUp
        return TASK.dump_json(task)

    async def _begun(self, sold: Sold, action: Action, key: str, secret: Secret | None) -> Task:
        books = self._books
        known = books.job_by_key(sold.name, key)
        if known is not None and known.action != written(action):
            raise BadInput(f"the key {printable(key, 80)} began something else; use another")
        if known is not None and known.state not in FAILED:
            return _shown_task(known)
        job = Job(0, sold.name, key, written(action), None, TaskState.DONE, "", 0.0, "")
        if rules.holds(books, sold, action):
            return _shown_task(books.add_job(job, ()))
        if books.met(sold.name, "refused"):
            raise Refused([finding(Obstacle("UNKNOW", sold.name))])
        against = [
            *await self._refusals(sold, action, retried=known is not None),
            *rules.secret_refusals(books, sold, action, secret),
        ]
        # Others were served while sizes were asked for.
        again = books.job_by_key(sold.name, key)
        if again is not None and again.state not in FAILED:
            return _shown_task(again)
        if against:
            raise Refused(list(map(finding, against)))
        job = Job(
            id=0,
            service=sold.name,
            key=key,
            action=written(action),
            secret=None if secret is None else secret.reveal(),
            state=TaskState.TODO,
            said="",
            due=time.time() + sold.seconds,
            fault=books.met(sold.name, "fails", "half", "stalls", "cancelled"),
        )
        job = books.add_job(job, rules.about(sold.name, action))
        self._work.start(job)
        return _shown_task(job)

    async def _task(self, sold: Sold, asked: _Asked) -> bytes:
        job = self._books.job(sold.name, asked.task)
        if job is None:
            raise BadInput(f"{sold.name} knows no task {printable(asked.task, 80)}")
        return TASK.dump_json(_shown_task(job))

    def _demanded(self, sold: Sold, asked: _Asked) -> Action:
        action = action_of(asked.action or "")
        demand(self._can(sold), action, sold.name)
        rules.addresses(action)
        return action

    def _can(self, sold: Sold) -> frozenset[Verb]:
        verbs = rules.VERBS[sold.line] - (rules.SIEVE - self._platforms[sold.platform].beside)
        return verbs | ({Verb.ZONES} if self._setup.zones else set())

    async def _refusals(self, sold: Sold, action: Action, *, retried: bool) -> list[Obstacle]:
        """Sizes are asked for before the books are, so that nothing happens in between."""
        used = 0
        if isinstance(action, Delete | HandOver):
            box = self._books.box(sold.name, action.address)
            size = Size(0, 0) if box is None else await self._size(box)
            used = size.messages if isinstance(action, Delete) else size.octets
        found = list(rules.refusals(self._books, sold, action, used=used, retried=retried))
        if isinstance(action, Add) and not found:
            found += await self._unfit(sold, action.extra)
        return found

    async def _unfit(self, sold: Sold, extra: Extra) -> list[Obstacle]:
        """Why the platform wouldn't act on it."""
        platform = self._platforms[sold.platform]
        box = self._books.box(sold.name, extra.address)
        made = script(extra.address, [], [extra])
        if not made or not platform.sieve or box is None or not box.placed:
            return []
        try:
            await platform.checks(box, made)
        except BadScript as error:
            return [Obstacle("UNKNOW", printable(str(error), 300))]
        return []

    async def _size(self, box: Box) -> Size:
        sold = self._books.service(box.service)
        assert sold is not None
        return await self._platforms[sold.platform].size(box)

    def _standing(self, sold: Sold) -> list[Extra]:
        return [extra for _, extra in rules.extras(self._books, sold.name)]

    def _shown(self, box: Box, extras: list[Extra], size: Size | None) -> Account:
        busy = self._books.busy(box.service, box.address)
        aliases = sorted(
            each.alias
            for each in extras
            if isinstance(each, Alias) and same(each.address, box.address)
        )
        return Account(
            box.address,
            AccountState.BUSY if busy else box.state,
            box.name,
            box.quota,
            size.octets if size else None,
            size.messages if size else None,
            tuple(aliases),
            WAYS,
        )


def _shown_task(job: Job) -> Task:
    return Task(str(job.id), job.state, job.said)


def _trouble(
    status: int, text: str, refused: Refused | None = None, headers: dict[str, str] | None = None
) -> Reply:
    findings = refused.findings if refused else ()
    body = TROUBLE.dump_json(Trouble(printable(text, 1000), findings))
    return Reply(status, body, headers or {})
