"""`mailhaul provider records`: what a plan's services want the zones to say."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailhaul.cli.exits import Exit
from mailhaul.cli.options import Arguments, Command, Group, Option
from mailhaul.cli.provider_desk import EXITS, OPERANDS, OUTPUT, SIDE, Reached, each_side
from mailhaul.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from mailhaul.cli.provider_report import Entry
    from mailhaul.dns.expected import Expected
    from mailhaul.providers.provider import Provider

    Wanted = tuple[str, Sequence[Entry] | None, str]

# ruff: noqa: PLC0415 - plans and providers are imported once the command line is good.


def records(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Shows them. Raises `BadInput`."""
    from mailhaul.dns.names import domain_name

    names = {domain_name(each) for each in arguments.texts("--domain")}

    async def look(each: Reached) -> "list[Wanted]":
        found: list[Wanted] = []
        for domain in await each.provider.domains():
            if names and domain.name not in names:
                continue
            if domain.expected is None:
                found.append((domain.name, None, ""))
            else:
                found.append(await _wanted(each.provider, domain.expected))
        return found

    def tell(side: str, found: "list[Wanted]") -> Exit:
        from mailhaul.cli.provider_report import record_blocks, record_line

        for domain, entries, trouble in found:
            if arguments.given("--json"):
                for entry in entries or ():
                    surroundings.console.json(record_line(side, domain, entry))
            else:
                surroundings.console.show(record_blocks(domain, entries, trouble))
        return Exit.COMPLETE

    return each_side(arguments, surroundings, look, tell, usual="target")


async def _wanted(provider: "Provider", expected: "Expected") -> "Wanted":
    """What the zone is to hold, moment by moment, each beside what it holds where the provider can
    look."""
    from mailhaul.cli.provider_report import Entry
    from mailhaul.core.errors import MailhaulError
    from mailhaul.dns.desired import desired, keys
    from mailhaul.dns.expected import Moment

    present, trouble = {}, ""
    try:
        writer = await provider.zone(expected.domain)
        there = await writer.read(keys(expected))
        present = {key: held.records for key, held in there.items() if held.records.values}
    except MailhaulError as error:
        # Whoever else holds the zone is asked by `mailhaul dns check`.
        trouble = str(error)
    entries = []
    for moment in (Moment.NOW, Moment.SWITCH):
        for wanted in desired(expected, present, moment):
            before = present.get(wanted.key)
            stands = set(wanted.values) == set(before.values if before else ())
            entries.append(Entry(moment.value, wanted, None if trouble else stands))
    return expected.domain, entries, trouble


COMMAND = Command(
    name="provider records",
    summary="show the DNS records that a plan's services ask for",
    story=(
        "Asks the target's control plane (the source's with --side source) which records it wants "
        "in the zone of each of its domains, and shows them as lines to be pasted: what does no "
        "harm now, and what belongs to the switch. Where the provider holds the zone itself: "
        "whether they stand. Changes nothing; `mailhaul dns plan` and `apply` write zones."
    ),
    operands=OPERANDS,
    groups=(
        Group(
            "which",
            (SIDE, Option("--domain", "only this domain (repeatable)", "DOMAIN", repeated=True)),
        ),
        OUTPUT,
    ),
    run=records,
    examples=("mailhaul provider records", "mailhaul provider records --domain acme.example"),
    exits=EXITS,
)
