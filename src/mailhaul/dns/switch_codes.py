"""Every code that changing a zone can find, as data: how grave it is, what it means, what to do.

docs/switch.md is drawn from this table. A code's name is for good: scripts and reports hold it.
"""

from enum import StrEnum

from mailhaul.core.finding import Meaning, Severity


class Code(StrEnum):
    """What can come between a zone and its change."""

    ZONE_EDITED = "ZONE_EDITED"
    ZONE_KEY_UNKNOWN = "ZONE_KEY_UNKNOWN"
    ZONE_KEY_WRONG = "ZONE_KEY_WRONG"
    ZONE_CLOCKS_APART = "ZONE_CLOCKS_APART"
    ZONE_UPDATE_REFUSED = "ZONE_UPDATE_REFUSED"
    ZONE_UPDATES_UNKNOWN = "ZONE_UPDATES_UNKNOWN"
    ZONE_NOT_SERVED = "ZONE_NOT_SERVED"
    ZONE_SERVER_FAILED = "ZONE_SERVER_FAILED"
    ZONE_UNREACHABLE = "ZONE_UNREACHABLE"
    ZONE_ANSWER_UNPROVEN = "ZONE_ANSWER_UNPROVEN"
    ZONE_NOT_TAKEN = "ZONE_NOT_TAKEN"
    ZONE_UNSURE = "ZONE_UNSURE"
    ZONE_STUCK = "ZONE_STUCK"
    ZONE_UNDONE = "ZONE_UNDONE"
    ZONE_TTL_DIFFERS = "ZONE_TTL_DIFFERS"
    ZONE_ANSWER_LOST = "ZONE_ANSWER_LOST"
    ZONE_WAITS = "ZONE_WAITS"


_BLOCKS, _WARNS, _TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS

MEANINGS: dict[str, Meaning] = {
    Code.ZONE_EDITED: Meaning(
        _BLOCKS,
        "somebody else has changed these records since they were read; mailhaul doesn't overwrite "
        "them, and changed nothing in that zone",
        "find out who changed them and why, then plan again",
    ),
    Code.ZONE_KEY_UNKNOWN: Meaning(
        _BLOCKS,
        "the server doesn't know the TSIG key by which the update was signed (BADKEY)",
        "compare the key's name and algorithm with the server's configuration",
    ),
    Code.ZONE_KEY_WRONG: Meaning(
        _BLOCKS,
        "the server knows a TSIG key of that name, with another secret (BADSIG)",
        "correct the secret where it lies",
    ),
    Code.ZONE_CLOCKS_APART: Meaning(
        _BLOCKS,
        "the server's clock and this machine's are more than five minutes apart (BADTIME)",
        "set both by NTP; signatures are good for five minutes",
    ),
    Code.ZONE_UPDATE_REFUSED: Meaning(
        _BLOCKS,
        "the server knows the key and doesn't let it do that",
        "allow the key to change these names and types: update-policy in BIND, acl in Knot",
    ),
    Code.ZONE_UPDATES_UNKNOWN: Meaning(
        _BLOCKS,
        "the server takes no dynamic updates, or not such ones (NOTIMP, FORMERR)",
        "name the zone's primary server, or let a person write the records (manual)",
    ),
    Code.ZONE_NOT_SERVED: Meaning(
        _BLOCKS,
        "the server is not authoritative for the zone or for a name in it",
        "name the primary server of the zone that holds the name; a delegation leads elsewhere",
    ),
    Code.ZONE_SERVER_FAILED: Meaning(
        _BLOCKS,
        "the server failed at it (SERVFAIL)",
        "look into the server's log: often it can't write its journal or zone file",
    ),
    Code.ZONE_UNREACHABLE: Meaning(
        _BLOCKS,
        "the zone's server could not be reached, or fell silent",
        "check address, port and firewall: updates go by TCP",
    ),
    Code.ZONE_ANSWER_UNPROVEN: Meaning(
        _BLOCKS,
        "the answer came without the signature that it must have, so that it may be anybody's",
        "look for what stands between: a proxy or a load balancer that answers for the server",
    ),
    Code.ZONE_NOT_TAKEN: Meaning(
        _BLOCKS,
        "the server said yes and yet holds something else: it left a part out in silence, as for a "
        "CNAME beside other records (RFC 2136 section 3.4.2)",
        "look what else stands at that name, and plan again",
    ),
    Code.ZONE_UNSURE: Meaning(
        _BLOCKS,
        "the connection broke after the change had been sent, and the server can't be asked what "
        "it holds",
        "apply or return again as soon as the server answers: what is done already stays as it is",
    ),
    Code.ZONE_STUCK: Meaning(
        _BLOCKS,
        "a later zone failed, and this one could not be put back",
        "return again, or write these records by hand",
    ),
    Code.ZONE_UNDONE: Meaning(
        _WARNS,
        "a later zone failed, so that this one was put back as it was",
        "mend what failed, then apply again",
    ),
    Code.ZONE_TTL_DIFFERS: Meaning(
        _TELLS,
        "the records are as wanted, with another TTL than planned",
    ),
    Code.ZONE_ANSWER_LOST: Meaning(
        _TELLS,
        "the server's answer to the change was lost; the zone was read again and holds it",
    ),
    Code.ZONE_WAITS: Meaning(
        _TELLS,
        "whoever holds the zone has to write these records; mailhaul watches for them",
        "have them written, then look again",
    ),
}
