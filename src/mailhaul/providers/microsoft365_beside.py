"""What stands beside a mailbox at Microsoft 365: listed, added, removed.

Redirections are inbox rules, auto-replies a setting of the mailbox. What others made is switched
off and on again, never rewritten, so that taking a removal back restores it to the letter.
"""

import hashlib
from collections.abc import Iterator, Sequence

from mailhaul.core.text import printable
from mailhaul.providers.actions import Add, Remove
from mailhaul.providers.addresses import parts, same
from mailhaul.providers.effects import same_extra
from mailhaul.providers.extras import Extra, Redirection, Responder
from mailhaul.providers.fields import Fields
from mailhaul.providers.microsoft365_graph import Call, GraphRefusal, path
from mailhaul.providers.microsoft365_prepared import EXTRA, Prepared, task_name
from mailhaul.providers.microsoft365_rules import (
    OURS,
    Rule,
    filters,
    plain,
    redirecting,
    replying,
    responder,
    rule,
    without,
)
from mailhaul.providers.microsoft365_tenant import WRITE_SETTINGS, Tenant
from mailhaul.providers.obstacles import Obstacle


def listed(address: str, rules: Sequence[Fields], replies: Fields) -> Iterator[Extra]:
    """What stands beside that mailbox."""
    read = [rule(each) for each in rules]
    for each in read:
        if each.enabled:
            yield from each.redirections(address)
    yield from filters(address, read)
    yield from responder(address, replies)


async def change(tenant: Tenant, action: Add | Remove) -> Prepared:
    """Adds or removes a redirection or an auto-reply."""
    extra = action.extra
    found = await tenant.owner(extra.address)
    if found is None:
        holds = isinstance(action, Remove)
        nobody = Obstacle("ACCOUNT_EMPTY", printable(extra.address, 200))
        return Prepared(holds=holds, against=() if holds else (nobody,))
    task = task_name(EXTRA, found.id, _digest(action))
    try:
        if isinstance(extra, Redirection):
            return _by_rule(task, found.id, action, extra, await tenant.rules(found.id))
        assert isinstance(extra, Responder), extra
        return _by_setting(task, found.id, action, extra, await tenant.replies(found.id))
    except GraphRefusal as refusal:
        if refusal.status != 404:
            raise
        late = Obstacle("ACCOUNT_INPROGRESS", f"{extra.address} has no mailbox yet")
        return Prepared(task, against=(late,))


def _by_rule(
    task: str, key: str, action: Add | Remove, extra: Redirection, rules: Sequence[Fields]
) -> Prepared:
    if isinstance(action, Add):
        parts(extra.to)
        return _redirect(task, key, extra, rules)
    return _direct(task, key, extra, rules)


def _by_setting(
    task: str, key: str, action: Add | Remove, extra: Responder, replies: Fields
) -> Prepared:
    if isinstance(action, Add):
        return _reply(task, key, extra, replies)
    standing = any(same_extra(extra, each) for each in responder(extra.address, replies))
    call = _settings(key, {"status": "disabled"})
    return Prepared(task, (call,) if standing else (), holds=not standing)


def _redirect(task: str, key: str, wanted: Redirection, rules: Sequence[Fields]) -> Prepared:
    read = [rule(each) for each in rules]
    rivals = []
    for each in read:
        for there in each.redirections(wanted.address):
            if each.enabled and same_extra(there, wanted):
                return Prepared(task, holds=True)
            if each.enabled and same(there.to, wanted.to):
                rivals.append(Obstacle("EXTRA_DIFFERS", f"the rule “{printable(each.name, 100)}”"))
    for each in read:
        alone = len(each.sends_to) == 1 and not each.enabled
        if alone and any(same_extra(it, wanted) for it in each.redirections(wanted.address)):
            call = Call("PATCH", _place(key, each), WRITE_SETTINGS, {"isEnabled": True})
            return Prepared(task, (call,), tuple(rivals))
    body = redirecting(wanted, max((each.sequence for each in read), default=0) + 1)
    call = Call("POST", _place(key), WRITE_SETTINGS, body)
    return Prepared(task, (call,), tuple(rivals))


def _direct(task: str, key: str, unwanted: Redirection, rules: Sequence[Fields]) -> Prepared:
    calls, against = [], []
    for found in rules:
        each = rule(found)
        told = each.redirections(unwanted.address)
        if not each.enabled or not any(same_extra(it, unwanted) for it in told):
            continue
        if each.fixed:
            name = f"Exchange lets nobody change the rule “{printable(each.name, 100)}” by Graph"
            against.append(Obstacle("EXTRA_REFUSED", name))
        kept = without(found, unwanted.to)
        if kept is not None:
            body: dict[str, object] = {"actions": kept}
            calls.append(Call("PATCH", _place(key, each), WRITE_SETTINGS, body))
        elif each.name.startswith(OURS):
            calls.append(Call("DELETE", _place(key, each), WRITE_SETTINGS))
        else:
            body = {"isEnabled": False}
            calls.append(Call("PATCH", _place(key, each), WRITE_SETTINGS, body))
    return Prepared(task, tuple(calls), tuple(against), holds=not calls)


def _reply(task: str, key: str, wanted: Responder, replies: Fields) -> Prepared:
    standing = [each for each in responder(wanted.address, replies) if isinstance(each, Responder)]
    if any(same_extra(wanted, each) for each in standing):
        return Prepared(task, holds=True)
    against = [Obstacle("EXTRA_DIFFERS", "another auto-reply is on") for _ in standing]
    if wanted.subject or wanted.copy_to:
        against.append(
            Obstacle("EXTRA_REFUSED", "auto-replies of Exchange have no subject and copy nobody")
        )
    setting = replying(wanted)
    if plain(replies.text("internalReplyMessage")) == wanted.text:
        # It was there and was switched off: what others outside get stays as it was.
        for name in ("internalReplyMessage", "externalReplyMessage", "externalAudience"):
            del setting[name]
    return Prepared(task, (_settings(key, setting),), tuple(against))


def _settings(key: str, replies: dict[str, object]) -> Call:
    body = {"automaticRepliesSetting": replies}
    return Call("PATCH", path("users", key, "mailboxSettings"), WRITE_SETTINGS, body)


def _place(key: str, found: Rule | None = None) -> str:
    steps = ("users", key, "mailFolders", "inbox", "messageRules")
    return path(*steps) if found is None else path(*steps, found.id)


def _digest(action: Add | Remove) -> str:
    return hashlib.sha256(repr(action).encode(errors="replace")).hexdigest()[:16]
