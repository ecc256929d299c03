"""Canary mail in one line, and as figures of `--json`, as two commands show it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Json
from mailhaul.cli.figures import count, plural

if TYPE_CHECKING:
    from mailhaul.journey.canary_account import CanaryFigures


def canary_words(figures: "CanaryFigures") -> str:
    """What canary mail has shown, in one line."""
    told = []
    if figures.wanted:
        what = f"{count(figures.accepted)} of {plural(figures.wanted, 'address', 'addresses')} "
        what += "accepted by the new system's host"
        rest = figures.wanted - figures.asked
        more = [(figures.refused, "refused"), (rest, "not asked about yet")]
        told.append(_listed(what, more))
    if figures.sent or figures.unsent or figures.bounced:
        what = f"{plural(figures.sent, 'message')} sent, {count(figures.arrived)} arrived"
        if figures.middle is not None:
            what += f" after {figures.middle:.0f} s, at most {figures.seconds[-1]:.0f} s"
        more = [
            (figures.under_way, "on the way"),
            (figures.at_old, "in the old mailbox"),
            (figures.lost, "missing"),
            (figures.bounced, "refused"),
            (figures.unsent, "not sent"),
        ]
        told.append(_listed(what, more))
    if figures.by_old:
        what = f"{plural(figures.by_old, 'message')} given to the old host"
        places = [
            (figures.by_old_at_old, "in the old mailbox"),
            (figures.by_old_at_new, "in the new one"),
        ]
        told.append(_listed(what, places))
    return "; ".join(told) or "nothing asked or sent yet"


def figures_json(figures: "CanaryFigures") -> dict[str, Json]:
    """Figures as `--json` has them."""
    found: dict[str, Json] = asdict(figures)
    del found["domain"], found["seconds"]
    found["median_seconds"] = figures.middle
    found["longest_seconds"] = figures.seconds[-1] if figures.seconds else None
    return found


def _listed(first: str, more: list[tuple[int, str]]) -> str:
    return ", ".join([first, *(f"{count(number)} {what}" for number, what in more if number)])
