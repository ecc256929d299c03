"""A private pymap, the embedded server of the lab: in memory, without root, poor in extensions."""

from contextlib import ExitStack

from mailhaul.lab.servers import EmbeddedServer, embedded_server
from tests.servers.process import Account, RunningServer


class Pymap(RunningServer):
    """A pymap: LITERAL+ UIDPLUS MULTIAPPEND BINARY MOVE; no CONDSTORE, NAMESPACE, SPECIAL-USE,
    QUOTA, LIST-STATUS."""

    name = "pymap"

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._server: EmbeddedServer | None = None

    def start(self) -> None:
        self._accounts = 0
        self._server = self._stack.enter_context(embedded_server(f"t{self.token}.test"))
        self.port = self._server.port

    def stop(self) -> None:
        self._stack.close()
        super().stop()

    def add_user(self, user: str, password: str) -> Account:
        """As in `RunningServer`."""
        assert self._server is not None
        self._server.add_user(user, password)
        return Account(user, password)
