"""Every code that canary mail can find, as data: how grave it is, what it means, what to do.

docs/canary.md is drawn from this table. A code's name is for good: scripts and reports hold it.
"""

from enum import StrEnum

from mailhaul.core.finding import Meaning, Severity


class Code(StrEnum):
    """What probes and canaries can find."""

    RECIPIENT_REFUSED = "RECIPIENT_REFUSED"
    DOMAIN_NOT_TAKEN = "DOMAIN_NOT_TAKEN"
    HOST_UNREACHABLE = "HOST_UNREACHABLE"
    HOST_SILENT = "HOST_SILENT"
    HOST_GARBLED = "HOST_GARBLED"
    HOST_FORBIDDEN = "HOST_FORBIDDEN"
    HOST_INSECURE = "HOST_INSECURE"
    HOST_BARS_US = "HOST_BARS_US"
    ADDRESS_UNFIT = "ADDRESS_UNFIT"
    NOT_NOW = "NOT_NOW"
    TAKES_ANYONE = "TAKES_ANYONE"
    TLS_DISTRUSTED = "TLS_DISTRUSTED"
    NO_TLS = "NO_TLS"
    RECIPIENTS_KNOWN = "RECIPIENTS_KNOWN"
    OLD_HOST_REFUSES = "OLD_HOST_REFUSES"
    OLD_HOST_WORKS = "OLD_HOST_WORKS"
    OLD_HOST_DELIVERS = "OLD_HOST_DELIVERS"
    OLD_HOST_SWALLOWS = "OLD_HOST_SWALLOWS"
    OLD_HOST_FORWARDS = "OLD_HOST_FORWARDS"
    OLD_HOST_CLOSED = "OLD_HOST_CLOSED"
    OLD_HOST_GONE = "OLD_HOST_GONE"
    CANARY_MISSING = "CANARY_MISSING"
    CANARY_AT_OLD = "CANARY_AT_OLD"
    CANARY_REFUSED = "CANARY_REFUSED"
    CANARY_IN_JUNK = "CANARY_IN_JUNK"
    CANARY_DOUBLED = "CANARY_DOUBLED"
    CANARY_LATE = "CANARY_LATE"
    CANARY_LEFT = "CANARY_LEFT"
    CANARY_ARRIVED = "CANARY_ARRIVED"


MEANINGS: dict[Code, Meaning] = {
    Code.RECIPIENT_REFUSED: Meaning(
        Severity.BLOCKS,
        "the host says that it doesn't know the address: mail for it would bounce",
        "create the mailbox, or the alias, at the new system (at the filter, where one is in "
        "front), then ask again",
    ),
    Code.DOMAIN_NOT_TAKEN: Meaning(
        Severity.BLOCKS,
        "the host takes no mail for the domain: all of it would bounce",
        "add the domain at the new system and wait until it says that it is verified",
    ),
    Code.HOST_UNREACHABLE: Meaning(
        Severity.BLOCKS,
        "no mail host of this way can be connected to",
        "check the host names and their addresses; where this machine may not connect to port 25 "
        "at all, run mailhaul where it may",
    ),
    Code.HOST_SILENT: Meaning(
        Severity.WARNS,
        "the host took the connection and gave no answer in time; nothing is known of the address",
        "ask again later, more slowly (canary.per_minute)",
    ),
    Code.HOST_GARBLED: Meaning(
        Severity.BLOCKS,
        "what answers doesn't speak SMTP",
        "check host and port; a firewall in between may rewrite SMTP",
    ),
    Code.HOST_FORBIDDEN: Meaning(
        Severity.BLOCKS,
        "the host's address is private, loopback or otherwise not public; it was not connected to",
        "correct the record that leads there, or allow the network if it is meant",
    ),
    Code.HOST_INSECURE: Meaning(
        Severity.BLOCKS,
        "TLS with a trusted certificate is required, and the host doesn't give it",
        "have the certificate put right: senders that know an MTA-STS policy refuse it, too",
    ),
    Code.HOST_BARS_US: Meaning(
        Severity.WARNS,
        "the host refuses this machine (its address, its name, the sender), not the recipient",
        "probe from a machine with a fixed public address and a PTR record that isn't on a list, "
        "or set canary.sender",
    ),
    Code.ADDRESS_UNFIT: Meaning(
        Severity.WARNS,
        "the address isn't ASCII, and the host doesn't take such addresses (SMTPUTF8)",
        "give the mailbox an ASCII address besides",
    ),
    Code.NOT_NOW: Meaning(
        Severity.WARNS,
        "the host asked to come again later (greylisting, too much at once, trouble of its own)",
        "nothing: it is asked again, some minutes later",
    ),
    Code.TAKES_ANYONE: Meaning(
        Severity.TELLS,
        "the host also accepts an address that nobody has, so that its yes proves nothing",
        "compare the list of mailboxes at the new system; a canary after the switch will tell",
    ),
    Code.TLS_DISTRUSTED: Meaning(
        Severity.WARNS,
        "the host's TLS certificate doesn't stand for it, or TLS fails",
        "have it put right before an MTA-STS policy says “enforce”, or DANE is published: then "
        "mail bounces",
    ),
    Code.NO_TLS: Meaning(
        Severity.WARNS,
        "the host offers no STARTTLS: mail for it crosses the network readable",
        "switch TLS on at the host",
    ),
    Code.RECIPIENTS_KNOWN: Meaning(
        Severity.TELLS, "the host accepts the addresses, and refuses one that nobody has"
    ),
    Code.OLD_HOST_REFUSES: Meaning(
        Severity.WARNS,
        "before the switch the old host refuses an address: mail for it bounces today",
        "check the address in the plan, and the mailbox at the old system",
    ),
    Code.OLD_HOST_WORKS: Meaning(
        Severity.TELLS, "before the switch the old host delivers into the old mailbox, as it should"
    ),
    Code.OLD_HOST_DELIVERS: Meaning(
        Severity.WARNS,
        "the old host still delivers into the old mailbox: what its web forms and its other "
        "customers send never comes to the new one, whatever DNS says",
        "take the domain off the old host, or have it routed by MX (cPanel: Email Routing, Remote "
        "Mail Exchanger); sweeps bring what comes until then, if they go on",
    ),
    Code.OLD_HOST_SWALLOWS: Meaning(
        Severity.WARNS,
        "the old host took a message after the switch, and it came out in neither mailbox",
        "look into the old host's queue, and take the domain off it",
    ),
    Code.OLD_HOST_FORWARDS: Meaning(
        Severity.TELLS, "what the old host is given comes out in the new mailbox"
    ),
    Code.OLD_HOST_CLOSED: Meaning(
        Severity.TELLS, "the old host takes no mail for the address any more"
    ),
    Code.OLD_HOST_GONE: Meaning(
        Severity.TELLS, "the old host can't be connected to: nobody can leave mail there"
    ),
    Code.CANARY_MISSING: Meaning(
        Severity.BLOCKS,
        "the host took a marked message, and it came out in neither mailbox in time",
        "look for it by its Message-ID in the host's message trace or its quarantine; go on "
        "sweeping until it is explained",
    ),
    Code.CANARY_AT_OLD: Meaning(
        Severity.BLOCKS,
        "a marked message sent by the MX of now came out in the old mailbox",
        "see which host took it (evidence): MX, or where the filter forwards to, still leads to "
        "the old system",
    ),
    Code.CANARY_REFUSED: Meaning(
        Severity.BLOCKS,
        "the MX of now refused a marked message",
        "read the host's words in the evidence; mail of others may bounce in the same way",
    ),
    Code.CANARY_IN_JUNK: Meaning(
        Severity.WARNS,
        "the marked message came out among junk",
        "other mail may, too: look at the new system's filter, SPF and DKIM",
    ),
    Code.CANARY_DOUBLED: Meaning(
        Severity.WARNS,
        "one marked message came out more than once",
        "look for a forwarding from the old mailbox to the new one, and end it",
    ),
    Code.CANARY_LATE: Meaning(
        Severity.WARNS,
        "the marked message took minutes to arrive",
        "nothing, unless it is no better an hour later: then look at the hosts' queues",
    ),
    Code.CANARY_LEFT: Meaning(
        Severity.TELLS,
        "a marked message could not be taken out of a mailbox: of the old one nothing ever is",
        "its owner may delete it; it explains itself",
    ),
    Code.CANARY_ARRIVED: Meaning(
        Severity.TELLS, "the marked message came out in the new mailbox, and was found there"
    ),
}
