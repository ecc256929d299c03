"""The lab's hoster is what it says: scripts act, mail is led, tasks outlive its process."""

import asyncio
import base64
import contextlib
import imaplib
import smtplib
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from mailhaul.core.errors import BadInput
from mailhaul.core.text import Secret
from mailhaul.lab.hoster.books import Line
from mailhaul.providers.actions import Action, Add, Configure, HandOver, Remove, Rename, SetMode
from mailhaul.providers.extras import Alias, Extra, Filter, Group, Redirection, Responder
from mailhaul.providers.provider import OVER, Provider, Refused, Task, TaskState
from mailhaul.providers.service import Contacts, DomainStatus, Mode
from tests.cutover.post import Senders
from tests.servers.hoster import PASSWORD, Hoster
from tests.servers.mx import MailExchange, nowhere
from tests.servers.process import HOST

OUTSIDE = "friend@outside.example"
SECRET = Secret(PASSWORD)
_NUMBERS = count(1)


@pytest.fixture
def domain() -> str:
    return f"t{next(_NUMBERS)}.lab-hoster.test"


async def done(provider: Provider, action: Action, secret: Secret | None = None) -> Task:
    """Has it done, to the end, in a task of its own."""
    task = await provider.begin(action, f"key-{next(_NUMBERS)}", secret)
    task = await over(provider, task)
    assert task.state is TaskState.DONE, task
    return task


async def over(provider: Provider, task: Task) -> Task:
    deadline = time.monotonic() + 20
    while task.state not in OVER:
        assert time.monotonic() < deadline, task
        await asyncio.sleep(0.02)
        task = await provider.task(task.id)
    return task


def write(hoster: Hoster, address: str, subject: str, sender: str = OUTSIDE) -> None:
    text = f"From: <{sender}>\r\nTo: <{address}>\r\nSubject: {subject}\r\n\r\nNews.\r\n"
    with smtplib.SMTP(HOST, hoster.smtp, timeout=10) as line:
        line.sendmail(sender, [address], text.encode())


@contextlib.contextmanager
def opened(hoster: Hoster, service: str, address: str) -> Iterator[imaplib.IMAP4]:
    server = hoster.server(service)
    with imaplib.IMAP4(server.host, server.port) as line:
        line.login(address, PASSWORD)
        yield line


def subjects(hoster: Hoster, service: str, address: str, folder: str = "INBOX") -> list[str]:
    """Of what lies there, in order."""
    with opened(hoster, service, address) as line:
        if line.select(folder, readonly=True)[0] != "OK":
            return []
        _, found = line.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [
            each[1].decode().partition(":")[2].strip() for each in found if isinstance(each, tuple)
        ]


def outside(hoster: Hoster, address: str) -> list[str]:
    """What has been sent to an address that isn't here."""
    return [each["content"] for each in hoster.seen(address) if each["event"] == "outside"]


@pytest.mark.parametrize("line", [Line.NEW, Line.EXCHANGE])
async def test_redirections_auto_replies_and_filters_act(
    line: Line, hoster: Hoster, domain: str
) -> None:
    service, ann, far = hoster.sell(line, domain), f"ann@{domain}", f"far@{domain}.elsewhere"
    sender = f"sender@{domain}.elsewhere"
    hoster.accounts(service, ann)
    provider = hoster.provider(service)
    script = 'require ["fileinto", "mailbox"];\nif header :contains "subject" "plan" {\n'
    script += '  fileinto :create "Plans";\n}\n'
    extras: list[Extra] = [
        Redirection(ann, far, copy=True),
        Responder(ann, 'I am "away".\r\n.\r\nBack soon.', "Away"),
        Filter(ann, "plans", script),
    ]
    for extra in extras:
        await done(provider, Add(extra))
    write(hoster, ann, "a plan", sender)
    assert subjects(hoster, service, ann, "Plans") == ["a plan"]
    assert ["Subject: a plan" in each for each in outside(hoster, far)] == [True]
    (reply,) = outside(hoster, sender)
    assert 'I am "away".' in reply
    assert "Back soon." in reply

    for extra in extras:
        await done(provider, Remove(extra))
    write(hoster, ann, "a second plan", sender)
    assert subjects(hoster, service, ann) == ["a second plan"]
    await done(provider, Add(Redirection(ann, far)))
    write(hoster, ann, "the last", sender)
    assert subjects(hoster, service, ann) == ["a second plan"]
    assert len(outside(hoster, far)) == 2
    await provider.close()


async def test_a_script_that_is_none_is_refused(hoster: Hoster, domain: str) -> None:
    for line in (Line.LEGACY, Line.EXCHANGE):
        service, ann = hoster.sell(line, domain), f"ann@{domain}"
        hoster.accounts(service, ann)
        provider = hoster.provider(service)
        with pytest.raises(Refused):
            await provider.begin(Add(Filter(ann, "odd", "if header {")), "key")
        assert await provider.extras(ann) == []
        await provider.close()


async def test_mail_is_led_to_whoever_has_the_address(hoster: Hoster, domain: str) -> None:
    old, new = hoster.sell(Line.NEW, domain), hoster.sell(Line.EXCHANGE, domain)
    ann, bob = f"ann@{domain}", f"bob@{domain}"
    hoster.accounts(old, ann)
    hoster.accounts(new, bob)
    hoster.extra(old, Alias(ann, f"anna@{domain}"))
    hoster.extra(new, Group(f"all@{domain}", (ann, bob)))
    for local in ("ann", "ANNA", "all", "bob"):
        write(hoster, f"{local}@{domain}", local)
    assert subjects(hoster, old, ann) == ["ann", "ANNA", "all"]
    assert subjects(hoster, new, bob) == ["all", "bob"]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        write(hoster, f"nobody@{domain}", "lost")
    assert [each["event"] for each in hoster.seen(f"nobody@{domain}")] == ["refused"]


async def test_what_a_non_authoritative_domain_does_not_know_is_relayed(
    hoster: Hoster, domain: str
) -> None:
    service, other = hoster.sell(Line.NEW, domain), f"else@{domain}"
    provider = hoster.provider(service)
    with MailExchange({other: nowhere}) as elsewhere:
        relay = f"{HOST}:{elsewhere.port}"
        authoritative = (Mode.AUTHORITATIVE, "")
        await done(provider, SetMode(domain, Mode.NON_AUTHORITATIVE, relay, *authoritative))
        write(hoster, other, "on its way")
        assert [address for address, _ in elsewhere.taken] == [other]
    await provider.close()


@pytest.mark.parametrize("guarded", [False, True])
async def test_the_time_in_which_an_address_is_nowhere_is_measured(
    guarded: bool, hoster: Hoster, domain: str
) -> None:
    old, new = hoster.sell(Line.NEW, domain), hoster.sell(Line.EXCHANGE, domain)
    ann, before = f"ann@{domain}", f"ann01@{domain}"
    hoster.accounts(old, ann)
    (placeholder,) = hoster.placeholders(new, 1)
    source, target = hoster.provider(old), hoster.provider(new)
    await done(source, Rename(ann, before))
    if guarded:
        await done(source, Add(Alias(before, ann)))
        write(hoster, ann, "meanwhile")
        assert subjects(hoster, old, before) == ["meanwhile"]
    else:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            write(hoster, ann, "meanwhile")
    await done(target, Configure(placeholder, ann), SECRET)
    if guarded:
        await done(source, Remove(Alias(before, ann)))
    write(hoster, ann, "afterwards")
    assert subjects(hoster, new, ann) == ["afterwards"]
    (window,) = hoster.unreachable(ann)
    assert 0 < window < 10
    await source.close()
    await target.close()


async def test_renaming_moves_calendars_and_contacts(hoster: Hoster, domain: str) -> None:
    service, ann = hoster.sell(Line.EXCHANGE, domain), f"ann@{domain}"
    (placeholder,) = hoster.placeholders(service, 1)
    provider = hoster.provider(service)
    await done(provider, Configure(placeholder, ann), SECRET)
    event = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        "DTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nDURATION:PT1H\r\n"
        "SUMMARY:Tea\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:Bob\r\nN:Bob;;;;\r\nEND:VCARD\r\n"
    assert dav(hoster, ann, "MKCALENDAR", "calendars", "own/")[0] == 201
    assert dav(hoster, ann, "PUT", "calendars", "own/1.ics", "text/calendar", event)[0] == 201
    assert dav(hoster, ann, "PUT", "addressbooks", "Default/1.vcf", "text/vcard", card)[0] == 201
    renamed = f"ann.smith@{domain}"
    await done(provider, Rename(ann, renamed))
    assert "SUMMARY:Tea" in dav(hoster, renamed, "GET", "calendars", "own/1.ics")[1]
    assert "FN:Bob" in dav(hoster, renamed, "GET", "addressbooks", "Default/1.vcf")[1]
    assert dav(hoster, ann, "GET", "calendars", "own/1.ics")[0] == 401
    await provider.close()


def dav(
    hoster: Hoster, user: str, method: str, room: str, path: str, kind: str = "", body: str = ""
) -> tuple[int, str]:
    """The status and the answer."""
    request = urllib.request.Request(
        f"http://{HOST}:{hoster.cyrus.http_port}/dav/{room}/user/{user}/{path}",
        body.encode() or None,
        {"Authorization": f"Basic {base64.b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"},
        method=method,
    )
    if kind:
        request.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


FOLDERS = ("INBOX", "Sent", "Archive/2025", "Entw&APw-rfe")


def fill(hoster: Hoster, service: str, address: str, each: int) -> Counter[tuple[str, str]]:
    """So many messages in each of the folders; folder and subject of all."""
    there: Counter[tuple[str, str]] = Counter()
    with opened(hoster, service, address) as line:
        for folder in FOLDERS:
            if folder != "INBOX":
                line.create(folder)
            for number in range(each):
                text = f"Subject: {number}\r\n\r\nOld.\r\n".encode()
                flags = "(\\Seen)" if number % 2 else "()"
                line.append(folder, flags, imaplib.Time2Internaldate(1_700_000_000), text)
                there[folder, str(number)] += 1
    return there


def held(hoster: Hoster, service: str, address: str) -> Counter[tuple[str, str]]:
    """Folder and subject of all that lies there."""
    return Counter(
        (folder, subject)
        for folder in FOLDERS
        for subject in subjects(hoster, service, address, folder)
    )


async def test_a_hand_over_under_mail_and_a_killed_hoster_lose_and_double_nothing(
    hoster: Hoster, domain: str
) -> None:
    old, new = hoster.sell(Line.LEGACY, domain), hoster.sell(Line.EXCHANGE, domain)
    ann = f"ann@{domain}"
    hoster.accounts(old, ann)
    wanted = fill(hoster, old, ann, 60)
    (placeholder,) = hoster.placeholders(new, 1)
    provider = hoster.provider(old)
    with Senders("world", (ann,), lambda _: HOST, hoster.smtp, every=0.05) as world:
        began = await provider.begin(HandOver(ann, new, placeholder), "key", SECRET)
        _until(lambda: sum(held(hoster, new, ann).values()) > 20)
        # Who is cut off after the hoster has taken a message sends it again, as mail does.
        with world.silent():
            hoster.kill()
            assert sum(held(hoster, new, ann).values()) < wanted.total(), "it was killed too late"
            hoster.start()
        provider = hoster.provider(old)
        assert (await over(provider, began)).state is TaskState.DONE
        _until(lambda: len(world.sent) > 20)
    wanted += Counter(("INBOX", mark) for mark in world.sent)
    assert world.refused == []
    assert held(hoster, new, ann) == wanted
    assert await provider.account(ann) is None
    assert hoster.unreachable(ann) == []
    with opened(hoster, new, ann) as line:
        line.select("Sent", readonly=True)
        assert line.search(None, "SEEN")[1][0].count(b" ") == 29
        assert "14-Nov-2023" in str(line.fetch("1", "(INTERNALDATE)")[1])
    await provider.close()


def _until(over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            if over():
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_a_careless_hand_over_loses_as_many_as_it_is_told(
    hoster: Hoster, domain: str
) -> None:
    old, new = hoster.sell(Line.LEGACY, domain), hoster.sell(Line.EXCHANGE, domain)
    ann = f"ann@{domain}"
    hoster.accounts(old, ann)
    there = fill(hoster, old, ann, 2)
    (placeholder,) = hoster.placeholders(new, 1)
    hoster.arm(new, "loses 3")
    provider = hoster.provider(old)
    await done(provider, HandOver(ann, new, placeholder), SECRET)
    assert sum((there - held(hoster, new, ann)).values()) == 3
    await provider.close()


@pytest.mark.parametrize(
    ("side", "contacts", "code"),
    [
        ("old", Contacts("us-1", "you-2", "us-1"), "SOURCE_ADMINISTRATOR"),
        ("old", Contacts("us-1", "us-1", "you-2"), "SOURCE_TECHNICAL"),
        ("new", Contacts("us-1", "you-2", "us-1"), "TARGET_ADMINISTRATOR"),
        ("new", Contacts("us-1", "us-1", "you-2"), "TARGET_TECHNICAL"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_who_lacks_a_role_hands_nothing_over(
    side: str, contacts: Contacts, code: str, hoster: Hoster, domain: str
) -> None:
    ours = Contacts("us-1", "us-1", "us-1", "us-1")
    old = hoster.sell(Line.LEGACY, domain, contacts=contacts if side == "old" else ours)
    new = hoster.sell(Line.EXCHANGE, domain, contacts=contacts if side == "new" else ours)
    hoster.accounts(old, f"ann@{domain}")
    (placeholder,) = hoster.placeholders(new, 1)
    provider = hoster.provider(old)
    with pytest.raises(Refused) as refused:
        await provider.begin(HandOver(f"ann@{domain}", new, placeholder), "key", SECRET)
    assert [each.code for each in refused.value.findings] == [code]
    await provider.close()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (DomainStatus.CREATING, "DOMAIN_CREATING"),
        (DomainStatus.UNPROVEN, "DOMAIN_UNPROVEN"),
        (DomainStatus.ERROR, "DOMAIN_FAILED"),
    ],
)
async def test_a_domain_that_is_not_ok_gets_no_account(
    status: DomainStatus, code: str, hoster: Hoster, domain: str
) -> None:
    service = hoster.sell(Line.EXCHANGE)
    hoster.domain(service, domain, status=status)
    (placeholder,) = hoster.placeholders(service, 1)
    provider = hoster.provider(service)
    with pytest.raises(Refused) as refused:
        await provider.begin(Configure(placeholder, f"ann@{domain}"), "key", SECRET)
    assert [each.code for each in refused.value.findings] == [code]
    (told,) = await provider.domains()
    assert (told.proof is not None) is (status is DomainStatus.UNPROVEN)
    await provider.close()


async def test_tasks_take_their_time_and_outlive_the_hosters_process(
    hoster: Hoster, domain: str
) -> None:
    service = hoster.sell(Line.NEW, domain, seconds=1.0)
    ann, ben = f"ann@{domain}", f"ben@{domain}"
    hoster.accounts(service, ann)
    provider = hoster.provider(service)
    began = await provider.begin(Rename(ann, ben), "key")
    assert began.state is TaskState.TODO
    found = await provider.account(ann)
    assert found is not None
    assert found.state == "busy"
    hoster.kill()
    hoster.start()
    provider = hoster.provider(service)
    assert (await provider.begin(Rename(ann, ben), "key")).id == began.id
    assert (await over(provider, began)).state is TaskState.DONE
    assert await provider.account(ann) is None
    hoster.forget(service)
    with pytest.raises(BadInput):
        await provider.task(began.id)
    await provider.close()


def test_the_hoster_ends_with_whoever_started_it(hoster: Hoster) -> None:
    """So that no test that was killed leaves one behind."""
    process = hoster._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    hoster.kill()
    hoster.start()
