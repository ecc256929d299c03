"""MTA-STS and TLS-RPT: a policy that doesn't name the new MX turns mail away."""

from mailhaul.core.errors import BadInput
from mailhaul.core.finding import Finding
from mailhaul.dns.answers import Answer
from mailhaul.dns.checks.looking import Look, evidence, found, from_wildcard, listed, tags, untold
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Moment
from mailhaul.dns.policy import Fetched, Mode, Policy, PolicyOutcome, policy_of
from mailhaul.dns.records import Kind, mail_hosts

TOPIC = "MTA-STS"
REPORTS = "TLS-RPT"
_OUTCOMES = {
    PolicyOutcome.TLS: "MTA_STS_CERTIFICATE",
    PolicyOutcome.REDIRECTED: "MTA_STS_REDIRECTED",
    PolicyOutcome.FORBIDDEN: "MTA_STS_FORBIDDEN",
}


async def check_mta_sts(look: Look) -> list[Aspect]:
    """The record (RFC 8461 section 3.1), and the policy where there is one to fetch."""
    name = f"_mta-sts.{look.domain}"
    answer = await look.ask(name, Kind.TXT)
    records = [each for each in answer.values if tags(each).get("v") == "STSv1"]
    aspect = Aspect(
        TOPIC,
        name,
        Kind.TXT,
        found=tuple(records),
        ttl=answer.ttl,
        findings=tuple(_record_findings(look, answer, records)),
        write=look.write((name, Kind.TXT)),
    )
    if len(records) != 1 or look.fetch is None:
        return [aspect]
    fetched = await look.fetch(look.domain)
    return [aspect, await _policy_aspect(look, fetched)]


def _record_findings(look: Look, answer: Answer, records: list[str]) -> list[Finding]:
    if not answer.told:
        return [untold(answer)]
    if len(records) > 1:
        return [found("MTA_STS_SEVERAL", listed(records))]
    if records and not tags(records[0]).get("id", "").isalnum():
        return [found("MTA_STS_RECORD_BROKEN", listed(records))]
    if not records and answer.values and not from_wildcard(look, answer):
        return [found("MTA_STS_RECORD_BROKEN", evidence(answer))]
    return []


async def _policy_aspect(look: Look, fetched: Fetched) -> Aspect:
    hosts = [each.host for each in look.expected.mx]
    findings: list[Finding] = []
    policy: Policy | None = None
    if fetched.outcome is not PolicyOutcome.FETCHED:
        code = _OUTCOMES.get(fetched.outcome, "MTA_STS_NO_POLICY")
        said = f" ({fetched.said})" if fetched.said else ""
        findings = [found(code, f"{fetched.outcome.value}{said}")]
    else:
        try:
            policy = policy_of(fetched.text)
        except BadInput as error:
            findings = [found("MTA_STS_POLICY_BROKEN", str(error))]
        if fetched.media != "text/plain":
            findings.append(found("MTA_STS_MEDIA", fetched.media or "no media type"))
    if policy is not None and policy.mode is not Mode.NONE:
        findings += await _coverage(look, policy, hosts)
    return Aspect(
        TOPIC,
        f"mta-sts.{look.domain}",
        Kind.A,
        expected=tuple(f"mx: {host}" for host in hosts),
        found=() if policy is None else (f"mode: {policy.mode}", *(f"mx: {m}" for m in policy.mx)),
        findings=tuple(findings),
    )


async def _coverage(look: Look, policy: Policy, new: list[str]) -> list[Finding]:
    """With a filter in front MX stays, and so must what the policy says."""
    enforced = policy.mode is Mode.ENFORCE
    findings = []
    lacking = [host for host in new if not policy.covers(host)]
    if lacking and look.expected.filter is None:
        code = "MTA_STS_NEW_MX_LACKING" if enforced else "MTA_STS_TESTING_LACKING"
        days = policy.max_age / 86400
        findings.append(found(code, f"not covered: {listed(lacking)}; max_age {days:g} days"))
    here = await look.ask(look.domain, Kind.MX)
    hosts = [each.host for each in mail_hosts(here.values) if each.host and each.host not in new]
    turned = [host for host in hosts if not policy.covers(host)]
    stays = not new or look.expected.filter is not None or not look.due(Moment.SWITCH)
    if turned and stays:
        findings.append(found("MTA_STS_PRESENT_LACKING", f"not covered: {listed(turned)}"))
    return findings


async def check_tls_reports(look: Look) -> list[Aspect]:
    """Where senders report TLS that failed (RFC 8460 section 3)."""
    name = f"_smtp._tls.{look.domain}"
    answer = await look.ask(name, Kind.TXT)
    records = [each for each in answer.values if tags(each).get("v") == "TLSRPTv1"]
    findings: list[Finding] = []
    if not answer.told:
        findings = [untold(answer)]
    elif len(records) > 1:
        findings = [found("TLS_RPT_SEVERAL", listed(records))]
    elif records:
        addresses = tags(records[0]).get("rua", "").split(",")
        if not all(each.strip().startswith(("mailto:", "https:")) for each in addresses):
            findings = [found("TLS_RPT_BROKEN", listed(records))]
    elif answer.values and not from_wildcard(look, answer):
        findings = [found("TLS_RPT_BROKEN", evidence(answer))]
    return [
        Aspect(
            REPORTS,
            name,
            Kind.TXT,
            found=tuple(records),
            ttl=answer.ttl,
            findings=tuple(findings),
            write=look.write((name, Kind.TXT)),
        )
    ]
