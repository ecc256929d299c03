"""A list and a person keep the contract: the person does what the tasks tell, at another hoster."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import BadInput, RetryLater
from mailhaul.core.text import Secret
from mailhaul.providers import static_watch
from mailhaul.providers.actions import Action, Add, Create, Delete, Lock, Rename
from mailhaul.providers.actions_text import action_of
from mailhaul.providers.extras import Alias, Extra, Filter, Redirection, Responder
from mailhaul.providers.journal import Journal
from mailhaul.providers.provider import Provider, Refused, TaskState
from mailhaul.providers.registry import Settings, open_provider
from mailhaul.providers.service import AccountState, Verb
from mailhaul.providers.static import USUAL, StaticProvider
from tests.providers.memory import PASSWORD, Fault, MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider
from tests.providers.suite import ProviderSuite, fresh
from tests.servers.dovecot import Dovecot
from tests.servers.mx import MailExchange
from tests.servers.process import fast, free_port

DOMAIN = "own.test"
ALL = USUAL | {Verb.CONFIGURE}
FEW = frozenset({Verb.RENAME, Verb.DELETE})


def opened(directory: Path, **values: str) -> StaticProvider:
    async def login() -> Credentials:
        return Credentials()

    given = {"domains": DOMAIN, **values}
    provider = open_provider(Settings("static", "Old Hoster", login, "", given, directory))
    assert isinstance(provider, StaticProvider)
    return provider


@dataclass
class StaticHouse:
    """A `House`. The hoster is one in memory, whose control plane only a person can use."""

    directory: Path
    verbs: frozenset[Verb]
    domain: str = DOMAIN
    secret: Secret = field(default_factory=lambda: Secret(PASSWORD))
    faults: frozenset[Fault] = frozenset({Fault.CANCELLED, Fault.STALLS})
    hoster: MemoryService = field(default_factory=lambda: MemoryService("mx", ticks=0))
    numbers: "count[int]" = field(default_factory=count)
    armed: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hoster.domain(DOMAIN)
        self.list.write_text("address,state,name,messages,telephone\n")
        self.person = MemoryProvider(MemoryHoster(self.hoster), "mx")
        self.provider = self.open()

    @property
    def list(self) -> Path:
        return self.directory / "accounts.csv"

    def open(self) -> StaticProvider:
        return opened(self.directory, verbs=", ".join(self.verbs), placeholders="configureme.me")

    async def another(self) -> Provider:
        return self.open()

    async def account(self, local: str, messages: int = 0) -> str:
        mail = [b"Subject: %d\r\n\r\n" % number for number in range(messages)]
        address = self.hoster.account(f"{local}@{DOMAIN}", *mail).address
        self._listed(f"{address},,,{messages}")
        return address

    async def placeholder(self) -> str:
        address = self.hoster.placeholder(f"p{next(self.numbers)}@configureme.me").address
        self._listed(f"{address},placeholder,,0")
        return address

    def _listed(self, line: str) -> None:
        """A person adds a line, by the columns that there are."""
        with self.list.open("a") as file:
            file.write(line + "\n")

    async def spare_domain(self) -> str:
        raise AssertionError("no such verb")

    async def destination(self) -> tuple[Provider, str, str]:
        raise AssertionError("no such verb")

    async def settle(self) -> None:
        """A person looks at the tasks, does them and says so."""
        for entry in Journal(self.directory / "accounts.csv.mailhaul").open():
            fault = self.armed[0] if self.armed else None
            if fault is Fault.STALLS:
                continue
            if fault is Fault.CANCELLED:
                self.armed.pop()
                await self.open().told(entry.number, "Ann", done=False, said="not today")
                continue
            await self.person.begin(action_of(entry.action), entry.key, self.secret)
            await self.open().told(entry.number, "Ann")

    async def messages(self, address: str) -> int:
        found = self.hoster.found(address)
        return found.box.total() if found else 0

    async def opens(self, address: str, secret: Secret) -> bool:
        found = self.hoster.found(address)
        assert found is not None
        return found.state is AccountState.CONFIGURED and found.password == secret.reveal()

    def sample(self, verb: Verb, address: str, other: str) -> Extra | None:
        return None

    def arm(self, fault: Fault) -> None:
        self.armed.append(fault)


class TestStatic(ProviderSuite):
    @pytest.fixture(params=[ALL, FEW], ids=["all", "few"])
    async def house(self, request: pytest.FixtureRequest) -> AsyncIterator[StaticHouse]:
        with TemporaryDirectory(dir=fast()) as directory:
            yield StaticHouse(Path(directory), request.param)


async def done_by_person(provider: StaticProvider, action: Action) -> None:
    task = await provider.begin(action, fresh("key"))
    assert (await provider.told(task.id, "Ann")).state is TaskState.DONE


async def test_a_person_is_told_what_to_do_and_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("address\nann@own.test\n")
    provider = opened(tmp_path, panel="https://panel.old.test")
    action = Rename("ann@own.test", "ann01@own.test")
    task = await provider.begin(action, "key")
    assert (task.state, task.by_person) == (TaskState.DOING, True)
    assert task.said == "rename ann@own.test to ann01@own.test at https://panel.old.test"
    assert (await opened(tmp_path).begin(action, "key")).id == task.id
    with pytest.raises(BadInput, match="who says so"):
        await provider.told(task.id, " ")
    over = await opened(tmp_path).told(task.id, "Ann Example", said="done at noon")
    assert (over.state, over.said, over.by_person) == (TaskState.DONE, "done at noon", False)
    assert (await provider.told(task.id, "Bob", done=False)).state is TaskState.DONE
    entry = Journal(tmp_path / "accounts.csv.mailhaul").entry(task.id)
    assert entry.told_by == "Ann Example"
    assert [each.address for each in await provider.accounts()] == ["ann01@own.test"]


async def test_a_list_that_a_person_has_changed_is_a_word_too(tmp_path: Path) -> None:
    users = tmp_path / "accounts.csv"
    users.write_text("address\nann@own.test\n")
    provider = opened(tmp_path)
    task = await provider.begin(Rename("ann@own.test", "bob@own.test"), "key")
    assert (await provider.task(task.id)).state is TaskState.DOING
    users.write_text("address\nbob@own.test\n")
    assert (await provider.task(task.id)).state is TaskState.DONE


async def test_what_people_keep_in_the_list_stays(tmp_path: Path) -> None:
    users = tmp_path / "accounts.csv"
    users.write_text(
        "\ufeffTelephone;Address;State;Remark\n"
        '"+1; 2";ann@own.test;;"two\nlines, ""quoted"""\n;bob@own.test;locked;\n',
        encoding="utf-8",
    )
    provider = opened(tmp_path)
    await done_by_person(provider, Lock("ann@own.test"))
    await done_by_person(provider, Add(Alias("bob@own.test", "robert@own.test")))
    text = users.read_text(encoding="utf-8")
    head, *rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";"))
    assert text.startswith("\ufefftelephone;address;state;remark;name;")
    assert rows[0][:4] == ["+1; 2", "ann@own.test", "locked", 'two\nlines, "quoted"']
    assert dict(zip(head, rows[1], strict=True))["aliases"] == "robert@own.test"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,state\nAnn,\n", "names its columns"),
        ("address,address\na@b.test,\n", "each once"),
        ("address,state\na@b.test,gone\n", "no state"),
        ("address,quota\na@b.test,5 GB\n", "no number"),
        ("address\na@b.test,x,y\n", "more fields"),
        ("address\nann\n", "no address"),
        ('address\n"a@b.test\n', "no CSV"),
    ],
)
async def test_a_list_that_makes_no_sense_is_bad_input(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "accounts.csv").write_text(text)
    with pytest.raises(BadInput, match=said):
        await opened(tmp_path).accounts()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"accounts": "nowhere.csv"}, "no list of accounts"),
        ({"domains": ""}, "needs domains"),
        ({"verbs": "write zones"}, "can't be asked"),
        ({"verbs": "configure placeholders"}, "can't be asked"),
        ({"mx": "a b"}, "host or host:port"),
        ({"mx": "mx.test:99999"}, "host or host:port"),
        ({"imap": "%u"}, "no endpoint"),
        ({"watch_every": "often"}, "number of seconds"),
        ({"password": "x"}, "no setting"),
    ],
)
def test_settings_that_can_not_be_are_bad_input(
    values: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "accounts.csv").write_text("address\n")
    with pytest.raises(BadInput, match=said):
        opened(tmp_path, **values)


def _nothing(message: bytes) -> None:
    raise AssertionError("no mail is ever sent")


@pytest.mark.parametrize(
    ("action", "known", "seen"),
    [
        (Rename("ann@own.test", "ann01@own.test"), {"ann01@own.test"}, True),
        (Rename("ann@own.test", "ann01@own.test"), {"ann@own.test"}, False),
        (
            Rename("ann@own.test", "ann01@own.test"),
            {"ann@own.test", "ann01@own.test"},
            False,
        ),
        (Create("new@own.test"), {"new@own.test"}, True),
        (Create("new@own.test"), set(), False),
        (Delete("ann@own.test"), set(), True),
        (Add(Alias("ann@own.test", "a@own.test")), {"a@own.test"}, True),
        (Lock("ann@own.test"), {"ann@own.test"}, False),
        (Add(Redirection("ann@own.test", "x@y.test")), {"ann@own.test"}, False),
    ],
)
@pytest.mark.parametrize("anybody", [False, True], ids=["strict", "takes anybody"])
async def test_the_mail_host_shows_when_it_is_done(
    action: Action, known: set[str], seen: bool, anybody: bool, tmp_path: Path
) -> None:
    (tmp_path / "accounts.csv").write_text("address\nann@own.test\n")
    everyone = _nothing if anybody else None
    with MailExchange(dict.fromkeys(known, _nothing), catch_all=everyone) as exchange:
        provider = opened(tmp_path, mx=f"127.0.0.1:{exchange.port}")
        task = await provider.begin(action, "key")
        over = (await provider.task(task.id)).state is TaskState.DONE
        assert over is (seen and not anybody)
        # A second look comes a minute later at the earliest.
        asked = len(exchange.named)
        await provider.task(task.id)
        assert len(exchange.named) == asked
        assert exchange.taken == []


async def test_a_mail_host_that_is_away_shows_nothing(tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("address\nann@own.test\n")
    provider = opened(tmp_path, mx=f"127.0.0.1:{free_port()}")
    task = await provider.begin(Delete("ann@own.test"), "key")
    assert (await provider.task(task.id)).state is TaskState.DOING


async def test_a_login_that_works_shows_that_the_account_is_made(
    tmp_path: Path, dovecot: Dovecot
) -> None:
    account = dovecot.account()
    (tmp_path / "accounts.csv").write_text("address\n")
    imap = f"imap://%n@{dovecot.host}:{dovecot.port}"
    for password, seen in (("wrong", False), (account.password, True)):
        provider = opened(tmp_path, imap=imap, watch_every="0")
        action = Create(f"{account.user}@own.test")
        task = await provider.begin(action, "key", Secret(password))
        assert ((await provider.task(task.id)).state is TaskState.DONE) is seen
    assert account.password not in _written(tmp_path)


def _written(directory: Path) -> str:
    """All that stands in its files."""
    return "".join(each.read_bytes().decode("latin-1") for each in directory.iterdir())


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (Filter("ann@own.test", "x", "#" * 120_000), "more than a line"),
        (Responder("ann@own.test", "a\0b"), "a NUL"),
    ],
)
async def test_what_no_list_can_hold_is_refused(extra: Extra, said: str, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("address\nann@own.test\n")
    with pytest.raises(Refused, match=said):
        await opened(tmp_path).begin(Add(extra), "key")


async def test_all_who_say_so_at_once_are_heard(tmp_path: Path) -> None:
    names = [f"u{number}@own.test" for number in range(8)]
    (tmp_path / "accounts.csv").write_text("\n".join(["address", *names]))
    tasks = [await opened(tmp_path).begin(Lock(name), f"key {name}") for name in names]
    await asyncio.gather(*(opened(tmp_path).told(each.id, "Ann") for each in tasks))
    found = await opened(tmp_path).accounts()
    assert [each.state for each in found] == [AccountState.LOCKED] * 8


async def test_an_address_is_a_user_and_nothing_else_of_an_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    met: list[Endpoint] = []

    async def connect(endpoint: Endpoint, login: Credentials, **_: object) -> None:
        met.append(endpoint)
        raise RetryLater("nobody is there")

    monkeypatch.setattr(static_watch, "connect", connect)
    for local in ("evil.example/x", "a?tls=none", "a#b", "100%41", "a+b"):
        address = f"{local}@acme.example"
        assert not await static_watch.opens("imaps://%u@mail.example", address, Secret("s"))
        assert not await static_watch.opens("imaps://%n@mail.example", address, Secret("s"))
        assert [(each.host, each.user) for each in met[-2:]] == [
            ("mail.example", address),
            ("mail.example", local),
        ]
