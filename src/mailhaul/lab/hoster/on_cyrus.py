"""Mailboxes of the hoster on a Cyrus: administration by IMAP, passwords in sasldb, Sieve by
ManageSieve (RFC 5804), LMTP. Renaming moves all that is the user's, calendars and contacts too."""

import asyncio
import base64
import os
import shutil
import socket
import subprocess
from collections.abc import Callable

from mailhaul.lab.hoster.books import Box
from mailhaul.lab.hoster.on_dovecot import by_lmtp
from mailhaul.lab.hoster.platforms import BadScript, NotDelivered, Size
from mailhaul.lab.hoster.rules import SIEVE
from mailhaul.lab.hoster.setup import OnCyrus
from mailhaul.lab.wire import PlainConnection, total
from mailhaul.providers.service import AccountState

SASLPASSWD = "/usr/sbin/saslpasswd2"
DEADLINE = 20.0
OPEN, SHUT = "lrswipkxtea", "lrs"
"""What the owner may do (RFC 4314): a locked account's owner, where he is in already, only look."""
NAME = "hoster"
"""Of the script."""


class Cyrus:
    """A `Platform`."""

    sieve = True
    beside = SIEVE
    direct = 0

    def __init__(self, setup: OnCyrus) -> None:
        self.port = setup.port
        self._setup = setup
        self._passwords = asyncio.Lock()

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def settle(self, box: Box) -> str:
        name = box.address.casefold()
        opens = box.state is AccountState.CONFIGURED and box.password
        await self._password(name, box.password if opens else "")
        await asyncio.to_thread(self._administer, lambda line: self._place(line, box, name))
        if box.placed and box.placed != name:
            await self._password(box.placed, "")
        return name

    async def acts(self, box: Box, script: str) -> None:
        await asyncio.to_thread(self._manage, box.address.casefold(), script)

    async def checks(self, box: Box, script: str) -> None:
        await asyncio.to_thread(self._talk, box.placed, b"CHECKSCRIPT " + _literal(script))

    async def drop(self, box: Box) -> None:
        name = box.placed or box.address.casefold()
        await self._password(name, "")

        def work(line: PlainConnection) -> None:
            if not _there(line, name):
                return
            line.command(_words("SETACL", f"user/{name}", self._setup.admin, "lrswipkxtecda"))
            line.command(_words("DELETE", f"user/{name}"))

        await asyncio.to_thread(self._administer, work)

    async def size(self, box: Box) -> Size:
        if not box.placed:
            return Size(0, 0)
        return await asyncio.to_thread(lambda: Size(*total(self.connect(box))))

    async def deliver(self, box: Box, sender: str, content: bytes) -> None:
        await asyncio.to_thread(by_lmtp, self._setup.lmtp, box.placed, sender, content)

    def connect(self, box: Box) -> PlainConnection:
        setup = self._setup
        return PlainConnection(
            setup.host, setup.port, setup.admin, setup.password, for_user=box.placed
        )

    def _administer(self, work: Callable[[PlainConnection], None]) -> None:
        setup = self._setup
        with PlainConnection(setup.host, setup.port, setup.admin, setup.password) as line:
            work(line)

    def _place(self, line: PlainConnection, box: Box, name: str) -> None:
        if not _there(line, name):
            if box.placed and box.placed != name and _there(line, box.placed):
                line.command(_words("RENAME", f"user/{box.placed}", f"user/{name}"))
            else:
                line.command(_words("CREATE", f"user/{name}"))
        rights = OPEN if box.state is AccountState.CONFIGURED else SHUT
        line.command(_words("SETACL", f"user/{name}", name, rights))
        if box.quota is not None:
            line.command(_words("SETQUOTA", f"user/{name}") + b" (STORAGE %d)" % (box.quota >> 10))

    async def _password(self, name: str, password: str) -> None:
        """Sets it, or with none lets nobody in. Whoever logs in meanwhile reads the file as it was:
        it is changed in a copy."""
        async with self._passwords:
            await asyncio.to_thread(self._write_password, name, password)

    def _write_password(self, name: str, password: str) -> None:
        file = self._setup.sasldb
        fresh = file.with_name(f"{file.name}.new")
        shutil.copyfile(file, fresh)
        user, _, domain = name.rpartition("@")
        ran = subprocess.run(  # noqa: S603 - Cyrus SASL's own program; the password isn't among it
            [SASLPASSWD, "-p", "-c" if password else "-d", "-f", fresh, "-u", domain, user],
            input=password.encode(),
            check=False,
            capture_output=True,
            timeout=DEADLINE,
        )
        if password and ran.returncode:
            raise NotDelivered(ran.stderr.decode(errors="replace"), forever=False)
        kept = file.stat()
        os.chown(fresh, kept.st_uid, kept.st_gid)
        fresh.chmod(0o644)
        fresh.replace(file)

    def _manage(self, name: str, script: str) -> None:
        if script:
            put = b'PUTSCRIPT "%b" ' % NAME.encode() + _literal(script)
            self._talk(name, put, b'SETACTIVE "%b"' % NAME.encode())
        else:
            self._talk(name, b'SETACTIVE ""')

    def _talk(self, name: str, *commands: bytes) -> None:
        """Runs ManageSieve commands on behalf of that user. Raises `BadScript` when one is
        refused."""
        setup = self._setup
        proof = base64.b64encode(f"{name}\0{setup.admin}\0{setup.password}".encode())
        with (
            socket.create_connection((setup.host, setup.sieve_port), DEADLINE) as connection,
            connection.makefile("rwb") as stream,
        ):
            _sieve_answer(stream.readline)
            for command in (b'AUTHENTICATE "PLAIN" "%b"' % proof, *commands):
                stream.write(command + b"\r\n")
                stream.flush()
                _sieve_answer(stream.readline)


def _sieve_answer(readline: Callable[[], bytes]) -> None:
    while line := readline():
        if line.upper().startswith(b"OK"):
            return
        if line.upper().startswith((b"NO", b"BYE")):
            break
    said = line + (readline() if line.rstrip().endswith(b"}") else b"")
    raise BadScript(said.decode(errors="replace").strip())


def _literal(text: str) -> bytes:
    octets = text.encode()
    return b"{%d+}\r\n%b" % (len(octets), octets)


def _there(line: PlainConnection, name: str) -> bool:
    return any(
        b" LIST " in each.text for each in line.command(b'LIST "" ' + _words(f"user/{name}"))
    )


def _words(*words: str) -> bytes:
    """A command's words: the first as it is, quoted what holds anything but letters."""
    return " ".join(word if word.isalpha() else f'"{word}"' for word in words).encode()
