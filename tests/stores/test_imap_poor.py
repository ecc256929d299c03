"""The IMAP store keeps the contract where a server offers little: every fallback is walked."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.servers.dovecot import Dovecot
from tests.stores.conformance import Opened, StoreSuite
from tests.stores.test_imap import DOVECOT, opened

POOR: dict[str, Dovecot] = {
    "no change tracking, everything under INBOX.": Dovecot(
        hidden={"CONDSTORE", "QRESYNC", "LIST-STATUS"}, prefix="INBOX.", separator="."
    ),
    "CONDSTORE and no QRESYNC": Dovecot(hidden={"QRESYNC", "MULTIAPPEND"}),
    "next to nothing": Dovecot(
        hidden={
            "BINARY",
            "CONDSTORE",
            "ENABLE",
            "ID",
            "LIST-EXTENDED",
            "LIST-STATUS",
            "LITERAL+",
            "MULTIAPPEND",
            "NAMESPACE",
            "QRESYNC",
            "SPECIAL-USE",
            "STATUS=SIZE",
            "UIDPLUS",
            "UNSELECT",
        }
    ),
}


@pytest.fixture(scope="module", params=POOR)
def poor_server(request: pytest.FixtureRequest) -> Iterator[Dovecot]:
    with POOR[request.param] as running:
        yield running


class TestPoorServer(StoreSuite):
    @pytest.fixture
    async def mailbox(self, poor_server: Dovecot) -> AsyncIterator[Opened]:
        async for both in opened(poor_server, DOVECOT):
            yield both
