"""`mailhaul init`: a plan from a few answers, or from flags."""

import os
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailhaul.cli.blocks import Line, Tone
from mailhaul.cli.exits import Exit
from mailhaul.cli.figures import plural
from mailhaul.cli.options import Arguments, Command, Group, Operand, Option
from mailhaul.cli.plan_files import plan_path
from mailhaul.cli.sides import DEBUG
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

if TYPE_CHECKING:
    from mailhaul.plan.drafts import ImportedList, Password
    from mailhaul.plan.mistakes import PlanErrors
    from mailhaul.plan.writing import Draft

# ruff: noqa: PLC0415 - what reads and writes plans takes pydantic with it.

WAYS = ("files", "vault", "leave-out")


def init(arguments: Arguments, surroundings: Surroundings) -> Exit:
    """Writes a plan and its list of mailboxes, if neither is there. Raises `BadInput`."""
    from mailhaul.plan.drafts import draft_problems, write_draft

    path = plan_path(arguments.text("PATH") or ".")
    asks = not arguments.given("--yes") and sys.stdin.isatty()
    _refuse_existing(path)
    draft, passwords, imported = _draft(arguments, surroundings, path, asks)
    problems = draft_problems(draft, surroundings.now(), imported)
    if problems is not None:
        raise BadInput(_told(problems, imported))
    way = _way(arguments, surroundings, passwords, asks)
    draft = _kept(draft, passwords, way, path.parent, surroundings)
    write_draft(draft, path)
    _show(draft, path, way, passwords, imported, surroundings)
    return Exit.COMPLETE


def local_zone(environ: Mapping[str, str], link: Path) -> str:
    """This machine's time zone by its IANA name; UTC when it can't be told."""
    from mailhaul.plan.moments import zone_fault

    linked = str(link.resolve()).rpartition("zoneinfo/")[2] if link.exists() else ""
    for name in (environ.get("TZ", "").removeprefix(":"), linked):
        if name and zone_fault(name) is None:
            return name
    return "UTC"


def _refuse_existing(path: Path) -> None:
    for each in (path, path.parent / "mailboxes.csv"):
        if os.path.lexists(each):
            raise BadInput(
                f"{printable(str(each), 200)} is there already and is never overwritten; "
                "name another directory"
            )


def _draft(
    arguments: Arguments, surroundings: Surroundings, path: Path, asks: bool
) -> tuple["Draft", "tuple[Password, ...]", str]:
    """What the flags and the answers say, the passwords of an imported list, and its name."""
    from mailhaul.plan.drafts import imported_list, system_for, typed_list
    from mailhaul.plan.writing import Draft

    ask = surroundings.console.ask if asks else _nobody
    given = arguments.text("--import")
    addresses = arguments.texts("--mailbox")
    if given and addresses:
        raise BadInput("--import and --mailbox exclude each other; give one")
    foreign = None if given is None else imported_list(Path(given).expanduser())
    hosts = ("", "") if foreign is None else foreign.hosts
    sides = []
    for side, host in zip(("source", "target"), hosts, strict=True):
        url = arguments.text(f"--{side}") or ask(
            f"{side}: host, or endpoint with {{address}}", host
        )
        if not url and not host:
            raise BadInput(
                f"which {side}? give --{side} HOST, or an endpoint with {{address}} in it"
            )
        sides.append(system_for(url or host, arguments.text(f"--{side}-secret"), side))
    if foreign is None and not addresses and asks:
        foreign, addresses = _asked_mailboxes(surroundings)
    if foreign is None and not addresses:
        raise BadInput("which mailboxes? give --mailbox ADDRESS (repeated), or --import CSV")
    mailboxes = typed_list(addresses) if foreign is None else foreign.listed(*sides)
    name = arguments.text("--name") or ask("name of the plan", _usual_name(mailboxes[0].address))
    zone = local_zone(surroundings.environ, Path("/etc/localtime"))
    zone = arguments.text("--time-zone") or ask("time zone of all times", zone) or zone
    cutover = arguments.text("--cutover")
    if cutover is None:
        cutover = ask("cutover, like 2030-01-31 20:00 (empty: not yet known)")
    draft = Draft(
        name=name or _usual_name(mailboxes[0].address),
        time_zone=zone,
        source=sides[0],
        target=sides[1],
        mailboxes=mailboxes,
        cutover=_toml_time(cutover) if cutover else "",
        waves=tuple(dict.fromkeys(each.wave for each in mailboxes if each.wave)),
    )
    if foreign is None:
        return draft, (), ""
    return draft, foreign.passwords, foreign.file


def _nobody(question: str, usual: str = "") -> str:
    """Where nobody is asked."""
    return usual


def _asked_mailboxes(
    surroundings: Surroundings,
) -> "tuple[ImportedList | None, tuple[str, ...]]":
    from mailhaul.plan.drafts import imported_list

    ask = surroundings.console.ask
    surroundings.console.tell("mailboxes: addresses, one a line, or the name of a CSV file")
    found: list[str] = []
    while word := ask("  mailbox (empty: that is all)"):
        if "@" not in word and Path(word).expanduser().is_file():
            return imported_list(Path(word).expanduser()), ()
        found.append(word)
    return None, tuple(found)


def _usual_name(address: str) -> str:
    return address.rpartition("@")[2] or address


def _toml_time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(
            f"--cutover {printable(text, 60)} is no date and time; write it as 2030-01-31 20:00"
        ) from error
    if len(text.strip()) <= len("2030-01-31"):
        raise BadInput(
            f"--cutover {printable(text, 60)} has no time of day; write it as 2030-01-31 20:00"
        )
    return moment.isoformat(sep=" ", timespec="seconds")


def _told(problems: "PlanErrors", imported: str) -> str:
    """The mistakes without the lines of files that aren't written."""
    lines = []
    for each in problems.mistakes:
        value = f"{each.value}: " if each.value else ""
        where = f"{imported}:{each.line}: " if imported and each.file == imported else ""
        lines.append(f"{where}{value}{each.text}; {each.cure}")
    return "\n".join(["nothing was written, for this would be no plan:", *lines])


def _way(
    arguments: Arguments,
    surroundings: Surroundings,
    passwords: "tuple[Password, ...]",
    asks: bool,
) -> str:
    """Where passwords of an imported list go."""
    way = arguments.text("--passwords")
    if not passwords:
        return ""
    if way is None and asks:
        surroundings.console.tell(
            f"the list holds {plural(len(passwords), 'password')}; a plan never does. They can be "
            "moved to files of their own (readable by you alone), into the vault, or be left out"
        )
        way = surroundings.console.ask(f"passwords to: {', '.join(WAYS)}", "files")
    if way not in WAYS:
        raise BadInput(
            f"the list holds {plural(len(passwords), 'password')}, and a plan never does; say "
            f"where to move them: --passwords {' | '.join(WAYS)}"
        )
    return way


def _kept(
    draft: "Draft",
    passwords: "tuple[Password, ...]",
    way: str,
    directory: Path,
    surroundings: Surroundings,
) -> "Draft":
    """Moves the passwords to where they may lie; the plan refers to them there."""
    from mailhaul.plan.drafts import keep_in_files, referring

    for each in passwords:
        surroundings.scrubber.learn(each.secret, each.address)
    if way == "files":
        keep_in_files(passwords, directory)
        return referring(draft, "file:secrets/{side}/{address}", passwords)
    if way == "vault":
        from mailhaul.vault.usual import usual_vault

        vault = usual_vault(surroundings.environ)
        if vault is None:
            raise BadInput(
                "there is no vault yet; mailhaul vault set makes one; or choose --passwords files"
            )
        for each in passwords:
            vault.set(f"{each.side}/{each.address}", each.secret)
        return referring(draft, "vault:{side}/{address}", passwords)
    return draft


def _show(
    draft: "Draft",
    path: Path,
    way: str,
    passwords: "tuple[Password, ...]",
    imported: str,
    surroundings: Surroundings,
) -> None:
    console = surroundings.console
    shown = printable(str(path), 200)
    quoted = shlex.quote(shown)
    mailboxes = plural(len(draft.mailboxes), "mailbox", "mailboxes")
    lines = [Line(f"wrote {shown} and mailboxes.csv: {mailboxes}", Tone.GOOD)]
    moved = passwords if way != "leave-out" else ()
    if moved:
        where = "files below secrets/" if way == "files" else "the vault"
        lines.append(Line(f"moved {plural(len(moved), 'password')} into {where}"))
    if passwords:
        text = f"{imported} still holds every password: delete it once you have looked at the plan"
        lines.append(Line(text, Tone.WARNING))
    for side, system in (("source", draft.source), ("target", draft.target)):
        known = any(each.side == side for each in moved)
        if system.secret.startswith("file:") and not known:
            text = f"each {side} password is looked for in {system.secret.removeprefix('file:')}"
            lines.append(Line(f"{text}, beside the plan"))
    lines += [Line(), Line("next:"), Line(f"  mailhaul plan check {quoted}")]
    lines.append(Line(f"  mailhaul plan show {quoted}"))
    console.show(lines)


COMMAND = Command(
    name="init",
    summary="write a plan: what moves from where to where, when",
    story=(
        "Writes plan.toml, with comments, and mailboxes.csv into the directory PATH (or beside "
        "PATH, if it ends in .toml). Asks at a terminal for what no option says. What it writes "
        "passes mailhaul plan check; nothing is ever overwritten."
        "\n\n"
        "--import takes the list of mailboxes from a CSV of ours, of Microsoft, of OVH Mail "
        "Migrator or of imapsync (docs/plan.md). Passwords in it never get into the plan; "
        "--passwords says where they go."
    ),
    operands=(Operand("PATH", "a directory, or a file ending in .toml; here", optional=True),),
    groups=(
        Group(
            "what moves",
            (
                Option(
                    "--source",
                    "host, or endpoint with {address}, {user}, {domain} in it, like "
                    "imaps://{address}@old.example",
                    "SYSTEM",
                ),
                Option("--target", "the same for where it goes", "SYSTEM"),
                Option("--mailbox", "one mailbox; may be repeated", "ADDRESS", repeated=True),
                Option("--import", "all mailboxes of this list", "CSV"),
            ),
        ),
        Group(
            "when",
            (
                Option("--cutover", "when mail is switched: 2030-01-31 20:00", "TIME"),
                Option("--time-zone", "of all times; otherwise this machine's", "ZONE"),
            ),
        ),
        Group(
            "secrets (never on the command line; docs/secrets.md)",
            (
                Option(
                    "--source-secret",
                    "where each password lies, like file:secrets/{address} or vault:{address}",
                    "REFERENCE",
                ),
                Option("--target-secret", "the same for the target", "REFERENCE"),
                Option(
                    "--passwords",
                    "passwords in the imported list go into files beside the plan, into the vault, "
                    "or are left out",
                    "WHERE",
                    choices=WAYS,
                ),
            ),
        ),
        Group(
            "more",
            (
                Option("--name", "what the plan is called; otherwise the domain", "NAME"),
                Option("--yes", "ask nothing; take the usual"),
                DEBUG,
            ),
        ),
    ),
    run=init,
    examples=(
        "mailhaul init",
        "mailhaul init move --source old.example --target new.example --import users.csv",
    ),
    exits=(Exit.COMPLETE, Exit.USAGE, Exit.INTERRUPTED),
)
