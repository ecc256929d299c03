"""The edge of the program: from a command line to an exit code.

Nothing is imported before it is needed: which command it is, is known first. Every error ends
here, as one sentence for a person.
"""

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from datetime import datetime

from mailhaul import __version__
from mailhaul.cli.exits import Exit, exit_for
from mailhaul.cli.options import Command, help_text
from mailhaul.cli.render import Console
from mailhaul.cli.scrub import Scrubber
from mailhaul.cli.surroundings import Surroundings
from mailhaul.core.errors import BadInput, MailhaulError
from mailhaul.core.text import printable

SUMMARIES = {
    "copy": "carry a mailbox into another one; again: what is new since",
    "verify": "prove that a target holds what its source holds",
    "ls": "list a mailbox: folders, roles, counts, sizes, quota, abilities",
    "doctor": "connect step by step and say what fails and where the switch is",
    "init": "write a plan: what moves from where to where, when",
    "plan check": "read a plan and name every mistake by its line",
    "plan show": "show a plan: waves, mailboxes, sizes, how long it will take",
    "plan schema": "print the JSON Schema of plan.toml, for editors",
    "check": "look at every mailbox of a plan and say what will go wrong, before it does",
    "rehearse": "play a plan through with stand-ins for its mail systems, days in minutes",
    "run": "load a plan, start it and work on it here, until only people are waited for",
    "worker": "work on the plans that have been started, until asked to stop",
    "start": "load a plan, or what has changed in it, and let its mailboxes begin",
    "status": "show how a plan stands: states, figures, what waits for what, what is next",
    "canary": "list the probes and marked messages of a plan, and what came of each",
    "log": "tell what happened in a plan, and prove that nothing of it was changed",
    "pause": "stop mailboxes of a plan at the next message boundary, until resume",
    "resume": "let paused mailboxes go on where they were",
    "retry": "try again where a person had to act",
    "sync": "have what is new carried now, instead of at the next time due",
    "approve": "open a gate, or accept what could not be carried, as a named person",
    "cutover": "show a wave's cutover step by step, and what it would write; --go makes it",
    "complete": "sign off verified mailboxes; with all of them the plan is complete",
    "return": "turn mail back to the old system, with what arrived on the new one meanwhile",
    "undo": "remove what one pass wrote, unless its user has touched it since",
    "cancel": "end journeys for good; what was carried is kept or undone, as asked",
    "report": "write a plan's report: page, tables, JSON and a signed list of all messages",
    "report verify": "check that a report is as it was signed, down to every message's line",
    "db move": "carry an installation from one machine's files to PostgreSQL",
    "dns check": "say what DNS says of a domain, what it should say, and what to write",
    "dns plan": "show what is to be written to a plan's zones: now, with the switch, at the end",
    "dns apply": "write what does no harm ahead of the switch, and tidy up after the sweeps",
    "dns verify": "ask every server now whether it says what should stand at this moment",
    "dns return": "put the records back that were written last, exactly as they were",
    "provider show": "show what a plan's providers say of their services, and what they can do",
    "provider done": "say by name that a task is done which only a person can do",
    "provider accounts": "list the accounts of a plan's services: state, size, quota, aliases",
    "provider domains": "list the domains on a plan's services: status, mode, proof asked for",
    "provider obstacles": "ask a provider what stands in the way of moving each account of a plan",
    "provider records": "show the DNS records that a plan's services ask for",
    "provider tasks": "ask the providers how far the tasks are that a plan waits for",
    "provider runbook": "print what a provider's interface can't do, for a person to read and run",
    "accounts check": "say how a plan's accounts would move, and what stands in the way",
    "accounts inventory": "list what stands beside a plan's accounts, and what becomes of each",
    "accounts make": "make a plan's mailboxes, aliases and groups at the target; --go does it",
    "accounts move": "move a plan's accounts at their providers, in three steps; --go does it",
    "accounts status": "show how the moves of a plan's accounts stand, step by step",
    "accounts undo": "take moves of accounts back, step by step; --go does it",
    "accounts retry": "try accounts again where a person had to act",
    "accounts retire": "disable the renamed old accounts of verified mailboxes; --go does it",
    "vault set": "keep a secret under a name, sealed",
    "vault list": "list the names in the vault",
    "vault remove": "forget a secret of the vault",
    "vault rekey": "change the key or passphrase that opens the vault",
    "oauth login": "log in by OAuth 2 once; tokens are renewed from then on",
    "oauth list": "list the logins by OAuth 2 in the vault, and how they stand",
    "oauth check": "have a fresh token given for each login, and say what is wrong",
    "oauth remove": "take a login by OAuth 2 back at its issuer, and forget it",
}
"""Each command's own summary, so that the list can be shown without importing any. A command is
named by one word or two; its module is called like it, unless Python has that word for itself."""
_MODULES = {"return": "turn_back"}


def main() -> int:
    """Runs the command line of this process and returns its exit code."""
    # Loading makes no garbage; looking for it takes a tenth of the start-up. See stopping.loaded.
    gc.disable()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can't show a character shows its code; it never ends the program.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    scrubber = Scrubber()
    console = Console(sys.stdout, sys.stderr, scrubber, os.environ)
    surroundings = Surroundings(
        console, os.environ, scrubber, now=lambda: datetime.now().astimezone()
    )
    return run(sys.argv[1:], surroundings)


def run(words: Sequence[str], surroundings: Surroundings) -> Exit:
    """Runs the command line `words` (without the program's name); raises nothing."""
    as_json = "--json" in words
    console = surroundings.console
    console.debug = "--debug" in words
    try:
        return _dispatch(words, surroundings)
    except BrokenPipeError:
        # Who read our output has gone. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.INTERRUPTED
    except KeyboardInterrupt:
        return _told(Exit.INTERRUPTED, "interrupted", surroundings, as_json)
    except (MailhaulError, OSError, ExceptionGroup) as error:
        known = _known(error)
        if known is not None:
            return _told(exit_for(known), str(known), surroundings, as_json)
        if isinstance(error, OSError) and error.strerror:
            # The disk is full or not ours (F14); the ledger's transactions are whole.
            name = f" at {printable(str(error.filename), 200)}" if error.filename else ""
            text = f"this machine says: {error.strerror}{name}; mend that and run it again"
            return _told(Exit.INCOMPLETE, text, surroundings, as_json)
        return _defect(error, surroundings, words)
    except Exception as error:
        console.uncover()
        return _defect(error, surroundings, words)


def overview() -> str:
    """The text of `mailhaul --help`."""
    lines = ["usage: mailhaul COMMAND …", ""]
    lines += ["Carries mailboxes from one mail system to another, exactly and provably.", ""]
    lines += _listed(SUMMARIES)
    lines += ["", "More on each: mailhaul COMMAND --help", "Version: mailhaul --version"]
    return "\n".join(lines) + "\n"


def group_overview(word: str) -> str:
    """The text of `mailhaul WORD --help`, where WORD begins the names of several commands."""
    lines = [f"usage: mailhaul {word} COMMAND …", ""]
    lines += _listed(_group(word))
    lines += ["", f"More on each: mailhaul {word} COMMAND --help"]
    return "\n".join(lines) + "\n"


def command_named(name: str) -> Command:
    """The command; its module is imported for it. Raises `BadInput` when there is none."""
    if name not in SUMMARIES:
        from mailhaul.cli.parsing import closest  # noqa: PLC0415 - only a typing error needs it

        hint = closest(name, list(SUMMARIES)) or f"; there are {', '.join(SUMMARIES)}"
        raise BadInput(f"“{printable(name, 60)}” is no command{hint}")
    module = _MODULES.get(name, name.replace(" ", "_"))
    command = importlib.import_module(f"mailhaul.cli.{module}").COMMAND
    assert isinstance(command, Command)
    return command


def _dispatch(words: Sequence[str], surroundings: Surroundings) -> Exit:
    console = surroundings.console
    if not words:
        console.error("no command; see below")
        console.tell(overview().rstrip())
        return Exit.USAGE
    first, *rest = words
    if first in ("--help", "-h") or (first == "help" and not rest):
        console.say(overview())
        return Exit.COMPLETE
    if first in ("--version", "-V"):
        console.say(f"mailhaul {__version__}\n")
        return Exit.COMPLETE
    if first == "help":
        first, rest = rest[0], [*rest[1:2], "--help"]
    if first.startswith("-"):
        raise _before_the_command(first, "mailhaul --help")
    name = first
    if rest and f"{first} {rest[0]}" in SUMMARIES:
        name, *rest = f"{first} {rest[0]}", *rest[1:]
    elif first not in SUMMARIES and _group(first):
        if rest and not rest[0].startswith("-"):
            name = f"{first} {rest[0]}"
        elif rest and rest[0] not in ("--help", "-h"):
            raise _before_the_command(rest[0], f"mailhaul {first} --help")
        else:
            console.say(group_overview(first))
            return Exit.COMPLETE if rest else Exit.USAGE
    command = command_named(name)
    if "--help" in rest or "-h" in rest:
        console.say(help_text(command))
        return Exit.COMPLETE
    from mailhaul.cli.parsing import parse  # noqa: PLC0415 - argparse takes its time

    return command.run(parse(command, rest), surroundings)


def _before_the_command(option: str, page: str) -> BadInput:
    said = printable(option, 60)
    return BadInput(f"{said} stands before the command, and belongs behind it; see {page}")


def _group(word: str) -> dict[str, str]:
    """The commands whose names begin with `word` and go on."""
    return {name: text for name, text in SUMMARIES.items() if name.startswith(f"{word} ")}


def _listed(commands: dict[str, str]) -> list[str]:
    width = max(map(len, commands)) + 2
    return [f"  {name:<{width}}{summary}" for name, summary in commands.items()]


def _told(code: Exit, text: str, surroundings: Surroundings, as_json: bool) -> Exit:
    from mailhaul.cli.json_events import error_line  # noqa: PLC0415

    surroundings.console.error(text)
    if as_json:
        surroundings.console.json(error_line(code, text))
    return code


def _known(error: BaseException) -> MailhaulError | None:
    """The error for a person; inside a group (tasks that failed together) the first such."""
    if isinstance(error, MailhaulError):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            found = _known(inner)
            if found is not None:
                return found
    return None


def _defect(error: BaseException, surroundings: Surroundings, words: Sequence[str]) -> Exit:
    """Says that mailhaul is at fault, and keeps the traceback without any secret."""
    from mailhaul.cli.crash import crash_report, keep_crash_report  # noqa: PLC0415

    report = crash_report(error, surroundings.scrubber)
    path = keep_crash_report(report, surroundings.environ)
    surroundings.console.aside(report.rstrip())
    kept = f"; the report is in {printable(str(path), 300)}" if path is not None else ""
    text = (
        f"this is a defect of mailhaul ({type(error).__name__}){kept}; nothing carried is lost: "
        "run the same command again"
    )
    return _told(Exit.DEFECT, text, surroundings, "--json" in words)


if __name__ == "__main__":
    sys.exit(main())
