"""The lab's hoster without root: a process of its own that keeps all mail in memory."""

import json
import secrets
import smtplib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailhaul.core.endpoint import Credentials
from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret, printable
from mailhaul.lab.hoster.books import Line
from mailhaul.lab.hoster.setup import HOST, Embedded, Setup, Up, told, write_setup
from mailhaul.lab.wire import PlainConnection
from mailhaul.providers.actions_text import written_extra
from mailhaul.providers.extras import Extra
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import Mode

STARTING = 30.0
ANSWERING = 30.0
PLACEHOLDERS = "configureme.me"


@dataclass(frozen=True, slots=True)
class Hosting:
    """A hoster that runs. Each line of services has a mail server of its own."""

    directory: Path
    up: Up
    token: str
    """What lets a provider in."""
    operator: str

    def order(self, verb: str, **what: Any) -> Any:
        """Has an order of `lab.hoster.operating` carried out; what it tells."""
        request = urllib.request.Request(  # noqa: S310 - our own process, on loopback
            f"{self.up.url}/operator/{verb}",
            json.dumps(what).encode(),
            {"Authorization": f"Bearer {self.operator}"},
        )
        with urllib.request.urlopen(request, timeout=ANSWERING) as answer:  # noqa: S310 - the same
            return json.loads(answer.read())

    def sell(
        self,
        service: str,
        line: Line,
        domain: str,
        *,
        seconds: float = 0.0,
        mode: Mode = Mode.AUTHORITATIVE,
    ) -> None:
        """There is such a service with that domain on it; its tasks take so long at least."""
        self.order("sell", service=service, line=line, platform=line, seconds=seconds)
        self.order("domain", service=service, domain=domain, mode=mode)

    def accounts(self, service: str, password: str, *addresses: str) -> None:
        """They are there, and opened by that password."""
        self.order("deliver", service=service, addresses=addresses, password=password)

    def placeholders(self, service: str, names: Sequence[str]) -> list[str]:
        """These are delivered, to be configured; their addresses."""
        made = [f"{name}@{PLACEHOLDERS}" for name in names]
        self.order("deliver", service=service, addresses=made, placeholder=True)
        return made

    def put_up(self, service: str, extra: Extra) -> None:
        """Somebody has made it."""
        self.order("extra", service=service, extra=written_extra(extra))

    def seen(self, address: str = "") -> list[dict[str, Any]]:
        """What the MX has seen: at, event, address, service, content."""
        found: list[dict[str, Any]] = self.order("seen", address=address)
        return found

    def nowhere(self, address: str) -> float:
        """For how many seconds the address existed nowhere at this hoster, by its MX."""
        gone, seconds = 0.0, 0.0
        for each in self.seen(address):
            if each["event"] == "gone":
                gone = each["at"]
            elif each["event"] == "there" and gone:
                seconds, gone = seconds + each["at"] - gone, 0.0
        return seconds

    def provider(self, service: str) -> Provider:
        """As mailhaul opens it."""

        async def login() -> Credentials:
            return Credentials(password=Secret(self.token))

        return open_provider(Settings("lab", service, login, self.up.url))

    def connect(self, line: Line, address: str, password: str) -> PlainConnection:
        """To an account, where no troubles are made. Raises `Refusal` where it isn't let in."""
        return PlainConnection(HOST, self.up.direct[line], address, password)

    def post(self, name: str, sender: str, address: str, content: bytes) -> bool:
        """A host that calls itself so brings a message to the MX; whether it was taken. What is
        put off is brought again for a while, as by any other host."""
        deadline = time.monotonic() + ANSWERING
        while True:
            try:
                with smtplib.SMTP(HOST, self.up.smtp, name, ANSWERING) as line:
                    line.sendmail(sender, [address], content)
                return True
            except smtplib.SMTPRecipientsRefused:
                return False
            except smtplib.SMTPResponseException as error:
                if error.smtp_code >= 500 or time.monotonic() > deadline:
                    return False
            time.sleep(0.05)


@contextmanager
def hosting(directory: Path) -> Iterator[Hosting]:
    """Starts a hoster in that directory, where it keeps its books; it ends with the block, and with
    this process. Raises `BadInput` when it doesn't start."""
    directory.mkdir(parents=True)
    token, operator = secrets.token_hex(8), secrets.token_hex(8)
    platforms = {line.value: Embedded() for line in Line}
    write_setup(directory, Setup(token=token, operator=operator, platforms=platforms))
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            [sys.executable, "-m", "mailhaul.lab.hoster", str(directory)],
            # It ends when this process does.
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        yield Hosting(directory, _up(directory, process), token, operator)
    finally:
        # Clients may still be connected: it would wait for them.
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _up(directory: Path, process: subprocess.Popen[bytes]) -> Up:
    deadline = time.monotonic() + STARTING
    while (up := told(directory)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            log = (directory / "log").read_text(encoding="utf-8", errors="replace")
            raise BadInput(
                f"the rehearsal's hoster did not start: {printable(log[-500:], 500)}. "
                "Is all of it installed? pip install 'mailhaul[demo]'"
            )
        time.sleep(0.02)
    return up
