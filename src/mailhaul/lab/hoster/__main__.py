"""`python -m mailhaul.lab.hoster DIRECTORY`: runs until it is told to end, by a signal or by its
standard input, where that is a pipe that ends."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from aiosmtpd.smtp import SMTP

from mailhaul.core.errors import MailhaulError
from mailhaul.lab.hoster.books import Books
from mailhaul.lab.hoster.desk import Desk
from mailhaul.lab.hoster.exchange import LARGEST, Exchange
from mailhaul.lab.hoster.locks import Locks
from mailhaul.lab.hoster.on_cyrus import Cyrus
from mailhaul.lab.hoster.on_dovecot import Dovecot
from mailhaul.lab.hoster.platforms import Platform
from mailhaul.lab.hoster.setup import (
    HOST,
    Embedded,
    OnCyrus,
    OnDovecot,
    Setup,
    Up,
    read_setup,
    tell,
)
from mailhaul.lab.hoster.web import serve
from mailhaul.lab.hoster.work import Work
from mailhaul.lab.tether import tether


async def run(directory: Path) -> None:
    """The hoster of that directory."""
    setup = read_setup(directory)
    books = Books(directory)
    platforms: dict[str, Platform] = {}
    locks = Locks()
    exchange = Exchange(books, platforms, locks)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    mail = await loop.create_server(
        lambda: SMTP(exchange, data_size_limit=LARGEST, enable_SMTPUTF8=True, hostname="localhost"),
        setup.smtp_host,
        setup.smtp,
        start_serving=False,
    )
    platforms.update(_platforms(setup, books, mail.sockets[0].getsockname()[1]))
    for each in platforms.values():
        await each.start()
    work = Work(books, platforms, locks)
    await mail.start_serving()
    desk = await serve(Desk(setup, books, platforms, work).answer, HOST, setup.http)
    work.resume()
    tell(directory, _up(mail, desk, platforms))
    async with mail, desk:
        await over.wait()
    for each in platforms.values():
        await each.close()
    books.close()


def _platforms(setup: Setup, books: Books, smtp: int) -> Iterator[tuple[str, Platform]]:
    for name, told in setup.platforms.items():
        match told:
            case OnDovecot():
                yield name, Dovecot(told)
            case OnCyrus():
                yield name, Cyrus(told)
            case Embedded():
                # Loaded only where it is asked for: it needs a package that the others don't.
                from mailhaul.lab.hoster.on_embedded import InMemory  # noqa: PLC0415

                yield name, InMemory(books, setup.smtp_host, smtp)


def _up(mail: asyncio.Server, desk: asyncio.Server, platforms: Mapping[str, Platform]) -> Up:
    return Up(
        url=f"http://{HOST}:{desk.sockets[0].getsockname()[1]}",
        smtp=mail.sockets[0].getsockname()[1],
        imap={name: each.port for name, each in platforms.items()},
        direct={name: each.direct for name, each in platforms.items() if each.direct},
    )


def _main() -> int:
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        tether()
    try:
        asyncio.run(run(Path(sys.argv[1])))
    except MailhaulError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
