"""What people and servers do between passes, as orders: `at_source("mark INBOX A +S -F")`."""

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from mailhaul.engine.outcomes import Side
from mailhaul.stores.memory_mailbox import MemoryMailbox
from tests.engine.notation import fill, flags_of, octets, path_of

if TYPE_CHECKING:
    from tests.engine.scenarios import Act, World


def at_source(order: str) -> "Act":
    return lambda world: _order(world, Side.SOURCE, order)


def at_target(order: str) -> "Act":
    return lambda world: _order(world, Side.TARGET, order)


def source_becomes(**habits: object) -> "Act":
    return lambda world: _become(world.mailboxes[Side.SOURCE], habits)


def target_becomes(**habits: object) -> "Act":
    return lambda world: _become(world.mailboxes[Side.TARGET], habits)


def lose_the_ledger(world: "World") -> None:
    shutil.rmtree(world.state)


def _become(mailbox: MemoryMailbox, habits: dict[str, object]) -> None:
    mailbox.habits = replace(mailbox.habits, **habits)  # type: ignore[arg-type]


def _order(world: "World", side: Side, order: str) -> None:
    """`deliver INBOX: A B`, `mark INBOX A +S -F`, `expunge INBOX A B`, `move INBOX A Work`,
    `make Work`, `rename Work Job`, `delete Work`, `renumber INBOX 7`."""
    mailbox = world.mailboxes[side]
    verb, _, rest = order.partition(" ")
    words = rest.split()
    if verb == "deliver":
        world.names |= fill(mailbox, rest)
        return
    path = path_of(words[0])
    if verb == "mark":
        uid = _uid(mailbox, words[0], words[1])
        add = [word.removeprefix("+") for word in words[2:] if word[0] == "+"]
        remove = [word.removeprefix("-") for word in words[2:] if word[0] == "-"]
        assert mailbox.flag(uid, _flags(add), _flags(remove), path)
    elif verb == "expunge":
        for name in words[1:]:
            mailbox.expunge(_uid(mailbox, words[0], name), path=path)
    elif verb == "move":
        mailbox.move(_uid(mailbox, words[0], words[1]), path, path_of(words[2]))
    elif verb == "make":
        mailbox.make(path)
    elif verb == "rename":
        mailbox.rename(path, path_of(words[1]))
    elif verb == "delete":
        mailbox.delete(path)
    else:
        assert verb == "renumber", order
        mailbox.renumber(path, int(words[1]) if len(words) > 1 else 0)


def _uid(mailbox: MemoryMailbox, folder: str, name: str) -> int:
    wanted = octets(name)
    return next(each.uid for each in mailbox.messages(path_of(folder)) if each.data == wanted)


def _flags(words: list[str]) -> frozenset[str]:
    named = (flags_of(word) if word.isupper() else frozenset({word}) for word in words)
    return frozenset().union(*named)
