"""`mailhaul dns plan`, `apply`, `verify` and `return` as a person uses them: on real zones of Knot
and BIND, with strangers, wrong keys and kills between."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import dns.query
import dns.rdatatype
import dns.zone
import pytest

from mailhaul.cli.exits import Exit
from mailhaul.core.text import Secret
from mailhaul.dns.answers import Server
from mailhaul.dns.guard import allowance
from mailhaul.dns.records import Kind
from mailhaul.dns.rfc2136 import TsigKey, UpdatedZone
from mailhaul.dns.zone import Edit, held
from tests.cli.running import Ran, command, environment, mailhaul
from tests.servers.knot import Knot
from tests.servers.names import AuthoritativeServer
from tests.servers.unbound import Unbound

PLAN = """
name = "move"
time_zone = "UTC"
cutover = 2090-01-31 20:00:00

[source]
url = "imaps://{{address}}@old.example"
secret = "env:OLD"

[target]
url = "imaps://{{address}}@new.example"
secret = "env:NEW"

[dns]
mx = ["10 mx.new.{zone}"]
spf = ["ip4:192.0.2.6"]
expect = "expect.toml"
ttl = "1m"
resolvers = ["{resolver}"]
port = {port}
allow_networks = ["127.0.0.0/8", "192.0.2.0/24"]

[dns.writer]
{writer}
"""
SIGNED = """kind = "rfc2136"
server = "{address}"
port = {port}
key = "{key}"
algorithm = "{algorithm}"
secret = "env:TSIG"
"""
EXPECT = """
spf_old = ["ip4:192.0.2.5"]
[[record]]
topic = "ownership"
name = "{domain}"
kind = "TXT"
values = ["MS=ms1"]
moment = "now"
"""
RECORDS = (
    "@ 86400 MX 10 mx.old",
    '@ 2 TXT "v=spf1 ip4:192.0.2.5 " "-all"',
    '@ 2 TXT "somebody-site-verification=1"',
    "mx.old 300 A 192.0.2.5",
    "mx.new 300 A 192.0.2.6",
)


@dataclass
class Desk:
    """A person's desk: a plan that has been started, and the zone of its domain."""

    home: Path
    server: AuthoritativeServer
    unbound: Unbound
    manual: bool = False
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        server = self.server
        parent = server.fresh("parent")
        self.zone = f"moved.{parent}"
        server.zone(self.zone, *RECORDS)
        server.zone(parent)
        server.delegate(parent, self.zone, [server])
        for name in (parent, self.zone):
            self.unbound.serve(name, [server])
        self.environ |= {"TSIG": server.key.secret, "OLD": "x", "NEW": "x"}
        signed = SIGNED.format(
            address=server.address,
            port=server.port,
            key=server.key.name,
            algorithm=server.key.algorithm,
        )
        text = PLAN.format(
            zone=self.zone,
            resolver=f"{self.unbound.address}@{self.unbound.port}",
            port=server.port,
            writer='kind = "manual"' if self.manual else signed,
        )
        (self.home / "plan.toml").write_text(text)
        (self.home / "expect.toml").write_text(EXPECT)
        (self.home / "mailboxes.csv").write_text(f"address\nanna@{self.zone}\n")
        started = self.run("start", "plan.toml")
        assert started.code == Exit.COMPLETE, started.err

    def run(self, *words: str, **environ: str) -> Ran:
        return mailhaul(*words, home=self.home, environ={**self.environ, **environ})

    def dns(self, what: str, *words: str, **environ: str) -> Ran:
        who = ("--as", "Olga Weiss") if what in ("apply", "return") else ()
        return self.run("dns", what, "move", *who, *words, **environ)

    def watching(self) -> "subprocess.Popen[bytes]":
        """`dns apply --watch`, under way."""
        words = ("dns", "apply", "move", "--as", "Olga Weiss", "--watch", "--json")
        return subprocess.Popen(
            command(words),
            cwd=self.home,
            env=environment(self.home, self.environ),
            stdout=subprocess.PIPE,
        )

    def dump(self) -> list[str]:
        """The whole zone but for the SOA, whose serial goes on."""
        transfer = dns.query.xfr(
            self.server.address, self.zone, port=self.server.port, relativize=False
        )
        whole = dns.zone.from_xfr(transfer, relativize=False)
        return sorted(
            f"{name} {ttl} {rdata.rdtype.name} {rdata}"
            for name, ttl, rdata in whole.iterate_rdatas()
            if rdata.rdtype != dns.rdatatype.SOA
        )

    async def meddle(self, before: tuple[int, str], after: tuple[int, str]) -> None:
        """Somebody else changes MX."""
        key = TsigKey(
            self.server.key.name, Secret(self.server.key.secret), self.server.key.algorithm
        )
        zone = UpdatedZone(
            self.zone,
            Server(self.server.address, self.server.port),
            key,
            allowance(["127.0.0.0/8"]),
        )
        sides = (
            held(self.zone, Kind.MX, ttl, {value: f"{value}."}) for ttl, value in (before, after)
        )
        await zone.change([Edit(*sides)])


@pytest.fixture(params=["knot", "bind"])
def authority(request: pytest.FixtureRequest) -> AuthoritativeServer:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, AuthoritativeServer)
    return server


def test_plan_apply_verify_and_return_give_the_very_same_zone_back(
    authority: AuthoritativeServer, unbound: Unbound, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, authority, unbound)
    zone, before = desk.zone, desk.dump()
    planned = desk.dns("plan")
    assert planned.code == Exit.DIFFERENT, planned.err
    assert f"  + {zone}. 60 IN MX 10 mx.old.{zone}.\n" in planned.out
    assert "TTL: lower it to 60 s by 2090-01-30 19:00 UTC" in planned.out
    assert desk.dns("verify").code == Exit.DIFFERENT
    dry = desk.dns("apply", "--dry-run")
    assert dry.code == Exit.COMPLETE, dry.err
    assert desk.dump() == before
    applied = desk.dns("apply", "--watch")
    assert applied.code == Exit.COMPLETE, applied.err
    assert "written: 2 record sets ahead of the switch" in applied.out
    assert "all say so" in applied.out
    assert len(set(desk.dump()) - set(before)) == 3
    assert desk.dns("plan").code == Exit.COMPLETE
    until = time.monotonic() + 30
    while (verified := desk.dns("verify", "--json")).code and time.monotonic() < until:
        # The resolver has been asked before, and remembers for its TTL.
        wrong = [each["server"] for each in verified.lines if each.get("says") == "old"]
        assert any(desk.unbound.address in each for each in wrong)
        time.sleep(0.5)
    assert verified.code == Exit.COMPLETE, verified.out
    assert {line["event"] for line in verified.lines} == {
        "zone_record", "zone_answer", "dns_verify",
    }  # fmt: skip
    assert desk.dns("apply").out.startswith(f"{zone}: nothing is to be written now")
    returned = desk.dns("return")
    assert returned.code == Exit.COMPLETE, returned.err
    assert desk.dump() == before
    told = [each["action"] for each in desk.run("log", "move", "--json").lines if "action" in each]
    assert told[-3:] == ["zone_writing", "zone_written", "zone_put_back"]


async def test_a_concurrent_edit_is_told_and_stays(
    authority: AuthoritativeServer, unbound: Unbound, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, authority, unbound)
    assert desk.dns("apply").code == Exit.COMPLETE
    elsewhere = "10 mx.elsewhere.example"
    await desk.meddle((60, f"10 mx.old.{desk.zone}"), (60, elsewhere))
    left = desk.dump()
    returned = desk.dns("return")
    assert returned.code == Exit.INCOMPLETE
    assert "nothing was changed" in returned.out
    assert elsewhere in returned.out
    assert desk.dump() == left


def test_a_wrong_key_is_said_in_a_sentence(knot: Knot, unbound: Unbound, tmp_path: Path) -> None:
    desk = Desk(tmp_path, knot, unbound)
    before = desk.dump()
    ran = desk.dns("apply", TSIG="c29tZWJvZHkgZWxzZSdzIGtleSwgbm90IG91cnMhISE=")
    assert ran.code == Exit.INCOMPLETE
    assert "won't have the key" in ran.err
    assert "Traceback" not in ran.err
    assert desk.dump() == before
    # To ask, nobody needs it.
    assert desk.dns("verify", TSIG="").code == Exit.DIFFERENT


DYING = """
import os, signal, sys
from mailhaul.dns import rfc2136

real, when = rfc2136.UpdatedZone.change, sys.argv.pop(1)

async def change(self, edits):
    if when == "after":
        await real(self, edits)
    os.kill(os.getpid(), signal.SIGKILL)

rfc2136.UpdatedZone.change = change
from mailhaul.cli.main import main
main()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_between_snapshot_and_record_it_is_done_by_saying_it_again(
    authority: AuthoritativeServer, unbound: Unbound, tmp_path: Path, when: str
) -> None:
    desk = Desk(tmp_path, authority, unbound)
    before = desk.dump()
    words = ("dns", "apply", "move", "--as", "Olga Weiss")
    done = subprocess.run(
        [sys.executable, "-c", DYING, when, *words],
        check=False,
        cwd=tmp_path,
        env=environment(tmp_path, desk.environ),
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert (desk.dump() == before) == (when == "before")
    assert desk.dns("apply").code == Exit.COMPLETE
    assert desk.dns("plan").code == Exit.COMPLETE
    assert desk.dns("return").code == Exit.COMPLETE
    assert desk.dump() == before


async def test_a_person_writes_and_is_watched(knot: Knot, unbound: Unbound, tmp_path: Path) -> None:
    desk = Desk(tmp_path, knot, unbound, manual=True)
    (tmp_path / "expect.toml").write_text("")
    text = (tmp_path / "plan.toml").read_text().replace('spf = ["ip4:192.0.2.6"]\n', "")
    (tmp_path / "plan.toml").write_text(text)
    assert desk.run("start", "plan.toml").code == Exit.COMPLETE
    told = desk.dns("apply")
    assert told.code == Exit.INCOMPLETE, told.err
    line = f"{desk.zone}. 60 IN MX 10 mx.old.{desk.zone}."
    assert f"  write:\n    {line}\n" in told.out
    watching = desk.watching()
    assert watching.stdout is not None
    waits = json.loads(watching.stdout.readline())
    assert (waits["result"], waits["write"]) == ("waits", [line])
    old = f"10 mx.old.{desk.zone}"
    await desk.meddle((86400, old), (60, old))
    lines = [json.loads(each) for each in watching.stdout]
    assert watching.wait(30) == Exit.COMPLETE
    assert [each["event"] for each in lines] == ["zone_ordered", "zone_heard", "dns_apply"]
    assert (lines[0]["result"], lines[1]["says"]) == ("done", "new")


NONSENSE = [
    ("nobody says so", ("apply", "move"), "say who with --as NAME"),
    ("nobody takes it back", ("return", "move"), "say who with --as NAME"),
    ("no such domain", ("plan", "move", "--domain", "other.example"), "has no domain"),
    ("no such plan", ("verify", "other"), "no plan “other”"),
    ("a dry watch", ("apply", "move", "--as", "x", "--dry-run", "--watch"), "writes nothing"),
]


@pytest.mark.parametrize(("name", "words", "says"), NONSENSE, ids=[row[0] for row in NONSENSE])
def test_what_makes_no_sense_is_said_before_anybody_is_asked(
    name: str, words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    (tmp_path / "plan.toml").write_text(
        'name = "move"\n[source]\nurl = "imaps://{address}@old.example"\nsecret = "env:OLD"\n'
        '[target]\nurl = "imaps://{address}@new.example"\nsecret = "env:NEW"\n'
        '[dns]\nmx = ["10 mx.new.example"]\n'
    )
    (tmp_path / "mailboxes.csv").write_text("address\nanna@moved.example\n")
    assert mailhaul("start", "plan.toml", home=tmp_path).code == Exit.COMPLETE
    ran = mailhaul("dns", *words, home=tmp_path)
    assert ran.code == Exit.USAGE, ran.out
    assert says in ran.err


def test_a_plan_without_dns_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(
        'name = "move"\n[source]\nurl = "imaps://{address}@old.example"\nsecret = "env:OLD"\n'
        '[target]\nurl = "imaps://{address}@new.example"\nsecret = "env:NEW"\n'
    )
    (tmp_path / "mailboxes.csv").write_text("address\nanna@moved.example\n")
    assert mailhaul("start", "plan.toml", home=tmp_path).code == Exit.COMPLETE
    ran = mailhaul("dns", "plan", "move", home=tmp_path)
    assert ran.code == Exit.USAGE
    assert "says nothing of DNS" in ran.err
