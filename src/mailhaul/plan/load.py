"""Reading a plan: plan.toml and its list of mailboxes, refused whole with every mistake at once."""

import re
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from mailhaul.core.text import printable
from mailhaul.plan.dialects import Rows, read_rows
from mailhaul.plan.listing import listed
from mailhaul.plan.mistakes import Mistake, PlanErrors
from mailhaul.plan.model import ListedMailbox, Plan
from mailhaul.plan.shape import Lines, shaped
from mailhaul.plan.texts import read
from mailhaul.plan.toml_lines import lines_of
from mailhaul.plan.validate import cross_checks
from mailhaul.plan.validate_accounts import account_checks
from mailhaul.plan.validate_dns import dns_checks
from mailhaul.plan.validate_mailboxes import mailbox_checks

TOML_CURE = "save it as UTF-8"
CSV_CURE = "save it as “CSV UTF-8” (in Excel: Save as > CSV UTF-8)"
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load_plan(path: Path, *, now: datetime | None = None) -> Plan:
    """The plan of the file `path` and the list of mailboxes that it names, every moment aware.

    Raises `PlanErrors` with all that is wrong. Times that are past are wrong only as seen from
    `now` (aware); a plan that runs already is read without it. Secrets are not looked for, and
    nothing is connected.
    """
    mistakes: list[Mistake] = []
    text, wrong = read(path, TOML_CURE)
    raw, syntax = _parsed(text, path.name)
    if raw is None or wrong:
        raise PlanErrors([*wrong, *([] if wrong else syntax)])
    lines = Lines(path.name, lines_of(text))
    if "mailboxes" in raw:
        cure = f"list them in {raw.get('mailboxes_file', 'mailboxes.csv')}"
        told = lines.mistake(("mailboxes",), [], "plan.toml holds no mailboxes itself", cure)
        mistakes.append(told)
        del raw["mailboxes"]
    if "expect_text" in raw:
        told = lines.mistake(("expect_text",), {}, "this key is not known", "see [dns] expect")
        mistakes.append(told)
        del raw["expect_text"]
    plan, wrong = shaped(raw, lines)
    mistakes += wrong
    if plan is not None:
        file = path.parent / Path(plan.mailboxes_file).expanduser()
        mailboxes, wrong = _mailboxes(file, plan)
        mistakes += wrong
        plan = plan.model_copy(update={"mailboxes": mailboxes})
        expected, wrong = _expected(path.parent, plan)
        mistakes += wrong
        plan = plan.model_copy(update={"expect_text": expected})
        mistakes += cross_checks(plan, lines, now)
        mistakes += dns_checks(plan, lines)
        mistakes += account_checks(plan, lines)
        mistakes += mailbox_checks(plan, file.name, lines, path.parent)
    if mistakes or plan is None:
        raise PlanErrors(mistakes)
    return _aware(plan)


def password_mistake(rows: Rows, name: str) -> Mistake | None:
    """What is said when a list of mailboxes holds passwords: once, at the first of them."""
    holding = rows.with_passwords
    if not holding:
        return None
    text = "a password stands here"
    if len(holding) > 1:
        text += f", and in {len(holding) - 1} more rows"
    cure = f"run mailhaul init --import {name}, which moves them to where they may lie"
    return Mistake(name, holding[0].line, "", text, cure)


def _parsed(text: str, name: str) -> tuple[dict[str, Any] | None, list[Mistake]]:
    try:
        return tomllib.loads(text), []
    except tomllib.TOMLDecodeError as error:
        found = _AT.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        fact = _AT.sub("", str(error))
        # tomllib repeats what it could not read in quotes; it may be a secret.
        fact = re.sub(r": '.*'$|: \".*\"$", "", fact)
        said = f"this is not TOML: {printable(fact[:1].lower() + fact[1:], 200)}"
        cure = 'write key = "text", key = 1 or key = ["one", "two"], each on a line of its own'
        return None, [Mistake(name, line, "", said, cure)]


def _mailboxes(file: Path, plan: Plan) -> tuple[tuple[ListedMailbox, ...], list[Mistake]]:
    text, mistakes = read(file, CSV_CURE, "write it, or name another by mailboxes_file")
    if not text:
        empty = Mistake(file.name, 1, "", "the file is empty", "write a row for each mailbox")
        return (), mistakes or [empty]
    rows = read_rows(text, file.name)
    found, wrong = listed(rows, file.name, plan.source.url, plan.target.url)
    mistakes += [*rows.mistakes, *wrong]
    passwords = password_mistake(rows, file.name)
    if passwords is not None:
        mistakes.append(passwords)
    return found, mistakes


def _expected(directory: Path, plan: Plan) -> tuple[str | None, list[Mistake]]:
    """What the file that [dns] names says; whether it makes sense is for those who know DNS."""
    if plan.dns is None or not plan.dns.expect:
        return None, []
    file = directory / Path(plan.dns.expect).expanduser()
    return read(file, TOML_CURE, "write it, or name another by dns.expect")


def _aware(plan: Plan) -> Plan:
    """The plan with its own time zone at every moment that was written without one."""
    aware = _in_zone(plan.zone)
    return plan.model_copy(
        update={
            "cutover": aware(plan.cutover),
            "waves": tuple(
                wave.model_copy(update={"cutover": aware(wave.cutover)}) for wave in plan.waves
            ),
            "carry": plan.carry.model_copy(update={"since": aware(plan.carry.since)}),
            "accounts": plan.accounts
            and plan.accounts.model_copy(update={"begin": aware(plan.accounts.begin)}),
        }
    )


def _in_zone(zone: ZoneInfo) -> Callable[[datetime | None], datetime | None]:
    def aware(moment: datetime | None) -> datetime | None:
        if moment is None or moment.tzinfo is not None:
            return moment
        return moment.replace(tzinfo=zone)

    return aware
