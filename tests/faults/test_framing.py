"""The tracker finds the same moments however the bytes are chunked, and alters none of them."""

import pytest

from tests.faults.cutting_proxy import hide, strip_appenduid, swap_appenduid
from tests.faults.framing import ClientSide, Conversation, Moment, Place, ServerSide, Step

CLIENT = (
    b'a1 LOGIN "u" "p"\r\n'
    b"a2 AUTHENTICATE PLAIN\r\n"
    b"AHUAcA==\r\n"
    b'a3 LIST "" "*"\r\n'
    b"a4 APPEND INBOX (\\Seen) {10+}\r\n0123\r\n6789 () {4+}\r\nabcd\r\n"
    b'a5 UID FETCH 1:* (BODY.PEEK[] "{3}")\r\n'
)
SERVER = (
    b"* OK hello\r\n"
    b"a1 OK in\r\n"
    b"+ \r\n"
    b"a2 NO already\r\n"
    b'* LIST () "/" {5}\r\nINBOX\r\n'
    b"a3 OK\r\n"
    b"a4 OK [APPENDUID 9 1:2] done\r\n"
    b"* 1 FETCH (UID 1 BODY[] {8}\r\na5 OK\r\n\n FLAGS ())\r\n"
    b"a5 OK\r\n"
)
EXPECTED_CLIENT = [
    *[(Place.COMMAND, "LOGIN"), (Place.COMMAND_HALF, "LOGIN"), (Place.SENT, "LOGIN")],
    (Place.COMMAND, "AUTHENTICATE"),
    *[(Place.COMMAND_HALF, "AUTHENTICATE"), (Place.SENT, "AUTHENTICATE")],
    *[(Place.COMMAND, "SASL"), (Place.SENT, "SASL")],
    *[(Place.COMMAND, "LIST"), (Place.COMMAND_HALF, "LIST"), (Place.SENT, "LIST")],
    *[(Place.COMMAND, "APPEND"), (Place.COMMAND_HALF, "APPEND")],
    *[(Place.LITERAL, "APPEND"), (Place.LITERAL_HALF, "APPEND")],
    (Place.COMMAND_HALF, "APPEND"),
    *[(Place.LITERAL, "APPEND"), (Place.LITERAL_HALF, "APPEND")],
    *[(Place.LITERAL_DONE, "APPEND"), (Place.SENT, "APPEND")],
    *[(Place.COMMAND, "FETCH"), (Place.COMMAND_HALF, "FETCH"), (Place.SENT, "FETCH")],
]
EXPECTED_SERVER = [
    *[(place, "GREETING") for place in (Place.ANSWER, Place.ANSWER_HALF, Place.ANSWERED)],
    *[(place, "LOGIN") for place in (Place.ANSWER, Place.ANSWER_HALF, Place.ANSWERED)],
    (Place.CONTINUATION, "LITERAL"),
    *[(place, "AUTHENTICATE") for place in (Place.ANSWER, Place.ANSWER_HALF, Place.ANSWERED)],
    *[(place, "LIST") for place in (Place.BODY, Place.BODY_HALF, Place.BODY_DONE)],
    *[(place, "LIST") for place in (Place.ANSWER, Place.ANSWER_HALF, Place.ANSWERED)],
    *[(place, "APPEND") for place in (Place.ANSWER, Place.ANSWER_HALF, Place.ANSWERED)],
    *[(place, "FETCH") for place in (Place.BODY, Place.BODY_HALF, Place.BODY_DONE)],
    *[(place, "FETCH") for place in (Place.ANSWER, Place.ANSWER_HALF, Place.ANSWERED)],
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 11, 1000])
def test_moments_and_bytes_do_not_depend_on_the_chunks(chunk: int) -> None:
    conversation = Conversation()
    client = ClientSide(conversation)
    said = [step for part in _parts(CLIENT, chunk) for step in client.feed(part)]
    # All that the client says is fed before the first answer: its SASL exchange is long over.
    server = ServerSide(conversation, client)
    heard = [step for part in _parts(SERVER, chunk) for step in server.feed(part)]

    assert _bytes(said) == CLIENT
    assert _moments(said) == EXPECTED_CLIENT
    assert _bytes(heard) == SERVER
    assert _moments(heard) == EXPECTED_SERVER
    assert client.commands == {"LOGIN": 1, "AUTHENTICATE": 1, "LIST": 1, "APPEND": 1, "FETCH": 1}
    assert client.messages == server.acknowledged == 2
    assert server.answered == {"LOGIN": 1, "LIST": 1, "APPEND": 1, "FETCH": 1}


def test_the_half_of_a_literal_is_its_half() -> None:
    client = ClientSide(Conversation())
    steps = list(client.feed(b"a APPEND x {10+}\r\n0123456789\r\n"))
    at = steps.index(Moment(Place.LITERAL_HALF, "APPEND"))
    assert _bytes(steps[:at]).endswith(b"\r\n01234")


def test_a_literal_that_was_refused_does_not_swallow_the_next_command() -> None:
    conversation = Conversation()
    client = ClientSide(conversation)
    server = ServerSide(conversation, client)
    list(client.feed(b"a1 APPEND x {10}\r\n"))
    list(server.feed(b"* OK hello\r\na1 NO too big\r\n"))
    list(client.feed(b"a2 NOOP\r\n"))
    assert client.commands == {"APPEND": 1, "NOOP": 1}


@pytest.mark.parametrize(
    ("rewrite", "line", "expected"),
    [
        (strip_appenduid, b"a OK [APPENDUID 7 1:3] done\r\n", b"a OK done\r\n"),
        (strip_appenduid, b"a OK done\r\n", b"a OK done\r\n"),
        (swap_appenduid, b"a OK [APPENDUID 7 3] done\r\n", b"a OK [APPENDUID 3 7] done\r\n"),
        (
            hide("UIDPLUS", "LITERAL+"),
            b"* CAPABILITY IMAP4rev1 UIDPLUS LITERAL+\r\n",
            b"* CAPABILITY IMAP4rev1\r\n",
        ),
        (
            hide("uidplus"),
            b"a OK [CAPABILITY IMAP4rev1 UIDPLUS NAMESPACE] in\r\n",
            b"a OK [CAPABILITY IMAP4rev1 NAMESPACE] in\r\n",
        ),
        (hide("UIDPLUS"), b"a OK UIDPLUS is a word\r\n", b"a OK UIDPLUS is a word\r\n"),
    ],
)
def test_filters_rewrite_what_they_name_and_nothing_else(
    rewrite: object, line: bytes, expected: bytes
) -> None:
    assert callable(rewrite)
    assert rewrite(line) == expected


def _parts(data: bytes, chunk: int) -> list[bytes]:
    return [data[start : start + chunk] for start in range(0, len(data), chunk)]


def _bytes(steps: list[Step]) -> bytes:
    return b"".join(step for step in steps if isinstance(step, bytes))


def _moments(steps: list[Step]) -> list[tuple[Place, str]]:
    return [(step.place, step.verb) for step in steps if isinstance(step, Moment)]
