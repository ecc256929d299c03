"""Whatever a host says, a call ends with a verdict; and whoever calls, nobody else is named."""

import random
from dataclasses import replace

import pytest

from mailhaul.canary.mark import Canary
from mailhaul.canary.pace import Pace
from mailhaul.canary.probe import ask
from mailhaul.canary.replies import Verdict
from mailhaul.canary.routes import Via
from mailhaul.canary.send import send
from mailhaul.canary.smtp import conversation, trusting
from mailhaul.canary.terms import agreed, stranger
from mailhaul.core.errors import BadInput
from tests.canary.scripted import EHLO_TLS, Anywhere, Script, host, recipients, route

TOKEN = "ab" * 16
PEOPLE = recipients(["ann", "bob"])
TERMS = agreed(PEOPLE, ["example.org"], speaker="probe.example.net", per_minute=1e6, patience=0.3)
VERBS = ("EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "DATA", "message", "RSET", "QUIT")
PIECES = (
    b"250 ok\r\n",
    b"250-",
    b"\r\n",
    b"\n",
    b"\r",
    b"550 ",
    b"421 bye\r\n",
    b"999 \r\n",
    b"-12 \r\n",
    b"250",
    b"\x00",
    b"\xff\xfe\xe2\x80\xae",
    b"354 go\r\n",
    b"220 \r\n",
    b"x" * 9000,
    b"STARTTLS",
    b"250-STARTTLS\r\n250-SMTPUTF8\r\n250 AUTH=\r\n",
    "５５０ fullwidth\r\n".encode(),
)


@pytest.mark.parametrize("seed", range(60))
async def test_random_answers(seed: int) -> None:
    chance = random.Random(seed)

    def noise() -> bytes:
        return b"".join(chance.choice(PIECES) for _ in range(chance.randrange(4)))

    says = {verb: noise() for verb in chance.sample(VERBS, chance.randrange(1, 4))}
    script = Script(says, greeting=noise() if seed % 5 == 0 else b"220 mx\r\n")
    async with host(script):
        probes = await ask(route(script), PEOPLE, TERMS, Pace(1e6), Anywhere(), trusting(), TOKEN)
        canary = Canary(TOKEN, PEOPLE[0], Via.MX, 1_790_000_000.0)
        came = await send(
            canary, route(script, via=Via.MX), TERMS, Pace(1e6), Anywhere(), trusting()
        )
    assert [each.recipient for each in probes.answers] == PEOPLE
    words = [each.words for each in probes.answers] + [came.words]
    assert all(each.isprintable() and len(each) < 1000 for each in words)
    assert came.on_its_way is (came.verdict in (Verdict.ACCEPTED, Verdict.UNCERTAIN))
    assert script.connections <= 20


WRONG = [
    ("one of another domain", ["eve@example.com"]),
    ("one whom the plan doesn't move", ["eve@example.org"]),
    ("a stranger of another domain", [stranger("example.com", TOKEN)]),
    ("two of the plan at once", PEOPLE),
    ("a stranger", [stranger("example.org", TOKEN)]),
    ("nobody", []),
]


@pytest.mark.parametrize(("name", "named"), WRONG, ids=[each[0] for each in WRONG])
async def test_a_message_goes_to_one_address_of_the_plan(name: str, named: list[str]) -> None:
    """Whatever a caller tries: the conversation itself refuses."""
    script = Script(stranger=b"250 any\r\n")
    async with host(script):
        with pytest.raises(BadInput):
            async with conversation(route(script), TERMS, Anywhere(), trusting()) as talk:
                await talk.sender(utf8=False)
                for address in named:
                    await talk.recipient(address)
                await talk.message(b"Subject: no\r\n\r\n")
    assert script.messages == []
    assert "DATA" not in script.heard
    assert all("eve" not in line for line in script.heard)
    assert all("example.com" not in line for line in script.heard)


async def test_who_was_taken_back_is_sent_nothing() -> None:
    script = Script()
    async with host(script):
        with pytest.raises(BadInput):
            async with conversation(route(script), TERMS, Anywhere(), trusting()) as talk:
                await talk.sender(utf8=False)
                await talk.recipient(PEOPLE[0])
                await talk.forget()
                await talk.message(b"Subject: no\r\n\r\n")
    assert script.messages == []


@pytest.mark.parametrize("octets", [0, 1, 3, 10, 30])
async def test_a_host_that_ends_amid_its_answer(octets: int) -> None:
    """Cut short at any place, at any verb, it is a host that hung up, or said nothing in time."""
    for verb in ("EHLO", "MAIL", "RCPT"):
        script = Script({verb: EHLO_TLS[:octets].replace(b"\n", b" ")})
        async with host(script):
            probes = await ask(
                route(script),
                PEOPLE[:1],
                replace(TERMS, patience=0.1),
                Pace(1e6),
                Anywhere(),
                trusting(),
                TOKEN,
            )
        assert probes.answers[0].verdict in (Verdict.SILENT, Verdict.UNREACHABLE)
