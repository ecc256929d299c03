"""A person's desk whose plan names providers, which are the hoster in memory."""

import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailhaul.providers import registry
from mailhaul.providers.extras import Alias, Group, Redirection, Remark
from mailhaul.providers.provider import Provider
from mailhaul.providers.registry import Settings
from mailhaul.providers.service import Contacts, Content, DomainStatus, Generation, Mode, Verb
from tests.cli.test_orders import Desk
from tests.providers.memory import PASSWORD, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider

DOMAIN = "acme.example"
A, B = f"anna@{DOMAIN}", f"bert@{DOMAIN}"
PLAN = """
name = "acme"
time_zone = "UTC"
[source]
url = "imaps://{address}@old.example"
secret = "env:OLD"
[source.provider]
kind = "lab"
service = "mx"
url = "http://127.0.0.1:1"
secret = "env:KEY"
[target]
url = "imaps://{address}@new.example"
secret = "env:NEW"
[target.provider]
kind = "lab"
service = "ex"
url = "http://127.0.0.1:1"
secret = "env:KEY"
"""
EXTRAS = frozenset({Verb.ALIASES, Verb.REDIRECTIONS, Verb.RESPONDERS, Verb.FILTERS, Verb.GROUPS})


def source() -> MemoryService:
    """An MX Plan of the new kind, with a mailbox or two and what stands beside them."""
    verbs = frozenset({Verb.RENAME, Verb.RELAY, Verb.DOMAINS, *EXTRAS})
    made = MemoryService("mx", "MX Plan", verbs=verbs, generation=Generation.NEW)
    made.evidence = ("server model: mxplan-1",)
    made.domain(DOMAIN)
    made.account(A, b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n")
    made.account(B)
    made.extras += [
        Alias(A, f"a.weiss@{DOMAIN}"),
        Redirection(B, "bert@elsewhere.example", copy=True),
        Group(f"team@{DOMAIN}", (A, B), "The team"),
        Remark(DOMAIN, "footer", "=cmd|' /C calc'!A0"),
    ]
    return made


def target() -> MemoryService:
    """A hosted Exchange with some unconfigured accounts."""
    verbs = frozenset({Verb.CONFIGURE, Verb.ALIASES, Verb.GROUPS, Verb.DOMAINS})
    contents = frozenset(Content)
    made = MemoryService("ex", "Hosted Exchange", verbs=verbs, contents=contents)
    made.contacts = Contacts("us-1", "us-1", "us-2", "us-1")
    made.domain(DOMAIN, mode=Mode.NON_AUTHORITATIVE, relay="mx.old.example")
    made.domain("other.example", status=DomainStatus.UNPROVEN)
    for number in range(3):
        made.placeholder(f"p{number}@configureme.me")
    return made


@dataclass
class HosterDesk(Desk):
    """See the module."""

    hoster: MemoryHoster = field(default_factory=lambda: MemoryHoster(hurried=True))

    @property
    def mx(self) -> MemoryService:
        return self.hoster.service("mx")

    @property
    def ex(self) -> MemoryService:
        return self.hoster.service("ex")


def hoster_desk(
    home: Path, monkeypatch: pytest.MonkeyPatch, plan: str = PLAN, *addresses: str
) -> HosterDesk:
    """The desk, its plan written and not yet started."""
    hoster = MemoryHoster(source(), target(), hurried=True)
    desk = HosterDesk(home, _environ(home), hoster)
    desk.write(*(addresses or (A, B)), plan=plan)

    def open_provider(settings: Settings) -> Provider:
        return MemoryProvider(desk.hoster, settings.service)

    module = SimpleNamespace(open_provider=open_provider)
    monkeypatch.setitem(registry.MODULES, "lab", "memory_at_the_desk")
    monkeypatch.setitem(sys.modules, "mailhaul.providers.memory_at_the_desk", module)
    return desk


def started_desk(
    home: Path, monkeypatch: pytest.MonkeyPatch, plan: str = PLAN, *addresses: str
) -> HosterDesk:
    """The desk, its plan started; what that has made is a copy, for making it takes a second."""
    desk = hoster_desk(home, monkeypatch, plan, *addresses)
    shutil.copytree(_started(plan, addresses or (A, B)) / "state", home / "state")
    return desk


@cache
def _started(plan: str, addresses: tuple[str, ...]) -> Path:
    home = Path(tempfile.mkdtemp())
    desk = Desk(home, _environ(home))
    desk.write(*addresses, plan=plan)
    ran = desk.run("start", desk.file)
    assert ran.code == 0, ran.err
    return home


def _environ(home: Path) -> dict[str, str]:
    return {
        "XDG_STATE_HOME": str(home / "state"),
        "TERM": "dumb",
        "OLD": "x",
        "NEW": PASSWORD,
        "KEY": "canary-of-the-control-plane",
    }
