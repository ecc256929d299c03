"""What can be wrong with the providers of a plan and its section [accounts].

What a kind of provider needs besides, and whether a service is there, is for those who ask it.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from mailhaul.plan.mistakes import Mistake
from mailhaul.plan.model import AccountPath, Accounts, Plan, ProviderSection
from mailhaul.plan.presets import Side
from mailhaul.plan.shape import Lines
from mailhaul.plan.templates import has_names
from mailhaul.plan.toml_lines import Place
from mailhaul.plan.validate import secret_faults

_PART = re.compile(r"[A-Za-z0-9_+=-]{1,20}")


def account_checks(plan: Plan, lines: Lines) -> Iterator[Mistake]:
    """All that is wrong with them."""
    for side, system in ((Side.SOURCE, plan.source), (Side.TARGET, plan.target)):
        if system.provider is not None:
            yield from _provider(system.provider, side, lines)
    if plan.accounts is None:
        if plan.gates.accounts:
            text = "there is no such gate, for no account is moved"
            yield lines.mistake(
                ("gates", "accounts"), [], text, "add a table [accounts], or take it out"
            )
        return
    yield from _sides(plan, plan.accounts, lines)
    yield from _temporary(plan.accounts, lines)
    yield from _rest(plan.accounts, lines)


def _provider(provider: ProviderSection, side: Side, lines: Lines) -> Iterator[Mistake]:
    place: Place = (side, "provider")
    for name in ("service", "url"):
        value = getattr(provider, name)
        if any(ord(letter) < 0x20 or letter == "\x7f" for letter in value):
            text = "this has control characters in it"
            yield lines.mistake((*place, name), value, text, "take them out")
    try:
        parts = urlsplit(provider.url)
        login = bool(parts.password)
    except ValueError:
        yield lines.mistake(
            (*place, "url"), provider.url, "this is no web address", "write https://host/path"
        )
        login = False
    if login:
        text = "a password stands in it"
        cure = 'take it out and say where it lies, by secret = "file:PATH"'
        yield lines.mistake((*place, "url"), {}, text, cure)
    if has_names(provider.secret):
        text = "a control plane has one login, whatever the mailbox"
        yield lines.mistake((*place, "secret"), "", text, "leave the names in braces out")
    else:
        for text, cure in secret_faults(provider.secret):
            yield lines.mistake((*place, "secret"), "", text, cure)


def _sides(plan: Plan, accounts: Accounts, lines: Lines) -> Iterator[Mistake]:
    if accounts.path is AccountPath.NONE:
        return
    cure = 'write kind = "…", service = "…" and secret = "…" under '
    if plan.target.provider is None:
        text = "nobody says where the accounts are made"
        yield lines.mistake(("accounts",), None, text, f"{cure}[target.provider]")
    if plan.source.provider is None and accounts.path is not AccountPath.CREATE:
        text = "nobody says where the accounts are"
        yield lines.mistake(
            ("accounts",), None, text, f'{cure}[source.provider], or path = "create"'
        )


def _temporary(accounts: Accounts, lines: Lines) -> Iterator[Mistake]:
    if accounts.temporary and not _PART.fullmatch(accounts.temporary):
        text = "this can't be a part of an address"
        cure = 'write letters, digits and dashes, like "-old"'
        yield lines.mistake(("accounts", "temporary"), accounts.temporary, text, cure)


def _rest(accounts: Accounts, lines: Lines) -> Iterator[Mistake]:
    for text, cure in secret_faults(accounts.password):
        yield lines.mistake(("accounts", "password"), "", text, cure)
    copy = accounts.safety_copy
    if not copy.strip("/ ") or "\0" in copy or ".." in copy.split("/"):
        place: Place = ("accounts", "safety_copy")
        yield lines.mistake(place, copy, "this is no directory", 'write it like "safety"')
