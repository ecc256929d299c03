"""What a provider says of itself, its accounts, its domains and its tasks: to a person, and as
lines of JSON. Pure; nothing here prints."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailhaul.cli.blocks import NONE, Block, Json, Line, Table, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.extra_words import kind_of, words_of
from mailhaul.cli.figures import count, octets, plural
from mailhaul.cli.finding_report import shared_findings
from mailhaul.core.finding import Severity
from mailhaul.core.text import printable
from mailhaul.dns.names import shown
from mailhaul.dns.records import RecordSet, zone_lines
from mailhaul.providers.extras import Extra
from mailhaul.providers.obstacle_codes import UNHEARD_OF, Known
from mailhaul.providers.obstacles import KNOWN, Obstacle, finding
from mailhaul.providers.provider import Task, TaskState
from mailhaul.providers.service import (
    Account,
    AccountState,
    Contacts,
    DomainStatus,
    HostedDomain,
    Service,
)

LONGEST = 300


@dataclass(frozen=True, slots=True)
class Entry:
    """One record set that a service wants, and whether it stands: None where that isn't known."""

    moment: str
    records: RecordSet
    stands: bool | None


def heading(side: str, service: Service) -> Line:
    """Which side, and what it is."""
    name = f" {printable(service.name, 120)}" if service.name else ""
    product = printable(service.product, 120) or service.kind
    return Line(f"{side}: {product}{name} ({service.kind})", Tone.HEADING)


def service_blocks(side: str, service: Service, contacts: Contacts) -> list[Block]:
    """One service, for a person."""
    told: list[tuple[str, str]] = []
    if service.generation is not None:
        told.append(("generation", service.generation.value))
    told += [("evidence", printable(each, LONGEST)) for each in service.evidence]
    told.append(("holds", _listed(service.contents)))
    told.append(("can", _listed(service.verbs)))
    if service.free is not None:
        told.append(("free", f"{plural(service.free, 'account')} to be made or configured"))
    if service.quota is not None:
        told.append(("quota", f"{octets(service.quota)} an account"))
    if service.fresh:
        told.append(("fresh", "nothing has been set up on it yet"))
    told += _contact_rows(contacts)
    return [heading(side, service), *(Line(f"  {name:<12}{text}") for name, text in told), Line()]


def service_line(side: str, service: Service, contacts: Contacts) -> dict[str, Json]:
    """The same for `--json`."""
    return {
        "event": "provider_service",
        "side": side,
        "kind": service.kind,
        "name": printable(service.name, LONGEST),
        "product": printable(service.product, LONGEST),
        "generation": None if service.generation is None else service.generation.value,
        "evidence": [printable(each, LONGEST) for each in service.evidence],
        "verbs": sorted(each.value for each in service.verbs),
        "contents": sorted(each.value for each in service.contents),
        "free": service.free,
        "fresh": service.fresh,
        "quota": service.quota,
        "me": printable(contacts.me, LONGEST),
        "administrator": printable(contacts.administrator, LONGEST),
        "technical": printable(contacts.technical, LONGEST),
        "billing": printable(contacts.billing, LONGEST),
    }


def account_blocks(side: str, service: Service, accounts: Sequence[Account]) -> list[Block]:
    """A service's accounts, for a person; placeholders are counted, and shown last."""
    real = [each for each in accounts if each.state is not AccountState.PLACEHOLDER]
    spare = [each for each in accounts if each.state is AccountState.PLACEHOLDER]
    blocks: list[Block] = [heading(side, service)]
    if accounts:
        right = frozenset({2, 3, 4})
        names = ("address", "state", "used", "quota", "messages", "aliases", "open")
        blocks.append(Table(names, tuple(map(_account_row, [*real, *spare])), right))
    blocks.append(Line(_account_counts(real, spare), Tone.FAINT))
    return [*blocks, Line()]


def account_line(side: str, account: Account) -> dict[str, Json]:
    """One account for `--json`."""
    access = account.access
    return {
        "event": "provider_account",
        "side": side,
        "address": printable(account.address, LONGEST),
        "state": account.state.value,
        "name": printable(account.name, LONGEST),
        "quota": account.quota,
        "used": account.used,
        "messages": account.messages,
        "aliases": [printable(each, LONGEST) for each in account.aliases],
        "access": None if access is None else sorted(each.value for each in access),
    }


def extra_blocks(extras: Iterable[Extra]) -> list[Block]:
    """What stands beside an account, for a person."""
    rows = tuple((printable(each.address, 120), kind_of(each), words_of(each)) for each in extras)
    return [Table(("address", "what", "says"), rows), Line()] if rows else []


def extra_line(side: str, extra: Extra) -> dict[str, Json]:
    """One of them for `--json`."""
    return {
        "event": "provider_extra",
        "side": side,
        "address": printable(extra.address, LONGEST),
        "kind": kind_of(extra),
        "text": words_of(extra),
    }


def domain_blocks(side: str, service: Service, domains: Sequence[HostedDomain]) -> list[Block]:
    """A service's domains, for a person, with the proofs that are still asked for."""
    blocks: list[Block] = [heading(side, service)]
    if not domains:
        blocks.append(Line("  no domain is on it", Tone.WARNING))
    rows = tuple(
        (
            "✓" if each.status is DomainStatus.OK else "✗",
            shown(each.name),
            each.status.value,
            each.mode.value,
            printable(each.relay, 120),
        )
        for each in domains
    )
    if rows:
        blocks.append(Table(("", "domain", "status", "mode", "relay"), rows))
    for each in domains:
        if each.proof is not None:
            blocks.append(Line(f"to show whose {shown(each.name)} is, write:"))
            blocks += [Line(f"  {text}", whole=True) for text in zone_lines(each.proof)]
    return [*blocks, Line()]


def domain_line(side: str, domain: HostedDomain) -> dict[str, Json]:
    """One domain for `--json`."""
    return {
        "event": "provider_domain",
        "side": side,
        "domain": domain.name,
        "status": domain.status.value,
        "mode": domain.mode.value,
        "relay": printable(domain.relay, LONGEST),
        "proof": [] if domain.proof is None else list(zone_lines(domain.proof)),
    }


def record_blocks(domain: str, entries: Sequence[Entry] | None, trouble: str) -> list[Block]:
    """What the service wants a zone to say, for a person. None: the service doesn't tell."""
    if entries is None:
        return [Line(f"{shown(domain)}: the service doesn't say what its zone is to hold"), Line()]
    blocks: list[Block] = [Line(shown(domain), Tone.HEADING)]
    if trouble:
        blocks.append(Line(f"  what stands is not known: {printable(trouble, 500)}", Tone.WARNING))
    for entry in entries:
        sign = {True: "✓", False: "✗", None: "?"}[entry.stands]
        tone = Tone.BAD if entry.stands is False else Tone.PLAIN
        records = entry.records
        for text in zone_lines(records):
            blocks.append(Line(f"  {sign} {entry.moment}: {printable(text, 5000)}", tone, True))
        if not records.values:
            text = f"{records.name}. {records.kind}: none"
            blocks.append(Line(f"  {sign} {entry.moment}: {text}", tone))
    return [*blocks, Line()]


def record_line(side: str, domain: str, entry: Entry) -> dict[str, Json]:
    """One record set for `--json`."""
    return {
        "event": "provider_record",
        "side": side,
        "domain": domain,
        "moment": entry.moment,
        "name": entry.records.name,
        "kind": entry.records.kind.value,
        "values": list(entry.records.values),
        "lines": list(zone_lines(entry.records)),
        "stands": {True: "yes", False: "no", None: "unknown"}[entry.stands],
    }


def known(obstacle: Obstacle) -> Known:
    """What a code means; one that nobody knows is a warning."""
    return KNOWN.get(obstacle.code, UNHEARD_OF)


def obstacle_blocks(found: Mapping[str, Sequence[Obstacle]]) -> list[Block]:
    """What stands in the way of whom, for a person; those of whom nothing does only counted."""
    told = {address: [*map(finding, obstacles)] for address, obstacles in found.items()}
    blocks: list[Block] = [*shared_findings(told)]
    if clear := sum(not obstacles for obstacles in found.values()):
        text = f"nothing stands in the way of {plural(clear, 'account')}"
        blocks.append(Line(text, Tone.GOOD))
    return blocks


def obstacle_line(side: str, address: str, obstacle: Obstacle) -> dict[str, Json]:
    """One obstacle for `--json`."""
    means = known(obstacle)
    return {
        "event": "provider_obstacle",
        "side": side,
        "address": printable(address, LONGEST),
        "code": printable(obstacle.code, 100),
        "severity": means.severity.value,
        "means": means.means,
        "evidence": printable(obstacle.evidence, LONGEST),
        "remedy": means.remedy,
        "passes": means.passes,
    }


def verdict(found: Iterable[Sequence[Obstacle]]) -> Exit:
    """Incomplete where something blocks."""
    every = (known(each).severity for obstacles in found for each in obstacles)
    return Exit.INCOMPLETE if Severity.BLOCKS in every else Exit.COMPLETE


def task_words(task: Task) -> str:
    """How far a task is."""
    who = " by a person" if task.by_person else ""
    said = f": {printable(task.said, LONGEST)}" if task.said else ""
    return f"{task.state.value}{who}{said}"


def task_tone(state: TaskState) -> Tone:
    """How its state is to be taken."""
    match state:
        case TaskState.DONE:
            return Tone.GOOD
        case TaskState.ERROR | TaskState.CANCELLED:
            return Tone.BAD
        case _:
            return Tone.PLAIN


def trouble_line(side: str, why: str) -> dict[str, Json]:
    """A side that could not be asked, for `--json`."""
    return {"event": "provider_trouble", "side": side, "why": why}


def end_line(command: str, plan: str, sides: int, failed: int, code: Exit) -> dict[str, Json]:
    """The end of one of the commands, for `--json`."""
    return {
        "event": "provider",
        "command": command,
        "plan": plan,
        "sides": sides,
        "failed": failed,
        "exit": code.value,
    }


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"


def _contact_rows(contacts: Contacts) -> Iterator[tuple[str, str]]:
    if contacts.me:
        yield "you are", printable(contacts.me, 120)
    roles = (
        ("administrator", contacts.administrator),
        ("technical", contacts.technical),
        ("billing", contacts.billing),
    )
    told = [f"{role} {printable(who, 120)}" for role, who in roles if who]
    if told:
        yield "contacts", ", ".join(told)


def _account_row(account: Account) -> tuple[str, ...]:
    access = account.access
    return (
        printable(account.address, 200),
        account.state.value,
        NONE if account.used is None else octets(account.used),
        NONE if account.quota is None else octets(account.quota),
        NONE if account.messages is None else count(account.messages),
        ", ".join(printable(each, 120) for each in account.aliases),
        "" if access is None else _listed(access),
    )


def _account_counts(real: Sequence[Account], spare: Sequence[Account]) -> str:
    text = plural(len(real), "account")
    if spare:
        text += f", and {plural(len(spare), 'placeholder')} to be configured"
    return text
