"""One embedded IMAP server, in memory, on loopback: `python -m mailhaul.lab.embedded NAME`.

Run by `lab.servers` as a process of its own. It prints its port, then obeys lines on standard
input (`user NAME PASSWORD`, fields percent-encoded) with `ok`, and ends when its input ends: it
can't outlive whoever started it. pymap (MIT) serves; it knows no CONDSTORE, no SPECIAL-USE, no
NAMESPACE and no QUOTA, so that it is a poor server to practise on, and starts in half a second.
"""

import asyncio
import os
import sys
from argparse import Namespace
from contextlib import AsyncExitStack
from typing import BinaryIO
from urllib.parse import unquote

from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, DictBackend, Login
from pymap.imap import IMAPServer
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

HOST = "127.0.0.1"


def main() -> None:
    """Serves until standard input ends; `sys.argv[1]` is the name in the greeting."""
    # pymap greets with this name, and would otherwise ask the DNS for one.
    os.environ["FQDN"] = sys.argv[1]
    asyncio.run(_serve(sys.stdin.buffer, sys.stdout.buffer))


async def _serve(orders: BinaryIO, answers: BinaryIO) -> None:
    config = _configuration()
    config.apply_context()
    login = Login(config)
    backend = DictBackend(login, config)
    async with AsyncExitStack() as stack:
        await backend.start(stack)
        callback = ProxyProtocolReader(config.proxy_protocol).get_callback(
            IMAPServer(login, config)
        )
        server = await stack.enter_async_context(await asyncio.start_server(callback, HOST, 0))
        _answer(answers, str(server.sockets[0].getsockname()[1]))
        while line := await asyncio.to_thread(orders.readline):
            _, name, password = (unquote(field) for field in line.decode().split())
            login.users_dict[name] = UserMetadata(config, name, password=password)
            _answer(answers, "ok")
    # Clients may still be connected: their tasks have no say in when we end.
    os._exit(0)


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
