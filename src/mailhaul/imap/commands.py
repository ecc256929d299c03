"""Every command mailhaul can say, as typed values: what goes to a source can't change it.

Arguments become atoms, quoted strings or literals in one place, so that no string can end a
command early (CVE-2025-15366 class; security.md 4). There is no way to say `BODY[]` without
`.PEEK`, `RFC822`, `SEARCH` (inventory comes from UID FETCH; its results aren't trusted, C18) or
`ENABLE IMAP4rev2`. A folder's name is the wire's own, decoded as Latin-1 (`Folder.native`).
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Literal as Choice

from mailhaul.core.blob import Blob, MemoryBlob
from mailhaul.core.errors import BadInput
from mailhaul.core.message import SYSTEM_FLAGS, Flags
from mailhaul.core.text import Secret, printable
from mailhaul.imap.dates import format_internaldate

LONGEST_LINE = 8000
"""Octets of a command line up to its first literal (failure-modes B15)."""
LONGEST_QUOTED = 1000
"""Octets of a quoted string; what is longer goes as a literal."""

_READ_VERBS = frozenset(
    b"CAPABILITY,NOOP,LOGOUT,STARTTLS,ID,NAMESPACE,ENABLE,COMPRESS,LOGIN,AUTHENTICATE,LIST,LSUB,"
    b"XLIST,STATUS,EXAMINE,UNSELECT,UID FETCH,GETQUOTAROOT,PROXYAUTH,GETACL,LISTRIGHTS,"
    b"GETMETADATA".split(b",")
)
_MARKS_AS_READ = re.compile(rb"(?:BODY|BINARY)\[|RFC822(?!\.SIZE)", re.IGNORECASE)
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")  # RFC 9051 9, ATOM-CHAR
_QUOTABLE = re.compile(rb"[ -~]*")
_SPECIAL = re.compile(rb'(["\\])')
_NUMBER = r"(?:[1-9][0-9]*|\*)"
_SET = re.compile(rf"{_NUMBER}(?::{_NUMBER})?(?:,{_NUMBER}(?::{_NUMBER})?)*")


@dataclass(frozen=True, slots=True)
class Literal:
    """Octets sent as `{n}`, `{n+}`, `{n-}` or `~{n}`, as the connection may (RFC 7888, 3516)."""

    blob: Blob
    binary: bool = False
    """As literal8: only when the server has BINARY."""


Part = bytes | Literal


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """A command that may go to a source: it can't change anything there.

    `parts` is the command without tag and closing CRLF; its octets outside literals never hold
    CR, LF or NUL, and begin with `verb`. Raises `BadInput` for anything that isn't on the list of
    reading commands.
    """

    verb: bytes
    parts: tuple[Part, ...]
    secret: bool = False
    """Its arguments are blanked wherever it is shown."""

    def __post_init__(self) -> None:
        _check(self.verb, self.parts)
        if self.verb not in _READ_VERBS:
            raise BadInput(f"{printable(self.verb, 40)} is no reading command")
        if self.verb == b"UID FETCH" and _MARKS_AS_READ.search(_octets(self.parts)):
            raise BadInput("a fetch without PEEK would mark messages as read")

    def __repr__(self) -> str:
        return shown(self)


@dataclass(frozen=True, slots=True)
class WriteCommand:
    """A command that changes the mailbox: only a connection opened for writing takes it."""

    verb: bytes
    parts: tuple[Part, ...]
    secret: bool = False

    def __post_init__(self) -> None:
        _check(self.verb, self.parts)

    def __repr__(self) -> str:
        return shown(self)


Command = ReadCommand | WriteCommand


class Attribute(StrEnum):
    """What a fetch may ask for."""

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    MODSEQ = "MODSEQ"
    EMAILID = "EMAILID"
    GMAIL_ID = "X-GM-MSGID"
    GMAIL_LABELS = "X-GM-LABELS"
    IDENTITY = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)]"
    """The header fields of `core.message.Identity`."""
    HEADER = "BODY.PEEK[HEADER]"
    WHOLE = "BODY.PEEK[]"


class StatusAttribute(StrEnum):
    """What STATUS may ask for (RFC 9051 6.3.11; RFC 7162, 8438, 8474, 7889)."""

    MESSAGES = "MESSAGES"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    SIZE = "SIZE"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    MAILBOXID = "MAILBOXID"
    APPENDLIMIT = "APPENDLIMIT"


class Returning(StrEnum):
    """What LIST may be told to return (RFC 5258, RFC 6154)."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of an APPEND."""

    flags: Flags
    received: datetime | None
    literal: Literal


def shown(command: Command) -> str:
    """`command` in one printable line for a trace: literals as their length, secrets as `***`."""
    if command.secret:
        return f"{printable(command.verb, 40)} ***"
    return printable(
        b"".join(p if isinstance(p, bytes) else b"{%d}" % p.blob.size for p in command.parts), 1000
    )


def is_flag(flag: str) -> bool:
    """Whether `flag` can be said at all: an atom, or `\\` and an atom, but not `\\Recent` or `\\*`.
    Servers send others (Gmail; failure-modes D17, D18); leave those out before storing."""
    name = flag.removeprefix("\\")
    if flag.lower() == "\\recent" or not name.isascii():
        return False
    return _ATOM.fullmatch(name.encode()) is not None


# --- Reading ---------------------------------------------------------------------------------


def capability() -> ReadCommand:
    return _read(b"CAPABILITY")


def noop() -> ReadCommand:
    return _read(b"NOOP")


def logout() -> ReadCommand:
    return _read(b"LOGOUT")


def starttls() -> ReadCommand:
    return _read(b"STARTTLS")


def namespace() -> ReadCommand:
    return _read(b"NAMESPACE")


def compress() -> ReadCommand:
    """COMPRESS DEFLATE (RFC 4978). Never before authentication."""
    return _read(b"COMPRESS", b"DEFLATE")


def unselect() -> ReadCommand:
    """UNSELECT (RFC 3691); CLOSE would expunge a selected folder."""
    return _read(b"UNSELECT")


def id_(pairs: Sequence[tuple[str, str]] | None = None) -> ReadCommand:
    """ID (RFC 2971); `ID NIL` for None. Some servers reject it (failure-modes F10)."""
    if not pairs:
        return _read(b"ID", b"NIL")
    words: list[Part] = [b"ID ("]
    for number, (name, value) in enumerate(pairs):
        words += [b" " if number else b"", _string(name.encode()), b" ", _string(value.encode())]
    return ReadCommand(b"ID", _joined([*words, b")"]))


def enable(names: Iterable[str]) -> ReadCommand:
    """ENABLE (RFC 5161). Raises `BadInput` for IMAP4rev2, which would change what folder names
    and answers mean, and for UTF8=ACCEPT (failure-modes D22)."""
    atoms = [_atom(name) for name in names]
    if any(atom.upper() in (b"IMAP4REV2", b"UTF8=ACCEPT", b"UTF8=ONLY") for atom in atoms):
        raise BadInput("mailhaul speaks IMAP4rev1: other protocol modes are never enabled")
    return _read(b"ENABLE", *atoms)


def login(user: str, password: Secret) -> ReadCommand:
    """LOGIN. Only where LOGINDISABLED isn't advertised, and only on a protected connection."""
    parts = [b"LOGIN ", _string(user.encode()), b" ", _string(password.reveal().encode())]
    return ReadCommand(b"LOGIN", _joined(parts), secret=True)


def proxyauth(user: str) -> ReadCommand:
    """PROXYAUTH (Sun, iPlanet, Oracle): the administrator who is logged in goes on as `user`."""
    return ReadCommand(b"PROXYAUTH", _joined([b"PROXYAUTH ", _string(user.encode())]))


def authenticate(mechanism: str, initial: bytes | None = None) -> ReadCommand:
    """AUTHENTICATE; with `initial`, the initial response before base64 (only with SASL-IR, RFC
    4959). `sasl_line` writes the responses that follow."""
    words = [_atom(mechanism)]
    if initial is not None:
        words.append(sasl_line(initial) or b"=")
    return ReadCommand(b"AUTHENTICATE", (b"AUTHENTICATE " + b" ".join(words),), secret=True)


def sasl_line(response: bytes) -> bytes:
    """A response to a server's challenge as it goes on the wire, without CRLF; empty if empty."""
    return base64.b64encode(response)


def list_all(
    pattern: str = "*",
    *,
    returning: Sequence[Returning] = (),
    status: Sequence[StatusAttribute] = (),
) -> ReadCommand:
    """LIST of what matches `pattern`; `returning` needs LIST-EXTENDED (RFC 5258), `status`
    LIST-STATUS (RFC 5819). The pattern `""` asks for the delimiter alone."""
    options = [option.encode() for option in returning]
    if status:
        options.append(b"STATUS (" + _words(status) + b")")
    tail = b" RETURN (" + b" ".join(options) + b")" if options else b""
    return ReadCommand(b"LIST", _joined([b'LIST "" ', _name(pattern), tail]))


def lsub(pattern: str = "*") -> ReadCommand:
    """LSUB: subscriptions where LIST-EXTENDED is missing."""
    return ReadCommand(b"LSUB", _joined([b'LSUB "" ', _name(pattern)]))


def xlist(pattern: str = "*") -> ReadCommand:
    """XLIST: roles from servers older than SPECIAL-USE."""
    return ReadCommand(b"XLIST", _joined([b'XLIST "" ', _name(pattern)]))


def status(mailbox: str, attributes: Sequence[StatusAttribute]) -> ReadCommand:
    """STATUS. Never of the selected folder (RFC 9051 6.3.11)."""
    tail = b" (" + _words(attributes) + b")"
    return ReadCommand(b"STATUS", _joined([b"STATUS ", _name(mailbox), tail]))


def examine(
    mailbox: str, *, qresync: tuple[int, int] | None = None, condstore: bool = False
) -> ReadCommand:
    """EXAMINE; `qresync` is the UIDVALIDITY and MODSEQ last seen (RFC 7162 3.2.5)."""
    parts = [b"EXAMINE ", _name(mailbox), _resync(qresync, condstore)]
    return ReadCommand(b"EXAMINE", _joined(parts))


def fetch(
    uids: str,
    attributes: Sequence[Attribute],
    *,
    changed_since: int | None = None,
    vanished: bool = False,
) -> ReadCommand:
    """UID FETCH of a set that `sequence` wrote (or `n:*`), at most 8,000 octets in all.

    `changed_since` needs CONDSTORE, `vanished` QRESYNC enabled. A MODSEQ under 1 is left out:
    servers reject `CHANGEDSINCE 0` (failure-modes F10).
    """
    tail = b""
    if changed_since is not None and changed_since > 0:
        tail = b" (CHANGEDSINCE %d%b)" % (changed_since, b" VANISHED" if vanished else b"")
    line = b"UID FETCH %b (%b)%b" % (_set(uids), _words(attributes), tail)
    return ReadCommand(b"UID FETCH", (line,))


def getquotaroot(mailbox: str) -> ReadCommand:
    """GETQUOTAROOT (RFC 9208 4.1.2)."""
    return ReadCommand(b"GETQUOTAROOT", _joined([b"GETQUOTAROOT ", _name(mailbox)]))


def getacl(mailbox: str) -> ReadCommand:
    """GETACL (RFC 4314 3.3): who has which rights on the folder."""
    return ReadCommand(b"GETACL", _joined([b"GETACL ", _name(mailbox)]))


def listrights(mailbox: str, identifier: str) -> ReadCommand:
    """LISTRIGHTS (RFC 4314 3.4): the rights that one may be given there."""
    parts = [b"LISTRIGHTS ", _name(mailbox), b" ", _string(identifier.encode())]
    return ReadCommand(b"LISTRIGHTS", _joined(parts))


def getmetadata(pattern: str, entry: str) -> ReadCommand:
    """GETMETADATA (RFC 5464 4.2) of one entry; to Cyrus `pattern` may hold LIST's wildcards."""
    parts = [b"GETMETADATA ", _name(pattern), b" (", _string(entry.encode()), b")"]
    return ReadCommand(b"GETMETADATA", _joined(parts))


# --- Writing ---------------------------------------------------------------------------------


def select(
    mailbox: str, *, qresync: tuple[int, int] | None = None, condstore: bool = False
) -> WriteCommand:
    """SELECT: resets `\\Recent`, so it isn't a reading command (failure-modes C19)."""
    parts = [b"SELECT ", _name(mailbox), _resync(qresync, condstore)]
    return WriteCommand(b"SELECT", _joined(parts))


def create(mailbox: str, use: str | None = None) -> WriteCommand:
    """CREATE; `use` is a SPECIAL-USE attribute (`\\Sent`) where the server has CREATE-SPECIAL-USE
    (RFC 6154 5). `special_use.attribute` gives it for a role."""
    tail = b" (USE (\\%b))" % _atom(use.removeprefix("\\")) if use else b""
    return WriteCommand(b"CREATE", _joined([b"CREATE ", _name(mailbox), tail]))


def subscribe(mailbox: str) -> WriteCommand:
    return _write(b"SUBSCRIBE", mailbox)


def unsubscribe(mailbox: str) -> WriteCommand:
    return _write(b"UNSUBSCRIBE", mailbox)


def delete(mailbox: str) -> WriteCommand:
    """DELETE of a whole folder: for scratch folders that mailhaul itself made, and, said by an
    administrator of Cyrus, of an account."""
    return _write(b"DELETE", mailbox)


def rename(mailbox: str, name: str) -> WriteCommand:
    parts = [b"RENAME ", _name(mailbox), b" ", _name(name)]
    return WriteCommand(b"RENAME", _joined(parts))


def setacl(mailbox: str, identifier: str, rights: str) -> WriteCommand:
    """SETACL (RFC 4314 3.1): exactly these rights; an identifier that begins with a dash is denied
    them, whatever else it has (section 2)."""
    if not re.fullmatch("[a-z0-9]+", rights):
        raise BadInput(f"“{printable(rights, 40)}” are no rights; write letters of RFC 4314")
    parts = [b"SETACL ", _name(mailbox), b" ", _string(identifier.encode()), b" ", rights.encode()]
    return WriteCommand(b"SETACL", _joined(parts))


def deleteacl(mailbox: str, identifier: str) -> WriteCommand:
    """DELETEACL (RFC 4314 3.2): the identifier's entry, and no other."""
    parts = [b"DELETEACL ", _name(mailbox), b" ", _string(identifier.encode())]
    return WriteCommand(b"DELETEACL", _joined(parts))


def setquota(root: str, kibibytes: int | None) -> WriteCommand:
    """SETQUOTA of STORAGE (RFC 9208 4.1.3), in units of 1024 octets; None: no limit."""
    limits = b" ()" if kibibytes is None else b" (STORAGE %d)" % kibibytes
    return WriteCommand(b"SETQUOTA", _joined([b"SETQUOTA ", _name(root), limits]))


def append(mailbox: str, messages: Sequence[AppendMessage]) -> WriteCommand:
    """APPEND; of several messages it is one MULTIAPPEND (RFC 3502), which is all or nothing."""
    if not messages:
        raise BadInput("an append needs a message")
    parts: list[Part] = [b"APPEND ", _name(mailbox)]
    for message in messages:
        received = message.received
        if received is None:
            parts.append(_append_flags(message.flags))
        else:
            parts.append(b'%b"%b" ' % (_append_flags(message.flags), format_internaldate(received)))
        parts.append(message.literal)
    return WriteCommand(b"APPEND", _joined(parts))


def store(uids: str, mode: Choice["+", "-"], flags: Flags, *, silent: bool = True) -> WriteCommand:
    """UID STORE that adds or removes `flags`; flags are never replaced as a whole, since somebody
    else may have set one meanwhile."""
    name = b"FLAGS.SILENT" if silent else b"FLAGS"
    sign = {"+": b"+", "-": b"-"}[mode]
    return WriteCommand(
        b"UID STORE", (b"UID STORE %b %b%b (%b)" % (_set(uids), sign, name, _flags(flags)),)
    )


def uid_expunge(uids: str) -> WriteCommand:
    """UID EXPUNGE (RFC 4315): these messages and no other."""
    return WriteCommand(b"UID EXPUNGE", (b"UID EXPUNGE " + _set(uids),))


def uid_move(uids: str, mailbox: str) -> WriteCommand:
    """UID MOVE (RFC 6851): within the target's own folder, to restore its order."""
    return WriteCommand(b"UID MOVE", _joined([b"UID MOVE %b " % _set(uids), _name(mailbox)]))


def expunge() -> WriteCommand:
    """EXPUNGE: whatever is marked deleted, whoever marked it; look first."""
    return WriteCommand(b"EXPUNGE", (b"EXPUNGE",))


# --- Arguments -------------------------------------------------------------------------------


def _read(verb: bytes, *atoms: bytes) -> ReadCommand:
    return ReadCommand(verb, (b" ".join([verb, *atoms]),))


def _write(verb: bytes, mailbox: str) -> WriteCommand:
    return WriteCommand(verb, _joined([verb, b" ", _name(mailbox)]))


def _check(verb: bytes, parts: tuple[Part, ...]) -> None:
    """The last line of defence: whatever built `parts`, it is one command and this one."""
    first = parts[0] if parts else b""
    if not isinstance(first, bytes) or not (first == verb or first.startswith(verb + b" ")):
        raise BadInput(f"a command has to begin with its verb, {printable(verb, 40)}")
    octets = _octets(parts)
    if b"\r" in octets or b"\n" in octets or b"\0" in octets:
        raise BadInput("a line end or NUL can't stand in a command outside a literal")
    # Octets that end in {5} would be read as the announcement of a literal.
    if b"} " in octets and any(isinstance(p, bytes) and p.endswith(b"} ") for p in parts):
        raise BadInput("a command can't hold a brace where a literal begins")
    if octets.endswith(b"}"):
        raise BadInput("a command can't end in a brace")
    if len(first) > LONGEST_LINE and verb not in (b"AUTHENTICATE", b"LOGIN"):
        raise BadInput(f"a command line of {len(first)} octets is too long; split its UID set")


def _octets(parts: tuple[Part, ...]) -> bytes:
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts[0]
    return b" ".join([part for part in parts if isinstance(part, bytes)])


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """`parts` with neighbouring octets as one."""
    joined: list[Part] = []
    run: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            run.append(part)
            continue
        if run:
            joined.append(b"".join(run) if len(run) > 1 else run[0])
            run = []
        joined.append(part)
    if run:
        joined.append(b"".join(run))
    return tuple(part for part in joined if part)


def _name(mailbox: str) -> Part:
    try:
        return _string(mailbox.encode("latin-1"))
    except UnicodeEncodeError as error:
        raise BadInput(
            f"“{printable(mailbox, 120)}” is no folder name of the wire; encode it first"
        ) from error


def _string(octets: bytes) -> Part:
    """The one place where a string becomes a quoted string or a literal (RFC 9051 4.3)."""
    if b"\0" in octets:
        raise BadInput("IMAP can't carry a NUL in a name, user or password; take it out")
    if len(octets) > LONGEST_QUOTED or not _QUOTABLE.fullmatch(octets):
        return Literal(MemoryBlob(octets))
    return b'"%b"' % _SPECIAL.sub(rb"\\\1", octets)


def _atom(text: str) -> bytes:
    octets = text.encode("ascii", "replace")
    if not text.isascii() or not _ATOM.fullmatch(octets) or octets.endswith(b"}"):
        raise BadInput(f"“{printable(text, 80)}” can't be said as an IMAP atom")
    return octets


def _set(uids: str) -> bytes:
    if not _SET.fullmatch(uids):
        raise BadInput(f"“{printable(uids, 80)}” is no set of UIDs")
    return uids.encode()


def _words(names: Sequence[StrEnum]) -> bytes:
    if not names:
        raise BadInput("a fetch or status has to ask for something")
    return " ".join(type(name)(name).value for name in names).encode()


def _resync(qresync: tuple[int, int] | None, condstore: bool) -> bytes:
    if qresync is not None:
        return b" (QRESYNC (%d %d))" % qresync
    return b" (CONDSTORE)" if condstore else b""


@lru_cache(maxsize=1024)
def _flags(flags: Flags) -> bytes:
    for flag in flags:
        if not is_flag(flag):
            raise BadInput(f"“{printable(flag, 80)}” can't be said as a flag")
    return " ".join(sorted(SYSTEM_FLAGS.get(flag.lower(), flag) for flag in flags)).encode()


@lru_cache(maxsize=1024)
def _append_flags(flags: Flags) -> bytes:
    return b" (%b) " % _flags(flags)
