"""RCPT probes against hosts that answer as a table says."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from mailhaul.canary.pace import Pace
from mailhaul.canary.probe import Probes, ask
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Exchanger, Route, Via
from mailhaul.canary.smtp import trusting
from mailhaul.canary.terms import Terms, agreed
from mailhaul.core.errors import BadInput
from tests.canary.scripted import (
    EHLO_UTF8,
    HANG_UP,
    Anywhere,
    Nowhere,
    Script,
    host,
    recipients,
    route,
)

TOKEN = "0123456789abcdef0123456789abcdef"
PEOPLE = recipients(["ann", "bob"])
TERMS = agreed(
    [*PEOPLE, *recipients(["zoë", *(f"u{n}" for n in range(50))])],
    ["example.org"],
    speaker="probe.example.net",
    per_minute=60_000,
    patience=0.5,
    connecting=1.0,
)


async def asked(script: Script, people: list[str] | None = None, terms: Terms = TERMS) -> Probes:
    async with host(script):
        return await ask(
            route(script),
            PEOPLE if people is None else people,
            terms,
            Pace(terms.per_minute),
            Anywhere(),
            trusting(),
            TOKEN,
        )


@dataclass(frozen=True)
class Row:
    """One host, and what is made of its answers about Ann."""

    name: str
    says: dict[str, bytes]
    verdict: Verdict
    words: str = ""
    greeting: bytes = b"220 mx\r\n"
    slow: dict[str, float] = field(default_factory=dict)
    stranger: bytes = b"550 5.1.1 user unknown\r\n"
    takes_anyone: bool | None = False


def at_rcpt(answer: bytes) -> dict[str, bytes]:
    return {"RCPT ann@example.org": answer}


LONG = b"x" * 10_000_000
GREYLISTED = b"450 4.2.0 <ann@example.org>: Recipient address rejected: Greylisted\r\n"

ROWS = [
    Row("the host knows her", {}, Verdict.ACCEPTED, "250 2.1.5 fine"),
    Row("she is forwarded", at_rcpt(b"251 user not local; will forward\r\n"), Verdict.ACCEPTED),
    Row(
        "Postfix doesn't know her",
        at_rcpt(
            b"550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown in virtual "
            b"mailbox table\r\n"
        ),
        Verdict.REFUSED,
        "550 5.1.1 <ann@example.org>: Recipient address rejected",
    ),
    Row(
        "Exchange Online doesn't know her",
        at_rcpt(b"550 5.4.1 Recipient address rejected: Access denied. [AM0 2026-11-21]\r\n"),
        Verdict.REFUSED,
    ),
    Row(
        "Gmail doesn't know her, in several lines",
        at_rcpt(
            b"550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
            b"550-5.1.1 double-checking the recipient's email address for typos or\r\n"
            b"550 5.1.1 unnecessary spaces. - gsmtp\r\n"
        ),
        Verdict.REFUSED,
        "550 5.1.1 The email account that you tried to reach does not exist.",
    ),
    Row("her mailbox is switched off", at_rcpt(b"550 5.2.1 account disabled\r\n"), Verdict.REFUSED),
    Row("she is unknown without a code", at_rcpt(b"550 No such user here\r\n"), Verdict.REFUSED),
    Row(
        "Postfix takes nothing for the domain",
        at_rcpt(b"554 5.7.1 <ann@example.org>: Relay access denied\r\n"),
        Verdict.NO_RELAY,
    ),
    Row(
        "Exchange takes nothing for the domain",
        at_rcpt(b"550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain\r\n"),
        Verdict.NO_RELAY,
    ),
    Row(
        "Exchange Online has nobody with the domain",
        at_rcpt(b"550 5.7.64 TenantAttribution; Relay Access Denied [DB5]\r\n"),
        Verdict.NO_RELAY,
    ),
    Row(
        "we are on a list",
        at_rcpt(b"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen\r\n"),
        Verdict.BARRED,
    ),
    Row(
        "we are nobody, with the word unknown",
        at_rcpt(b"554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n"),
        Verdict.BARRED,
    ),
    Row(
        "we have no name, without a code",
        at_rcpt(b"550 no reverse entry for 192.0.2.1\r\n"),
        Verdict.BARRED,
    ),
    Row(
        "the sender is refused at once",
        {"MAIL": b"550 5.7.1 null sender not accepted here\r\n"},
        Verdict.BARRED,
        takes_anyone=None,
    ),
    Row("greylisting", at_rcpt(GREYLISTED), Verdict.TEMPORARY, "450 4.2.0"),
    Row(
        "greylisting of strangers, too",
        at_rcpt(GREYLISTED),
        Verdict.TEMPORARY,
        stranger=GREYLISTED,
        takes_anyone=None,
    ),
    Row("trouble of its own", at_rcpt(b"451 4.3.0 try later\r\n"), Verdict.TEMPORARY),
    Row("her mailbox is full", at_rcpt(b"452 4.2.2 over quota\r\n"), Verdict.TEMPORARY),
    Row(
        "it has enough of us",
        at_rcpt(b"421 4.7.0 too many errors\r\n"),
        Verdict.TEMPORARY,
        "421 4.7.0",
    ),
    Row(
        "it has enough of us before we say anything",
        {},
        Verdict.TEMPORARY,
        "421",
        greeting=b"421 too many connections\r\n",
        takes_anyone=None,
    ),
    Row(
        "it greets with no",
        {},
        Verdict.BARRED,
        "554",
        greeting=b"554 no SMTP service for 192.0.2.1\r\n",
        takes_anyone=None,
    ),
    Row(
        "it takes anyone",
        {},
        Verdict.ACCEPTED,
        stranger=b"250 ok\r\n",
        takes_anyone=True,
    ),
    Row(
        "it takes anyone but her",
        at_rcpt(b"550 5.2.1 disabled\r\n"),
        Verdict.REFUSED,
        stranger=b"250 ok\r\n",
        takes_anyone=True,
    ),
    Row("it doesn't know EHLO", {"EHLO": b"502 what?\r\n"}, Verdict.ACCEPTED),
    Row(
        "it is a tarpit within our patience",
        {},
        Verdict.ACCEPTED,
        slow={"RCPT": 0.15, "greeting": 0.2},
    ),
    Row(
        "it is a tarpit beyond it",
        {},
        Verdict.SILENT,
        "no answer in time",
        slow={"RCPT": 5.0},
        takes_anyone=None,
    ),
    Row(
        "it never greets",
        {},
        Verdict.SILENT,
        "no answer in time",
        slow={"greeting": 5.0},
        takes_anyone=None,
    ),
    Row("it hangs up at once", {}, Verdict.UNREACHABLE, "", greeting=HANG_UP, takes_anyone=None),
    Row("it hangs up at her name", at_rcpt(HANG_UP), Verdict.UNREACHABLE),
    Row(
        "a line of 10 MB",
        at_rcpt(b"250 " + LONG + b"\r\n"),
        Verdict.GARBLED,
        "Response too long",
    ),
    Row(
        "10 MB of lines without an end",
        at_rcpt(b"250-go on\r\n" * 900_000),
        Verdict.GARBLED,
    ),
    Row("no SMTP at all", {}, Verdict.GARBLED, greeting=b"HTTP/1.1 400\r\n\r\n", takes_anyone=None),
    Row(
        "a code that is none",
        at_rcpt(b"999 what\r\n"),
        Verdict.GARBLED,
    ),
    Row("a code in letters", at_rcpt(b"OK sure\r\n"), Verdict.GARBLED),
    Row(
        "words that would act on a terminal",
        at_rcpt(b"550 5.1.1 \x1b[2Jno such \xff\xfe\x00 user\r\n"),
        Verdict.REFUSED,
        "550 5.1.1 \\x1b[2Jno such",
    ),
    Row(
        "answers that nobody has asked for",
        at_rcpt(b"550 5.1.1 user unknown\r\n250 fine after all\r\n250 fine\r\n"),
        Verdict.REFUSED,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_what_a_host_says_of_her(row: Row) -> None:
    script = Script(row.says, row.greeting, row.slow, row.stranger)
    probes = await asked(script)
    ann, bob = probes.answers
    assert (ann.verdict, probes.takes_anyone) == (row.verdict, row.takes_anyone)
    assert row.words in ann.words
    assert ann.words.isprintable()
    assert len(ann.words) < 500
    if row.name in ("it hangs up at her name", "a line of 10 MB", "it has enough of us"):
        assert bob.verdict is Verdict.ACCEPTED, "only her answer is lost"
    assert script.messages == []
    assert not any(line.upper().startswith("DATA") for line in script.heard)


async def test_who_was_named_is_taken_back_before_goodbye() -> None:
    script = Script()
    await asked(script)
    assert script.heard == [
        "EHLO probe.example.net",
        "MAIL FROM:<>",
        "RCPT TO:<mailhaul-nobody-0123456789abcdef@example.org>",
        "RCPT TO:<ann@example.org>",
        "RCPT TO:<bob@example.org>",
        "RSET",
        "QUIT",
    ]


async def test_a_connection_names_no_more_than_agreed() -> None:
    script = Script()
    people = recipients([f"u{n}" for n in range(50)])
    probes = await asked(script, people, replace(TERMS, per_connection=20))
    assert script.connections == 3
    assert [each.recipient for each in probes.answers] == people == script.named()
    assert {each.verdict for each in probes.answers} == {Verdict.ACCEPTED}


async def test_a_host_that_says_goodbye_to_each_question_is_left_alone() -> None:
    script = Script({"RCPT": b"421 go away\r\n"}, stranger=b"421 go away\r\n")
    probes = await asked(script, recipients([f"u{n}" for n in range(50)]))
    assert script.connections == 1
    assert {each.verdict for each in probes.answers} == {Verdict.TEMPORARY}


@pytest.mark.parametrize(
    ("ehlo", "verdict", "said"),
    [
        (EHLO_UTF8, Verdict.ACCEPTED, "MAIL FROM:<> SMTPUTF8"),
        (b"250 mx\r\n", Verdict.UNFIT, "MAIL FROM:<>"),
    ],
    ids=["a host that knows SMTPUTF8", "one that doesn't"],
)
async def test_an_address_that_is_not_ascii(ehlo: bytes, verdict: Verdict, said: str) -> None:
    script = Script({"EHLO": ehlo})
    probes = await asked(script, recipients(["zoë", "ann"]))
    assert [each.verdict for each in probes.answers] == [verdict, Verdict.ACCEPTED]
    assert said in script.heard
    assert ("RCPT TO:<zoë@example.org>" in script.heard) is (verdict is Verdict.ACCEPTED)


async def test_the_next_host_is_asked_when_the_best_is_away() -> None:
    away, there = Script(greeting=b"421 closed for the night\r\n"), Script()
    async with host(away), host(there):
        probes = await ask(
            route(away, there), PEOPLE, TERMS, Pace(60_000), Anywhere(), trusting(), TOKEN
        )
    assert (away.connections, there.connections) == (1, 1)
    assert {each.verdict for each in probes.answers} == {Verdict.ACCEPTED}


async def test_no_host_at_all_is_told_by_what_became_of_each() -> None:
    busy = Script(greeting=b"421 busy\r\n")
    async with host(busy):
        nobody = Exchanger("nobody.example.org", ("127.0.0.1",), 5, _closed_port())
        nameless = Exchanger("nameless.example.org", (), 7)
        way = Route(Via.NEW, "example.org", (nobody, nameless, *route(busy).exchangers))
        probes = await ask(way, PEOPLE, TERMS, Pace(60_000), Anywhere(), trusting(), TOKEN)
    ann = probes.answers[0]
    assert ann.verdict is Verdict.TEMPORARY, "of the host that came nearest to an answer"
    assert ann.words == (
        "localhost (127.0.0.1): it says: 421 busy; nobody.example.org (127.0.0.1): nobody listens "
        "there; nameless.example.org has no address"
    )


async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    script = Script()
    async with host(script):
        probes = await ask(route(script), PEOPLE, TERMS, Pace(60_000), Nowhere(), trusting(), TOKEN)
    assert script.connections == 0
    assert {each.verdict for each in probes.answers} == {Verdict.FORBIDDEN}


async def test_a_zone_with_a_thousand_addresses_costs_no_more_than_a_few() -> None:
    script = Script(greeting=b"421 busy\r\n")
    async with host(script):
        many = Exchanger("many.example.org", ("127.0.0.1",) * 1000, 0, script.port)
        way = Route(Via.NEW, "example.org", (many,))
        await ask(way, PEOPLE, TERMS, Pace(60_000), Anywhere(), trusting(), TOKEN)
    assert script.connections == 8


async def test_recipients_are_named_no_faster_than_agreed() -> None:
    now, waits = 100.0, list[float]()

    async def pause(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    pace = Pace(30, clock=lambda: now, pause=pause)
    script = Script()
    async with host(script):
        await ask(route(script), PEOPLE, TERMS, pace, Anywhere(), trusting(), TOKEN)
        await ask(route(script), PEOPLE, TERMS, pace, Anywhere(), trusting(), TOKEN)
    assert waits == [2.0] * 5, "six recipients, strangers among them, two seconds apart"


async def test_turns_of_many_at_once_are_apart() -> None:
    moments: list[float] = []

    async def pause(seconds: float) -> None:
        moments.append(seconds)

    pace = Pace(60, clock=lambda: 0.0, pause=pause)
    await asyncio.gather(*(pace.turn() for _ in range(4)))
    assert moments == [1.0, 2.0, 3.0]


async def test_turns_that_nobody_took_are_not_made_up_for() -> None:
    now, waits = 0.0, list[float]()

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    pace = Pace(30, clock=lambda: now, pause=pause)
    await pace.turn()
    now = 1000.0
    await pace.turn()
    await pace.turn()
    assert waits == [2.0]


@pytest.mark.parametrize(
    "stray", ["eve@example.org", "ann@example.com", "ANN@example.org", "ann@example.org>\r\nDATA"]
)
async def test_nobody_is_asked_about_who_is_not_of_the_plan(stray: str) -> None:
    script = Script()
    with pytest.raises(BadInput):
        await asked(script, [stray])
    assert script.connections == 0


def _closed_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
