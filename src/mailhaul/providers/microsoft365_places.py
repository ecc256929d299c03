"""Domains at Microsoft 365: attached and detached.

Attaching is done when Microsoft has seen the proof in the zone and Exchange Online takes the
domain's mail. Whoever asks after the task has Microsoft look again; nobody else does.
"""

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable
from mailhaul.dns.names import domain_name
from mailhaul.dns.records import zone_lines
from mailhaul.providers.actions import Attach, Detach
from mailhaul.providers.fields import Fields
from mailhaul.providers.microsoft365_domains import EMAIL, hosted_domain, services, status_of
from mailhaul.providers.microsoft365_graph import Call, GraphRefusal, path
from mailhaul.providers.microsoft365_prepared import ATTACH, DETACH, Prepared, task_name
from mailhaul.providers.microsoft365_tenant import WRITE_DOMAINS, Tenant
from mailhaul.providers.obstacles import Obstacle
from mailhaul.providers.provider import Task, TaskState
from mailhaul.providers.service import DomainStatus, Mode


async def attach(tenant: Tenant, action: Attach) -> Prepared:
    """The domain is the tenant's; its proof is asked for by the task."""
    name = domain_name(action.domain)
    task = task_name(ATTACH, name)
    against = []
    if action.mode is not Mode.AUTHORITATIVE or action.relay:
        said = "Graph attaches domains as authoritative; the runbook relays (Set-AcceptedDomain)"
        against.append(Obstacle("EXTRA_REFUSED", said))
    found = await tenant.domain(name)
    if found is None:
        call = Call("POST", path("domains"), WRITE_DOMAINS, {"id": name})
        return Prepared(task, (call,), tuple(against))
    holds = status_of(found) is DomainStatus.OK and not against
    return Prepared(task, against=tuple(against), holds=holds)


async def detach(tenant: Tenant, action: Detach) -> Prepared:
    """The domain goes when nobody uses it; the tenant's first and its default domain stay."""
    name = domain_name(action.domain)
    task = task_name(DETACH, name)
    found = await tenant.domain(name)
    if found is None:
        return Prepared(task, holds=True)
    if status_of(found) is DomainStatus.DELETING:
        return Prepared(task)
    against = []
    if found.truth("isDefault") or found.truth("isInitial"):
        against.append(Obstacle("DOMAIN_IN_USE", f"{name} is the tenant's default domain"))
    elif users := len(await tenant.references(name)):
        against.append(Obstacle("DOMAIN_IN_USE", f"{users} in the directory use {name}"))
    call = Call("DELETE", path("domains", name), WRITE_DOMAINS)
    return Prepared(task, (call,), tuple(against))


async def attached(tenant: Tenant, name: str) -> Task:
    """How far the domain is; has Microsoft look for the proof, and then take its mail."""
    task, domain = task_name(ATTACH, name), path("domains", name)
    found = await tenant.domain(name)
    if found is None:
        raise BadInput(f"the tenant has no domain {printable(name, 253)}; attach it")
    status = status_of(found)
    if status is DomainStatus.UNPROVEN:
        verify = Call("POST", f"{domain}/verify", WRITE_DOMAINS)
        try:
            found = await tenant.graph.ask(verify)
        except GraphRefusal as refusal:
            proof = await _proof(tenant, found)
            return Task(task, TaskState.DOING, printable(f"waits for {proof}: {refusal.said}"))
        status = status_of(found)
    if status is DomainStatus.CREATING and EMAIL not in services(found):
        body = {"supportedServices": [*services(found), EMAIL]}
        await tenant.graph.ask(Call("PATCH", domain, WRITE_DOMAINS, body))
        found = await tenant.domain(name) or found
        status = status_of(found)
    if status in (DomainStatus.ERROR, DomainStatus.DELETING):
        return Task(task, TaskState.ERROR, f"the domain's status is: {status.value}")
    done = status is DomainStatus.OK
    return Task(task, TaskState.DONE if done else TaskState.DOING, f"the domain is {status.value}")


async def detached(tenant: Tenant, name: str) -> Task:
    """Whether the domain is gone."""
    gone = await tenant.domain(name) is None
    return Task(task_name(DETACH, name), TaskState.DONE if gone else TaskState.DOING)


async def _proof(tenant: Tenant, found: Fields) -> str:
    proofs = await tenant.records(found.text("id"), "verificationDnsRecords")
    proof = hosted_domain(found, (), proofs).proof
    return "a record that shows whose it is" if proof is None else "; ".join(zone_lines(proof))
