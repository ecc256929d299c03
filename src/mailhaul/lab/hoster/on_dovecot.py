"""Mailboxes of the hoster on a Dovecot: logins, homes, Sieve scripts, LMTP.

A mailbox is `box7` for Dovecot, whatever it is called: a file in `logins` says which box an address
opens, so that renaming an account moves nothing, and mail that comes in meanwhile has its place.
"""

import asyncio
import base64
import json
import os
import smtplib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from mailhaul.lab.hoster.books import Box
from mailhaul.lab.hoster.platforms import BadScript, NotDelivered, Size
from mailhaul.lab.hoster.rules import SIEVE
from mailhaul.lab.hoster.setup import OnDovecot
from mailhaul.lab.wire import PlainConnection, total
from mailhaul.providers.service import AccountState

SIEVEC = "/usr/bin/sievec"
DOVEADM = "/usr/bin/doveadm"
DEADLINE = 20.0
ACTIVE = ".dovecot.sieve"


class Dovecot:
    """A `Platform`."""

    sieve = True
    beside = SIEVE
    direct = 0

    def __init__(self, setup: OnDovecot) -> None:
        self.port = setup.port
        self._setup = setup

    async def start(self) -> None:
        (self._setup.hosted / "names").mkdir(exist_ok=True)

    async def close(self) -> None:
        pass

    async def settle(self, box: Box) -> str:
        placed = f"box{box.id}"
        home = self._setup.mail / placed
        self._give(home)
        place = {
            "home": str(home),
            "uid": str(self._setup.owner),
            "gid": str(self._setup.group),
            **({} if box.quota is None else {"quota_rule": f"*:bytes={box.quota}"}),
        }
        self._write(f"boxes/{placed}", place)
        self._name(placed, box)
        if box.placed:
            # Whoever is in by another name or password is in no longer.
            await asyncio.to_thread(self._kick, placed)
        return placed

    async def acts(self, box: Box, script: str) -> None:
        file = self._setup.mail / f"box{box.id}" / ACTIVE
        if not script:
            file.unlink(missing_ok=True)
            file.with_suffix(".svbin").unlink(missing_ok=True)
            return
        self._give(file.parent)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(script.encode())
        os.chown(fresh, self._setup.owner, self._setup.group)
        fresh.replace(file)

    async def checks(self, box: Box, script: str) -> None:
        def check() -> str:
            # It puts a fresh file in place of what it is told to write, were that a device.
            with TemporaryDirectory() as scratch:
                file = Path(scratch) / "check.sieve"
                file.write_bytes(script.encode())
                ran = subprocess.run(  # noqa: S603 - Dovecot's compiler, our own files
                    [SIEVEC, "-c", self._setup.configuration, file, file.with_suffix(".svbin")],
                    check=False,
                    capture_output=True,
                    timeout=DEADLINE,
                )
            said = ran.stderr.decode(errors="replace").partition("\n")[0]
            return said if ran.returncode else ""

        if said := await asyncio.to_thread(check):
            raise BadScript(said)

    async def drop(self, box: Box) -> None:
        """The mail stays where it lies; nobody can ask for it any more. Its number is never used
        again."""
        placed = f"box{box.id}"
        self._name(placed, None)
        (self._setup.hosted / "boxes" / placed).unlink(missing_ok=True)
        await asyncio.to_thread(self._kick, placed)

    async def size(self, box: Box) -> Size:
        if not box.placed:
            return Size(0, 0)
        return await asyncio.to_thread(lambda: Size(*total(self.connect(box))))

    async def deliver(self, box: Box, sender: str, content: bytes) -> None:
        await asyncio.to_thread(by_lmtp, self._setup.lmtp, box.placed, sender, content)

    def connect(self, box: Box) -> PlainConnection:
        setup = self._setup
        return PlainConnection(
            setup.host, setup.port, f"{box.placed}*{setup.master}", setup.password
        )

    def _give(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        os.chown(home, self._setup.owner, self._setup.group)

    def _kick(self, placed: str) -> None:
        subprocess.run(  # noqa: S603 - Dovecot's own program, our own name
            [DOVEADM, "-c", self._setup.configuration, "kick", placed],
            check=False,
            capture_output=True,
            timeout=DEADLINE,
        )

    def _name(self, placed: str, box: Box | None) -> None:
        """The box is opened by the account's address and password, and by nothing else."""
        noted = self._setup.hosted / "names" / placed
        address = "" if box is None or box.leaving else box.address.casefold()
        before = noted.read_text() if noted.exists() else ""
        if address and box is not None:
            password = base64.b64encode(box.password.encode()).decode()
            closed = box.state is not AccountState.CONFIGURED
            login = {
                "password": f"{{PLAIN.b64}}{password}",
                "user": placed,
                **({"nologin": "y"} if closed else {}),
            }
            noted.write_text(address)
            self._write(f"logins/{address}", login)
        if before and before != address and self._opens(before) == placed:
            (self._setup.hosted / "logins" / before).unlink()

    def _opens(self, address: str) -> str:
        """The box that the address opens now; another account may have it by now."""
        file = self._setup.hosted / "logins" / address
        return str(json.loads(file.read_text())["user"]) if file.exists() else ""

    def _write(self, name: str, fields: dict[str, str]) -> None:
        file = self._setup.hosted / name
        fresh = self._setup.hosted / f"{name.replace('/', '-')}.new"
        fresh.write_text(json.dumps(fields))
        fresh.chmod(0o644)
        fresh.replace(file)


def by_lmtp(socket: Path, recipient: str, sender: str, content: bytes) -> None:
    """Delivers (RFC 2033). Raises `NotDelivered`."""
    try:
        with smtplib.LMTP(str(socket)) as line:
            line.sendmail(sender, [recipient], content)
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise NotDelivered(text.decode(errors="replace"), forever=code >= 500) from error
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        raise NotDelivered(text.decode(errors="replace"), forever=error.smtp_code >= 500) from error
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(str(error), forever=False) from error
