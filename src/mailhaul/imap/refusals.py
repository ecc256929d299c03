"""What servers say when they refuse, and what each means: tables of words and of response codes.

`codes.judge` reads them in this order: codes that say all, words that say more than any code
(Exchange, Gmail and others put little into codes), other codes, words that say less, and last what
a refusal of that kind of command means in itself. Rows in brackets are failure-modes.
"""

from dataclasses import dataclass
from enum import StrEnum

from mailhaul.imap.responses import Status

LONGEST_PAUSE = 3600.0
"""Seconds. A server that asks for more is asked again after an hour."""


class Verdict(StrEnum):
    """What to do next."""

    RETRY_NOW = "retry now"
    """The same again, on a new connection where this one is gone."""
    RETRY_LATER = "retry later"
    REFUSE_MESSAGE = "refuse message"
    """This message, never: for APPEND it is refused, for UID FETCH unreadable."""
    HALVE = "halve"
    """One of the batch is the culprit, or the batch is too long: try its halves."""
    STOP_FOLDER = "stop folder"
    CLOSE_FULL = "close: full"
    CLOSE_CREDENTIALS = "close: credentials"
    CLOSE_FORBIDDEN = "close: forbidden"
    TOO_MANY_CONNECTIONS = "too many connections"


@dataclass(frozen=True, slots=True)
class Rule:
    """`kinds` are the commands it is for, all when empty; `statuses` likewise."""

    verdict: Verdict
    fact: str
    cure: str = ""
    kinds: frozenset[str] = frozenset()
    statuses: frozenset[bytes] = frozenset()
    after: float = 0.0
    throttled: bool = False

    def fits(self, kind: str, status: Status) -> bool:
        return (not self.kinds or kind in self.kinds) and (
            not self.statuses or status.kind in self.statuses
        )


KINDS = {
    b"LOGIN": "login",
    b"AUTHENTICATE": "login",
    b"APPEND": "append",
    b"UID FETCH": "fetch",
    b"UID STORE": "store",
    b"CREATE": "folder",
    b"DELETE": "folder",
    b"RENAME": "folder",
    b"SELECT": "folder",
    b"EXAMINE": "folder",
    b"STATUS": "folder",
    b"EXPUNGE": "folder",
    b"UID EXPUNGE": "folder",
    b"LIST": "list",
    b"LSUB": "list",
    b"XLIST": "list",
}
_LOGIN = frozenset({"login"})
_APPEND = frozenset({"append"})
_FETCH = frozenset({"fetch"})
_WRITES = frozenset({"append", "folder", "store"})
_INSIDE = frozenset({"append", "fetch", "store", "folder", "list", "other"})
_BYE = frozenset({b"BYE"})

WORDS_BEFORE: tuple[tuple[str, Rule], ...] = (
    # --- throttles (B1, B3; never a message's fault)
    (
        r"suggested backoff time|request is throttled|too many requests|rate limit",
        Rule(Verdict.RETRY_LATER, "the server wants us to slow down", after=60.0, throttled=True),
    ),
    (
        r"command or bandwidth limits|bandwidth limit|daily (?:download|upload|traffic) limit",
        Rule(
            Verdict.RETRY_LATER,
            "the account's traffic of the day is used up",
            after=LONGEST_PAUSE,
            throttled=True,
        ),
    ),
    # --- connections (A14)
    (
        r"too many (?:simultaneous |concurrent |open )?(?:imap )?connections"
        r"|mail_max_userip_connections|(?:maximum|max)\.? (?:number of )?(?:\w+ )?connections"
        r"|connection limit|too many sessions",
        Rule(Verdict.TOO_MANY_CONNECTIONS, "the server allows fewer connections", after=10.0),
    ),
    # --- login (A7, F4, F8, F9, F1)
    (
        r"authenticated but not connected",
        Rule(
            Verdict.CLOSE_FORBIDDEN,
            "the login is right, and yet there is no mailbox behind it",
            "check its licence, that IMAP is on for it, and the rights on a shared mailbox",
        ),
    ),
    (
        r"wrongserverexception",
        Rule(
            Verdict.RETRY_LATER,
            "the login came to the wrong one of the provider's servers",
            after=5.0,
        ),
    ),
    (
        r"log ?in via your (?:web )?browser|web ?login required|webalert",
        Rule(
            Verdict.CLOSE_CREDENTIALS,
            "the provider wants a person to log in with a browser first",
            "do so, or use an app password or a token",
            _LOGIN,
        ),
    ),
    (
        r"application-specific password|app(?:lication)? password",
        Rule(
            Verdict.CLOSE_CREDENTIALS,
            "the account's own password does not do for IMAP",
            "create an app password at the provider, or use a token",
            _LOGIN,
        ),
    ),
    (
        r"basic ?auth\w* (?:is |has been )?(?:disabled|blocked)"
        r"|(?:legacy|plain\w*) auth\w* (?:is )?(?:disabled|not allowed)|modern auth",
        Rule(
            Verdict.CLOSE_CREDENTIALS,
            "the provider takes no passwords any more",
            "use a token",
            _LOGIN,
        ),
    ),
    (
        r"(?:not enabled|disabled) for imap|imap (?:access |use |service )?(?:is )?(?:not enabled"
        r"|disabled)|enable imap",
        Rule(
            Verdict.CLOSE_FORBIDDEN,
            "IMAP is switched off for the mailbox",
            "switch it on at the provider",
            _LOGIN,
        ),
    ),
    (
        r"country|black ?list|blocked ip|ip (?:address )?(?:is )?blocked",
        Rule(
            Verdict.CLOSE_FORBIDDEN,
            "the provider lets nobody in from this address",
            "have it allowed, or run mailhaul elsewhere",
            _LOGIN,
        ),
    ),
    (
        r"too many (?:failed|invalid|unsuccessful|login|authentication|bad)"
        r"|temporarily (?:locked|blocked|suspended)|account (?:is |has been )?(?:locked|suspended"
        r"|disabled)",
        Rule(
            Verdict.CLOSE_CREDENTIALS,
            "the account is locked",
            "wait or have it unlocked, and check the password before trying again",
            _LOGIN,
        ),
    ),
    (
        r"access ?token ?(?:has )?expired|token (?:has |is )?expired",
        Rule(Verdict.RETRY_LATER, "the access token has expired", after=1.0),
    ),
    # --- one bad message fails a whole batch (B14, Yahoo)
    (
        r"server error while fetching",
        Rule(Verdict.REFUSE_MESSAGE, "the server does not hand the message over", kinds=_FETCH),
    ),
    # --- full (B7); a throttle that is called OVERQUOTA has been caught above (B3)
    (
        r"blocks limit exceeded|inode limit exceeded|time to find a bigger place"
        r"|no space left|(?:not enough|out of) (?:disk|storage)? ?space|disk (?:is )?full"
        r"|disk quota|mailbox (?:is )?(?:full|over ?quota)|over ?quota|quota (?:is )?exceeded"
        r"|exceed\w* (?:the |its |your )?(?:\w+ )?quota|mailbox size limit",
        Rule(Verdict.CLOSE_FULL, "the mailbox is full", "make room or have it enlarged", _WRITES),
    ),
    (
        r"server unavailable\. 15",  # Exchange
        Rule(Verdict.CLOSE_FULL, "the mailbox is full", "make room or have it enlarged", _APPEND),
    ),
)

WORDS_AFTER: tuple[tuple[str, Rule], ...] = (
    # --- messages (B8, B9, B11, B12, B13, D1, D2, D4, D5, D6, D8)
    (
        r"virus|malware|infected|(?:as|is|contains) spam|spam (?:message|content)|policy"
        r"|content (?:is )?reject",
        Rule(Verdict.REFUSE_MESSAGE, "the server's policy forbids the message", kinds=_APPEND),
    ),
    (
        r"too many identical",
        Rule(
            Verdict.REFUSE_MESSAGE, "the server takes only so many identical mails", kinds=_APPEND
        ),
    ),
    (
        r"too (?:large|big)|(?:message|literal) size|maximum (?:message )?size|size limit",
        Rule(Verdict.REFUSE_MESSAGE, "the message is too large for the server", kinds=_APPEND),
    ),
    (
        r"zero[- ](?:byte|length)|empty message",
        Rule(Verdict.REFUSE_MESSAGE, "the server takes no empty message", kinds=_APPEND),
    ),
    (
        r"\bnuls?\b|bare (?:newline|lf|cr)|8[- ]?bit|non-ascii|invalid header|malformed"
        r"|bad(?:ly formed)? message",
        Rule(Verdict.REFUSE_MESSAGE, "the server refuses the message's form", kinds=_APPEND),
    ),
    (
        r"command argument error\. 11",  # Exchange, on lines of more than some 10,000 octets
        Rule(
            Verdict.REFUSE_MESSAGE,
            "the server refuses the message, probably for its long lines",
            kinds=_APPEND,
        ),
    ),
    (
        r"too many (?:user )?(?:flags|keywords)|flags? limit",
        Rule(
            Verdict.REFUSE_MESSAGE,
            "the folder holds as many keywords as the server allows",
            kinds=_APPEND | {"store"},
        ),
    ),
    # --- folders (E6, E7, E10)
    (
        r"folder name is reserved|excess whitespace|reserved (?:folder|mailbox)? ?name"
        r"|invalid (?:mailbox|folder) name|inferior",
        Rule(
            Verdict.STOP_FOLDER,
            "the server does not allow this folder",
            "choose another name with --map",
        ),
    ),
    (
        r"(?:mailbox|folder) (?:is )?(?:locked|in use|busy)|waiting for lock|lock(?:ing)? timeout",
        Rule(Verdict.RETRY_LATER, "somebody else holds the folder", after=10.0),
    ),
    # --- the server itself (A5, A6)
    (
        r"auto ?logout|idle for too long|inactivity|session (?:has )?expired|timed? ?out",
        Rule(Verdict.RETRY_NOW, "the server ended an idle session", statuses=_BYE, after=1.0),
    ),
    (
        r"shut(?:ting)? ?down|maintenance|restart",
        Rule(Verdict.RETRY_LATER, "the server is being restarted", after=30.0),
    ),
    # "Wrong password, try again" is no invitation to try again (F4).
    (
        r"temporary (?:\w+ )?(?:error|failure|problem)|(?:system|server) (?:is )?(?:error|problem"
        r"|busy)|temporarily unavailable|internal (?:server )?error|service (?:is )?(?:not "
        r"available|unavailable)|overload|server unavailable",
        Rule(Verdict.RETRY_LATER, "the server can't do it now", kinds=_LOGIN, after=30.0),
    ),
    (
        r"try again|temporar(?:y|ily)|server (?:is )?busy|server unavailable|overload"
        r"|service (?:is )?(?:not available|unavailable)|internal (?:server )?error",
        Rule(Verdict.RETRY_LATER, "the server can't do it now", kinds=_INSIDE, after=30.0),
    ),
    (
        r"command received in invalid state",
        Rule(
            Verdict.CLOSE_FORBIDDEN,
            "the server expects something else at this point",
            "check scheme and port: imaps:// and 993, imap+starttls:// and 143",
            _LOGIN,
        ),
    ),
)

_FULL = Rule(Verdict.CLOSE_FULL, "the mailbox is full", "make room or have it enlarged", _WRITES)
_GONE = "the folder is not there"
CODES: dict[bytes, tuple[Rule, ...]] = {
    b"THROTTLED": (
        Rule(Verdict.RETRY_LATER, "the server wants us to slow down", after=60.0, throttled=True),
    ),
    # Quota is about writing; to any other command it is Gmail's traffic limit (B3).
    b"OVERQUOTA": (
        _FULL,
        Rule(
            Verdict.RETRY_LATER,
            "the account's traffic of the day is used up",
            after=LONGEST_PAUSE,
            throttled=True,
        ),
    ),
    b"UNAVAILABLE": (
        Rule(Verdict.RETRY_LATER, "a part of the server is not available", after=30.0),
    ),
    b"INUSE": (Rule(Verdict.RETRY_LATER, "somebody else holds the folder", after=10.0),),
    # A message that can't be read looks like this on Dovecot; a temporary error that does only
    # makes it missing until the next pass.
    b"SERVERBUG": (
        Rule(Verdict.REFUSE_MESSAGE, "the server does not hand the message over", kinds=_FETCH),
        Rule(Verdict.RETRY_LATER, "the server has met an error of its own", after=10.0),
    ),
    b"EXPUNGEISSUED": (Rule(Verdict.RETRY_NOW, "messages were removed meanwhile"),),
    b"MODIFIED": (Rule(Verdict.RETRY_NOW, "flags were changed meanwhile"),),
    b"AUTHENTICATIONFAILED": (
        Rule(
            Verdict.CLOSE_CREDENTIALS,
            "user name or password is wrong, or the token is",
            "check both; it was tried once",
        ),
    ),
    b"WEBALERT": (
        Rule(
            Verdict.CLOSE_CREDENTIALS,
            "the provider wants a person to log in with a browser first",
            "do so, or use an app password or a token",
        ),
    ),
    b"EXPIRED": (Rule(Verdict.CLOSE_CREDENTIALS, "the password or token has expired", "renew it"),),
    b"AUTHORIZATIONFAILED": (
        Rule(
            Verdict.CLOSE_FORBIDDEN,
            "the login is right but may not open this mailbox",
            "grant it the right, or log in as the owner",
        ),
    ),
    b"PRIVACYREQUIRED": (
        Rule(
            Verdict.CLOSE_FORBIDDEN,
            "the server wants TLS",
            "use imaps:// or imap+starttls://",
        ),
    ),
    b"CONTACTADMIN": (
        Rule(Verdict.CLOSE_FORBIDDEN, "the server wants its administrator asked", "ask them"),
    ),
    b"NOPERM": (
        Rule(
            Verdict.CLOSE_FORBIDDEN,
            "the account may not do that",
            "grant it the right",
            _LOGIN | {"list"},
        ),
        Rule(Verdict.STOP_FOLDER, "the account has no right to do that", "grant it the right"),
    ),
    b"LIMIT": (
        Rule(
            Verdict.TOO_MANY_CONNECTIONS,
            "the server allows fewer connections",
            kinds=_LOGIN,
            after=10.0,
        ),
        Rule(
            Verdict.REFUSE_MESSAGE,
            "a limit of the server is reached",
            kinds=_APPEND | _FETCH | {"store"},
        ),
        Rule(Verdict.STOP_FOLDER, "a limit of the server is reached"),
    ),
    b"TOOBIG": (Rule(Verdict.REFUSE_MESSAGE, "the message is too large for the server"),),
    b"UNKNOWN-CTE": (Rule(Verdict.REFUSE_MESSAGE, "the server can't decode the message"),),
    b"CANNOT": (
        Rule(Verdict.REFUSE_MESSAGE, "the server can never take this message", kinds=_APPEND),
        Rule(
            Verdict.STOP_FOLDER,
            "the server does not allow this folder",
            "choose another name with --map",
        ),
    ),
    b"CLIENTBUG": (
        Rule(
            Verdict.REFUSE_MESSAGE,
            "the server does not understand the command",
            kinds=_APPEND | _FETCH | {"store"},
        ),
        Rule(Verdict.STOP_FOLDER, "the server does not understand the command"),
    ),
    b"TRYCREATE": (Rule(Verdict.STOP_FOLDER, _GONE, "run again: it is made anew"),),
    b"NONEXISTENT": (Rule(Verdict.STOP_FOLDER, _GONE, "run again: it is listed anew"),),
    b"ALREADYEXISTS": (Rule(Verdict.STOP_FOLDER, "the folder is there already"),),
    b"HASCHILDREN": (Rule(Verdict.STOP_FOLDER, "the folder has others below it"),),
    b"USEATTR": (Rule(Verdict.STOP_FOLDER, "the server does not give that role to a folder"),),
    b"READ-ONLY": (
        Rule(Verdict.STOP_FOLDER, "the folder is read-only", "grant the right to write"),
    ),
    b"CORRUPTION": (
        Rule(
            Verdict.STOP_FOLDER,
            "the server finds the folder damaged",
            "have its owner repair it",
        ),
    ),
    b"UIDNOTSTICKY": (Rule(Verdict.STOP_FOLDER, "the server does not keep UIDs in this folder"),),
}
DEFINITE = frozenset({b"TRYCREATE", b"NONEXISTENT", b"ALREADYEXISTS", b"HASCHILDREN", b"TOOBIG"})
"""Codes that say all: the words beside them are likely a folder's name."""
NOTHING_SPECIAL = frozenset({b"", b"ALERT", b"PARSE", b"CAPABILITY", b"INPROGRESS", b"CLOSED"})

UNKNOWN_CODE = Rule(Verdict.STOP_FOLDER, "the server refuses for a reason mailhaul does not know")
DEFAULTS = {
    "login": Rule(
        Verdict.CLOSE_CREDENTIALS,
        "the login was refused",
        "check user name and password; it was tried once",
    ),
    "append": Rule(Verdict.REFUSE_MESSAGE, "the server refuses the message"),
    "fetch": Rule(Verdict.REFUSE_MESSAGE, "the server does not hand the message over"),
    "store": Rule(Verdict.REFUSE_MESSAGE, "the server refuses the flags"),
    "folder": Rule(Verdict.STOP_FOLDER, "the server refuses the folder"),
    "list": Rule(Verdict.CLOSE_FORBIDDEN, "the server does not list the folders"),
    "other": Rule(Verdict.CLOSE_FORBIDDEN, "the server refuses"),
}
HUNG_UP = Rule(Verdict.RETRY_LATER, "the server ended the connection", after=5.0)
