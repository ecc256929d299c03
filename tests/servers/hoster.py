"""The lab's hoster on real servers: "MX Plans" on a Dovecot with Sieve, an "Exchange" on a Cyrus.

    def test_something(hoster: Hoster) -> None:            # session fixture, tests/conftest.py
        old = hoster.sell(Line.LEGACY, "a.test")            # a service of its own in each test
        new = hoster.sell(Line.EXCHANGE, "a.test", mode=Mode.NON_AUTHORITATIVE)
        hoster.accounts(old, "ann@a.test")
        hoster.placeholders(new, 3)
        provider = hoster.provider(old)                    # providers.lab

Mail comes in at `hoster.smtp` and is led to whoever has the address.
"""

import json
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.text import Secret
from mailhaul.lab.hoster.books import Line
from mailhaul.lab.hoster.setup import (
    OnCyrus,
    OnDovecot,
    Setup,
    Up,
    Zones,
    told,
    write_setup,
)
from mailhaul.providers.actions_text import written_extra
from mailhaul.providers.extras import Extra
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import Contacts, DomainStatus, Mode
from tests.servers.cyrus import ADMIN, Cyrus
from tests.servers.dovecot import MASTER, Dovecot, mail_owner
from tests.servers.knot import Knot
from tests.servers.process import START_DEADLINE, StartFailed, free_port

PASSWORD = "correct horse 9"
PLATFORMS = {Line.LEGACY: "dovecot", Line.NEW: "dovecot", Line.EXCHANGE: "cyrus"}
OURS = Contacts("us-1", "us-1", "us-1", "us-1")


class Hoster:
    """A hoster that runs, and the servers under it. With `knot` it holds zones there."""

    def __init__(self, knot: Knot | None = None) -> None:
        self.directory = Path()
        self.smtp, self.http = free_port(), free_port()
        self.dovecot = Dovecot(hosting=True, smtp=self.smtp)
        self.cyrus = Cyrus(hosting=True, smtp=self.smtp)
        self.token = f"token-{self.dovecot.token}"
        self.operator = f"operator-{self.dovecot.token}"
        self.up: Up | None = None
        self._knot = knot
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._sold = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.dovecot)
            stack.enter_context(self.cyrus)
            # It goes with Dovecot's, whatever becomes of the tests.
            self.directory = self.dovecot.directory / "hoster"
            self.directory.mkdir(mode=0o700)
            write_setup(self.directory, self._setup())
            stack.callback(self.kill)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Starts the hoster's process on what it holds, also after `kill`."""
        (self.directory / "up.json").unlink(missing_ok=True)
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mailhaul.lab.hoster", str(self.directory)],
                # It ends when this process does.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_DEADLINE
        while (up := told(self.directory)) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StartFailed(f"the hoster is not up:\n{self.log()}")
            time.sleep(0.01)
        self.up = up

    def kill(self) -> None:
        """As kill -9 does; its servers go on."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    # what whoever runs a rehearsal does

    def order(self, verb: str, **what: Any) -> Any:
        """Has the operator's order carried out; what it tells."""
        request = urllib.request.Request(
            f"{self.url}/operator/{verb}",
            json.dumps(what).encode(),
            {"Authorization": f"Bearer {self.operator}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except (OSError, HTTPException) as error:
            text = error.read().decode() if isinstance(error, HTTPError) else str(error)
            raise AssertionError(f"the hoster failed at {verb}: {text}\n{self.log()}") from error

    def sell(
        self,
        line: Line,
        *domains: str,
        mode: Mode = Mode.AUTHORITATIVE,
        relay: str = "",
        seconds: float = 0.0,
        quota: int | None = None,
        proves: bool = False,
        contacts: Contacts = OURS,
    ) -> str:
        """A new service with these domains on it; its name."""
        self._sold += 1
        name = f"{line.value}-{self._sold}.{self.dovecot.token}"
        self.order(
            "sell",
            service=name,
            line=line.value,
            platform=PLATFORMS[line],
            seconds=seconds,
            quota=quota,
            proves=proves,
            contacts={
                "me": contacts.me,
                "administrator": contacts.administrator,
                "technical": contacts.technical,
                "billing": contacts.billing,
            },
        )
        for domain in domains:
            self.domain(name, domain, mode=mode, relay=relay)
        return name

    def domain(
        self,
        service: str,
        domain: str,
        *,
        status: DomainStatus = DomainStatus.OK,
        mode: Mode = Mode.AUTHORITATIVE,
        relay: str = "",
    ) -> None:
        """The domain is on the service so."""
        self.order("domain", service=service, domain=domain, status=status, mode=mode, relay=relay)

    def accounts(self, service: str, *addresses: str, quota: int | None = None) -> None:
        """They are there, with `PASSWORD`."""
        self.order("deliver", service=service, addresses=addresses, password=PASSWORD, quota=quota)

    def placeholders(self, service: str, count: int, quota: int | None = None) -> list[str]:
        """So many are delivered; their addresses."""
        self._sold += 1
        made = [f"p{self._sold}-{number}@configureme.me" for number in range(count)]
        self.order("deliver", service=service, addresses=made, placeholder=True, quota=quota)
        return made

    def extra(self, service: str, extra: Extra) -> None:
        """Somebody has made it."""
        self.order("extra", service=service, extra=written_extra(extra))

    def arm(self, service: str, *faults: str, always: bool = False) -> None:
        """They happen, one after the other, or from now on: see docs/providers/lab.md."""
        self.order("arm", service=service, faults=faults, always=always)

    def disarm(self, service: str) -> None:
        self.order("disarm", service=service)

    def forget(self, service: str) -> None:
        """It doesn't know tasks any more that are over."""
        self.order("forget", service=service)

    def seen(self, address: str = "") -> list[dict[str, Any]]:
        """What its MX has seen: at, event, address, service, content."""
        found: list[dict[str, Any]] = self.order("seen", address=address)
        return found

    def tasks(self, service: str) -> list[dict[str, Any]]:
        """All of its tasks, oldest first."""
        found: list[dict[str, Any]] = self.order("tasks", service=service)
        return found

    def windows(self, address: str) -> list[tuple[float, float]]:
        """From when to when the address existed nowhere."""
        found: list[tuple[float, float]] = []
        gone: float | None = None
        for each in self.seen(address):
            if each["event"] == "gone":
                gone = each["at"]
            elif each["event"] == "there" and gone is not None:
                found.append((gone, each["at"]))
                gone = None
        return found

    def unreachable(self, address: str) -> list[float]:
        """How long, each time, the address existed nowhere, in seconds."""
        return [end - begin for begin, end in self.windows(address)]

    # what others are told

    @property
    def url(self) -> str:
        """Of its control plane."""
        assert self.up is not None
        return self.up.url

    def settings(self, service: str) -> Settings:
        async def login() -> Credentials:
            return Credentials(password=Secret(self.token))

        return Settings("lab", service, login, self.url)

    def provider(self, service: str) -> Provider:
        """As another process would open it."""
        return open_provider(self.settings(service))

    def endpoint(self, service: str, address: str) -> Endpoint:
        """Of the account's mailbox, wherever its service keeps that."""
        line = service.partition("-")[0]
        server = self.dovecot if PLATFORMS[Line(line)] == "dovecot" else self.cyrus
        return Endpoint("imap", server.host, server.port, address)

    def server(self, service: str) -> Dovecot | Cyrus:
        """The server that keeps the service's mailboxes."""
        line = service.partition("-")[0]
        return self.dovecot if PLATFORMS[Line(line)] == "dovecot" else self.cyrus

    def _setup(self) -> Setup:
        owner, group = mail_owner()
        zones = None
        if self._knot is not None:
            key = self._knot.key
            zones = Zones(
                server=self._knot.address,
                port=self._knot.port,
                key=key.name,
                algorithm=key.algorithm,
                secret=key.secret,
            )
        dovecot, cyrus = self.dovecot, self.cyrus
        return Setup(
            token=self.token,
            operator=self.operator,
            http=self.http,
            smtp=self.smtp,
            zones=zones,
            platforms={
                "dovecot": OnDovecot(
                    port=dovecot.port,
                    lmtp=dovecot.lmtp,
                    hosted=dovecot.hosted,
                    mail=dovecot.directory / "mail",
                    owner=owner.pw_uid,
                    group=group.gr_gid,
                    master=MASTER.user,
                    password=MASTER.password,
                    configuration=dovecot.directory / "dovecot.conf",
                ),
                "cyrus": OnCyrus(
                    port=cyrus.port,
                    sieve_port=cyrus.sieve_port,
                    lmtp=cyrus.lmtp,
                    sasldb=cyrus.directory / "sasldb2",
                    admin=ADMIN,
                    password=cyrus.password,
                ),
            },
        )
