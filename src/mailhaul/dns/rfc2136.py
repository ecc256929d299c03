"""A zone changed by dynamic updates (RFC 2136), signed with TSIG (RFC 8945), by TCP.

Beside `dns.network` the only file that opens sockets to name servers; it speaks to one server, the
one that the operator named. Every change carries what it was made from as prerequisites (RFC 2136
section 3.2), so that comparing and writing are one step at the server; these see values and no
TTLs. Questions are signed too: the answer is proven, and servers with views by key show the view
that is written to.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.dns.answers import Server
from mailhaul.dns.guard import Allowance
from mailhaul.dns.names import inside
from mailhaul.dns.records import Kind
from mailhaul.dns.switch_codes import Code
from mailhaul.dns.wire import value
from mailhaul.dns.zone import Edit, Held, Key, ZoneError, held, nothing

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
"""Of TSIG keys (RFC 8945 section 6); older ones are not offered."""

_PEER_ERRORS: Mapping[type[dns.tsig.PeerError], Code] = {
    dns.tsig.PeerBadKey: Code.ZONE_KEY_UNKNOWN,
    dns.tsig.PeerBadSignature: Code.ZONE_KEY_WRONG,
    dns.tsig.PeerBadTruncation: Code.ZONE_KEY_WRONG,
    dns.tsig.PeerBadTime: Code.ZONE_CLOCKS_APART,
}
"""What a server says of our signature (RFC 8945 section 5.2)."""

_RCODES: Mapping[int, Code] = {
    dns.rcode.NXRRSET: Code.ZONE_EDITED,
    dns.rcode.YXRRSET: Code.ZONE_EDITED,
    dns.rcode.NXDOMAIN: Code.ZONE_EDITED,
    dns.rcode.YXDOMAIN: Code.ZONE_EDITED,
    dns.rcode.REFUSED: Code.ZONE_UPDATE_REFUSED,
    dns.rcode.NOTAUTH: Code.ZONE_NOT_SERVED,
    dns.rcode.NOTZONE: Code.ZONE_NOT_SERVED,
    dns.rcode.NOTIMP: Code.ZONE_UPDATES_UNKNOWN,
    dns.rcode.FORMERR: Code.ZONE_UPDATES_UNKNOWN,
    dns.rcode.SERVFAIL: Code.ZONE_SERVER_FAILED,
}
"""What a server says of an update (RFC 2136 section 2.2)."""


@dataclass(frozen=True, slots=True)
class TsigKey:
    """The key that a server knows by the same name. `secret` is base64."""

    name: str
    secret: Secret
    algorithm: str = ALGORITHMS[0]


@dataclass(frozen=True, slots=True)
class _Line:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class UpdatedZone:
    """A `ZoneWriter` by dynamic updates to `server`, the zone's primary. Raises `BadInput` for a
    key that can't be one and for an address that `allowance` refuses. `seconds`: how long the
    server is waited for, for the connection and for each answer."""

    by_person = False

    def __init__(
        self,
        zone: str,
        server: Server,
        key: TsigKey,
        allowance: Allowance,
        *,
        seconds: float = 10.0,
    ) -> None:
        allowance.check(server.address)
        self._zone = zone
        self._server = server
        self._key = _signing(key)
        self._seconds = seconds

    @property
    def zone(self) -> str:
        return self._zone

    async def read(self, keys: Iterable[Key]) -> dict[Key, Held]:
        """As `ZoneWriter` has it."""
        async with self._connected() as line:
            return {key: await self._read(line, key) for key in keys}

    async def change(self, edits: Sequence[Edit]) -> None:
        """As `ZoneWriter` has it, all in one update; but see `_add_left_out`."""
        update = self._update()
        for edit in edits:
            self._demand(update, edit.before)
        # What must give way goes first: a server leaves a CNAME out that comes beside anything,
        # and says nothing of it (RFC 2136 section 3.4.2.2).
        for edit in edits:
            if edit.before.records.values:
                update.delete(_absolute(edit.key[0]), edit.key[1].value)
        for edit in edits:
            if edit.after.records.values:
                update.add(_absolute(edit.key[0]), _rdataset(edit.after, edit.after.records.ttl))
        try:
            async with self._connected() as line:
                await self._send(line, update, edits)
                await self._add_left_out(line, edits)
        except ZoneError as error:
            if error.code is Code.ZONE_KEY_UNKNOWN and await self._knows_key():
                said = f"{self._server} does not let the key change {_names(edits)}"
                raise ZoneError(Code.ZONE_UPDATE_REFUSED, said) from error
            raise

    async def _knows_key(self) -> bool:
        """Knot 3.2 says BADKEY of a key that it knows and that may not do this; to a question it
        tells the two apart."""
        try:
            await self.read([(self._zone, Kind.MX)])
        except ZoneError:
            return False
        return True

    async def _send(
        self, line: _Line, update: dns.update.UpdateMessage, edits: Sequence[Edit]
    ) -> None:
        answer = await self._exchange(line, update, writing=True)
        code = answer.rcode()
        if code != dns.rcode.NOERROR:
            raise self._refused(code, _names(edits), proven=answer.had_tsig)

    async def _add_left_out(self, line: _Line, edits: Sequence[Edit]) -> None:
        """Adds the CNAMEs that were left out because of what went in the same update: Knot 3.2
        leaves them out in a signed zone, where the signatures of what went are still there. The
        name must be free by then; where it is not, the CNAME stays out and whoever reads sees it.
        """
        aliases = [edit for edit in edits if edit.key[1] is Kind.CNAME and edit.after.values]
        try:
            for edit in aliases:
                name = edit.key[0]
                if (await self._read(line, edit.key)).values:
                    continue
                update = self._update()
                update.absent(_absolute(name))
                update.add(_absolute(name), _rdataset(edit.after, edit.after.records.ttl))
                await self._send(line, update, [edit])
        except ZoneError as error:
            if error.code is not Code.ZONE_EDITED:
                raise ZoneError(error.code, error.finding.evidence, written=None) from error

    async def _read(self, line: _Line, key: Key) -> Held:
        name, kind = key
        if not inside(name, self._zone):
            raise ZoneError(Code.ZONE_NOT_SERVED, f"{name} is not in the zone {self._zone}")
        question = dns.message.make_query(_absolute(name), kind.value, flags=dns.flags.Flag(0))
        question.use_tsig(self._key)
        answer = await self._exchange(line, question, writing=False)
        code = answer.rcode()
        if code == dns.rcode.NXDOMAIN:
            return nothing(key)
        if code == dns.rcode.REFUSED:
            raise self._not_served(name)
        if code != dns.rcode.NOERROR:
            raise self._refused(code, f"the question for {kind} {name}")
        if not answer.flags & dns.flags.AA:
            raise self._not_served(name)
        rrset = answer.get_rrset(
            answer.answer, _absolute(name), dns.rdataclass.IN, dns.rdatatype.from_text(kind.value)
        )
        if rrset is None:
            return nothing(key)
        found = held(name, kind, rrset.ttl, {value(each): each.to_text() for each in rrset})
        if name == self._zone or await self._stands(line, found):
            return found
        return nothing(key)

    async def _stands(self, line: _Line, found: Held) -> bool:
        """Whether the zone holds it, and not a wildcard in its stead (RFC 4592): an update that
        demands it and changes nothing is a question for the zone itself."""
        update = self._update()
        self._demand(update, found)
        answer = await self._exchange(line, update, writing=False)
        code = answer.rcode()
        if _RCODES.get(code) is Code.ZONE_EDITED:
            return False
        if code != dns.rcode.NOERROR:
            raise self._refused(code, f"an update that changes nothing at {found.key[0]}")
        return True

    def _update(self) -> dns.update.UpdateMessage:
        update = dns.update.UpdateMessage(_absolute(self._zone))
        update.use_tsig(self._key)
        return update

    def _demand(self, update: dns.update.UpdateMessage, there: Held) -> None:
        """That exactly these values stand (RFC 2136 section 2.4.2), or none (2.4.3)."""
        name, kind = there.key
        if there.records.values:
            # Servers refuse a prerequisite with a TTL (section 2.4.2).
            update.present(_absolute(name), _rdataset(there, 0))
        else:
            update.absent(_absolute(name), kind.value)

    def _not_served(self, name: str) -> ZoneError:
        said = f"{self._server} does not speak for {printable(name, 253)}"
        return ZoneError(Code.ZONE_NOT_SERVED, said)

    def _refused(self, code: dns.rcode.Rcode, what: str, *, proven: bool = True) -> ZoneError:
        meaning = _RCODES.get(code, Code.ZONE_SERVER_FAILED)
        said = f"{self._server} says {dns.rcode.to_text(code)} to {printable(what, 300)}"
        # A server that failed may have failed after it had written, and an unsigned no may be
        # anybody's.
        certain = proven and meaning is not Code.ZONE_SERVER_FAILED
        return ZoneError(meaning, said, written=False if certain else None)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Line]:
        try:
            async with asyncio.timeout(self._seconds):
                reader, writer = await asyncio.open_connection(
                    self._server.address, self._server.port
                )
        except (OSError, TimeoutError) as error:
            raise self._silent(error, written=False) from error
        try:
            yield _Line(reader, writer)
        finally:
            writer.transport.abort()

    async def _exchange(
        self, line: _Line, message: dns.message.Message, *, writing: bool
    ) -> dns.message.Message:
        octets = message.to_wire()
        try:
            async with asyncio.timeout(self._seconds):
                line.writer.write(len(octets).to_bytes(2, "big") + octets)
                length = int.from_bytes(await line.reader.readexactly(2), "big")
                reply = await line.reader.readexactly(length)
        except (OSError, EOFError, TimeoutError) as error:
            raise self._silent(error, written=None if writing else False) from error
        return self._proven(message, reply, writing=writing)

    def _proven(
        self, message: dns.message.Message, reply: bytes, *, writing: bool
    ) -> dns.message.Message:
        """The reply, when the server that holds the key has made it for this message."""
        try:
            answer = dns.message.from_wire(
                reply, keyring=self._key, request_mac=message.mac, ignore_trailing=True
            )
        except dns.tsig.PeerError as error:
            code = _PEER_ERRORS.get(type(error), Code.ZONE_UPDATE_REFUSED)
            name = printable(self._key.name.to_text(omit_final_dot=True), 253)
            raise ZoneError(code, f"{self._server} won't have the key {name}") from error
        except (dns.exception.DNSException, ValueError) as error:
            refusal = _unsigned_refusal(reply)
            if refusal is None:
                raise self._unproven(printable(str(error), 200), writing=writing) from error
            answer = refusal
        if not message.is_response(answer):
            raise self._unproven("it answers something else", writing=writing)
        return answer

    def _unproven(self, why: str, *, writing: bool) -> ZoneError:
        return ZoneError(
            Code.ZONE_ANSWER_UNPROVEN,
            f"the answer of {self._server} is not believed: {why}",
            written=None if writing else False,
        )

    def _silent(self, error: Exception, *, written: bool | None) -> ZoneError:
        if isinstance(error, TimeoutError):
            why = f"no answer within {self._seconds:g} s"
        elif isinstance(error, EOFError):
            why = "it hung up before it had answered"
        else:
            why = printable(str(error), 200)
        return ZoneError(Code.ZONE_UNREACHABLE, f"{self._server}: {why}", written=written)


def _unsigned_refusal(reply: bytes) -> dns.message.Message | None:
    """A no needs no signature to be told: who serves no such zone has no key for it either."""
    try:
        message = dns.message.from_wire(reply)
    except (dns.exception.DNSException, ValueError):
        return None
    return None if message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) else message


def _signing(key: TsigKey) -> dns.tsig.Key:
    if key.algorithm not in ALGORITHMS:
        raise BadInput(
            f"{printable(key.algorithm, 60)} is no algorithm for a TSIG key here; take one of "
            + ", ".join(ALGORITHMS)
        )
    try:
        secret = b64decode("".join(key.secret.reveal().split()), validate=True)
        made = dns.tsig.Key(_absolute(key.name), secret, key.algorithm)
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise BadInput(
            f"the TSIG key {printable(key.name, 253) or 'without a name'} can't be used: its name "
            "must be a domain name and its secret base64"
        ) from error
    if not secret:
        raise BadInput(f"the TSIG key {printable(key.name, 253)} has an empty secret")
    return made


def _names(edits: Sequence[Edit]) -> str:
    return ", ".join(f"{edit.key[1]} {edit.key[0]}" for edit in edits)


def _absolute(name: str) -> dns.name.Name:
    return dns.name.from_text(name)


def _rdataset(there: Held, ttl: int) -> dns.rdataset.Rdataset:
    return dns.rdataset.from_text_list(
        dns.rdataclass.IN,
        there.key[1].value,
        ttl,
        list(there.texts().values()),
        origin=dns.name.root,
        relativize=False,
    )
