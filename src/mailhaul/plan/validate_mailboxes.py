"""What can be wrong with the list of mailboxes: with each, and between them."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from mailhaul.core.endpoint import Endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.pair import mailbox_name, refuse_one_mailbox_twice
from mailhaul.core.text import printable
from mailhaul.plan.mistakes import HIDDEN, Mistake, said, shown, suggestion
from mailhaul.plan.model import ListedMailbox, Plan
from mailhaul.plan.shape import UNKNOWN, Lines
from mailhaul.plan.templates import endpoint_for, filled_reference, has_names
from mailhaul.plan.validate import secret_faults, url_faults


def mailbox_checks(plan: Plan, file: str, lines: Lines, directory: Path) -> Iterator[Mistake]:
    """All that is wrong with the mailboxes of `plan`, listed in `file`; relative paths count from
    `directory`."""
    yield from _waves(plan, file, lines)
    yield from _addresses(plan, file)
    yield from _cells(plan, file)
    shared = list(_shared_templates(plan, lines))
    yield from shared
    if not shared:
        yield from _pairs(plan, file, directory)


def _waves(plan: Plan, file: str, lines: Lines) -> Iterator[Mistake]:
    names = [wave.name for wave in plan.waves if wave.name != UNKNOWN]
    whole = len(names) == len(plan.waves)
    for each in plan.mailboxes:
        if each.wave and each.wave not in names and whole:
            cure = suggestion(each.wave, names) or (
                f"there are {', '.join(map(shown, names))}"
                if names
                else f'write [[waves]] and name = "{shown(each.wave)}" into plan.toml'
            )
            value = f"wave {shown(each.wave)}"
            yield Mistake(file, each.line, value, "the plan has no such wave", cure)
        elif not each.wave and names:
            cure = f"write one of {', '.join(map(shown, names))}"
            yield Mistake(file, each.line, shown(each.address), "this mailbox has no wave", cure)
    filled = {each.wave for each in plan.mailboxes}
    for number, wave in enumerate(plan.waves):
        # Without a mailbox at all something else is wrong, and has been told.
        if wave.name != UNKNOWN and wave.name not in filled and plan.mailboxes:
            text, cure = "this wave has no mailboxes", f"name it in {file}, or take it out"
            yield lines.mistake(("waves", number, "name"), wave.name, text, cure)


def _addresses(plan: Plan, file: str) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for each in plan.mailboxes:
        first = seen.setdefault(_same(each.address), each.line)
        if first != each.line:
            text = f"line {first} is about this address too"
            value = f"address {shown(each.address)}"
            yield Mistake(file, each.line, value, text, "list each mailbox once")


def _same(address: str) -> str:
    """Nobody tells addresses apart by case, whatever RFC 5321 2.4 says."""
    return unicodedata.normalize("NFC", address).casefold()


def _cells(plan: Plan, file: str) -> Iterator[Mistake]:
    for each in plan.mailboxes:
        for column, url in (("source", each.source), ("target", each.target)):
            if url:
                for text, cure in url_faults(url):
                    yield Mistake(file, each.line, f"{column} {shown(url)}", text, cure)
        secrets = (("source_secret", each.source_secret), ("target_secret", each.target_secret))
        for column, secret in secrets:
            for text, cure in secret_faults(secret):
                yield Mistake(file, each.line, f"{column} {HIDDEN}", text, cure)


def _shared_templates(plan: Plan, lines: Lines) -> Iterator[Mistake]:
    """What is wrong with every mailbox alike is told once."""
    for side, system in (("source", plan.source), ("target", plan.target)):
        using = [each for each in plan.mailboxes if not getattr(each, side)]
        sound = system.url != UNKNOWN and not any(url_faults(system.url))
        if len(using) > 1 and sound and not has_names(system.url):
            text = f"{len(using)} mailboxes would have this one {side}"
            cure = "write {address} or {user} where they differ"
            yield lines.mistake((side, "url"), system.url, text, cure)
    alike = any(not each.source and not each.target for each in plan.mailboxes)
    if alike and plan.source.url == plan.target.url != UNKNOWN:
        text = "this is the source, so every mailbox would be carried into itself"
        yield lines.mistake(("target", "url"), plan.target.url, text, "name another target")


@dataclass(frozen=True, slots=True)
class _End:
    """One side of a mailbox. `name` is equal for what is one mailbox."""

    line: int
    endpoint: Endpoint
    name: str


def _pairs(plan: Plan, file: str, directory: Path) -> Iterator[Mistake]:
    once: dict[str, ListedMailbox] = {}
    for each in plan.mailboxes:
        # A mailbox that is listed twice has been told.
        once.setdefault(_same(each.address), each)
    systems = [plan.source.url, plan.target.url]
    sound = [url != UNKNOWN and not any(url_faults(url)) for url in systems]
    sources: dict[str, int] = {}
    targets: dict[str, _End] = {}
    for each in once.values():
        ends: list[_End | None] = []
        for url, cell, usable in zip(systems, (each.source, each.target), sound, strict=True):
            if any(url_faults(cell)) if cell else not usable:
                ends.append(None)
                continue
            try:
                ends.append(_end(cell or url, each, directory))
            except BadInput as error:
                text, cure = said(error)
                yield Mistake(file, each.line, f"address {shown(each.address)}", text, cure)
                ends.append(None)
        source, target = ends
        yield from _references(plan, each, file)
        if source is not None:
            sources.setdefault(source.name, each.line)
        if source is not None and target is not None:
            yield from _pair(each, source.endpoint, target.endpoint, file)
        if target is not None:
            first = targets.setdefault(target.name, target)
            if first is not target:
                text = f"this is the target of line {first.line} too"
                cure = "give each mailbox a target of its own"
                yield Mistake(file, each.line, _shown("target", target), text, cure)
    yield from _chains(sources, targets, file)


def _chains(sources: dict[str, int], targets: dict[str, _End], file: str) -> Iterator[Mistake]:
    """Targets that are somebody else's source, or lie inside another target."""
    for target in targets.values():
        line = sources.get(target.name, target.line)
        if line != target.line:
            text = f"this is the source of line {line}"
            cure = "move them in two plans, one after the other"
            yield Mistake(file, target.line, _shown("target", target), text, cure)
        around = PurePath(target.name).parents if target.endpoint.is_file else ()
        outer = next((targets[name] for path in around if (name := str(path)) in targets), None)
        if outer is not None:
            text = f"this lies inside the target of line {outer.line}"
            yield Mistake(file, target.line, _shown("target", target), text, "name its own place")


def _references(plan: Plan, each: ListedMailbox, file: str) -> Iterator[Mistake]:
    for secret in (
        each.source_secret or plan.source.secret,
        each.target_secret or plan.target.secret,
    ):
        try:
            filled_reference(secret, each.address)
        except BadInput as error:
            text, cure = said(error)
            yield Mistake(file, each.line, f"address {shown(each.address)}", text, cure)


def _pair(each: ListedMailbox, source: Endpoint, target: Endpoint, file: str) -> Iterator[Mistake]:
    try:
        # Names only; whether two hosts are one server, the check before the start finds out.
        refuse_one_mailbox_twice(source, target, lambda host: frozenset())
    except BadInput as error:
        text, cure = said(error)
        yield Mistake(file, each.line, f"address {shown(each.address)}", text, cure)


def _end(url: str, each: ListedMailbox, directory: Path) -> _End:
    """Raises `BadInput` where the address doesn't fit. Servers that tell logins apart by case are
    rare: better a mistake too many than two mailboxes in one."""
    endpoint = endpoint_for(url, each.address, directory)
    if endpoint.is_file:
        return _End(each.line, endpoint, os.path.realpath(endpoint.path))
    return _End(each.line, endpoint, mailbox_name(endpoint).casefold())


def _shown(side: str, end: _End) -> str:
    return f"{side} {printable(str(end.endpoint), 80)}"
