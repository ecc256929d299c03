"""The report's documents from one value: a page that prints well, tables, JSON. Same figures."""

import dataclasses
import json
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from mailhaul import __version__
from mailhaul.core.text import octets
from mailhaul.journey.account import FIGURES
from mailhaul.report import words
from mailhaul.report.figures import Report
from mailhaul.report.spreadsheet import csv_text

FATES = FIGURES[1:]


def as_json(report: Report) -> str:
    """Everything, with the sums."""
    whole = dataclasses.asdict(report)
    whole["version"] = __version__
    whole["account"] = dataclasses.asdict(report.account)
    whole["octets"] = report.octets
    whole["waits"] = report.waits
    for shown, mailbox in zip(whole["mailboxes"], report.mailboxes, strict=True):
        shown["reasons"] = mailbox.reasons
        for one, each in zip(shown["passes"], mailbox.passes, strict=True):
            one["seconds"], one["rate"] = each.seconds, each.rate
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def mailboxes_csv(report: Report) -> str:
    """A row a mailbox."""
    names = ("address", "wave", "source", "target", "state", "grade")
    rows = [
        [
            *(str(getattr(mailbox, name)) for name in names),
            *(str(getattr(mailbox.account, name)) for name in FIGURES),
            str(mailbox.octets),
            str(len(mailbox.passes)),
            mailbox.reason,
        ]
        for mailbox in report.mailboxes
    ]
    heads = [*names, *FIGURES, "octets", "passes", "reason"]
    return csv_text(heads, rows)


def folders_csv(report: Report) -> str:
    """A row a folder of a mailbox."""
    rows = [
        [
            mailbox.address,
            folder.source,
            folder.target,
            *(str(getattr(folder.account, name)) for name in FIGURES),
        ]
        for mailbox in report.mailboxes
        for folder in mailbox.folders
    ]
    return csv_text(["address", "source", "target", *FIGURES], rows)


def leftovers_csv(report: Report) -> str:
    """A row a message that was not carried."""
    names = ("folder", "key", "fate", "reason", "subject", "saved", "approved_by")
    rows = [
        [mailbox.address, *(str(getattr(each, name) or "") for name in names)]
        for mailbox in report.mailboxes
        for each in mailbox.leftovers
    ]
    return csv_text(["address", *names], rows)


def as_html(report: Report, key: str = "") -> str:
    """One file without anything outside of it: no script, no picture, no font. `key` is the
    fingerprint of who signs the manifest."""
    zone = ZoneInfo(report.time_zone)
    environment = Environment(
        loader=PackageLoader("mailhaul.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = lambda at: words.moment(at, zone)
    environment.filters["lasted"] = words.lasted
    environment.filters["octets"] = octets
    environment.filters["number"] = words.number
    page = environment.get_template("page.html")
    return page.render(report=report, fates=FATES, key=key, version=__version__)
