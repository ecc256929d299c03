"""The text of an SPF record (RFC 7208): read into terms, merged, and written again.

Nothing here asks anybody; `dns.checks.spf` follows the includes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

VERSION = "v=spf1"
MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})
ASKING = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
"""Terms that cost one of the ten look-ups (RFC 7208 section 4.6.4)."""

_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_MECHANISM = re.compile(r"([-+~?]?)([A-Za-z][A-Za-z0-9_-]*)(.*)")
_LENIENT = ("+", "?", "~", "-")
"""Qualifiers, the most lenient first."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term. `rest` is what follows the name, with its `:` or `/` (`:_spf.example.org`,
    `/24`); of a modifier, what follows `=`."""

    name: str
    rest: str = ""
    qualifier: str = "+"
    modifier: bool = False

    @property
    def target(self) -> str:
        """The domain, network or macro text it names, or empty; without a prefix length, but
        that of `ip4` and `ip6` belongs to their value."""
        if self.modifier:
            return self.rest
        if not self.rest.startswith(":"):
            return ""
        value = self.rest[1:]
        return value if self.name in ("ip4", "ip6") else value.partition("/")[0]

    @property
    def same(self) -> tuple[str, str, bool]:
        """What makes two terms one term, whatever their qualifiers."""
        return self.name, self.rest.casefold().rstrip("."), self.modifier

    def __str__(self) -> str:
        if self.modifier:
            return f"{self.name}={self.rest}"
        sign = "" if self.qualifier == "+" else self.qualifier
        return f"{sign}{self.name}{self.rest}"


def is_spf(text: str) -> bool:
    """Whether receivers take a TXT record for SPF (RFC 7208 section 4.5)."""
    return text.casefold() == VERSION or text.casefold().startswith(f"{VERSION} ")


def looks_like_spf(text: str) -> bool:
    """Whether a person meant it as SPF though no receiver reads it so."""
    bare = text.casefold().lstrip("\"' \t")
    return not is_spf(text) and re.match(r"(v\s*=\s*)?spf\s*[-=:]?\d|v=spf", bare) is not None


def term_of(text: str) -> Term:
    """One term. Raises `BadInput` for what no term can be."""
    modifier = _MODIFIER.fullmatch(text)
    if modifier:
        return Term(modifier[1].casefold(), modifier[2], modifier=True)
    mechanism = _MECHANISM.fullmatch(text)
    if mechanism is None or (mechanism[3] and mechanism[3][0] not in ":/"):
        raise BadInput(f"“{printable(text, 80)}” is no SPF term")
    name = mechanism[2].casefold()
    if name not in MECHANISMS:
        raise BadInput(f"“{printable(text, 80)}” names no SPF mechanism")
    if name in ("include", "exists", "ip4", "ip6") and not re.match(r":[^/]", mechanism[3]):
        raise BadInput(f"“{printable(text, 80)}” doesn't say what it is about")
    if name == "all" and mechanism[3]:
        raise BadInput(f"“{printable(text, 80)}”: nothing may follow “all”")
    return Term(name, mechanism[3], mechanism[1] or "+")


def terms_of(record: str) -> tuple[Term, ...]:
    """The terms of a record that `is_spf`, in order. Raises `BadInput` at the first bad one."""
    return tuple(term_of(word) for word in record[len(VERSION) :].split(" ") if word)


def merged(
    records: Sequence[str],
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    closing: str = "",
) -> str:
    """One SPF record in place of those that stand: `add` is in it, just before its end; `remove`
    is not; all else is kept in its order. Two records, which are an error to every receiver,
    become one, with the more lenient of their ends. What stood behind the end, where nobody reads
    it, comes before it. `closing` (`-all`) replaces the end; without, and where there is none yet,
    it is `~all`. A record that says the same already comes back to the letter.

    Raises `BadInput` for a record that can't be read: it is not rewritten by guess.
    """
    standing: dict[tuple[str, str, bool], Term] = {}
    ends: list[Term] = []
    for term in (term for record in records for term in terms_of(record)):
        if term.name == "all" and not term.modifier:
            ends.append(term)
        else:
            standing.setdefault(term.same, term)
    gone = {term_of(text).same for text in remove}
    wanted = [term_of(text) for text in add]
    kept = [each for same, each in standing.items() if same not in gone]
    signs = {each.same: each.qualifier for each in wanted}
    kept = [replace(each, qualifier=signs.get(each.same, each.qualifier)) for each in kept]
    there = {each.same for each in kept}
    new = [each for each in wanted if each.same not in there]
    redirects = [each for each in kept if each.modifier]
    mechanisms = [each for each in kept if not each.modifier]
    end = _end(ends, closing, redirected=any(each.name == "redirect" for each in redirects))
    if end is not None:
        # Where there is an "all", a redirect is never looked at (RFC 7208 section 6.1).
        redirects = [each for each in redirects if each.name != "redirect"]
    words = [VERSION, *map(str, mechanisms), *map(str, new)]
    if end is not None:
        words.append(str(end))
    text = " ".join([*words, *map(str, redirects)])
    unchanged = len(records) == 1 and terms_of(records[0]) == terms_of(text)
    return records[0] if unchanged else text


def _end(ends: Sequence[Term], closing: str, *, redirected: bool) -> Term | None:
    """None: the record goes on with its redirect."""
    if closing:
        return term_of(closing)
    if ends:
        lenient = min(ends, key=lambda each: _LENIENT.index(each.qualifier))
        return lenient
    return None if redirected else Term("all", qualifier="~")
