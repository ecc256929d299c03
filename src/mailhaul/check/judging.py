"""From what was counted and seen to findings. Pure: nothing here asks a server."""

import math
from collections.abc import Callable, Iterator, Sequence

from mailhaul.check.census import SourceCensus
from mailhaul.check.checked import Fidelity, found
from mailhaul.check.codes import Code
from mailhaul.check.oddities import Oddity
from mailhaul.check.probe import Probed, is_scratch
from mailhaul.core.finding import Finding, Severity
from mailhaul.core.folder import Folder, shown
from mailhaul.core.store import Capabilities, Quota
from mailhaul.engine.folder_names import canonical
from mailhaul.engine.folders import FolderMap
from mailhaul.engine.outcomes import FolderLink, Side
from mailhaul.plan.model import Budget

MARGIN = 0.9
"""So full a quota may be after the move without a word."""
MANY = 100_000
TOO_MANY = 1_000_000
"""Messages that one folder of Exchange Online takes (failure-modes B10)."""
LISTED = 5
WITHOUT_CONTENT = frozenset(
    {Oddity.PLAIN, Oddity.KEYWORDS, Oddity.OLD_DATE, Oddity.FUTURE_DATE, Oddity.BIG}
)


def of_the_map(folder_map: FolderMap) -> Iterator[Finding]:
    """Where folders go, and which stay."""
    for problem in folder_map.problems:
        yield found(Code.FOLDER_MAP, problem)
    if folder_map.problems:
        return
    renamed = [link for link in folder_map.links if _is_renamed(link)]
    if renamed:
        told = [f"{shown(link.source)} → {shown(link.target)}" + _why(link) for link in renamed]
        yield found(Code.FOLDERS_RENAMED, _some(told, len(renamed)))
    if folder_map.excluded:
        told = [shown(path) for path in folder_map.excluded]
        yield found(Code.FOLDERS_LEFT_OUT, _some(told, len(told)))
    for note in folder_map.notes:
        yield found(Code.NOTICE, note)


def of_the_census(census: SourceCensus) -> Iterator[Finding]:
    """What the source's mail is like, whatever the target."""
    total = census.total
    for folder in census.folders:
        if folder.problem:
            yield found(Code.FOLDER_UNREADABLE, f"{shown(folder.path)}: {folder.problem}")
    if census.not_fetched:
        number = len(census.not_fetched)
        first = _some(census.unreadable, number)
        yield found(Code.NOT_FETCHED, f"{_messages(number)}: {first}")
    if census.differing:
        yield found(Code.COUNTS_DIFFER, _some(census.differing, len(census.differing)))
    broken = any(folder.problem for folder in census.folders)
    if total.messages + total.older == 0 and not broken:
        yield found(Code.SUSPICIOUSLY_EMPTY, "not one message in all folders that are carried")
    for each in census.folders:
        if each.messages >= TOO_MANY:
            yield found(Code.HUGE_FOLDER, f"{shown(each.path)}: {each.messages:,} messages")
        elif each.messages >= MANY:
            evidence = f"{shown(each.path)}: {each.messages:,} messages"
            yield found(Code.HUGE_FOLDER, evidence, Severity.TELLS)
    for code, number in (
        (Code.EMPTY_MESSAGES, total.empty),
        (Code.ODD_DATES, total.odd_dates),
        (Code.DUPLICATES, total.duplicates),
        (Code.WITHOUT_MESSAGE_ID, total.unnamed),
        (Code.MARKED_DELETED, total.deleted),
    ):
        if number:
            yield found(code, _messages(number))
    if census.sizes_differ:
        yield found(Code.SIZES_DIFFER, f"{census.sizes_differ} of {census.sampled} read")
    odd = {
        kind: number for kind, number in census.oddities.items() if kind is not Oddity.EMPTY_BODY
    }
    if odd:
        told = [f"{kind.value} ({number})" for kind, number in sorted(odd.items())]
        yield found(Code.AWKWARD_CONTENT, f"of {census.sampled} read: {', '.join(told)}")


def of_the_target(
    census: SourceCensus,
    can: Capabilities,
    links: Sequence[FolderLink],
    folders: Sequence[Folder],
    subscribed: bool,
) -> Iterator[Finding]:
    """Whether the source's mail fits, and what the target doesn't keep."""
    total = census.total
    yield from _quota(census, can.quota, links, folders)
    if total.too_large:
        yield found(
            Code.TOO_LARGE,
            f"{_messages(total.too_large)} of {_octets(total.too_large_octets)} above "
            f"{_octets(census.limit or 0)}, the largest of {_octets(total.largest)}",
        )
    if total.with_keywords and not can.keeps_keywords:
        most = ", ".join(keyword for keyword, _ in total.keywords.most_common(LISTED))
        yield found(Code.KEYWORDS_LOST, f"{_messages(total.with_keywords)}: {most}")
    if not can.keeps_received and total.messages:
        yield found(Code.RECEIVED_LOST, f"{_messages(total.messages)}")
    if subscribed and not can.keeps_subscriptions:
        yield found(Code.SUBSCRIPTIONS_LOST, "folders are subscribed at the source")
    there = sum(folder.count or 0 for folder in folders if not is_scratch(folder.path))
    if there:
        yield found(Code.TARGET_NOT_EMPTY, _messages(there))
    for folder in folders:
        if is_scratch(folder.path):
            yield found(Code.PROBE_FOLDER_LEFT, f"{shown(folder.path)}, of an earlier probe")


def of_the_limits(octets: int, messages: int, side: Side, budget: Budget) -> Iterator[Finding]:
    """How long the first copy takes at the least by a side's own limits, where that is days."""
    days = 0.0
    why = ""
    if budget.octets_per_day_each:
        days = octets / budget.octets_per_day_each
        why = f"{_octets(octets)} at {_octets(budget.octets_per_day_each)} a day"
    if budget.messages_per_second_each:
        by_count = messages / budget.messages_per_second_each / 86400
        if by_count > days:
            days = by_count
            why = f"{_messages(messages)} at {budget.messages_per_second_each:g} a second"
    if days > 1:
        yield found(Code.DAILY_LIMIT, f"{math.ceil(days)} days by the {side.value}'s limits: {why}")


def of_the_probe(probed: Probed, census: SourceCensus | None) -> Iterator[Finding]:
    """What the target did with the odd messages; and how many of a sample of the source's are of
    that kind."""
    if probed.problem is not None:
        yield found(Code.PROBE_FAILED, probed.problem)
    if probed.left is not None:
        yield found(Code.PROBE_FOLDER_LEFT, shown(probed.left))
    for each in probed.fidelity:
        if not each.kept:
            code = Code.PROBE_REFUSED if each.refused else Code.PROBE_ALTERED
            told = f"{each.oddity.value}: {each.detail}{_in_sample(each.oddity, census)}"
            yield found(code, told)
        if each.date:
            # The reason alone, where one is known: it is the same for every mailbox.
            yield found(Code.PROBE_DATES, f"{each.oddity.value}: {each.date.rpartition(': ')[2]}")
        if each.flags:
            yield found(Code.PROBE_FLAGS, f"{each.oddity.value}: {each.flags}")
    if probed.fidelity and all(_faithful(each) for each in probed.fidelity):
        yield found(Code.PROBE_FAITHFUL, f"{len(probed.fidelity)} odd messages came back as given")


def _faithful(each: Fidelity) -> bool:
    return each.kept and not each.flags


def _in_sample(oddity: Oddity, census: SourceCensus | None) -> str:
    if census is None or not census.oddities[oddity] or oddity in WITHOUT_CONTENT:
        return ""
    return f" ({census.oddities[oddity]} of {census.sampled} sampled messages are of that kind)"


def _quota(
    census: SourceCensus,
    quota: Quota | None,
    links: Sequence[FolderLink],
    folders: Sequence[Folder],
) -> Iterator[Finding]:
    """What is at the target already in a folder's place counts as carried, at most as much as is
    to be carried there: after a first pass most of it is."""
    if quota is None:
        return
    there = {folder.path: folder for folder in folders}
    of_source = {folder.path: folder for folder in census.folders}
    octets = messages = 0
    for link in links:
        have, give = there.get(link.target), of_source.get(link.source)
        if have is not None and give is not None:
            both = min(have.count or 0, give.messages)
            # A server that tells no sizes: as large as the source's are in the middle.
            size = both * give.octets // max(1, give.messages) if have.size is None else have.size
            octets += min(size, give.octets)
            messages += both
    yield from _fits(quota.used, quota.limit, census.total.octets, octets, _octets)
    yield from _fits(
        quota.used_messages,
        quota.limit_messages,
        census.total.messages,
        messages,
        _messages,
    )


def _fits(
    used: int | None,
    limit: int | None,
    come: int,
    already: int,
    told: Callable[[int], str],
) -> Iterator[Finding]:
    if not limit or used is None:
        return
    evidence = f"{told(come)} are to come, {told(used)} of {told(limit)} are used"
    if used + come - already > limit:
        yield found(Code.QUOTA_SHORT, f"{evidence}; {told(used + come - already - limit)} too many")
    elif used + come - already > limit * MARGIN:
        yield found(Code.QUOTA_TIGHT, evidence)


def _is_renamed(link: FolderLink) -> bool:
    return canonical(link.source) != link.target


def _why(link: FolderLink) -> str:
    return f" ({'; '.join(link.notes)})" if link.notes else ""


def _some(told: Sequence[str], number: int) -> str:
    listed = "; ".join(told[:LISTED])
    more = number - min(LISTED, len(told))
    return f"{listed}; and {more:,} more" if more > 0 else listed


def _messages(number: int) -> str:
    return f"{number:,} message" + ("" if number == 1 else "s")


def _octets(number: int) -> str:
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
