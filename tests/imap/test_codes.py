"""What refusals mean, in the servers' own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.errors import (
    Closed,
    ClosedReason,
    FolderFailed,
    MailhaulError,
    RetryLater,
    TooManyConnections,
)
from mailhaul.core.text import printable
from mailhaul.imap.codes import Judgement, as_error, judge
from mailhaul.imap.failures import words
from mailhaul.imap.refusals import LONGEST_PAUSE, Verdict
from mailhaul.imap.responses import Status

NOW = Verdict.RETRY_NOW
LATER = Verdict.RETRY_LATER
REFUSE = Verdict.REFUSE_MESSAGE
STOP = Verdict.STOP_FOLDER
FULL = Verdict.CLOSE_FULL
CREDENTIALS = Verdict.CLOSE_CREDENTIALS
FORBIDDEN = Verdict.CLOSE_FORBIDDEN
MANY = Verdict.TOO_MANY_CONNECTIONS


def status(line: bytes) -> Status:
    """`NO [CODE arguments] text` as the reader makes it."""
    kind, _, text = line.partition(b" ")
    code = arguments = b""
    if text.startswith(b"["):
        inner, _, text = text[1:].partition(b"]")
        code, _, arguments = inner.partition(b" ")
    return Status(b"T1", kind, code.upper(), arguments, text.strip())


LINES = [
    # A5, A6: the server hangs up.
    ("", "BYE Autologout; idle for too long", NOW),
    ("", "BYE Disconnected for inactivity.", NOW),
    ("UID FETCH", "BYE Session expired, please login again.", NOW),
    ("", "BYE Server shutting down.", LATER),
    ("APPEND", "BYE", LATER),
    ("APPEND", "BYE Connection is closed. 13", LATER),
    ("APPEND", "BYE malformed literal", LATER),
    ("", "BYE Too many invalid IMAP commands.", LATER),
    ("UID FETCH", "BYE [UNAVAILABLE] Temporary System Error", LATER),
    # A7, A8, F11: Exchange's ways of not letting in.
    ("STATUS", "BAD User is authenticated but not connected.", FORBIDDEN),
    ("LIST", "NO User is authenticated but not connected.", FORBIDDEN),
    ("LOGIN", "BAD Command received in Invalid state.", FORBIDDEN),
    (
        "AUTHENTICATE",
        'NO [Error="WrongServerException: cross server"] AUTHENTICATE completed.',
        LATER,
    ),
    # A14: too many connections.
    ("AUTHENTICATE", "NO [ALERT] Too many simultaneous connections. (Failure)", MANY),
    (
        "LOGIN",
        "NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded "
        "(mail_max_userip_connections=16)",
        MANY,
    ),
    ("", "BYE Too many connections from this user", MANY),
    ("", "BYE Too many connections from your host", MANY),
    ("LOGIN", "NO [LIMIT] Too many sessions", MANY),
    # B1 to B3: throttles.
    (
        "UID FETCH",
        "NO Request is throttled. Suggested Backoff Time: 299961 milliseconds",
        LATER,
    ),
    ("APPEND", "BAD Request is throttled. Suggested Backoff Time: 1 milliseconds", LATER),
    (
        "APPEND",
        "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
        LATER,
    ),
    ("AUTHENTICATE", "NO [OVERQUOTA] Account exceeded bandwidth", LATER),
    ("UID FETCH", "NO [OVERQUOTA] Try again later", LATER),
    ("UID FETCH", "NO [THROTTLED] slower", LATER),
    ("LOGIN", "NO [ALERT] Account exceeded command or bandwidth limits.", LATER),
    # B6: RFC 5530, one by one.
    ("LOGIN", "NO [UNAVAILABLE] User's backend down", LATER),
    ("LOGIN", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", CREDENTIALS),
    ("AUTHENTICATE", "NO [AUTHENTICATIONFAILED] Temporarily or not, try again", CREDENTIALS),
    ("AUTHENTICATE", "NO [AUTHORIZATIONFAILED] No such authorization-ID", FORBIDDEN),
    ("LOGIN", "NO [EXPIRED] That password isn't valid any more", CREDENTIALS),
    ("LOGIN", "NO [PRIVACYREQUIRED] Connection offers no privacy", FORBIDDEN),
    ("LOGIN", "NO [CONTACTADMIN] ask us", FORBIDDEN),
    ("EXAMINE", "NO [NOPERM] Access denied", STOP),
    ("LIST", "NO [NOPERM] Access denied", FORBIDDEN),
    ("EXAMINE", "NO [INUSE] Mailbox in use", LATER),
    ("UID FETCH", "NO [EXPUNGEISSUED] Some messages were expunged", NOW),
    ("EXAMINE", "NO [CORRUPTION] Cannot open mailbox", STOP),
    ("APPEND", "NO [SERVERBUG] This should not happen", LATER),
    ("UID FETCH", "NO [SERVERBUG] Internal error occurred. Refer to server log.", REFUSE),
    ("APPEND", "BAD [CLIENTBUG] Additional arguments found after last expected argument", REFUSE),
    ("EXAMINE", "BAD [CLIENTBUG] Command not allowed", STOP),
    ("CREATE", "NO [CANNOT] Folder contains excess whitespace", STOP),
    ("APPEND", "NO [CANNOT] Invalid date", REFUSE),
    ("CREATE", "NO [LIMIT] Mailboxes too deep", STOP),
    ("UID STORE", "NO [LIMIT] At most 32 flags", REFUSE),
    ("CREATE", "NO [ALREADYEXISTS] Mailbox exists", STOP),
    ("DELETE", "NO [HASCHILDREN] Mailbox has children", STOP),
    ("EXAMINE", "NO [NONEXISTENT] No such mailbox: Over quota", STOP),
    ("APPEND", "NO [TRYCREATE] Mailbox doesn't exist: Spam/virus", STOP),
    ("CREATE", "NO [USEATTR] \\All not supported", STOP),
    ("UID STORE", "NO [READ-ONLY] Mailbox is read-only", STOP),
    ("UID STORE", "OK [MODIFIED 7] done", NOW),
    ("APPEND", "NO [FROBNICATE 1 2] because", STOP),
    # B7: full.
    ("APPEND", "NO [OVERQUOTA] Quota exceeded (mailbox for user is full)", FULL),
    ("APPEND", "NO [OVERQUOTA]", FULL),
    ("CREATE", "NO [OVERQUOTA] Over quota", FULL),
    ("APPEND", "NO Over quota", FULL),
    ("APPEND", "NO Server Unavailable. 15", FULL),
    ("APPEND", "NO Mailbox is full / Blocks limit exceeded / Inode limit exceeded", FULL),
    ("APPEND", "NO mailbox full: it is time to find a bigger place", FULL),
    ("APPEND", "NO [SERVERBUG] write failed: No space left on device", FULL),
    ("APPEND", "NO Not enough disk quota", FULL),
    # B8 to B13, D1 to D8: messages that a server won't take.
    ("APPEND", "NO [TOOBIG] Message size exceeds fixed maximum", REFUSE),
    ("APPEND", "NO Message too large (Failure)", REFUSE),
    ("APPEND", "BAD Command Argument Error. 11", REFUSE),
    ("APPEND", "NO Message refused because it contains a virus", REFUSE),
    ("APPEND", "NO Too many identical emails", REFUSE),
    ("APPEND", "NO Too many user flags in mailbox", REFUSE),
    ("APPEND", "NO Message contains NUL characters", REFUSE),
    ("APPEND", "NO Message contains bare newlines", REFUSE),
    ("APPEND", "NO Message contains invalid header", REFUSE),
    ("APPEND", "NO Message contains non-ASCII characters in headers", REFUSE),
    ("APPEND", "NO Can't save a zero byte message.", REFUSE),
    ("APPEND", "NO Zero-length message literal", REFUSE),
    ("APPEND", "NO I'd rather not", REFUSE),
    ("APPEND", "NO [ALERT] I'd rather not", REFUSE),
    # B14, D12: messages that a server won't hand over.
    ("UID FETCH", "NO FETCH Server error while fetching messages", REFUSE),
    ("UID FETCH", "NO [UNAVAILABLE] FETCH Server error while fetching messages", REFUSE),
    ("UID FETCH", "NO Some messages could not be FETCHed", REFUSE),
    ("UID FETCH", "BAD Command line too long", REFUSE),
    # E6, E7, E10: folders.
    ("CREATE", "NO Folder name is reserved.", STOP),
    ("CREATE", "NO Mailbox doesn't allow inferior mailboxes", STOP),
    ("EXAMINE", "NO Mailbox is locked by another process", LATER),
    ("EXAMINE", "NO go away", STOP),
    # F1, F4, F8, F9: logins.
    ("LOGIN", "NO LOGIN failed.", CREDENTIALS),
    ("LOGIN", "NO Login failed, please try again", CREDENTIALS),
    ("LOGIN", "BAD unknown user", CREDENTIALS),
    ("LOGIN", "NO [FROBNICATE] no", CREDENTIALS),
    ("LOGIN", "NO Temporary authentication failure.", LATER),
    ("LOGIN", "NO Server busy, try again", LATER),
    ("LOGIN", "NO Your account is temporarily locked", CREDENTIALS),
    ("AUTHENTICATE", "NO Too many failed login attempts, try again later", CREDENTIALS),
    ("LOGIN", "NO [WEBALERT https://a] Web login required.", CREDENTIALS),
    ("LOGIN", "NO [ALERT] Please log in via your web browser: https://a (Failure)", CREDENTIALS),
    ("LOGIN", "NO [ALERT] Application-specific password required: https://a", CREDENTIALS),
    ("LOGIN", "NO Basic authentication is disabled.", CREDENTIALS),
    (
        "LOGIN",
        "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings "
        "page and enable your account for IMAP access. (Failure)",
        FORBIDDEN,
    ),
    ("LOGIN", "NO [ALERT] country blacklisted", FORBIDDEN),
    ("UID FETCH", "BYE AccessTokenExpired", LATER),
    ("AUTHENTICATE", "NO AccessTokenExpired", LATER),
    # The rest.
    ("EXAMINE", "NO Server busy, try again later", LATER),
    ("LIST", "NO because", FORBIDDEN),
    ("LIST", "NO [FROBNICATE] because", STOP),
]


@pytest.mark.parametrize(("verb", "line", "verdict"), LINES)
def test_a_refusal_means(verb: str, line: str, verdict: Verdict) -> None:
    judgement = judge(verb.encode(), status(line.encode()))
    assert judgement.verdict is verdict, judgement
    for word in line.split()[1:3]:
        assert word.strip("[]").lower() in judgement.reason.lower()
    if verdict in (LATER, MANY):
        assert judgement.after > 0


@pytest.mark.parametrize(
    ("line", "after", "throttled"),
    [
        ("NO Request is throttled. Suggested Backoff Time: 299961 milliseconds", 299.961, True),
        ("BAD x. Suggested Backoff Time: 86400000 milliseconds", LONGEST_PAUSE, True),
        ("NO Suggested Backoff Time: 999999999999 milliseconds", LONGEST_PAUSE, True),
        ("NO Suggested Backoff Time: 0 milliseconds", 1.0, True),
        ("NO Request is throttled.", 60.0, True),
        ("NO Suggested Backoff Time: -5 milliseconds", 60.0, True),
        ("NO [OVERQUOTA] Account exceeded command or bandwidth limits.", LONGEST_PAUSE, True),
        ("NO [SERVERBUG] oops", 10.0, False),
        ("BYE Server shutting down", 30.0, False),
    ],
)
def test_a_pause_is_as_long_as_the_server_asks_within_an_hour(
    line: str, after: float, throttled: bool
) -> None:
    judgement = judge(b"APPEND", status(line.encode()))
    assert judgement.verdict is LATER
    assert (judgement.after, judgement.throttled) == (after, throttled)


@pytest.mark.parametrize(
    ("verb", "line", "verdict"),
    [
        ("APPEND", "NO [TOOBIG] too big", Verdict.HALVE),
        ("APPEND", "NO I'd rather not", Verdict.HALVE),
        ("APPEND", "NO [FROBNICATE] no", Verdict.HALVE),
        ("UID FETCH", "NO FETCH Server error while fetching messages", Verdict.HALVE),
        ("UID FETCH", "BAD Command line too long", Verdict.HALVE),
        ("UID STORE", "NO [LIMIT] flags", Verdict.HALVE),
        ("APPEND", "NO [OVERQUOTA] full", FULL),
        ("APPEND", "NO [TRYCREATE] no such mailbox", STOP),
        ("APPEND", "NO Request is throttled", LATER),
        ("APPEND", "BYE", LATER),
    ],
)
def test_a_batch_is_halved_when_one_message_may_be_the_culprit(
    verb: str, line: str, verdict: Verdict
) -> None:
    assert judge(verb.encode(), status(line.encode()), batch=2).verdict is verdict


@pytest.mark.parametrize(
    ("verdict", "error", "reason"),
    [
        (NOW, RetryLater, None),
        (LATER, RetryLater, None),
        (MANY, TooManyConnections, None),
        (STOP, FolderFailed, None),
        (REFUSE, FolderFailed, None),
        (Verdict.HALVE, FolderFailed, None),
        (FULL, Closed, ClosedReason.FULL),
        (CREDENTIALS, Closed, ClosedReason.CREDENTIALS),
        (FORBIDDEN, Closed, ClosedReason.FORBIDDEN),
    ],
)
def test_a_verdict_becomes_the_error_that_says_it(
    verdict: Verdict, error: type[MailhaulError], reason: ClosedReason | None
) -> None:
    raised = as_error(Judgement(verdict, "why", 7.0, True))
    assert type(raised) is error
    assert str(raised) == "why"
    if isinstance(raised, Closed):
        assert raised.reason is reason
    if isinstance(raised, RetryLater):
        assert (raised.after, raised.throttled) == (7.0, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("NO Mailbox is odd (0.002 + 0.000 secs).", "Mailbox is odd"),
        ("NO [LIMIT] Mailbox is odd (0.002 + 0.000 + 0.001 secs).", "Mailbox is odd"),
        ("NO Mailbox is odd (1.5 secs)", "Mailbox is odd"),
        ("NO It took (0.002 + 0.000 secs) and ended", "It took (0.002 + 0.000 secs) and ended"),
        ("NO Wait 5 secs.", "Wait 5 secs."),
    ],
)
def test_how_long_the_server_took_is_nothing_for_people(line: str, said: str) -> None:
    told = status(line.encode())
    assert f"{said}”" in judge(b"APPEND", told).reason
    assert words(told).endswith(said)


def test_every_verdict_has_an_error() -> None:
    assert {type(as_error(Judgement(verdict, "why"))) for verdict in Verdict} == {
        RetryLater,
        TooManyConnections,
        FolderFailed,
        Closed,
    }


@given(
    verb=st.sampled_from([b"", b"LOGIN", b"APPEND", b"UID FETCH", b"LIST", b"EXAMINE"]),
    kind=st.sampled_from([b"NO", b"BAD", b"BYE"]),
    code=st.binary(max_size=30),
    text=st.binary(max_size=2000),
    batch=st.integers(1, 100),
)
def test_any_words_get_a_verdict_and_stay_printable(
    *, verb: bytes, kind: bytes, code: bytes, text: bytes, batch: int
) -> None:
    judgement = judge(verb, Status(None, kind, code, b"", text), batch)
    assert printable(judgement.reason, 3000) == judgement.reason
    assert len(judgement.reason) < 2000
    assert 0 <= judgement.after <= LONGEST_PAUSE
