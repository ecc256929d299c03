"""Every code about what vouches for mail and protects its way: SPF, DKIM, DMARC, MTA-STS, DANE."""

from mailhaul.core.finding import Meaning, Severity

SENDER_CODES: dict[str, Meaning] = {
    "SPF_MISSING": Meaning(
        Severity.WARNS,
        "the domain has no SPF record: anybody may send in its name",
        "write one as shown, or one that names your senders",
    ),
    "SPF_TERM_MISSING": Meaning(
        Severity.BLOCKS,
        "SPF doesn't let the new system send: its mail is refused or goes to spam",
        "write the record as shown",
    ),
    "SPF_SEVERAL": Meaning(
        Severity.BLOCKS,
        "there is more than one SPF record, which is an error for every receiver (RFC 7208 "
        "section 4.5)",
        "write one record in their place, as shown",
    ),
    "SPF_NOT_TAKEN": Meaning(
        Severity.WARNS,
        "a text was meant as SPF, and no receiver reads it so: it must begin with v=spf1 and "
        "a blank",
        "correct it or take it away",
    ),
    "SPF_SYNTAX": Meaning(
        Severity.BLOCKS,
        "the SPF record can't be read: receivers take it for an error",
        "correct the term that the evidence names",
    ),
    "SPF_LOOKUPS": Meaning(
        Severity.BLOCKS,
        "SPF costs more than 10 look-ups, which is an error for every receiver (RFC 7208 "
        "section 4.6.4)",
        "take includes away that nobody sends through, or replace them by ip4 and ip6",
    ),
    "SPF_LOOKUPS_FULL": Meaning(
        Severity.TELLS,
        "SPF costs exactly the 10 look-ups that it may: one more anywhere below breaks it",
        "take an include away that nobody sends through",
    ),
    "SPF_VOIDS": Meaning(
        Severity.WARNS,
        "more than 2 terms of SPF find nothing, which receivers may take for an error (RFC "
        "7208 section 4.6.4)",
        "take these terms away",
    ),
    "SPF_LOOP": Meaning(
        Severity.BLOCKS,
        "SPF leads back to itself",
        "take the include away that closes the circle",
    ),
    "SPF_INCLUDE_BROKEN": Meaning(
        Severity.BLOCKS,
        "SPF includes a domain that has no good SPF record: an error for every receiver (RFC "
        "7208 section 5.2)",
        "correct the name, or take the include away",
    ),
    "SPF_UNREADABLE": Meaning(
        Severity.WARNS,
        "a part of SPF could not be asked for, so it is not known what it costs",
        "ask again",
    ),
    "SPF_OLD_GONE": Meaning(
        Severity.WARNS,
        "SPF no longer lets the old system send, though mail still goes through it",
        "write the record as shown; the old terms go after the sweeps",
    ),
    "SPF_OLD_LEFT": Meaning(
        Severity.WARNS,
        "SPF still lets the old system send",
        "write the record as shown",
    ),
    "SPF_END": Meaning(
        Severity.WARNS,
        "SPF ends otherwise than expected",
        "write the record as shown",
    ),
    "SPF_OPEN": Meaning(
        Severity.TELLS,
        "SPF says nothing of senders that it doesn't name",
        "end it with ~all, later with -all",
    ),
    "SPF_PASSES_ALL": Meaning(
        Severity.WARNS,
        "SPF lets the whole world send",
        "end it with ~all, later with -all",
    ),
    "SPF_AFTER_ALL": Meaning(
        Severity.WARNS,
        "terms behind “all” are never read (RFC 7208 section 5.1)",
        "put “all” last",
    ),
    "SPF_FOLLOWS_MX": Meaning(
        Severity.WARNS,
        "SPF names “mx”: with the switch the old system loses its leave to send",
        "name the old system's senders by ip4 or include until the sweeps are over",
    ),
    "SPF_PTR": Meaning(
        Severity.TELLS,
        "SPF uses “ptr”, which many receivers skip (RFC 7208 section 5.5)",
        "name the senders by ip4, ip6 or include",
    ),
    "SPF_MX_MANY": Meaning(
        Severity.BLOCKS,
        "an “mx” term of SPF finds more than 10 hosts, an error for every receiver (RFC 7208 "
        "section 4.6.4)",
        "name the senders by ip4, ip6 or include",
    ),
    "SPF_LONG": Meaning(
        Severity.WARNS,
        "the SPF record is long: its answer may not fit into UDP (RFC 7208 section 3.4)",
        "move a part of it into an include",
    ),
    "DKIM_MISSING": Meaning(
        Severity.WARNS,
        "there is no key under this selector: what the new system signs can't be verified",
        "write the record that the new system shows",
    ),
    "DKIM_ALIAS_DEAD": Meaning(
        Severity.WARNS,
        "the selector leads to a name that has no key yet",
        "turn DKIM on at the new system; it makes the key then",
    ),
    "DKIM_SEVERAL": Meaning(
        Severity.WARNS,
        "there is more than one key under one selector: receivers take any or none (RFC 6376 "
        "section 3.6.2.2)",
        "take away what isn't the new system's",
    ),
    "DKIM_BROKEN": Meaning(
        Severity.WARNS,
        "what stands under the selector is no key that receivers use",
        "copy it again from the new system, whole; long ones are cut into strings, not into "
        "records",
    ),
    "DKIM_REVOKED": Meaning(
        Severity.WARNS,
        "the key under this selector has been revoked (RFC 6376 section 3.6.1)",
        "write the present one",
    ),
    "DKIM_SHORT": Meaning(
        Severity.TELLS,
        "an RSA key of less than 2048 bits (RFC 8301 section 3.2)",
        "have the new system make a longer one",
    ),
    "DKIM_TESTING": Meaning(
        Severity.TELLS,
        "the key says that it is for tests: receivers treat the mail as if it weren't signed",
        "take t=y away",
    ),
    "DMARC_MISSING": Meaning(
        Severity.TELLS,
        "there is no DMARC record; large receivers want one",
        "write v=DMARC1; p=none with an address for reports, before the switch",
    ),
    "DMARC_INHERITED": Meaning(
        Severity.TELLS,
        "the domain has no DMARC record of its own; the one above it counts",
    ),
    "DMARC_SEVERAL": Meaning(
        Severity.WARNS,
        "there is more than one DMARC record: receivers ignore them all (RFC 7489 section 6.6.3)",
        "leave one",
    ),
    "DMARC_SYNTAX": Meaning(
        Severity.WARNS,
        "the DMARC record has a value that receivers don't take",
        "correct it",
    ),
    "DMARC_UNREPORTED": Meaning(
        Severity.TELLS,
        "nobody gets DMARC reports: whose mail fails after the switch will not be seen",
        "add rua=mailto:… before the switch",
    ),
    "DMARC_STRICT": Meaning(
        Severity.TELLS,
        "DMARC wants domains to be the very same: a new system that signs with a subdomain fails",
        "see that the new system signs with this domain",
    ),
    "DMARC_UNCOVERED": Meaning(
        Severity.BLOCKS,
        "DMARC has mail refused that isn't vouched for, and nothing vouches for the new system's",
        "write the new system's SPF term or DKIM key first",
    ),
    "DMARC_REPORTS_REFUSED": Meaning(
        Severity.TELLS,
        "the domain that is to get DMARC reports hasn't agreed (RFC 7489 section 7.1): it "
        "gets none",
        "have it write the record that the evidence names, or use an address of your own",
    ),
    "MTA_STS_SEVERAL": Meaning(
        Severity.WARNS,
        "there is more than one MTA-STS record: senders take it for none (RFC 8461 section 3.1)",
        "leave one",
    ),
    "MTA_STS_RECORD_BROKEN": Meaning(
        Severity.WARNS,
        "the MTA-STS record isn't v=STSv1 with an id of letters and digits (RFC 8461 section 3.1)",
        "correct it, or take it away",
    ),
    "MTA_STS_NO_POLICY": Meaning(
        Severity.WARNS,
        "there is an MTA-STS record, and no policy behind it",
        "put the policy where senders look for it, or take the record away",
    ),
    "MTA_STS_CERTIFICATE": Meaning(
        Severity.WARNS,
        "the policy's host has no good certificate: senders go by the policy that they remember",
        "renew the certificate for mta-sts.DOMAIN",
    ),
    "MTA_STS_REDIRECTED": Meaning(
        Severity.WARNS,
        "the policy is redirected, which senders don't follow (RFC 8461 section 3.3)",
        "give it at the address itself",
    ),
    "MTA_STS_FORBIDDEN": Meaning(
        Severity.WARNS,
        "the policy's host has an address that isn't public, so it was not asked",
        "give it a public address; allow its network if it is meant (--allow-network)",
    ),
    "MTA_STS_POLICY_BROKEN": Meaning(
        Severity.WARNS,
        "the policy can't be read by senders (RFC 8461 section 3.2)",
        "correct it",
    ),
    "MTA_STS_MEDIA": Meaning(
        Severity.TELLS,
        "the policy isn't given as text/plain (RFC 8461 section 3.2)",
        "have the web server say so",
    ),
    "MTA_STS_NEW_MX_LACKING": Meaning(
        Severity.BLOCKS,
        "the policy is enforced and doesn't name the new MX: senders that know it deliver "
        "nothing there",
        "add the new hosts to the policy and change the record's id, max_age before the switch",
    ),
    "MTA_STS_TESTING_LACKING": Meaning(
        Severity.WARNS,
        "the policy doesn't name the new MX; it is not enforced yet",
        "add the new hosts to the policy and change the record's id",
    ),
    "MTA_STS_PRESENT_LACKING": Meaning(
        Severity.WARNS,
        "the policy doesn't name hosts that MX names now: senders that heed it skip them",
        "name old and new hosts until the sweeps are over",
    ),
    "TLS_RPT_SEVERAL": Meaning(
        Severity.TELLS,
        "there is more than one TLS-RPT record: senders take it for none (RFC 8460 section 3)",
        "leave one",
    ),
    "TLS_RPT_BROKEN": Meaning(
        Severity.TELLS,
        "the TLS-RPT record isn't v=TLSRPTv1 with rua=mailto: or https: (RFC 8460 section 3)",
        "correct it, or take it away",
    ),
    "DANE_FAILS": Meaning(
        Severity.BLOCKS,
        "the question for TLSA fails: senders that use DANE hold all mail back (RFC 7672 "
        "section 2.1.1)",
        "have whoever runs that host's zone mend its DNSSEC or its server",
    ),
    "DANE_UNUSABLE": Meaning(
        Severity.WARNS,
        "a TLSA record of a usage that mail ignores (RFC 7672 section 3.1.3)",
        "use 3 1 1",
    ),
    "DANE_UNSIGNED": Meaning(
        Severity.TELLS,
        "whoever was asked has not verified the TLSA record's signature; without DNSSEC it "
        "has no effect",
        "ask a resolver that validates",
    ),
    "DANE_LOST": Meaning(
        Severity.TELLS,
        "the old hosts have TLSA records and the new ones have none: less protection than before",
        "see whether the new system offers DANE",
    ),
}
