"""Access tokens for whoever logs in: kept, renewed in time, asked for once however many want one.

One `Tokens` serves all logins of a process. Between processes a lock beside the vault sees to it
that one asks the issuer and the others find what it got. An issuer that rotates refresh tokens
takes each once: so the new one stands in the vault, durably, before its access token is given to
anybody, and what can't be written is kept here until it can (docs/decisions/0095).
"""

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailhaul.core.errors import BadInput, Closed, ClosedReason, MailhaulError, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.vault.oauth import Flow, Grant, keep_grant, kept_grant
from mailhaul.vault.oauth_http import USUAL_WIRE, Wire
from mailhaul.vault.oauth_renewal import renewal, renewed_grant
from mailhaul.vault.sealed import Vault

WAITING = 90.0
"""Seconds to wait for another process that is asking the issuer."""
HELD = 15.0
"""Seconds for which a refusal is not asked for anew, though a thousand mailboxes log in."""
AGAIN = 60.0
"""Seconds between two tokens that are asked for because a server refused one."""
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class _Want:
    """Whose token: the grant's own, or that of the `person` whom a service account acts for."""

    name: str
    person: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    grant: Grant
    mark: object
    """What the vault's file was when the grant was read."""


@dataclass(frozen=True, slots=True)
class _Hold:
    """Until then that error is the answer, unless the vault changes."""

    until: float
    mark: object
    error: MailhaulError


@dataclass(slots=True)
class _State:
    """What is known of one want."""

    kept: _Kept | None = None
    hold: _Hold | None = None
    refused: Secret | None = None
    replaced: float = 0.0
    """When a token was last asked for because a server had refused one."""
    unsaved: tuple[Grant, Grant] | None = None
    """A grant that could not be written, and the one that it was made from."""
    flight: "asyncio.Task[Secret] | None" = None


class Tokens:
    """See the module. `now` is the clock that tokens end by (POSIX time); `learn` is told every
    secret before it is used. The vault asks for its key when a token is first needed."""

    def __init__(
        self,
        vault: Vault,
        *,
        learn: Callable[[Secret], None] = lambda secret: None,
        now: Callable[[], float] = time.time,
        wire: Wire = USUAL_WIRE,
    ) -> None:
        self.vault = vault
        self.learn = learn
        self.now = now
        self.wire = wire
        self._states: dict[_Want, _State] = {}

    async def token(self, name: str, person: str = "") -> Secret:
        """A token for a login now; with `person`, that of a service account that acts for them.
        Raises `Closed` (credentials) when somebody has to log in anew, `RetryLater` when the issuer
        gives none just now."""
        want, state = self._state(name, person)
        kept = state.kept
        if kept is not None and self._serves(state, kept.grant) and kept.mark == self._mark():
            assert kept.grant.access is not None
            return kept.grant.access
        return await self._together(want, state)

    async def another(self, name: str, token: Secret, person: str = "") -> bool:
        """A server has refused that token: whether there is another one now. Asks the issuer, but
        not more often than once in `AGAIN` seconds."""
        want, state = self._state(name, person)
        if state.kept is not None and not _is(state.kept.grant.access, token):
            return True
        if state.flight is None:
            if self.now() < state.replaced + AGAIN:
                return False
            state.replaced = self.now()
        state.refused = token
        try:
            return not _is(await self._together(want, state), token)
        finally:
            state.refused = None

    async def fresh(self, name: str, person: str = "") -> Grant:
        """Has a new token given, however good the one that is kept; the grant with it. Raises as
        `token`."""
        want, state = self._state(name, person)
        state.refused = (await self._read(want, state)).access
        try:
            await self._together(want, state)
        finally:
            state.refused = None
        assert state.kept is not None
        return state.kept.grant

    def _state(self, name: str, person: str) -> tuple[_Want, _State]:
        want = _Want(name, person)
        return want, self._states.setdefault(want, _State())

    async def _together(self, want: _Want, state: _State) -> Secret:
        """What one asking gives to all who wait for it. It goes on when they don't wait any more:
        an answer that nobody kept could be the only one that the issuer gives."""
        if state.flight is None or state.flight.done():
            flight = asyncio.ensure_future(self._flown(want, state))
            state.flight = flight

            def landed(task: "asyncio.Task[Secret]") -> None:
                state.flight = None
                if not task.cancelled():
                    task.exception()  # whoever waits raises it; perhaps nobody does

            flight.add_done_callback(landed)
        return await asyncio.shield(state.flight)

    async def _flown(self, want: _Want, state: _State) -> Secret:
        mark = self._mark()
        grant = await self._read(want, state)
        if self._serves(state, grant):
            return self._known(state, grant, mark)
        if (hold := state.hold) is not None and self.now() < hold.until and hold.mark == mark:
            if self._lasts(state, grant):
                return self._known(state, grant, mark)
            raise _anew(hold, self.now())
        if grant.flow is Flow.SERVICE:
            # One token a person: they are kept here alone, and any number may be had.
            return self._known(state, await self._asked(want, state, grant, mark), mark)
        async with only_one(self.vault, want.name):
            mark = self._mark()
            grant = await self._read(want, state)
            if not self._serves(state, grant):
                grant = self._saved(want, state, grant)
            if not self._serves(state, grant):
                fresh = await self._asked(want, state, grant, mark)
                # Nothing is waited for between the answer and the disk.
                self._keep(want, state, fresh, grant)
                grant = fresh
            return self._known(state, grant, self._mark())

    async def _read(self, want: _Want, state: _State) -> Grant:
        try:
            # Opening a vault takes a moment by design.
            grant = await asyncio.to_thread(kept_grant, self.vault, want.name)
        except BadInput as error:
            raise Closed(str(error), ClosedReason.CREDENTIALS) from error
        if grant is None:
            raise no_login(want.name)
        kept = state.kept
        if grant.flow is Flow.SERVICE and kept is not None:
            tokens = kept.grant
            if tokens.client.key_id == grant.client.key_id and tokens.scope == grant.scope:
                return tokens
        return grant

    def _serves(self, state: _State, grant: Grant) -> bool:
        """Whether its token is to be given as it is."""
        return grant.is_fresh(self.now()) and not _is(grant.access, state.refused)

    def _lasts(self, state: _State, grant: Grant) -> bool:
        """Whether its token would do while no other can be had."""
        return grant.is_usable(self.now()) and not _is(grant.access, state.refused)

    def _known(self, state: _State, grant: Grant, mark: object) -> Secret:
        assert grant.access is not None
        if state.kept is None or not _is(state.kept.grant.access, grant.access):
            self.learn(grant.access)
        state.kept = _Kept(grant, mark)
        return grant.access

    async def _asked(self, want: _Want, state: _State, grant: Grant, mark: object) -> Grant:
        """The grant with a token of this moment; or, where the issuer can't be asked, as it is
        while its token lasts."""
        now = self.now()
        try:
            found = await renewal(
                self.wire, grant, want.name, now, person=want.person, learn=self.learn
            )
        except (RetryLater, Closed) as error:
            pause = error.after if isinstance(error, RetryLater) else HELD
            state.hold = _Hold(self.now() + pause, mark, error)
            if isinstance(error, RetryLater) and self._lasts(state, grant):
                return grant
            raise
        state.hold = None
        return renewed_grant(grant, found, now)

    def _keep(self, want: _Want, state: _State, fresh: Grant, before: Grant) -> None:
        if fresh is before:
            return
        try:
            keep_grant(self.vault, want.name, fresh)
        except BadInput as error:
            state.unsaved = (fresh, before)
            raise RetryLater(
                f"the new token for {printable(want.name, 120)} is not used before it is kept: "
                f"{error}",
                after=10,
            ) from error
        state.unsaved = None

    def _saved(self, want: _Want, state: _State, grant: Grant) -> Grant:
        """What could not be written the last time is written now, unless somebody else has been
        there since."""
        if state.unsaved is None:
            return grant
        fresh, before = state.unsaved
        if not _is(grant.refresh, before.refresh) or not _is(grant.access, before.access):
            state.unsaved = None
            return grant
        self._keep(want, state, fresh, before)
        return fresh

    def _mark(self) -> object:
        """What tells that the vault's file is the one that was read: it is replaced as a whole."""
        try:
            found = self.vault.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def no_login(name: str) -> Closed:
    """The error where nobody has logged in under that name."""
    shown = printable(name, 120)
    return Closed(
        f"there is no login named {shown} in the vault; run mailhaul oauth login {shown}",
        ClosedReason.CREDENTIALS,
    )


def _anew(hold: _Hold, now: float) -> MailhaulError:
    """The error anew: one exception raised in many tasks would gather all their tracebacks."""
    error = hold.error
    if isinstance(error, RetryLater):
        after = max(1.0, hold.until - now)
        return RetryLater(str(error), after=after, throttled=error.throttled)
    assert isinstance(error, Closed)
    return Closed(str(error), error.reason)


def _is(secret: Secret | None, other: Secret | None) -> bool:
    if secret is None or other is None:
        return secret is other
    return secret.reveal() == other.reveal()


@asynccontextmanager
async def only_one(vault: Vault, name: str) -> AsyncIterator[None]:
    """While inside, no other process, and no other `Tokens`, asks for that name. The lock goes with
    whoever has it, however they end. Raises `RetryLater` and `Closed`."""
    own = hashlib.sha256(name.encode()).hexdigest()[:16]
    path = vault.path.with_name(f".{vault.path.name}.login-{own}")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Closed(
            f"{printable(str(path), 200)} can't be made: {error.strerror}; without it two "
            "processes could use up one refresh token; let mailhaul write beside the vault",
            ClosedReason.CREDENTIALS,
        ) from error
    try:
        try:
            async with asyncio.timeout(WAITING):
                while not _locked(descriptor):  # noqa: ASYNC110 - nothing tells of a file's lock
                    await asyncio.sleep(_LOOK)
        except TimeoutError as error:
            raise RetryLater(
                f"another mailhaul has been asking for a token for {WAITING:.0f} s", after=10
            ) from error
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
