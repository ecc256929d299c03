"""Named quirks: what servers do wrong on the wire, and what mailhaul does about it.

One table, from which docs/imap-quirks.md is written. Whoever meets a quirk counts it by its
`QuirkName`; `notices` says it to people. Evidence is a row of the catalogue of failure modes (A1 to
F17) or one of its findings.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from mailhaul.imap.sequence import HIGHEST_UID

LARGEST_SUBSTITUTE = 64 * 1024
"""Octets. What a server writes in a message's place is short."""

_FOLDED = re.compile(rb"\r?\n[ \t]+")
_SUBSTITUTE_SUBJECT = re.compile(
    rb"^subject:[ \t]*retrieval using the (?:imap4?|pop3?) protocol failed", re.I | re.M
)
_SUBSTITUTE_SENDER = re.compile(rb"^from:[^\r\n]*microsoft exchange", re.I | re.M)
_SUBSTITUTE_WORDS = re.compile(
    rb"(?:server couldn't retrieve the following message"
    rb"|retrieval using the (?:imap4?|pop3?) protocol failed)",
    re.I,
)


class QuirkName(StrEnum):
    """What a quirk is called in counters, reports and the documentation."""

    INVALID_INTERNALDATE = "invalid-internaldate"
    ODD_INTERNALDATE = "odd-internaldate"
    CHANGED_INTERNALDATE = "changed-internaldate"
    NIL_BODY = "nil-body"
    OK_WITHOUT_MESSAGE = "ok-without-message"
    ONE_FAILS_ALL = "one-fails-all"
    SUBSTITUTE_MESSAGE = "substitute-message"
    WRONG_SIZE = "wrong-size"
    CUT_LITERAL = "cut-literal"
    LINES_AFTER_LITERAL = "lines-after-literal"
    EXTRA_PARENTHESES = "extra-parentheses"
    SPLIT_FETCH = "split-fetch"
    UNASKED_FETCH = "unasked-fetch"
    TRAILING_BLANKS = "trailing-blanks"
    MISSING_TEXT = "missing-text"
    BARE_CONTINUATION = "bare-continuation"
    STALE_TAG = "stale-tag"
    THROTTLED_OK = "throttled-ok"
    BACKOFF_IN_TEXT = "backoff-in-text"
    TRAFFIC_AS_QUOTA = "traffic-as-quota"
    UNSOUND_APPENDUID = "unsound-appenduid"
    MISSING_APPENDUID = "missing-appenduid"
    MISSING_UIDNEXT = "missing-uidnext"
    BROKEN_MAILBOXID = "broken-mailboxid"
    ZERO_UIDVALIDITY = "zero-uidvalidity"
    SHARED_UIDVALIDITY = "shared-uidvalidity"
    LARGE_UID = "large-uid"
    NEGATIVE_MODSEQ = "negative-modseq"
    CHANGEDSINCE_ZERO = "changedsince-zero"
    DESCENDING_SET = "descending-set"
    LONG_COMMAND = "long-command"
    LYING_COUNT = "lying-count"
    LITERAL_NAME = "literal-name"
    NIL_DELIMITER = "nil-delimiter"
    UNQUOTED_NAME = "unquoted-name"
    BROKEN_NAME = "broken-name"
    UTF8_NAME = "utf8-name"
    REFUSED_EXTENDED_LIST = "refused-extended-list"
    SILENT_SPECIAL_USE = "silent-special-use"
    ODD_FLAG = "odd-flag"
    FORGOTTEN_FLAG = "forgotten-flag"
    ID_REJECTED = "id-rejected"
    ID_WANTED = "id-wanted"
    OK_BUT_NOT_LOGGED_IN = "ok-but-not-logged-in"
    LOGGED_IN_WITHOUT_MAILBOX = "logged-in-without-mailbox"
    ERRORS_END_SESSION = "errors-end-session"
    REFERRAL = "referral"
    UNEXPECTED_PREAUTH = "unexpected-preauth"
    NUL_IN_MESSAGE = "nul-in-message"


@dataclass(frozen=True, slots=True)
class Quirk:
    """One row. `server` is who was seen doing it, `wrong` what, `answer` what mailhaul does."""

    name: QuirkName
    server: str
    wrong: str
    answer: str
    evidence: str


QUIRKS: tuple[Quirk, ...] = (
    # --- Messages
    Quirk(
        QuirkName.INVALID_INTERNALDATE,
        "Domino",
        "INTERNALDATE is `00-Jan-0000 00:00:00 +0000` or no date at all",
        "the message has no received date; the listing goes on",
        "D14",
    ),
    Quirk(
        QuirkName.ODD_INTERNALDATE,
        "several",
        "a one-digit day or hour without its blank, small letters, a zone's name or none",
        "understood; without a zone it is UTC",
        "D14",
    ),
    Quirk(
        QuirkName.CHANGED_INTERNALDATE,
        "Dovecot, Cyrus, old Exchange",
        "stores another received date than it was given, and drops its zone",
        "instants are compared, not words; verification names the difference",
        "finding 4, D15",
    ),
    Quirk(
        QuirkName.NIL_BODY,
        "several",
        '`BODY[] NIL`, `""` or `{0}` for a message of some size',
        "unreadable if RFC822.SIZE is over nought, else an empty message",
        "D13",
    ),
    Quirk(
        QuirkName.OK_WITHOUT_MESSAGE,
        "Exchange, iCloud",
        "OK to a fetch, and not the message",
        "asked for again by itself; then it is gone, or unreadable",
        "C3, C20",
    ),
    Quirk(
        QuirkName.ONE_FAILS_ALL,
        "Yahoo",
        "one bad message fails the whole batch: `NO FETCH Server error while fetching messages`",
        "the batch is halved until the culprit stands alone, unreadable",
        "B14",
    ),
    Quirk(
        QuirkName.SUBSTITUTE_MESSAGE,
        "Exchange",
        "hands over “Retrieval using the IMAP4 protocol failed for the following message”, a "
        "letter of its own, in place of a message it can't convert",
        "recognised by its words, its sender and a size other than the announced one: unreadable",
        "finding 5, D24",
    ),
    Quirk(
        QuirkName.WRONG_SIZE,
        "hMailServer, Exchange, Domino, Gmail",
        "RFC822.SIZE is not the message's size",
        "the octets that came count; the size is never identity",
        "D11",
    ),
    Quirk(
        QuirkName.CUT_LITERAL,
        "any",
        "the connection ends within a literal",
        "not a message: fetched anew on another connection",
        "A1",
    ),
    Quirk(
        QuirkName.LINES_AFTER_LITERAL,
        "Domino",
        "empty lines after a literal",
        "passed over, up to a thousand",
        "D12",
    ),
    Quirk(
        QuirkName.EXTRA_PARENTHESES,
        "Domino",
        "a FETCH response wrapped in one list too many",
        "unwrapped",
        "D12",
    ),
    Quirk(
        QuirkName.NUL_IN_MESSAGE,
        "Dovecot, Cyrus",
        "NUL octets are refused, or stored as 0x80",
        "sent as literal8 where BINARY is offered, else as they are; verification names the change",
        "D1",
    ),
    # --- Responses
    Quirk(
        QuirkName.SPLIT_FETCH,
        "Gmail and others",
        "one message's attributes in two FETCH responses",
        "merged by UID until the tagged OK",
        "C5",
    ),
    Quirk(
        QuirkName.UNASKED_FETCH,
        "any",
        "FETCH, EXISTS and EXPUNGE nobody asked for, amid others' answers",
        "sequence numbers are never used; responses without UID change nothing",
        "C4, C5",
    ),
    Quirk(
        QuirkName.TRAILING_BLANKS,
        "several",
        "blanks at the end of CAPABILITY, STATUS or SEARCH",
        "passed over",
        "F10",
    ),
    Quirk(
        QuirkName.MISSING_TEXT,
        "Gmail and others",
        "a tagged OK, NO or BAD, or a greeting, without text",
        "read as empty text",
        "finding 6, F10",
    ),
    Quirk(
        QuirkName.BARE_CONTINUATION,
        "several",
        "`+` with no blank and no text",
        "go ahead",
        "F10",
    ),
    Quirk(
        QuirkName.STALE_TAG,
        "several",
        "the answer to an earlier command comes late, in place of this one's",
        "tags are matched strictly: a late answer is passed over, an unknown one ends the session",
        "F5",
    ),
    Quirk(
        QuirkName.THROTTLED_OK,
        "Gmail",
        "`OK [THROTTLED]` in place of the code that was due, such as APPENDUID",
        "success; what the code would have said is looked up",
        "B2",
    ),
    Quirk(
        QuirkName.BACKOFF_IN_TEXT,
        "Exchange",
        "`Request is throttled. Suggested Backoff Time: 299961 milliseconds`, then hangs up",
        "waited for, at most an hour at a time; no message is to blame",
        "B1",
    ),
    Quirk(
        QuirkName.TRAFFIC_AS_QUOTA,
        "Gmail",
        "`[OVERQUOTA]` for the traffic of the day, not for a full mailbox",
        "told apart by its words and by the command; a long pause, never “full”",
        "B3",
    ),
    # --- Numbers
    Quirk(
        QuirkName.UNSOUND_APPENDUID,
        "DavMail, Outlook.com",
        "APPENDUID with UID and UIDVALIDITY exchanged, or made up",
        "believed only if UIDVALIDITY is the folder's, and the UIDs are new, ascending and as many "
        "as were sent; else looked up",
        "A18, F12",
    ),
    Quirk(
        QuirkName.MISSING_APPENDUID,
        "several",
        "UIDPLUS is advertised, and no APPENDUID comes",
        "the UIDs are looked up behind the last known one, by size and header",
        "C6, C7",
    ),
    Quirk(
        QuirkName.MISSING_UIDNEXT,
        "several",
        "no UIDNEXT on opening a folder",
        "the highest UID there is, plus one",
        "C8",
    ),
    Quirk(
        QuirkName.ZERO_UIDVALIDITY,
        "several",
        "`UIDVALIDITY 0`, which no folder may have",
        "taken as a number like any other, never as “unknown”",
        "finding 8",
    ),
    Quirk(
        QuirkName.BROKEN_MAILBOXID,
        "Cyrus 3.6.1",
        "STATUS answers MAILBOXID with octets out of freed memory, quotation marks included",
        "it is read off EXAMINE, which tells it soundly",
        "C2",
    ),
    Quirk(
        QuirkName.SHARED_UIDVALIDITY,
        "Cyrus, Dovecot",
        "folders made in the same second share one UIDVALIDITY",
        "folders are told apart by name, and at a source by MAILBOXID where the server has it",
        "finding 8, C2, E18",
    ),
    Quirk(
        QuirkName.LARGE_UID,
        "several",
        "UIDs over 2³¹",
        "numbers are unsigned, up to 2³² − 1",
        "C9",
    ),
    Quirk(
        QuirkName.NEGATIVE_MODSEQ,
        "Zoho",
        "a MODSEQ under nought",
        "read as none: flags are compared one by one",
        "F12",
    ),
    Quirk(
        QuirkName.CHANGEDSINCE_ZERO,
        "several",
        "`CHANGEDSINCE 0` is refused",
        "left out",
        "F10",
    ),
    Quirk(
        QuirkName.DESCENDING_SET,
        "qq.com",
        "refuses sets of UIDs that are not ascending",
        "sets always ascend",
        "B16",
    ),
    Quirk(
        QuirkName.LONG_COMMAND,
        "several",
        "cuts or refuses command lines of more than some 8,000 octets",
        "sets are compressed, and split before that",
        "B15",
    ),
    Quirk(
        QuirkName.LYING_COUNT,
        "Exchange, FirstClass",
        "STATUS, SEARCH and FETCH count differently: corrupt messages are hidden",
        "inventory is what UID FETCH lists, never SEARCH",
        "C18",
    ),
    # --- Folders
    Quirk(
        QuirkName.LITERAL_NAME,
        "several",
        "LIST gives a folder's name as a literal",
        "read as any string",
        "E13",
    ),
    Quirk(
        QuirkName.NIL_DELIMITER,
        "several",
        "LIST gives NIL as hierarchy delimiter",
        "the folder lies at the top and holds no others; NAMESPACE's delimiter is taken if told",
        "E13",
    ),
    Quirk(
        QuirkName.UNQUOTED_NAME,
        "several",
        "tabs and other characters in a folder's name without quotes",
        "read to the end of the atom",
        "E13",
    ),
    Quirk(
        QuirkName.BROKEN_NAME,
        "several",
        "a folder's name that is no modified UTF-7",
        "kept octet for octet to open it, shown with `%E9` for what can't be shown",
        "E4",
    ),
    Quirk(
        QuirkName.UTF8_NAME,
        "several",
        "a folder's name in UTF-8 that nobody asked for",
        "read as UTF-8, opened by the octets that were listed",
        "E4",
    ),
    Quirk(
        QuirkName.REFUSED_EXTENDED_LIST,
        "several",
        "LIST-EXTENDED is advertised, and the extended LIST refused",
        "asked again the plain way",
        "E13",
    ),
    Quirk(
        QuirkName.SILENT_SPECIAL_USE,
        "several",
        "LIST carries `\\Sent` and the like, or XLIST's `\\Spam`, without advertising it",
        "read whether advertised or not",
        "E12",
    ),
    # --- Flags
    Quirk(
        QuirkName.ODD_FLAG,
        "Gmail, GreenMail and others",
        "flags that no client may send back: `\\*`, blanks, brackets, `\\X-Something`",
        "left out at the target and counted as lost",
        "D17, D18",
    ),
    Quirk(
        QuirkName.FORGOTTEN_FLAG,
        "Exchange",
        "flags given with APPEND don't stay; STORE's do",
        "the first batch is read back, and flags are stored afterwards where need be",
        "D19",
    ),
    # --- Sessions
    Quirk(
        QuirkName.ID_REJECTED,
        "GMX, Exchange",
        "ID is refused",
        "passed over",
        "F10",
    ),
    Quirk(
        QuirkName.ID_WANTED,
        "NetEase (163.com, 126.com)",
        "no folder is opened on a connection that did not say ID: `Unsafe Login`",
        "every connection says ID right behind its login",
        "F10",
    ),
    Quirk(
        QuirkName.OK_BUT_NOT_LOGGED_IN,
        "Exchange",
        '`OK [Error="…WrongServerException…"] AUTHENTICATE completed.`',
        "a failed login; tried again later on a new connection",
        "F11",
    ),
    Quirk(
        QuirkName.LOGGED_IN_WITHOUT_MAILBOX,
        "Exchange",
        "login works, then `User is authenticated but not connected`",
        "said as what it is: licence, rights or password, not the network",
        "A7",
    ),
    Quirk(
        QuirkName.ERRORS_END_SESSION,
        "Exchange",
        "hangs up after ten NO or BAD",
        "a session is renewed before that",
        "A6",
    ),
    Quirk(
        QuirkName.REFERRAL,
        "any",
        "`[REFERRAL imap://elsewhere]`",
        "never followed",
        "A16",
    ),
    Quirk(
        QuirkName.UNEXPECTED_PREAUTH,
        "any",
        "greets with PREAUTH, as if we were logged in",
        "not believed: the connection ends",
        "A15",
    ),
)


def looks_like_substitute(head: bytes, size: int, announced: int | None) -> str | None:
    """Why a fetched message is no message of the sender's but a server's letter in its place
    (finding 5, D24); None when it looks like mail. `head` is its first few thousand octets, `size`
    what came, `announced` RFC822.SIZE. A real mail that quotes such a letter, or an old letter
    that somebody kept, has the announced size and is mail."""
    if size == announced or size > LARGEST_SUBSTITUTE:
        return None
    if not size:
        return f"the server announces {announced} octets and hands over none" if announced else None
    text = _FOLDED.sub(b" ", head)
    header, _, body = text.partition(b"\r\n\r\n")
    by_subject = _SUBSTITUTE_SUBJECT.search(header) is not None
    by_sender = _SUBSTITUTE_SENDER.search(header) is not None
    if not by_subject and not (by_sender and _SUBSTITUTE_WORDS.search(body)):
        return None
    told = "" if announced is None else f" ({size} octets in place of {announced})"
    return f"Exchange can't convert the message and hands over a letter of its own{told}"


def appenduid_is_sound(
    uidvalidity: int,
    uids: Sequence[int],
    expected_validity: int | None,
    uidnext_before: int | None,
    count: int,
) -> bool:
    """Whether an APPENDUID can be true (A18, F12): for this folder, as many UIDs as messages were
    sent, all new and ascending. None for what isn't known. DavMail exchanges the two numbers."""
    if len(uids) != count or not uids:
        return False
    if uidvalidity != expected_validity and expected_validity is not None:
        return False
    if uids[0] < (uidnext_before or 1) or uids[-1] > HIGHEST_UID:
        return False
    return all(one < following for one, following in pairwise(uids))


def notices(met: Mapping[QuirkName, int]) -> list[str]:
    """The quirks that were met, how often, and what was done, in the table's order; printable."""
    return [
        f"{quirk.name} ({met[quirk.name]}×): {quirk.wrong}; {quirk.answer}"
        for quirk in QUIRKS
        if met.get(quirk.name)
    ]


def as_markdown() -> str:
    """docs/imap-quirks.md, from the table."""
    rows = (
        f"| {quirk.name} | {quirk.server} | {quirk.wrong} | {quirk.answer} | {quirk.evidence} |"
        for quirk in QUIRKS
    )
    return "\n".join((_HEAD, *rows, ""))


_HEAD = """# IMAP quirks

What servers do wrong on the wire, and what mailhaul does about it. Written from the table in
`src/mailhaul/imap/quirks.py`; the evidence is a row of the catalogue of failure modes.

| quirk | seen at | what is wrong | what mailhaul does | evidence |
|---|---|---|---|---|"""
