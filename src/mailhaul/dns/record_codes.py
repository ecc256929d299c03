"""Every code that the checks of a domain can find: how grave it is, what it means, what to do.

docs/dns.md is drawn from these tables. A code's name is for good: scripts and reports hold it.
"""

from mailhaul.core.finding import Meaning, Severity
from mailhaul.dns.sender_codes import SENDER_CODES

_RECORD_CODES: dict[str, Meaning] = {
    "NO_ANSWER": Meaning(
        Severity.WARNS,
        "nobody answered in time, so this record is not known",
        "ask again; if it stays so, see whether the domain's name servers are up and "
        "reachable by UDP and TCP",
    ),
    "ANSWER_FAILED": Meaning(
        Severity.WARNS,
        "the name server says that it failed (SERVFAIL): often broken DNSSEC, or a zone that "
        "can't be loaded",
        "have whoever runs the zone look at its signatures and its load errors",
    ),
    "ANSWER_REFUSED": Meaning(
        Severity.WARNS,
        "the name server refuses to answer",
        "ask another resolver, or have whoever runs the server allow the question",
    ),
    "ANSWER_LAME": Meaning(
        Severity.WARNS,
        "a server that the delegation names knows nothing of the zone",
        "take it out of the delegation, or have it serve the zone",
    ),
    "ANSWER_UNREACHABLE": Meaning(
        Severity.WARNS,
        "there is no way to the name server",
        "check its address and the network between",
    ),
    "ANSWER_MALFORMED": Meaning(
        Severity.WARNS,
        "an answer, or a name in it, makes no sense",
        "correct the record that the evidence names",
    ),
    "ANSWER_FORBIDDEN": Meaning(
        Severity.WARNS,
        "the name server has an address that isn't public, so it was not asked",
        "allow its network if it is meant (--allow-network)",
    ),
    "DOMAIN_UNSERVED": Meaning(
        Severity.BLOCKS,
        "no server answers for the domain: neither mail nor web can find it",
        "see that the delegation at the registrar names servers that hold the zone",
    ),
    "DOMAIN_MISSING": Meaning(
        Severity.BLOCKS,
        "the domain doesn't exist in DNS",
        "check its spelling; if it is right, see whether it has run out at the registrar",
    ),
    "DOMAIN_IS_ALIAS": Meaning(
        Severity.BLOCKS,
        "the domain's own name is a CNAME, beside which it can have no MX (RFC 1034 section 3.6.2)",
        "replace the CNAME by addresses; many hosters call that ALIAS or ANAME",
    ),
    "NEGATIVE_TTL_LONG": Meaning(
        Severity.WARNS,
        "that a name is missing is remembered for long (RFC 2308), so a new record is seen late",
        "lower the last number of SOA to 300 well before the switch",
    ),
    "WILDCARD": Meaning(
        Severity.WARNS,
        "a wildcard answers for every name: names that are missing seem to be there",
        "write every record that the move needs explicitly; do without the wildcard if nobody "
        "needs it",
    ),
    "WILDCARD_MX": Meaning(
        Severity.TELLS,
        "a wildcard MX takes mail for every name below the domain",
        "switch it along with MX, or take it away",
    ),
    "TEXTS_LARGE": Meaning(
        Severity.WARNS,
        "the TXT records of the domain no longer fit into one answer by UDP: some receivers "
        "see no SPF",
        "take away verification texts that nobody needs any more",
    ),
    "TTL_LONG": Meaning(
        Severity.WARNS,
        "what the switch changes is remembered for longer than planned",
        "lower its TTL now; the switch can be made once the old TTL has run out",
    ),
    "TTL_STILL_LOW": Meaning(
        Severity.TELLS,
        "the sweeps are over, and the TTL is still as low as for the switch",
        "raise it again, as shown or to what it was",
    ),
    "TTL_ZERO": Meaning(
        Severity.TELLS,
        "its TTL is 0, which some caches don't honour",
        "use 300 s",
    ),
    "MX_MISSING": Meaning(
        Severity.BLOCKS,
        "the domain has neither MX nor address: it can get no mail",
        "write MX as shown",
    ),
    "MX_IMPLICIT": Meaning(
        Severity.BLOCKS,
        "there is no MX, so mail goes to the domain's own address (RFC 5321 section 5.1)",
        "write MX as shown",
    ),
    "MX_NULL": Meaning(
        Severity.BLOCKS,
        "a null MX says that the domain takes no mail (RFC 7505)",
        "replace it by MX as shown",
    ),
    "MX_NULL_AMONG_OTHERS": Meaning(
        Severity.BLOCKS,
        "a null MX stands beside other hosts, which it must not (RFC 7505 section 3)",
        "take the null MX away",
    ),
    "MX_TOO_EARLY": Meaning(
        Severity.BLOCKS,
        "MX leads to the new system already, before the switch: mail arrives where nobody "
        "reads it yet",
        "put MX back until the switch, or switch now and let the final pass run",
    ),
    "MX_TO_SWITCH": Meaning(
        Severity.TELLS,
        "MX leads to the old system, as it should before the switch",
        "write MX as shown, with the switch",
    ),
    "MX_OLD": Meaning(
        Severity.BLOCKS,
        "MX leads to other hosts than the new system's: mail goes on arriving at the old one",
        "write MX as shown",
    ),
    "MX_FOREIGN": Meaning(
        Severity.BLOCKS,
        "MX leads to hosts of neither the old system nor the new",
        "find out whose they are; then write MX as shown, or correct the plan",
    ),
    "MX_MIXED": Meaning(
        Severity.BLOCKS,
        "MX names the new hosts and others beside them: mail arrives at both",
        "take the others away",
    ),
    "MX_PARTIAL": Meaning(
        Severity.WARNS,
        "some of the new hosts are missing in MX",
        "write MX as shown",
    ),
    "MX_ORDER": Meaning(
        Severity.WARNS,
        "MX prefers its hosts in another order than expected",
        "write MX as shown",
    ),
    "MX_PREFERENCES": Meaning(
        Severity.TELLS,
        "MX has other numbers than expected, in the same order",
    ),
    "MX_HOST_UNRESOLVED": Meaning(
        Severity.BLOCKS,
        "a host in MX has no address",
        "correct the name, or give it A and AAAA records",
    ),
    "MX_HOST_IS_ALIAS": Meaning(
        Severity.WARNS,
        "a host in MX is a CNAME, which some senders refuse (RFC 5321 section 5.1, RFC 2181 "
        "section 10.3)",
        "name the host itself that the CNAME leads to",
    ),
    "MX_HOST_IS_ADDRESS": Meaning(
        Severity.BLOCKS,
        "MX names an IP address, where only a host's name can stand",
        "give the host a name with an A record, and write that",
    ),
    "MX_HOST_DOUBLED": Meaning(
        Severity.BLOCKS,
        "a host in MX has the domain twice: the zone editor has added it",
        "end the name with a dot, or write only its first part",
    ),
    "MX_HOST_LOCAL": Meaning(
        Severity.BLOCKS,
        "a host in MX has a name of one label or of a private network, which nobody outside "
        "can resolve",
        "write its full public name",
    ),
    "MX_HOST_PRIVATE": Meaning(
        Severity.BLOCKS,
        "a host in MX has an address that isn't public",
        "give it its public address",
    ),
    "MX_HOST_FROM_WILDCARD": Meaning(
        Severity.WARNS,
        "a host in MX has no record of its own: a wildcard answers for it",
        "give the host A and AAAA records of its own, or correct its name",
    ),
    "MX_HOST_V6_ONLY": Meaning(
        Severity.WARNS,
        "a host in MX has no IPv4 address: many senders can't reach it",
        "give it an A record too",
    ),
    "FILTER_UNPLANNED": Meaning(
        Severity.WARNS,
        "a third-party filter receives the mail, and the plan knows of none",
        "plan filter mode: MX stays, and the filter's forwarding target is changed instead",
    ),
    "FILTER_STAYS": Meaning(
        Severity.TELLS,
        "the filter receives the mail and goes on doing so: MX stays",
        "change where the filter forwards to, with the switch",
    ),
    "FILTER_PASSED_BY": Meaning(
        Severity.BLOCKS,
        "MX leads straight to the new system, past the filter that the plan says stays in front",
        "put the filter's hosts back into MX, or take the filter out of the plan",
    ),
    "FILTER_OTHER": Meaning(
        Severity.BLOCKS,
        "MX leads elsewhere than to the filter of the plan",
        "correct the plan, or MX",
    ),
    "RECORD_MISSING": Meaning(
        Severity.BLOCKS,
        "a record that the new system needs is missing",
        "write it as shown",
    ),
    "RECORD_DIFFERS": Meaning(
        Severity.BLOCKS,
        "a record that the new system needs says something else",
        "write it as shown",
    ),
    "RECORD_TO_WRITE": Meaning(
        Severity.TELLS,
        "this is to be written, when its time comes",
        "write it as shown, with the switch or after the sweeps",
    ),
    "RECORD_EARLY": Meaning(
        Severity.WARNS,
        "a record of the switch stands already: programs are led to the new system before the mail",
        "take it back until the switch",
    ),
    "RECORD_STAYS": Meaning(
        Severity.WARNS,
        "a record that should be gone is still there",
        "take it away",
    ),
    "RECORD_TO_GO": Meaning(
        Severity.TELLS,
        "this record is to be taken away, when its time comes",
        "take it away with the switch or after the sweeps",
    ),
    "RECORD_FROM_WILDCARD": Meaning(
        Severity.WARNS,
        "what answers is a wildcard: the record itself is missing",
        "write it as shown",
    ),
    "RECORD_SHADOWED": Meaning(
        Severity.WARNS,
        "an address stands where a CNAME is wanted; both can't (RFC 1034 section 3.6.2)",
        "take the address away and write the CNAME as shown",
    ),
    "RECORD_TARGET_DEAD": Meaning(
        Severity.WARNS,
        "the record is as expected, and yet what it leads to has no address",
        "check the name with the provider",
    ),
    "NAME_DOUBLED": Meaning(
        Severity.WARNS,
        "the record stands under a name that has the domain twice: the zone editor has added it",
        "write only the first part of the name, or end it with a dot",
    ),
    "CLIENTS_OLD": Meaning(
        Severity.WARNS,
        "programs that set themselves up by this record are led to the old system",
        "change it with the switch, or take it away",
    ),
    "CLIENTS_DEAD": Meaning(
        Severity.WARNS,
        "programs that set themselves up by this record are led to a name without address",
        "take it away",
    ),
    "CLIENTS_FROM_WILDCARD": Meaning(
        Severity.TELLS,
        "a wildcard answers here: programs that set themselves up try what it leads to",
        "write the record itself, or do without the wildcard",
    ),
    "CLIENTS_NONE": Meaning(
        Severity.TELLS,
        "the record says that this service is not offered (RFC 2782)",
    ),
    "CLIENTS_PLAIN": Meaning(
        Severity.TELLS,
        "only the service that begins without TLS is announced (RFC 8314 section 5.1)",
        "announce the one with TLS, as _imaps._tcp and _submissions._tcp",
    ),
    "STALE_NAME": Meaning(
        Severity.WARNS,
        "a name that people have in their programs leads to the old system",
        "tell its users, and let it lead to the new system or nowhere once the sweeps are over",
    ),
    "STALE_NAME_DEAD": Meaning(
        Severity.WARNS,
        "a name leads to another one that is gone: whoever takes that gets the visitors",
        "take the record away",
    ),
}

MEANINGS: dict[str, Meaning] = {**_RECORD_CODES, **SENDER_CODES}
