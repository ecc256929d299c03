"""One embedded IMAP server, in memory, on loopback: `python -m mailhaul.lab.embedded NAME`.

Run by `lab.servers` as a process of its own (the lab's hoster runs it in its own, by `serving`). It
prints two ports: that of its front, where troubles can be made (`lab.faults`), and that of the
server itself. Then it obeys lines on standard input, fields percent-encoded, each with a line of
its own, and ends when its input ends: it can't outlive whoever started it.

    user NAME PASSWORD      an account, or its new password
    throttle NAME N SECONDS the next N APPENDs of that user are throttled
    cut NAME N              the line is cut at the Nth APPEND from now
    room NAME N             there is room for N messages more; -1: for any number
    poison MARK             messages that contain MARK are refused
    seen                    what has been met so far, as JSON: [[user, kind, count], …]

pymap (MIT) serves; it knows no CONDSTORE, no SPECIAL-USE, no NAMESPACE and no QUOTA, so that it is
a poor server to practise on, and starts in half a second.
"""

import asyncio
import json
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote

from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, DictBackend, Login
from pymap.imap import IMAPServer
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

from mailhaul.lab.faults import Troubles, front

HOST = "127.0.0.1"


def main() -> None:
    """Serves until standard input ends; `sys.argv[1]` is the name in the greeting."""
    # pymap greets with this name, and would otherwise ask the DNS for one.
    os.environ["FQDN"] = sys.argv[1]
    asyncio.run(_serve(sys.stdin.buffer, sys.stdout.buffer))


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that runs in this process: `port` is that of its front, `direct` its own."""

    login: Login
    troubles: Troubles
    port: int
    direct: int

    def user(self, name: str, password: str | None, *, reads_all: bool = False) -> None:
        """There is such an account, opened by that password, or with None by nobody. `reads_all`:
        it opens every other one too (RFC 4616's authorization identity)."""
        roles = frozenset({"admin"} if reads_all else ())
        config = self.login.config
        self.login.users_dict[name] = UserMetadata(config, name, password=password, roles=roles)

    def rename(self, name: str, to: str) -> None:
        """The account, with all that is in it; nothing where there is none."""
        self.login.users_dict.pop(name, None)
        if (held := self.login.config.set_cache.pop(name, None)) is not None:
            self.login.config.set_cache[to] = held

    def drop(self, name: str) -> None:
        """There is no such account."""
        self.login.users_dict.pop(name, None)
        self.login.config.set_cache.pop(name, None)


@asynccontextmanager
async def serving() -> AsyncIterator[Serving]:
    """Starts a server in this process. It greets with the name in the environment's FQDN."""
    config = _configuration()
    config.apply_context()
    login = Login(config)
    backend = DictBackend(login, config)
    troubles = Troubles()
    async with AsyncExitStack() as stack:
        await backend.start(stack)
        callback = ProxyProtocolReader(config.proxy_protocol).get_callback(
            IMAPServer(login, config)
        )
        server = await stack.enter_async_context(await asyncio.start_server(callback, HOST, 0))
        direct = server.sockets[0].getsockname()[1]
        faulty = await stack.enter_async_context(await front(HOST, direct, troubles))
        yield Serving(login, troubles, faulty.sockets[0].getsockname()[1], direct)


async def _serve(orders: BinaryIO, answers: BinaryIO) -> None:
    async with serving() as server:
        _answer(answers, f"{server.port} {server.direct}")
        while line := await asyncio.to_thread(orders.readline):
            match [unquote(field) for field in line.decode().split()]:
                case ["user", name, password]:
                    server.user(name, password)
                    _answer(answers, "ok")
                case order:
                    _answer(answers, obeyed(order, server.troubles))
        # Clients may still be connected: their tasks have no say in when we end.
        os._exit(0)


def obeyed(order: list[str], troubles: Troubles) -> str:
    """Does what the order says; what is answered. See the module."""
    match order:
        case ["throttle", name, count, seconds]:
            troubles.of(name).throttles = int(count)
            troubles.of(name).backoff = float(seconds)
        case ["cut", name, count]:
            troubles.of(name).cut_after = int(count)
        case ["room", name, count]:
            troubles.of(name).room = int(count)
        case ["poison", mark]:
            troubles.mark = mark.encode()
        case ["seen"]:
            return json.dumps([[*key, count] for key, count in troubles.seen.items()])
        case _:
            return "no such order"
    return "ok"


def _configuration() -> Config:
    arguments = Namespace(passlib_cfg=None, proxy_protocol=None)
    return Config(
        arguments,
        host=HOST,
        port=0,
        tls_enabled=False,
        hash_context=Cleartext(),
        invalid_user_sleep=0.0,
        demo_data=False,
        demo_user="",
        demo_password="",
    )


def _answer(answers: BinaryIO, text: str) -> None:
    answers.write(f"{text}\n".encode())
    answers.flush()


if __name__ == "__main__":
    main()
