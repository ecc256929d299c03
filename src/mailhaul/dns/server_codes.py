"""Every code that the look at a domain's name servers can find, as data."""

from collections.abc import Mapping
from enum import StrEnum

from mailhaul.core.finding import Meaning, Severity


class Code(StrEnum):
    """What may be said of who answers for a domain."""

    DOMAIN_ABSENT = "DNS_DOMAIN_ABSENT"
    PARENT_SILENT = "DNS_PARENT_SILENT"
    NOBODY_SERVES = "DNS_NOBODY_SERVES"
    SERVER_LAME = "DNS_SERVER_LAME"
    SERVER_FAILS = "DNS_SERVER_FAILS"
    SERVER_SILENT = "DNS_SERVER_SILENT"
    SERVER_GARBLED = "DNS_SERVER_GARBLED"
    SERVER_PRIVATE = "DNS_SERVER_PRIVATE"
    SERVER_WITHOUT_ADDRESS = "DNS_SERVER_WITHOUT_ADDRESS"
    SERVER_ALIAS = "DNS_SERVER_ALIAS"
    SERVERS_DISAGREE = "DNS_SERVERS_DISAGREE"
    SERIALS_DIFFER = "DNS_SERIALS_DIFFER"
    GLUE_DIFFERS = "DNS_GLUE_DIFFERS"
    SINGLE_SERVER = "DNS_SINGLE_SERVER"
    NO_IPV6_HERE = "DNS_NO_IPV6_HERE"
    SIGNED = "DNS_SIGNED"
    UNSIGNED = "DNS_UNSIGNED"
    NOT_VERIFIED = "DNS_NOT_VERIFIED"
    CHAIN_BROKEN = "DNS_CHAIN_BROKEN"
    ISLAND = "DNS_ISLAND"
    RESOLVER_SILENT = "DNS_RESOLVER_SILENT"


MEANINGS: Mapping[str, Meaning] = {
    Code.DOMAIN_ABSENT: Meaning(
        Severity.BLOCKS,
        "the parent zone has no such name",
        "see whether the name is written right and its registration paid for",
    ),
    Code.PARENT_SILENT: Meaning(
        Severity.WARNS,
        "the parent zone's servers can't be asked, so that it isn't known whom they delegate to",
        "look again later; where a firewall lets nobody ask name servers but its own resolver, "
        "open UDP and TCP port 53 for this machine",
    ),
    Code.NOBODY_SERVES: Meaning(
        Severity.BLOCKS,
        "none of the domain's name servers speaks for it",
        "have whoever runs the zone serve it again, or the registrar name the right servers; no "
        "record can be changed before that",
    ),
    Code.SERVER_LAME: Meaning(
        Severity.WARNS,
        "a name server that is named for the zone doesn't speak for it",
        "have its operator load the zone, or take it out of the delegation: whoever asks it, asks "
        "in vain",
    ),
    Code.SERVER_FAILS: Meaning(
        Severity.WARNS,
        "a name server answers that it has failed",
        "have its operator look into its log: most often the zone has expired there or won't load",
    ),
    Code.SERVER_SILENT: Meaning(
        Severity.WARNS,
        "a name server doesn't answer",
        "have its operator bring it back, or take it out of the delegation; until then nobody can "
        "say what it would hand out after the switch",
    ),
    Code.SERVER_GARBLED: Meaning(
        Severity.WARNS,
        "a name server's replies make no sense, or don't come whole",
        "have its operator look; large answers must come by TCP too (RFC 7766)",
    ),
    Code.SERVER_PRIVATE: Meaning(
        Severity.WARNS,
        "a name server's address is not a public one, and it wasn't asked",
        "correct the address; where it is meant, allow its network",
    ),
    Code.SERVER_WITHOUT_ADDRESS: Meaning(
        Severity.WARNS,
        "a name server has no address",
        "give it an A record, or take it out of the delegation",
    ),
    Code.SERVER_ALIAS: Meaning(
        Severity.WARNS,
        "a name server's name is a CNAME, which NS may not point to (RFC 2181 section 10.3)",
        "name the host that it leads to",
    ),
    Code.SERVERS_DISAGREE: Meaning(
        Severity.WARNS,
        "the parent and the zone don't name the same name servers",
        "make both lists equal: at the registrar where the parent's is wrong, in the zone else. A "
        "zone that has moved may still be served, with old records, by those left over",
    ),
    Code.SERIALS_DIFFER: Meaning(
        Severity.WARNS,
        "the zone's servers don't all have the same version of it",
        "wait for a transfer and look again; where it stays so, have the operator look into the "
        "transfers before anything is switched",
    ),
    Code.GLUE_DIFFERS: Meaning(
        Severity.WARNS,
        "the parent sends other addresses along than the name server's own name has",
        "have the registrar correct the host's addresses",
    ),
    Code.SINGLE_SERVER: Meaning(
        Severity.WARNS,
        "the zone has one name server only (RFC 2182 section 5 wants two)",
        "have a second one added: while the only one is away, nobody finds the domain's mail host",
    ),
    Code.NO_IPV6_HERE: Meaning(
        Severity.TELLS,
        "this machine has no IPv6, so that servers weren't asked at their IPv6 addresses",
    ),
    Code.SIGNED: Meaning(Severity.TELLS, "the zone is signed, and the signatures hold (DNSSEC)"),
    Code.UNSIGNED: Meaning(Severity.TELLS, "the zone is not signed (DNSSEC)"),
    Code.NOT_VERIFIED: Meaning(
        Severity.TELLS,
        "the zone is signed, but the resolver that was asked verifies no signatures",
        "ask a resolver that does, such as 9.9.9.9",
    ),
    Code.CHAIN_BROKEN: Meaning(
        Severity.BLOCKS,
        "the parent says that the zone is signed, and its signatures don't hold (DNSSEC)",
        "have the zone signed with the keys that the parent knows, or the DS taken out by the "
        "registrar, and its TTL waited for: whoever verifies sees nothing of the domain until then",
    ),
    Code.ISLAND: Meaning(
        Severity.TELLS,
        "the zone is signed, but its parent doesn't say so: nobody verifies it",
        "have the registrar add the DS, should DNSSEC be wanted (DANE needs it)",
    ),
    Code.RESOLVER_SILENT: Meaning(
        Severity.WARNS,
        "no recursive resolver gives an answer for the domain",
        "name other resolvers, or look again later",
    ),
}
