"""The Sieve script that mailhaul writes for an account: redirections, an auto-reply, filters, and
behind them the script that was active before, which stays as it is.

The script says in a remark what it was made of, and is written from that alone: one that reads
otherwise has been changed by hand, and is left alone. It names no address of its own, so that it
goes with an account that is renamed.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mailhaul.core.errors import BadInput
from mailhaul.providers.actions_text import extra_of, written_extra
from mailhaul.providers.addresses import parts
from mailhaul.providers.extras import Extra, Filter, Redirection, Responder

NAME = "mailhaul"
"""Of the script itself."""
_HEAD = "# Written by mailhaul, and written anew from the next line alone.\n#mailhaul "
_LATEST = 253402300799
"""The last second that four digits of a year can say."""


@dataclass(frozen=True, slots=True)
class Own:
    """What the script is made of: extras whose address is empty, and the name of the script that
    was active before; empty where none was. A filter's own script is in a file of `filter_name`."""

    extras: tuple[Extra, ...] = ()
    before: str = ""


def filter_name(name: str) -> str:
    """The name of the file that holds a filter, whatever it is called."""
    return f"{NAME}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def left_out(extra: Extra) -> str:
    """What of it Sieve can't say; empty where it can all be said."""
    match extra:
        case Redirection(to=to):
            return _bad_address(to)
        case Responder(text=text, subject=subject, begins=begins, ends=ends, copy_to=copy_to):
            if "\0" in text + subject or "\n" in subject or "\r" in subject:
                return "the auto-reply holds what no mail can: a NUL, or a line end in its subject"
            if not text:
                return "the auto-reply has no text"
            if any(each is not None and not 0 <= each <= _LATEST for each in (begins, ends)):
                return "the auto-reply begins or ends in a year that can't be said"
            return _bad_address(copy_to) if copy_to else ""
        case Filter(script=script):
            return "" if script else "the filter isn't written in Sieve; make it by hand"
        case _:
            return ""


def written(own: Own) -> str:
    """The script's text. Where one redirection keeps a copy, mail stays in the account; where none
    does, they end the script. Filters act on what stays."""
    needs: set[str] = set()
    blocks: list[str] = []
    onward = [each for each in own.extras if isinstance(each, Redirection)]
    keeps = any(each.copy for each in onward)
    ends = bool(onward) and not keeps
    for extra in _ordered(own.extras):
        match extra:
            case Responder():
                blocks.append(_responder(extra, needs))
            case Redirection(to=to):
                needs |= {"copy"} if keeps else set()
                blocks.append(f"redirect {':copy ' if keeps else ''}{_quoted(to)};")
            case Filter(name=name):
                if ends:
                    blocks.append("stop;")
                    ends = False
                needs.add("include")
                blocks.append(f"include :personal {_quoted(filter_name(name))};")
            case _:
                raise ValueError(f"{type(extra).__name__} is not written in Sieve")
    if ends:
        blocks.append("stop;")
    if own.before:
        needs.add("include")
        blocks.append(f"include :personal :optional {_quoted(own.before)};")
    demanded = ", ".join(_quoted(each) for each in sorted(needs))
    required = f"require [{demanded}];\n" if needs else ""
    return f"{_HEAD}{_told(own)}\n{required}" + "".join(f"{block}\n" for block in blocks)


def read(text: str, filters: Mapping[str, str]) -> Own | None:
    """What the script was made of; None where it isn't ours, or is no longer as we wrote it.
    `filters` are the texts of the files that hold filters, by name."""
    if not text.startswith(_HEAD):
        return None
    try:
        told = json.loads(text.removeprefix(_HEAD).partition("\n")[0])
        extras = [_whole(extra_of(each), filters) for each in told["extras"]]
        own = Own(tuple(extras), told["before"])
        return own if written(own) == text else None
    except (BadInput, ValueError, KeyError, TypeError, RecursionError):
        return None


def _told(own: Own) -> str:
    """What the script was made of, in one line; filters' scripts are in their own files."""
    extras = [
        written_extra(replace(each, script="") if isinstance(each, Filter) else each)
        for each in own.extras
    ]
    return json.dumps({"extras": extras, "before": own.before})


def _whole(extra: Extra, filters: Mapping[str, str]) -> Extra:
    if isinstance(extra, Filter):
        return replace(extra, script=filters.get(filter_name(extra.name), ""))
    return extra


def _ordered(extras: Sequence[Extra]) -> list[Extra]:
    """Answers first, then what goes on, then filters."""

    def place(extra: Extra) -> int:
        match extra:
            case Responder():
                return 0
            case Redirection():
                return 1
            case _:
                return 2

    return sorted(extras, key=place)


def _responder(extra: Responder, needs: set[str]) -> str:
    needs.add("vacation")
    subject = f" :subject {_quoted(extra.subject)}" if extra.subject else ""
    acts = f"vacation :days 1{subject} {_quoted(extra.text)};"
    if extra.copy_to:
        needs.add("copy")
        acts += f"\nredirect :copy {_quoted(extra.copy_to)};"
    tests = [
        f'currentdate :zone "+0000" :value "{relation}" "iso8601" "{_moment(moment)}"'
        for relation, moment in (("ge", extra.begins), ("lt", extra.ends))
        if moment is not None
    ]
    if not tests:
        return acts
    needs.update({"date", "relational"})
    return f"if allof ({', '.join(tests)}) {{\n{acts}\n}}"


def _moment(seconds: int) -> str:
    """As Pigeonhole writes `iso8601` in the zone +0000, so that texts compare as times do."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _bad_address(address: str) -> str:
    try:
        parts(address)
    except BadInput as error:
        return str(error)
    return ""
