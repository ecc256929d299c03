"""A plan written down: plan.toml with comments, and mailboxes.csv."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from mailhaul.plan.dialects import COLUMNS
from mailhaul.plan.model import ListedMailbox
from mailhaul.plan.presets import PRESETS


@dataclass(frozen=True, slots=True)
class Side:
    """One mail system of a plan to be written. `secret` is a reference, `preset` a name of
    `presets`; either may be empty."""

    url: str
    secret: str = ""
    preset: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a plan to be written says. `cutover` is as TOML writes a time; empty: not yet known."""

    name: str
    time_zone: str
    source: Side
    target: Side
    mailboxes: tuple[ListedMailbox, ...]
    cutover: str = ""
    waves: tuple[str, ...] = ()


def plan_text(draft: Draft, mailboxes_file: str) -> str:
    """plan.toml, with what can be set and isn't as comments."""
    return _PLAN.format(
        name=_quoted(draft.name),
        time_zone=_quoted(draft.time_zone),
        cutover=f"cutover = {draft.cutover}"
        if draft.cutover
        else "# cutover = 2030-01-31 20:00:00",
        file=_quoted(mailboxes_file),
        source=_system(draft.source),
        target=_system(draft.target),
        waves="".join(f"\n[[waves]]\nname = {_quoted(name)}\n" for name in draft.waves)
        or '\n# [[waves]]\n# name = "pilot"\n# cutover = 2030-01-24 20:00:00\n',
    )


def mailboxes_text(mailboxes: Sequence[ListedMailbox]) -> str:
    """mailboxes.csv in our own dialect, with the columns that say something."""
    said = [
        column
        for column in COLUMNS
        if column == "address" or any(getattr(each, column) for each in mailboxes)
    ]
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(said)
    rows.writerows([getattr(each, column) for column in said] for each in mailboxes)
    return file.getvalue()


def _system(side: Side) -> str:
    lines = [f"url = {_quoted(side.url)}"]
    if side.secret:
        lines.append(f"secret = {_quoted(side.secret)}")
    if side.preset:
        remark = PRESETS[side.preset].remark
        lines.append(f"preset = {_quoted(side.preset)}  # {remark}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_PLAN = """\
# A plan for mailhaul. Check it with: mailhaul plan check PLAN
# Every key is explained in docs/plan.md.

name = {name}

# Of every time below that is written without an offset.
time_zone = {time_zone}

# When mail is switched to the target. May be filled in later.
{cutover}

mailboxes_file = {file}

# Where the mail is. Nothing is ever written there.
# {{address}}, {{user}} and {{domain}} are filled in for each mailbox. `secret` says where its
# password lies, never what it is: file:PATH, env:NAME, keyring:SERVICE/USER, vault:NAME,
# oauth:NAME or command:WORDS.
[source]
{source}
# connections_each = 2

# More, or less, than the preset allows, for all mailboxes together:
# [source.budget]
# connections = 20
# messages_per_second = 50.0
# octets_per_day = 100_000_000_000

# Where it goes.
[target]
{target}

[carry]
# exclude = ["Trash", "Junk*"]
# map = {{ "Sent Items" = "Sent" }}
# since = 2020-01-01
# prestage_older_than = "30d"
# order = "newest-first"
delete = "never"

# Between the initial copy and the cutover.
[deltas]
every = "24h"

# After the cutover, for mail that still went to the old system.
[sweeps]
every = "1h"
for = "48h"
until_quiet = 3

# When initial copies and deltas may run; without it, always.
# [hours]
# start = "20:00"
# end = "06:00"
# days = [1, 2, 3, 4, 5]

# Who may open which gate; without names, anybody who gives a name.
[gates]
# objects = ["Ada Example"]
# go = ["Ada Example"]
# sign_off = ["Ada Example"]

# Which way mail goes by DNS; looked at, and switched when the gate go is opened.
# [dns]
# profile = "exchange-online"
# values = {{ tenant = "example" }}
# [dns.writer]
# kind = "manual"
# [canary]
# on = true

# Moving the accounts themselves at their hosters, before their mail (docs/accounts.md).
# [source.provider]
# kind = "ovh-mxplan"
# service = "mxplan-ab12345-1"
# secret = "file:secrets/ovh"
# [target.provider]
# kind = "ovh-exchange"
# service = "hosted-ab12345-1"
# secret = "file:secrets/ovh"
# [accounts]
# extras = "carry"

# Mailboxes that move together; the column wave of the list says which.
{waves}"""
