"""Redirections, auto-replies and filters as one Sieve script (RFC 5228)."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mailhaul.providers.extras import Extra, Filter, Redirection, Responder

_REQUIRE = re.compile(r"""\s*require\s+(?:"([^"]*)"|\[([^\]]*)\])\s*;""")
_NAME = re.compile(r'"([^"]*)"')


def script(address: str, aliases: Sequence[str], extras: Sequence[Extra]) -> str:
    """What the account's mail is treated by; empty when it is simply kept. Redirections first, so
    that no filter's `stop` keeps mail from going on."""
    needs: set[str] = set()
    lines: list[str] = []
    onward = [each for each in extras if isinstance(each, Redirection)]
    copies = any(each.copy for each in onward)
    needs |= {"copy"} if copies else set()
    lines += [f"redirect {':copy ' if copies else ''}{quoted(each.to)};" for each in onward]
    for each in extras:
        if isinstance(each, Responder):
            lines += _answer(each, [address, *aliases], needs)
    for each in extras:
        if isinstance(each, Filter) and each.script:
            found, rest = _parted(each.script)
            needs |= found
            lines.append(rest.strip())
    if not lines:
        return ""
    require = ", ".join(quoted(name) for name in sorted(needs))
    return "\r\n".join([*([f"require [{require}];"] if needs else []), *lines, ""])


def quoted(text: str) -> str:
    """A quoted string (RFC 5228 section 2.4.2)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "") + '"'


def _answer(responder: Responder, addresses: Sequence[str], needs: set[str]) -> Iterator[str]:
    needs.add("vacation")
    subject = f":subject {quoted(responder.subject)} " if responder.subject else ""
    mine = ", ".join(quoted(each) for each in addresses)
    answer = (
        f"vacation :days 1 {subject}:from {quoted(addresses[0])} :addresses [{mine}] "
        f"{quoted(responder.text)};"
    )
    if responder.copy_to:
        needs.add("copy")
        answer += f" redirect :copy {quoted(responder.copy_to)};"
    tests = [
        f'currentdate :zone "+0000" :value "{compares}" "iso8601" "{_moment(at)}"'
        for at, compares in ((responder.begins, "ge"), (responder.ends, "lt"))
        if at is not None
    ]
    if tests:
        needs |= {"date", "relational"}
        answer = f"if allof ({', '.join(tests)}) {{ {answer} }}"
    yield answer


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _parted(text: str) -> tuple[set[str], str]:
    """The extensions that a script requires, which have to stand before everything else (RFC 5228
    section 3.2), and what follows."""
    needs: set[str] = set()
    while found := _REQUIRE.match(text):
        needs |= {found[1]} if found[1] is not None else set(_NAME.findall(found[2]))
        text = text[found.end() :]
    return needs, text
