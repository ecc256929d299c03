"""Every code a check can find, as data: how grave it is, what it means, what to do about it.

docs/check.md is drawn from this table and from `providers.obstacles`. A code's name is for good:
scripts and reports hold it.
"""

from enum import StrEnum

from mailhaul.core.finding import Meaning, Severity


class Code(StrEnum):
    """What a check of ours can find."""

    SOURCE_CREDENTIALS = "SOURCE_CREDENTIALS"
    TARGET_CREDENTIALS = "TARGET_CREDENTIALS"
    SOURCE_UNREACHABLE = "SOURCE_UNREACHABLE"
    TARGET_UNREACHABLE = "TARGET_UNREACHABLE"
    SOURCE_FORBIDDEN = "SOURCE_FORBIDDEN"
    TARGET_FORBIDDEN = "TARGET_FORBIDDEN"
    SOURCE_AWAY = "SOURCE_AWAY"
    TARGET_AWAY = "TARGET_AWAY"
    FOLDER_MAP = "FOLDER_MAP"
    QUOTA_SHORT = "QUOTA_SHORT"
    QUOTA_TIGHT = "QUOTA_TIGHT"
    TOO_LARGE = "TOO_LARGE"
    FOLDER_UNREADABLE = "FOLDER_UNREADABLE"
    NOT_FETCHED = "NOT_FETCHED"
    COUNTS_DIFFER = "COUNTS_DIFFER"
    SUSPICIOUSLY_EMPTY = "SUSPICIOUSLY_EMPTY"
    KEYWORDS_LOST = "KEYWORDS_LOST"
    RECEIVED_LOST = "RECEIVED_LOST"
    DAILY_LIMIT = "DAILY_LIMIT"
    HUGE_FOLDER = "HUGE_FOLDER"
    PROBE_REFUSED = "PROBE_REFUSED"
    PROBE_ALTERED = "PROBE_ALTERED"
    PROBE_FAILED = "PROBE_FAILED"
    PROBE_FOLDER_LEFT = "PROBE_FOLDER_LEFT"
    PROBE_SKIPPED = "PROBE_SKIPPED"
    PROBE_DATES = "PROBE_DATES"
    PROBE_FLAGS = "PROBE_FLAGS"
    PROBE_FAITHFUL = "PROBE_FAITHFUL"
    FOLDERS_RENAMED = "FOLDERS_RENAMED"
    FOLDERS_LEFT_OUT = "FOLDERS_LEFT_OUT"
    TARGET_NOT_EMPTY = "TARGET_NOT_EMPTY"
    EMPTY_MESSAGES = "EMPTY_MESSAGES"
    ODD_DATES = "ODD_DATES"
    DUPLICATES = "DUPLICATES"
    WITHOUT_MESSAGE_ID = "WITHOUT_MESSAGE_ID"
    MARKED_DELETED = "MARKED_DELETED"
    AWKWARD_CONTENT = "AWKWARD_CONTENT"
    SIZES_DIFFER = "SIZES_DIFFER"
    SUBSCRIPTIONS_LOST = "SUBSCRIPTIONS_LOST"
    NOTICE = "NOTICE"


_CREDENTIALS = Meaning(
    Severity.BLOCKS,
    "the server refused the login, or there is no secret where the reference leads",
    "correct the secret where it lies; it was tried once, so that no account is locked. "
    "mailhaul doctor shows where the switch is",
)
_UNREACHABLE = Meaning(
    Severity.BLOCKS,
    "no connection, TLS failed, or what answers doesn't speak IMAP as needed",
    "check host, port and certificate, or the path; mailhaul doctor goes step by step",
)
_FORBIDDEN = Meaning(
    Severity.BLOCKS,
    "the login works, and yet there is no mailbox behind it: no licence, no rights, IMAP off",
    "give the account its licence or its rights at the provider, then check again",
)
_AWAY = Meaning(
    Severity.BLOCKS,
    "the server was away or asked to wait, longer than a check waits; nothing is known to be wrong",
    "check again later",
)

MEANINGS: dict[Code, Meaning] = {
    Code.SOURCE_CREDENTIALS: _CREDENTIALS,
    Code.TARGET_CREDENTIALS: _CREDENTIALS,
    Code.SOURCE_UNREACHABLE: _UNREACHABLE,
    Code.TARGET_UNREACHABLE: _UNREACHABLE,
    Code.SOURCE_FORBIDDEN: _FORBIDDEN,
    Code.TARGET_FORBIDDEN: _FORBIDDEN,
    Code.SOURCE_AWAY: _AWAY,
    Code.TARGET_AWAY: _AWAY,
    Code.FOLDER_MAP: Meaning(
        Severity.BLOCKS,
        "a folder can't go where the plan wants it",
        "change carry.map, carry.folders or carry.exclude in the plan",
    ),
    Code.QUOTA_SHORT: Meaning(
        Severity.BLOCKS,
        "the mailbox doesn't fit into the target's quota",
        "raise the quota or make room at the target, or carry less (carry.since, carry.exclude)",
    ),
    Code.QUOTA_TIGHT: Meaning(
        Severity.WARNS,
        "the mailbox fits, with less than a tenth of the quota to spare",
        "raise the quota: mail goes on arriving during the move",
    ),
    Code.TOO_LARGE: Meaning(
        Severity.WARNS,
        "messages are larger than the target takes; they will be refused and kept as files",
        "raise the target's limit, or tell their owners; each is to be approved before sign-off",
    ),
    Code.FOLDER_UNREADABLE: Meaning(
        Severity.WARNS,
        "a source folder can't be opened, so that its mail would stay behind",
        "repair it at the source, or leave it out by carry.exclude",
    ),
    Code.NOT_FETCHED: Meaning(
        Severity.WARNS,
        "the source lists messages that it won't hand over, or hands over a substitute for",
        "repair the mailbox at the source; what stays unreadable will be listed one by one",
    ),
    Code.COUNTS_DIFFER: Meaning(
        Severity.WARNS,
        "the source counts other numbers of messages than it lists",
        "have the source's index rebuilt, and look for a limit on what IMAP may show "
        "(Gmail: “limit folder to N messages”)",
    ),
    Code.SUSPICIOUSLY_EMPTY: Meaning(
        Severity.WARNS,
        "the source has no message at all",
        "make sure that this is the right mailbox, by the right login",
    ),
    Code.KEYWORDS_LOST: Meaning(
        Severity.WARNS,
        "messages have keywords (tags, $Forwarded) and the target keeps none",
        "nothing can be done by IMAP; tell the owner",
    ),
    Code.RECEIVED_LOST: Meaning(
        Severity.WARNS,
        "the target doesn't keep received dates: all mail will look as if it came today",
        "have clients sort by the date in the message",
    ),
    Code.DAILY_LIMIT: Meaning(
        Severity.WARNS,
        "by the limits of a side's mail system, the first copy of this mailbox takes days",
        "begin as many days earlier, or carry what is old first (carry.prestage_older_than)",
    ),
    Code.HUGE_FOLDER: Meaning(
        Severity.WARNS,
        "a folder holds so many messages that mail systems become slow or refuse more",
        "split it at the source before the move, Exchange Online ends at a million",
    ),
    Code.PROBE_REFUSED: Meaning(
        Severity.WARNS,
        "the target refused one kind of odd message; the source's mail of that kind won't be taken",
        "such messages are kept as files and listed; each is to be approved before sign-off",
    ),
    Code.PROBE_ALTERED: Meaning(
        Severity.WARNS,
        "the target says OK and keeps other octets than it was given",
        "turn it off at the target if it can be (Cyrus: munge8bit); else it will stand in the "
        "report by name",
    ),
    Code.PROBE_FAILED: Meaning(
        Severity.WARNS,
        "the odd messages could not be tried out",
        "see the evidence; check again with --probe",
    ),
    Code.PROBE_FOLDER_LEFT: Meaning(
        Severity.WARNS,
        "a scratch folder of a probe is still at the target",
        "remove it by hand; it holds nothing but our own odd messages",
    ),
    Code.PROBE_SKIPPED: Meaning(
        Severity.TELLS,
        "the target can't take a scratch folder back (files), so that none was made",
    ),
    Code.PROBE_DATES: Meaning(
        Severity.TELLS,
        "the target keeps other received dates than it was given",
        "nothing: dates out of its range will stand in the report by name",
    ),
    Code.PROBE_FLAGS: Meaning(
        Severity.TELLS,
        "the target doesn't keep all flags and keywords",
    ),
    Code.PROBE_FAITHFUL: Meaning(
        Severity.TELLS,
        "every odd message came back from the target octet for octet",
    ),
    Code.FOLDERS_RENAMED: Meaning(
        Severity.TELLS,
        "folders get another name or place at the target, by its rules or by their role",
        "choose other places by carry.map if you like",
    ),
    Code.FOLDERS_LEFT_OUT: Meaning(
        Severity.TELLS,
        "folders that hold mail are not carried: excluded, or views of other folders' mail",
        "name one to the letter in carry.folders to carry it all the same",
    ),
    Code.TARGET_NOT_EMPTY: Meaning(
        Severity.TELLS,
        "the target holds mail already; what is the same will be adopted, nothing is removed",
    ),
    Code.EMPTY_MESSAGES: Meaning(
        Severity.TELLS,
        "messages of no octets at all; many servers take none",
        "they will be listed as refused; there is nothing in them",
    ),
    Code.ODD_DATES: Meaning(
        Severity.TELLS,
        "messages without a usable received date, or with one before 1970 or in the future",
        "servers put another one in its place; it will stand in the report",
    ),
    Code.DUPLICATES: Meaning(
        Severity.TELLS,
        "messages lie more than once in one folder; each copy is carried",
        "clean up at the source first, if its owner wants that",
    ),
    Code.WITHOUT_MESSAGE_ID: Meaning(
        Severity.TELLS,
        "messages without Message-ID; they are told apart by date, sender, subject and size",
    ),
    Code.MARKED_DELETED: Meaning(
        Severity.TELLS,
        "messages are marked as deleted and not yet expunged; they are carried as they are",
        "expunge them at the source first, if they are not wanted",
    ),
    Code.AWKWARD_CONTENT: Meaning(
        Severity.TELLS,
        "in a sample of the mail there is what some servers alter or refuse",
        "check with --probe to see what this target does with it",
    ),
    Code.SIZES_DIFFER: Meaning(
        Severity.TELLS,
        "the source announces other sizes than it hands over; sizes are no more than a hint there",
    ),
    Code.SUBSCRIPTIONS_LOST: Meaning(
        Severity.TELLS,
        "the target keeps no subscriptions",
        "clients that show subscribed folders only must be set to show all",
    ),
    Code.NOTICE: Meaning(
        Severity.TELLS,
        "something about the connection or the server that a person should know",
    ),
}
