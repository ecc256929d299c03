"""The lab's embedded servers keep what the plain connection puts in, octet for octet."""

import hashlib

from mailhaul.core.folder import INBOX_PATH
from mailhaul.lab.mail import FOLDERS, sample_mailbox
from mailhaul.lab.servers import embedded_server
from mailhaul.lab.wire import PlainConnection


def test_a_filled_mailbox_reads_back_as_it_was_written() -> None:
    sample = sample_mailbox(120)
    with embedded_server("old.example") as server:
        server.add_user("odd one@example.org", "pass word")
        with PlainConnection(
            server.host, server.port, "odd one@example.org", "pass word"
        ) as connection:
            for path in FOLDERS[1:]:
                connection.create(path)
            connection.fill(sample)
            for path in FOLDERS:
                written = tuple(
                    (hashlib.sha256(message.content).hexdigest(), message.flags)
                    for message in sample
                    if message.folder == path
                )
                assert connection.content(path).messages == written
            assert connection.content(("nowhere",)).messages == ()


def test_two_servers_share_nothing_and_end_with_their_blocks() -> None:
    with embedded_server("one.example") as one, embedded_server("two.example") as two:
        one.add_user("anna", "secret")
        two.add_user("anna", "other")
        with PlainConnection(one.host, one.port, "anna", "secret") as connection:
            connection.fill([m for m in sample_mailbox(40) if m.folder == INBOX_PATH])
            assert connection.content(INBOX_PATH).messages
        with PlainConnection(two.host, two.port, "anna", "other") as connection:
            assert not connection.content(INBOX_PATH).messages
    assert one.process.returncode is not None
    assert two.process.returncode is not None
