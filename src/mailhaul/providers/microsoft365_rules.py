"""Auto-replies and inbox rules of a mailbox, as Graph writes them and as extras.

What Graph writes differently is recognised by what it means: a rule without conditions that sends
everything on is a redirection, any other rule a filter in words. Exchange's auto-replies have no
subject of their own and no copy; one with a beginning has an end, so open ends are far away.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailhaul.core.text import printable
from mailhaul.providers.addresses import same
from mailhaul.providers.extras import Extra, Filter, Redirection, Remark, Responder
from mailhaul.providers.fields import Fields

OURS = "mailhaul: "
"""Begins the names of rules that mailhaul made."""
LONG_AGO = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
FAR_AWAY = int(datetime(2099, 12, 31, tzinfo=UTC).timestamp())

_ON = frozenset({"redirectTo", "forwardTo"})
_DROPS = frozenset({"delete", "permanentDelete"})
_HARMLESS = frozenset({"stopProcessingRules"})

_LONGEST = 200_000
# None of these looks further than the next tag, however the text is made.
_UNREAD = re.compile(r"<(?:style|script|head|title)\b[^<>]*>[^<]*</[a-z]+\s{0,9}>", re.IGNORECASE)
_LINE_END = re.compile(r"[\r\n]\s*")
_BREAK = re.compile(r"<(?:br\b[^<>]*|/(?:div|p|li|tr)\s{0,9})>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Rule:
    """One inbox rule. `sends_to`: where it sends everything on, when that is all it does, `keeps`
    whether a copy stays; else empty."""

    id: str
    name: str
    enabled: bool
    fixed: bool
    sequence: int
    words: str
    sends_to: tuple[str, ...] = ()
    keeps: bool = True

    def redirections(self, address: str) -> Iterator[Redirection]:
        for to in self.sends_to:
            yield Redirection(address, to, self.keeps)


def rule(found: Fields) -> Rule:
    """The rule as Graph writes one (`messageRule`)."""
    actions = found.one("actions")
    told = {name for name in actions.found if actions.says(name)}
    conditions = [*_told(found.one("conditions")), *_unless(found.one("exceptions"))]
    sends = not conditions and bool(told & _ON) and not told - _ON - _DROPS - _HARMLESS
    does = "; ".join(_told(actions))
    words = f"if {' and '.join(conditions) or 'any message'}: {does or 'nothing'}"
    return Rule(
        id=found.text("id"),
        name=found.text("displayName"),
        enabled=found.truth("isEnabled") is not False,
        fixed=found.truth("isReadOnly") is True,
        sequence=found.number("sequence") or 0,
        words=printable(words, 1000),
        sends_to=tuple(_recipients(actions)) if sends else (),
        keeps=not told & _DROPS,
    )


def redirecting(found: Redirection, sequence: int) -> dict[str, object]:
    """A rule that does just that, ready to be sent."""
    actions: dict[str, object] = {"redirectTo": [{"emailAddress": {"address": found.to}}]}
    if not found.copy:
        actions["delete"] = True
    return {
        "displayName": f"{OURS}to {found.to}"[:250],
        "sequence": sequence,
        "isEnabled": True,
        "actions": actions,
    }


def filters(address: str, rules: Sequence[Rule]) -> Iterator[Filter]:
    """The rules that are no redirections, switched on."""
    for each in sorted(rules, key=lambda rule: rule.sequence):
        if each.enabled and not each.sends_to:
            yield Filter(address, each.name, words=each.words)


def responder(address: str, found: Fields) -> Iterator[Extra]:
    """What `automaticRepliesSetting` says when it is switched on: a responder and, where others
    outside get another text or none, a remark."""
    status = found.text("status").casefold()
    if status in ("", "disabled"):
        return
    text, outside = (
        plain(found.text(name)) for name in ("internalReplyMessage", "externalReplyMessage")
    )
    begins = ends = None
    if status == "scheduled":
        begins, ends = (
            _moment(found.one(name)) for name in ("scheduledStartDateTime", "scheduledEndDateTime")
        )
        if begins is None or ends is None:
            yield Remark(address, "auto-reply", "its times can't be read: " + printable(text))
            return
    yield Responder(
        address,
        text,
        begins=None if begins is None or begins <= LONG_AGO else begins,
        ends=None if ends is None or ends >= FAR_AWAY else ends,
    )
    audience = found.text("externalAudience").casefold() or "all"
    if audience == "none":
        yield Remark(address, "auto-reply", "nobody outside gets it")
    elif outside != text:
        yield Remark(address, "auto-reply", f"others outside get: {printable(outside)}")
    elif audience != "all":
        yield Remark(address, "auto-reply", "outside only contacts get it")


def replying(found: Responder) -> dict[str, object]:
    """The `automaticRepliesSetting` that is this responder."""
    written = marked_up(found.text)
    setting: dict[str, object] = {
        "status": "alwaysEnabled",
        "externalAudience": "all",
        "internalReplyMessage": written,
        "externalReplyMessage": written,
    }
    if found.begins is not None or found.ends is not None:
        begins = LONG_AGO if found.begins is None else found.begins
        ends = FAR_AWAY if found.ends is None else found.ends
        setting["status"] = "scheduled"
        setting["scheduledStartDateTime"] = _written(begins)
        setting["scheduledEndDateTime"] = _written(ends)
    return setting


def marked_up(text: str) -> str:
    """The text as HTML that `plain` reads back as it was."""
    lines = "<br>".join(html.escape(line, quote=False) for line in text.splitlines())
    return f'<html><body><div style="white-space: pre-wrap">{lines}</div></body></html>'


def plain(text: str) -> str:
    """The words of an HTML text, line by line; only the beginning of a very long one."""
    shown = _LINE_END.sub("\n", _UNREAD.sub("", text[:_LONGEST]))
    shown = shown.replace(">\n", ">").replace("\n<", "<").replace("\n", " ")
    shown = _TAG.sub("", _BREAK.sub("\n", shown))
    return html.unescape(shown).strip()


def _recipients(actions: Fields) -> Iterator[str]:
    for name in sorted(_ON):
        for each in actions.each(name):
            address = each.one("emailAddress").text("address")
            if address:
                yield address


def without(found: Fields, to: str) -> dict[str, object] | None:
    """The rule's actions without that recipient, ready to be sent; None when nobody is left."""
    actions = dict(found.one("actions").found)
    left = False
    for name in sorted(_ON):
        kept = [
            dict(each.found)
            for each in found.one("actions").each(name)
            if not same(each.one("emailAddress").text("address"), to)
        ]
        actions[name] = kept
        left = left or bool(kept)
    return actions if left else None


def _told(found: Fields) -> list[str]:
    return [
        printable(f"{_spaced(name)} {_shown(value)}".strip(), 300)
        for name, value in found.found.items()
        if not name.startswith("@") and found.says(name)
    ]


def _unless(found: Fields) -> list[str]:
    return [f"not {each}" for each in _told(found)]


def _spaced(name: str) -> str:
    return "".join(f" {each.lower()}" if each.isupper() else each for each in name)


def _shown(value: object) -> str:
    if value is True:
        return ""
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    if isinstance(value, Mapping):
        return " ".join(_shown(each) for each in value.values() if each is not None)
    return str(value)


def _moment(found: Fields) -> int | None:
    """Seconds since 1970; None for a time or a zone that can't be read. Windows' names of zones
    are not guessed at: we ask for UTC."""
    zone = found.text("timeZone") or "UTC"
    try:
        written = datetime.fromisoformat(found.text("dateTime")[:19])
        return int(written.replace(tzinfo=ZoneInfo(zone)).timestamp())
    except (ValueError, ZoneInfoNotFoundError, OverflowError, OSError):
        return None


def _written(moment: int) -> dict[str, object]:
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {"dateTime": f"{text}.0000000", "timeZone": "UTC"}
