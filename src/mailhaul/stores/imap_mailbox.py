"""An IMAP mailbox as both its source and its target see it: connections, facts, folders.

Opening costs three flights where the server allows it: connecting, logging in, and one with
everything else, the folder listing included; two where the server is known well enough to be asked
all that behind the login at once (`imap.ahead`), one where it also is remembered (`imap.memory`).
`folders()` gives that listing the first time, if
it is called at once and nothing was made meanwhile.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import Disconnected, FolderFailed, TooManyConnections
from mailhaul.core.folder import Folder, FolderPath, Role
from mailhaul.core.lease import Lease
from mailhaul.core.message import Flags
from mailhaul.core.store import Capabilities, Traffic
from mailhaul.core.text import printable
from mailhaul.imap import commands
from mailhaul.imap.ahead import Ask, asked, taken, throw_away
from mailhaul.imap.client import Session
from mailhaul.imap.connect import connect
from mailhaul.imap.failures import failure
from mailhaul.imap.intake import BUDGET
from mailhaul.imap.lane import Lane
from mailhaul.imap.memory import Memory
from mailhaul.imap.name_rules import name_rules
from mailhaul.imap.pending import Pending
from mailhaul.imap.quirks import QuirkName, notices
from mailhaul.imap.responses import Event, Status
from mailhaul.imap.special_use import attribute
from mailhaul.stores.imap_facts import append_limit_of, keeps_keywords, quota_of, space_of, words_of
from mailhaul.stores.imap_folders import (
    Listed,
    Namespaces,
    Survey,
    folders,
    native_of,
    odd_names,
    returning,
    status_attributes,
    with_status,
)
from mailhaul.stores.imap_foresight import Foresight

_FRESH = 2.0
"""Seconds for which `folders()` may give what `open()` has learnt."""


class Mailbox:
    """One mailbox, over at most `connections` connections; folders are shared out among them."""

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        writable: bool,
        connections: int = 1,
        spool: Spool | None = None,
        trace: Callable[[str], None] | None = None,
        compress: bool = True,
        lease: Lease | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.traffic = Traffic()
        self.spaces = Namespaces()
        self.extensions: frozenset[str] = frozenset()
        self.capabilities = Capabilities(server=printable(endpoint.host, 200))
        self.server_name = ""
        self.writable = writable
        self.validity: dict[str, int] = {}
        """UIDVALIDITY of each folder as it was last listed or read."""
        self.uidnext: dict[str, int] = {}
        """The least UID that the next message of a folder can get, as far as is known."""
        self.limits: dict[str, int] = {}
        """Octets that folders take of one message, where they say so one by one (RFC 7889)."""
        self.condstore = False
        self.qresync = False
        self.sendable: dict[Flags, Flags] = {}
        """What of a message's flags this server can be told, once found out."""
        self.flags_checked = False
        """Whether flags given with APPEND were read back once."""
        self.flags_verdict: asyncio.Event | None = None
        """Set once they are: who has flags meanwhile waits for it."""
        self.refusing: set[str] = set()
        """Folders (natives) of which a message was refused: their order wants care."""
        self.moves_within: bool | None = None
        """Whether the server moves messages within their folder; None: not tried."""
        self.stores_flags = False
        """They don't stay: they are stored behind every batch (D19)."""
        self.quirks: Counter[QuirkName] = Counter()
        """What was met of what servers do wrong, and how often."""
        self._said: list[str] = []
        self.spool = spool or Spool()
        self._credentials = credentials
        self._trace = trace
        self._compress = compress
        self._lease = lease
        self._budget = BUDGET // max(1, connections)
        self.foresight = Foresight(self._budget)
        self._lanes = [Lane(self._session) for _ in range(max(1, connections))]
        self._of_folder: dict[str, Lane] = {}
        self.known: dict[FolderPath, Folder] = {}
        """Folders as last listed or made."""
        self._opened = False
        self._opening = False
        self.memory = Memory(endpoint)
        self._asks_ahead = True
        """Off once something was sent behind a login in vain."""
        self._folders: list[Folder] | None = None
        self._listed_at = 0.0

    async def open(self) -> None:
        """Connects, logs in, and asks everything that is to be known; again: nothing."""
        if self._opened:
            return
        lane = self._lanes[0]
        self._opening = True
        try:
            session = await lane.ready()
        finally:
            self._opening = False
        self.extensions = session.capabilities or frozenset()
        await self._introduce(lane, session)
        self._opened = True

    async def close(self) -> None:
        self._opened = False
        self._folders = None
        for lane in self._lanes:
            await lane.close()

    async def folders(self) -> list[Folder]:
        listed, self._folders = self._folders, None
        if listed is None or time.monotonic() - self._listed_at > _FRESH:
            lane = self._lanes[0]
            session = await lane.ready()
            lane.let_go(session, "UNSELECT" in self.extensions)
            survey = await self._survey(lane, _ask_for_folders(session.send, self.extensions))
            listed = self._made(survey)
        return listed

    def lane(self, native: str, load: int = 1) -> Lane:
        """The connection that a folder's commands go to, always the same one."""
        lane = self._of_folder.get(native)
        if lane is None or lane not in self._lanes:
            lane = self._of_folder[native] = min(self._lanes, key=lambda each: each.load)
            lane.load += load
        return lane

    def told(self) -> Traffic:
        """The traffic so far, with the quirks that were met among its notices."""
        said = notices(self.quirks)
        if said != self._said:
            kept = [each for each in self.traffic.notices if each not in self._said]
            self.traffic.notices[:] = kept + said
            self._said = said
        return self.traffic

    @property
    def is_atomic(self) -> bool:
        """Whether a refused MULTIAPPEND is known to have stored nothing at all."""
        return self.server_name.lower().startswith(("dovecot", "cyrus"))

    async def made_folder(self, path: FolderPath, role: Role | None) -> Folder:
        """`Target.create`."""
        if path and path[0].isascii() and path[0].upper() == "INBOX":
            path = ("INBOX", *path[1:])  # E2: in any case, and only there
        self._folders = None
        known = self.known.get(path)
        if known is not None and known.selectable:
            session = await self._lanes[0].ready()
            self._lanes[0].let_go(session, "UNSELECT" in self.extensions)
            asked = commands.status(known.native, status_attributes(self.extensions))
            pending = session.send(asked)
            if (await pending.done()).kind == b"OK":
                current = _only_status(pending.events)
                self._learn_numbers({known.native: current})
                return with_status(known, current)
        native = known.native if known is not None else self._native(path)
        use = None
        if role is not None and "CREATE-SPECIAL-USE" in self.extensions:
            use = attribute(role)
        facts = await self._create(native, use)
        if isinstance(facts, Status) and use is not None:
            use = None
            facts = await self._create(native, None)
        if isinstance(facts, Status) and len(path) > 1:
            # RFC 9051 6.3.4 has the server make the parents; some don't.
            for depth in range(1, len(path)):
                await self._create(native_of(path[:depth], self.spaces), None)
            facts = await self._create(native, use)
        if isinstance(facts, Status):
            shown = printable("/".join(path), 120)
            raise failure(b"CREATE", facts, f"the folder “{shown}” can't be made")
        folder = with_status(Folder(path, native, role if use else None, subscribed=False), facts)
        self._learn_numbers({native: facts})
        self.known[path] = folder
        return folder

    def forget(self, path: FolderPath) -> None:
        """The folder is gone, by our own hand."""
        self.known.pop(path, None)
        self._folders = None

    def _native(self, path: FolderPath) -> str:
        delimiter = self.spaces.delimiter
        if delimiter and any(delimiter in part or not part for part in path):
            shown = printable("/".join(path), 120)
            raise FolderFailed(
                f"the folder “{shown}” can't be made: “{delimiter}” separates folders at the "
                "target; choose another name with --map"
            )
        return native_of(path, self.spaces)

    async def _create(self, native: str, use: str | None) -> dict[str, int] | Status:
        """Makes a folder and looks at it, in one flight: its STATUS, or what the server said when
        it isn't there afterwards. One that is there already is fine, whatever CREATE says
        ([ALREADYEXISTS])."""
        session = await self._lanes[0].ready()
        made = session.send(commands.create(native, use))
        seen = session.send(commands.status(native, status_attributes(self.extensions)))
        answer = await made.done()
        status = await seen.done()
        if status.kind != b"OK":
            return answer if answer.kind != b"OK" else status
        if use is not None and answer.kind != b"OK" and answer.code != b"ALREADYEXISTS":
            return answer
        survey = Survey()
        survey.take(seen.events)
        if native not in survey.status:
            text = b"the server made it under another name"
            return Status(None, b"NO", b"", b"", text)
        return survey.status[native]

    # --- Connecting --------------------------------------------------------------------------

    async def _session(self, lane: Lane) -> Session:
        try:
            session = await connect(
                self.endpoint,
                self._credentials,
                writable=self.writable,
                spool=self.spool,
                traffic=self.traffic,
                trace=self._trace,
                budget=self._budget,
                quirks=self.quirks,
                compress=self._compress,
                lease=self._lease,
                ahead=self._ask_ahead if self._asks_ahead else None,
                memory=self.memory,
            )
        except TooManyConnections:
            # A14: go on with fewer; a folder of the lane that goes is given to another.
            if len(self._lanes) > 1 and lane in self._lanes:
                self._lanes.remove(lane)
                self.traffic.notices.append(
                    f"the server allows {len(self._lanes)} connections at once; went on with these"
                )
            raise
        except Disconnected:
            self._asks_ahead = False
            raise
        if session.misjudged:
            self._asks_ahead = False
        capabilities = session.capabilities or frozenset()
        enabled = _enable(partial(asked, session), capabilities)
        self.condstore = "CONDSTORE" in capabilities or enabled
        self.qresync = "QRESYNC" in capabilities and enabled
        return session

    def _ask_ahead(self, ask: Ask, extensions: frozenset[str]) -> None:
        """What `_session` and `_introduce` are going to ask."""
        _enable(ask, extensions)
        if self._opening:
            _ask_where(ask, extensions)
            _ask_for_folders(ask, extensions)
            _ask_for_quota(ask, extensions)
            if self.writable:
                ask(commands.select("INBOX"))

    async def _introduce(self, lane: Lane, session: Session) -> None:
        """One flight: who are you, where are the folders, what is in them, how full is it."""
        extensions = self.extensions
        ask = partial(asked, session)
        spaces = _ask_where(ask, extensions)
        listing = _ask_for_folders(ask, extensions)
        quota = _ask_for_quota(ask, extensions)
        inbox = None
        if self.writable:
            # Opened for writing: with EXAMINE servers list no permanent flags at all.
            opening = taken(session, commands.select("INBOX"))
            if opening is None:
                inbox = (await lane.ask_in("INBOX", writable=True))[0]
            else:
                inbox = lane.opened("INBOX", opening)
        throw_away(session)  # a server that can do more than was presumed was asked anew
        identified = session.identified
        if identified is not None:
            if (await identified.done()).kind != b"OK":
                self.quirks[QuirkName.ID_REJECTED] += 1
            self.server_name = words_of(identified.events)
        said = "" if self.server_name else printable((await session.greeting()).text, 200)
        await spaces.done()
        self.spaces = space_of(spaces.events) or self.spaces
        survey = await self._survey(lane, listing)
        self._folders = self._made(survey)
        self._listed_at = time.monotonic()
        found = None
        if quota is not None:
            status = await quota.done()
            found = quota_of(quota.events) if status.kind == b"OK" else None
        keywords = True
        if inbox is not None and (await inbox.pending.done()).kind == b"OK":
            keywords = keeps_keywords(await inbox.facts())
        self.capabilities = Capabilities(
            server=self.server_name or printable(self.endpoint.host, 200),
            keeps_keywords=keywords,
            append_limit=append_limit_of(extensions) or self._widest_limit(),
            quota=found,
            names=name_rules(self.server_name or said, self.spaces.delimiter),
            extensions=extensions,
        )

    # --- Folders -----------------------------------------------------------------------------

    async def _survey(self, lane: Lane, asked: list[Pending]) -> Survey:
        """The answers to `asked`, of which the first lists the folders: by a plain LIST where it
        is refused anything more. A plain one that is refused is an error, for the inbox alone is
        no mailbox; subscriptions can be done without."""
        plain = commands.list_all()
        status = await asked[0].done()
        if status.kind != b"OK" and asked[0].command != plain:
            self.quirks[QuirkName.REFUSED_EXTENDED_LIST] += 1
            session = await lane.ready()
            asked = [session.send(plain), session.send(commands.lsub())]
            status = await asked[0].done()
        if status.kind != b"OK":
            raise failure(b"LIST", status, "the folders can't be listed")
        survey = Survey()
        for pending in asked:
            await pending.done()
            survey.take(pending.events)
        if not survey.listed:
            survey.listed["INBOX"] = Listed("INBOX", None, frozenset())
        missing = []
        if not survey.listed.keys() <= survey.status.keys():
            missing = [
                folder.native
                for folder in folders(survey, self.spaces)
                if folder.selectable and folder.native not in survey.status
            ]
        if missing:
            session = await lane.ready()
            wanted = status_attributes(self.extensions)
            flight = [session.send(commands.status(native, wanted)) for native in missing]
            for pending in flight:
                await pending.done()
                survey.take(pending.events)
        return survey

    def _made(self, survey: Survey) -> list[Folder]:
        made = folders(survey, self.spaces)
        self.quirks |= odd_names(survey)
        self.known = {folder.path: folder for folder in made}
        self._learn_numbers(survey.status)
        return made

    def _learn_numbers(self, status: dict[str, dict[str, int]]) -> None:
        for native, facts in status.items():
            if "UIDVALIDITY" in facts:
                self.validity[native] = facts["UIDVALIDITY"]
            if facts.get("UIDNEXT"):
                self.uidnext[native] = facts["UIDNEXT"]
            if facts.get("APPENDLIMIT"):
                self.limits[native] = facts["APPENDLIMIT"]

    def append_limit(self, native: str) -> int | None:
        """The largest message that a folder takes; None: not known."""
        return self.limits.get(native, self.capabilities.append_limit)

    def _widest_limit(self) -> int | None:
        """What no folder takes; None where one takes anything."""
        open_to_mail = [folder.native for folder in self.known.values() if folder.selectable]
        limits = [self.limits.get(native) for native in open_to_mail]
        known = [limit for limit in limits if limit is not None]
        return max(known) if known and len(known) == len(limits) else None


def _enable(ask: Ask, extensions: frozenset[str]) -> bool:
    """Asks for what has to be asked for; whether there was anything."""
    wanted = [name for name in ("CONDSTORE", "QRESYNC") if name in extensions]
    if "ENABLE" not in extensions or not wanted:
        return False
    ask(commands.enable(wanted))
    return True


def _ask_where(ask: Ask, extensions: frozenset[str]) -> Pending:
    return ask(commands.namespace() if "NAMESPACE" in extensions else commands.list_all(""))


def _ask_for_folders(ask: Ask, extensions: frozenset[str]) -> list[Pending]:
    extended = "LIST-EXTENDED" in extensions
    if extended and "LIST-STATUS" in extensions:
        status = status_attributes(extensions)
        return [ask(commands.list_all(returning=returning(extensions), status=status))]
    if extended:
        return [ask(commands.list_all(returning=returning(extensions)))]
    roles = "XLIST" in extensions and "SPECIAL-USE" not in extensions
    return [ask(commands.xlist() if roles else commands.list_all()), ask(commands.lsub())]


def _ask_for_quota(ask: Ask, extensions: frozenset[str]) -> Pending | None:
    return ask(commands.getquotaroot("INBOX")) if "QUOTA" in extensions else None


def _only_status(events: list[Event]) -> dict[str, int]:
    """The answer to one STATUS, whatever name the server repeats (pymap leaves characters out)."""
    survey = Survey()
    survey.take(events)
    return next(iter(survey.status.values()), {})
