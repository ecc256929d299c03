"""What stands beside accounts and what becomes of it: to a person, as a table, as lines of JSON.
Pure; nothing here prints."""

from collections.abc import Sequence

from mailhaul.cli.blocks import Block, Json, Line, Table, Tone
from mailhaul.cli.extra_words import kind_of, words_of
from mailhaul.core.text import plural, printable
from mailhaul.journey.inventory import Course, Entry
from mailhaul.report.spreadsheet import csv_text

LONGEST = 300
_HEADS = ("address", "what", "says", "at the target")


def inventory_blocks(found: Sequence[Entry]) -> list[Block]:
    """The list for a person, what is left to him last."""
    if not found:
        return [Line("nothing stands beside these accounts", Tone.GOOD)]
    order = tuple(Course)
    rows = tuple(_row(each) for each in sorted(found, key=lambda one: order.index(one.course)))
    return [Table(_HEADS, rows), Line(_counted(found), Tone.FAINT)]


def inventory_csv(found: Sequence[Entry]) -> str:
    """The same as a table for a spreadsheet."""
    return csv_text(_HEADS, map(_row, found))


def inventory_line(each: Entry) -> dict[str, Json]:
    """One of them for `--json`."""
    return {
        "event": "beside",
        "address": printable(each.extra.address, LONGEST),
        "kind": kind_of(each.extra),
        "text": words_of(each.extra),
        "course": each.course.name.lower(),
        "why": each.why,
    }


def inventory_end(plan: str, found: Sequence[Entry]) -> dict[str, Json]:
    """The end for `--json`."""
    return {
        "event": "inventory",
        "plan": plan,
        **{course.name.lower(): sum(e.course is course for e in found) for course in Course},
    }


def _row(each: Entry) -> tuple[str, ...]:
    address = printable(each.extra.address, 200)
    course = f"{each.course}: {each.why}" if each.why else each.course.value
    return address, kind_of(each.extra), words_of(each.extra), course


def _counted(found: Sequence[Entry]) -> str:
    by_hand = sum(each.course is Course.BY_HAND for each in found)
    return f"{plural(len(found), 'thing')}, of which {by_hand} to be made by hand"
