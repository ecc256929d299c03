"""What the commands about accounts show: to a person, and as lines of JSON. Pure; nothing here
prints."""

from collections.abc import Iterator, Sequence

from mailhaul.cli.blocks import Block, Json, Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.extra_words import words_of
from mailhaul.cli.figures import octets, plural
from mailhaul.core.text import printable
from mailhaul.journey.bulk import kind_of
from mailhaul.providers.actions import Action, Add, Configure, Create
from mailhaul.providers.making import Fate, Looked, Made, address_of

LONGEST = 300
SHOWN = 50
"""So many are shown one by one; the rest are in `--json`."""
_TONES = {
    Fate.THERE: Tone.PLAIN,
    Fate.MADE: Tone.GOOD,
    Fate.WAITS: Tone.WARNING,
    Fate.FAILED: Tone.BAD,
}


def made_words(action: Action) -> str:
    """What it makes, in words."""
    address = printable(address_of(action), 200)
    match action:
        case Configure(placeholder=placeholder):
            return f"mailbox {address} (from {printable(placeholder, 120)})"
        case Create(quota=int(quota)):
            return f"mailbox {address} ({octets(quota)})"
        case Create():
            return f"mailbox {address}"
        case Add(extra=extra):
            said = printable(extra.address, 120) if address != extra.address else words_of(extra)
            return f"{kind_of(action)} {address} ({said})"
        case _:
            raise AssertionError(f"{type(action).__name__} makes nothing")


def looked_blocks(
    looked: Sequence[Looked], free: int | None, lack: str, *, dry: bool
) -> list[Block]:
    """What would be made, for a person."""
    there = [each for each in looked if each.holds]
    barred = [each for each in looked if each.why]
    fresh = [each for each in looked if not each.holds and not each.why]
    blocks: list[Block] = []
    if fresh:
        blocks.append(Line("would be made:" if dry else "is made:", Tone.HEADING))
        blocks += _some(f"  + {made_words(each.action)}" for each in fresh)
    if barred:
        blocks.append(Line("can't be made:", Tone.HEADING))
        blocks += _some((f"  ✗ {made_words(each.action)}: {each.why}" for each in barred), Tone.BAD)
    counted = [f"{len(fresh)} to be made", f"{len(there)} there already"]
    counted += [f"{len(barred)} can't be"] if barred else []
    counted += [f"{plural(free, 'account')} free"] if free is not None else []
    blocks.append(Line(", ".join(counted), Tone.GOOD if not fresh and not barred else Tone.PLAIN))
    if lack:
        blocks.append(Line(lack, Tone.BAD))
    elif dry and fresh:
        blocks.append(Line("nothing was changed; --go makes it", Tone.FAINT))
    return blocks


def looked_line(each: Looked) -> dict[str, Json]:
    """One that is wanted, for `--json`."""
    return {
        "event": "account_wanted",
        "kind": kind_of(each.action).value,
        "address": printable(address_of(each.action), LONGEST),
        "placeholder": _placeholder(each.action),
        "there": each.holds,
        "lines": [printable(text, 1000) for text in each.lines],
        "why": each.why,
    }


def looked_end(
    plan: str, looked: Sequence[Looked], free: int | None, lack: str, code: Exit
) -> dict[str, Json]:
    """The end of the look, for `--json`."""
    return {
        "event": "accounts_wanted",
        "plan": plan,
        "to_make": sum(not each.holds and not each.why for each in looked),
        "there": sum(each.holds for each in looked),
        "barred": sum(bool(each.why) for each in looked),
        "free": free,
        "lacking": lack,
        "exit": code.value,
    }


def made_remark(made: Made) -> str:
    """One that has ended, as a remark."""
    said = f": {made.said}" if made.said else ""
    return f"{made.fate}: {made_words(made.action)}{said}"


def made_line(made: Made) -> dict[str, Json]:
    """The same for `--json`."""
    return {
        "event": "account_made",
        "kind": kind_of(made.action).value,
        "address": printable(address_of(made.action), LONGEST),
        "placeholder": _placeholder(made.action),
        "fate": made.fate.name.lower(),
        "said": made.said,
    }


def made_blocks(made: Sequence[Made]) -> list[Block]:
    """What came of all, for a person: those that lack first by name."""
    blocks: list[Block] = []
    for fate in (Fate.FAILED, Fate.WAITS):
        those = [each for each in made if each.fate is fate]
        blocks += _some((made_remark(each) for each in those), _TONES[fate])
    counted = [(fate, sum(each.fate is fate for each in made)) for fate in Fate]
    text = ", ".join(f"{number} {fate}" for fate, number in counted if number) or "nothing wanted"
    lacks = any(each.fate in (Fate.FAILED, Fate.WAITS) for each in made)
    blocks.append(Line(text, Tone.WARNING if lacks else Tone.GOOD))
    return blocks


def made_end(plan: str, made: Sequence[Made], code: Exit) -> dict[str, Json]:
    """The end, for `--json`."""
    return {
        "event": "accounts_made",
        "plan": plan,
        **{fate.name.lower(): sum(each.fate is fate for each in made) for fate in Fate},
        "exit": code.value,
    }


def _placeholder(action: Action) -> str | None:
    return printable(action.placeholder, LONGEST) if isinstance(action, Configure) else None


def _some(texts: Iterator[str], tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    """The first of them, and how many more there are."""
    more = 0
    for number, text in enumerate(texts):
        if number < SHOWN:
            yield Line(text, tone)
        else:
            more += 1
    if more:
        yield Line(f"  and {more} more", tone)
