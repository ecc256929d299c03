"""Private name servers for tests: what Knot, BIND and Unbound in this package have in common.

    def test_something(knot: Knot, bind: Bind) -> None:    # session fixtures, tests/conftest.py
        domain = knot.fresh("example")                     # a name that no other test uses
        knot.zone(domain, "@ 5 MX 10 mx.old.test.")        # SOA, NS and glue are made
        knot.update(domain, "@ 5 MX 10 mx.new.test.")      # signed; replaces that record set

Knot and Unbound listen on loopback addresses of their own, drawn at random from 127.0.0.0/8, BIND
on 127.0.0.1, all by UDP and TCP. Servers that share a zone take one port, `Knot(port=bind.port)`:
then a delegation with plain A glue leads to each of them for whoever asks every server on that
port. Nothing uses port 53, nobody runs as root, and any number of runs at once don't collide.
"""

import base64
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from tests.servers.dovecot import mail_owner
from tests.servers.process import (
    ATTEMPTS,
    MOURNING,
    SHELL,
    START_DEADLINE,
    StartFailed,
    fast,
    free_port,
    is_root,
)

ALGORITHM = "hmac-sha256"
REFRESH = 1
MAIL_KINDS = ("MX", "TXT", "CNAME", "SRV", "A", "AAAA", "TLSA")
"""As docs/switch.md shows it."""


@dataclass(frozen=True, slots=True)
class Tsig:
    """A key for signed updates and transfers. `secret` is base64."""

    name: str
    secret: str
    algorithm: str = ALGORITHM


class NameServer:
    """What a started name server offers; each server's class fills in how it is started.

    `addresses`: where it listens, all on `port`, UDP and TCP. `directory`: everything it keeps,
    removed at the end.
    """

    name = ""

    def __init__(self, *, addresses: int = 1, port: int = 0) -> None:
        self.addresses = tuple(_loopback() for _ in range(addresses))
        self.port = port
        self.directory = Path()
        self.token = f"{random.getrandbits(40):010x}"
        self._shared_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._mourner: subprocess.Popen[bytes] | None = None
        self._names = 0
        self.changing = threading.Lock()

    @property
    def address(self) -> str:
        """The first of its addresses."""
        return self.addresses[0]

    def __enter__(self) -> Self:
        for attempt in range(ATTEMPTS):
            self.port = self._shared_port or free_port()
            self.directory = Path(tempfile.mkdtemp(prefix=f"mailhaul-{self.name}-", dir=fast()))
            self.directory.chmod(0o755)
            try:
                self.start()
            except StartFailed:
                # Another process may have taken the port between our look and the server's bind.
                self.close()
                if attempt == ATTEMPTS - 1:
                    raise
            except BaseException:
                self.close()
                raise
            else:
                return self
        raise AssertionError("unreachable")

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the server on what it holds, also after `stop`. Raises `StartFailed`."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends the server at once, as a crash would; what it holds stays, for `start`."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        mourner, self._mourner = self._mourner, None
        if mourner is not None:
            mourner.kill()
            mourner.wait()
            assert mourner.stdin is not None
            mourner.stdin.close()

    def close(self) -> None:
        """Ends the server and removes everything; doing so twice is fine."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def fresh(self, word: str = "zone") -> str:
        """The name of a zone that no other test uses."""
        with self.changing:
            self._names += 1
            return f"{word}{self._names}.{self.token}.test"

    def ask(
        self,
        name: str,
        kind: str,
        *,
        address: str = "",
        recursive: bool = False,
        seconds: float = 5,
    ) -> dns.message.Message:
        """What the server itself answers, by UDP, by TCP where that was cut short."""
        question = dns.message.make_query(name, kind)
        if not recursive:
            question.flags &= ~dns.flags.RD
        answer, _ = dns.query.udp_with_fallback(
            question, address or self.address, timeout=seconds, port=self.port
        )
        return answer

    def answers(self) -> bool:
        """Whether it says anything at all, be it that it refuses."""
        return self.ask(".", "SOA", seconds=0.1) is not None

    def values(self, name: str, kind: str, *, recursive: bool = False) -> list[str]:
        """The records of that name and kind as the server spells them, sorted."""
        answer = self.ask(name, kind, recursive=recursive)
        return sorted(
            record.to_text()
            for records in answer.answer
            if records.rdtype == dns.rdatatype.from_text(kind)
            for record in records
        )

    def log(self) -> str:
        """What the server has written to its log so far."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def own(self) -> None:
        """Gives all files to the user that the server runs as."""
        if is_root():
            owner, group = mail_owner()
            for path in (self.directory, *self.directory.rglob("*")):
                os.chown(path, owner.pw_uid, group.gr_gid)

    def launch(self, command: Sequence[str | Path], ready: Callable[[], bool]) -> None:
        """Starts `command` without privileges in its own session; waits until it is `ready`."""
        self.own()
        owner, group = mail_owner()
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.directory,
                user=owner.pw_uid if is_root() else None,
                group=group.gr_gid if is_root() else None,
                extra_groups=[] if is_root() else None,
            )
        # Should the tests be killed, their end of this pipe closes and the server goes too.
        self._mourner = subprocess.Popen(
            [SHELL, "-c", MOURNING, str(self._process.pid), str(self.directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.wait(ready)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Until the server is `ready`. Raises `StartFailed` when it isn't in time."""
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise StartFailed(f"{self.name} ended:\n{self.log()}")
            with contextlib.suppress(dns.exception.DNSException, OSError):
                if ready():
                    return
            time.sleep(0.01)
        raise StartFailed(f"{self.name} was not ready in {START_DEADLINE} s:\n{self.log()}")

    def hang_up(self) -> None:
        """Has the server read its configuration again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)


class AuthoritativeServer(NameServer):
    """A name server that serves zones and takes updates signed with `key`, and no others."""

    def __init__(self, *, addresses: int = 1, port: int = 0) -> None:
        super().__init__(addresses=addresses, port=port)
        self.key = Tsig(f"key-{self.token}", base64.b64encode(os.urandom(32)).decode())
        self.zones: dict[str, str] = {}

    def zone(
        self,
        name: str,
        *records: str,
        serial: int = 1,
        ttl: int = 5,
        minimum: int = 5,
        servers: Sequence["AuthoritativeServer"] = (),
        signed: bool = False,
        narrow: bool = False,
    ) -> None:
        """Serves the zone. `records` are lines of a zone file, relative to the zone; `servers` are
        those that its NS records name (this one), ns1 being the first address of the first.
        `signed`: with DNSSEC, Knot only. `narrow`: the key may change `MAIL_KINDS` only."""
        lines = [
            f"$ORIGIN {name}.",
            f"$TTL {ttl}",
            f"@ SOA ns1 hostmaster {serial} {REFRESH} {REFRESH} 86400 {minimum}",
            *glue("@", servers or [self]),
            *records,
        ]
        self._add(
            name, self.primary_block(name, signed=signed, narrow=narrow), "\n".join([*lines, ""])
        )

    def secondary(self, name: str, primary: "AuthoritativeServer") -> None:
        """Serves the zone as transferred from `primary`, looking for a new serial each second."""
        self._add(name, self.secondary_block(name, primary), None)

    def delegate(self, parent: str, child: str, servers: Sequence["AuthoritativeServer"]) -> None:
        """Delegates `child` in the zone `parent`, with glue for each address of the servers."""
        self.update(parent, *glue(child.removesuffix(f".{parent}"), servers))

    def update(self, zone: str, *records: str, removed: Sequence[tuple[str, str]] = ()) -> None:
        """Changes the zone by a signed update: each record set named in `records` becomes what
        they say, those in `removed` (name, kind) go. Names are relative to the zone."""
        change = dns.update.UpdateMessage(
            zone,
            keyring=dns.tsig.Key(self.key.name, self.key.secret, self.key.algorithm),
        )
        seen = set()
        for name, kind in removed:
            change.delete(name, kind)
        for line in records:
            name, ttl, kind, value = line.split(maxsplit=3)
            if (name, kind) not in seen:
                change.delete(name, kind)
                seen.add((name, kind))
            change.add(name, int(ttl), kind, value)
        answer = dns.query.tcp(change, self.address, timeout=5, port=self.port)
        if answer.rcode() != dns.rcode.NOERROR:
            raise StartFailed(
                f"{self.name} refused the update: {dns.rcode.to_text(answer.rcode())}"
            )

    def serial(self, zone: str) -> int:
        """The serial that this server has; -1 where it doesn't serve the zone."""
        answer = self.ask(zone, "SOA")
        if answer.rcode() != dns.rcode.NOERROR or not answer.flags & dns.flags.AA:
            return -1
        return int(answer.answer[0][0].serial) if answer.answer else -1

    def configuration(self) -> str:
        """The whole configuration, with the blocks of all zones."""
        raise NotImplementedError

    def primary_block(self, name: str, *, signed: bool, narrow: bool) -> str:
        """What the configuration says of a zone that is written here."""
        raise NotImplementedError

    def secondary_block(self, name: str, primary: "AuthoritativeServer") -> str:
        """What the configuration says of a zone that is transferred."""
        raise NotImplementedError

    def write(self, text: str | None, path: Path) -> None:
        path.write_text(text or "")
        self.own()

    def _add(self, name: str, block: str, text: str | None) -> None:
        with self.changing:
            if name in self.zones:
                raise ValueError(f"{name} is served already: change it by `update`")
            if text is not None:
                self.write(text, self.zone_file(name))
            self.zones[name] = block
            self.write(self.configuration(), self.directory / "conf")
            self.hang_up()
            self.wait(lambda: self.serial(name) >= 0)

    def zone_file(self, name: str) -> Path:
        return self.directory / f"{name}.zone"


def glue(name: str, servers: Sequence[AuthoritativeServer]) -> list[str]:
    """NS records for `name` and the A records of what they name, relative to the zone."""
    below = "" if name == "@" else f".{name}"
    addresses = [address for server in servers for address in server.addresses]
    numbered = list(enumerate(addresses, 1))
    return [
        *(f"{name} 5 NS ns{number}{below}" for number, _ in numbered),
        *(f"ns{number}{below} 5 A {address}" for number, address in numbered),
    ]


def _loopback() -> str:
    return f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(2, 255)}"
