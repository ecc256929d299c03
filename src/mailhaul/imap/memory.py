"""What a server said the last time, so that we may speak before it does (docs/decisions/0015).

A greeting costs a wait. Whoever remembers it, has TLS that proves who is there (or is on this
machine), and would be told nothing by it but what was told the last time, can log in at once.
"""

import json

from mailhaul.core.endpoint import Credentials, Endpoint
from mailhaul.core.errors import BadInput, Closed
from mailhaul.imap import tls
from mailhaul.imap.logging_in import Way, way_of
from mailhaul.imap.login import Login, login_names
from mailhaul.imap.presumed import hears_early
from mailhaul.imap.responses import Status


class Memory:
    """What is remembered of one endpoint. `text` is all of it, to be kept; empty: nothing. It
    holds no secret, and that of another endpoint, or of none, counts for nothing."""

    __slots__ = ("_before", "_endpoint", "text")

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._before: str | None = None  # what it told when a way was last taken from here
        self.text = ""

    def way(self, credentials: Credentials) -> Way | None:
        """The way in that may be taken before the greeting; None: wait for it."""
        told = self._told()
        if not told:
            return None
        greeting = Status(None, b"OK", b"CAPABILITY", told.encode("latin-1", "replace"), b"")
        try:
            way = self._early(greeting, credentials)
        except (BadInput, Closed):  # by now the server may offer what it didn't
            return None
        if way is not None:
            self._before = told
        return way

    def expects(self, greeting: Status) -> bool:
        """Whether the greeting tells word for word what the way was taken for."""
        told = greeting.kind == b"OK" and greeting.code == b"CAPABILITY"
        return told and greeting.arguments.decode("latin-1") == self._before

    def keep(self, greeting: Status, credentials: Credentials, way: Way) -> None:
        """We got in by `way`, and all that was presumed was so. Nothing is kept of a server that
        may not be spoken to early, or that we beware of."""
        if self._told() == "":
            return
        if self.expects(greeting) or self._early(greeting, credentials) == way:
            self._note(greeting.arguments.decode("latin-1"))

    def forget(self) -> None:
        """The next time its greeting is waited for."""
        self.text = ""

    def beware(self) -> None:
        """Its greeting is waited for ever after."""
        self._note("")

    def _early(self, greeting: Status, credentials: Credentials) -> Way | None:
        """The way that the greeting tells, if who knows it need not wait for it: one step, by the
        person's own name and password, where nobody else can be or listen."""
        endpoint = self._endpoint
        alone = endpoint.scheme == "imaps" or (
            endpoint.scheme == "imap" and tls.is_loopback(endpoint.host)
        )
        if not alone or login_names(endpoint) != Login(endpoint.user):
            return None
        way = way_of(greeting, endpoint, credentials)
        if way is None or not way.able or not hears_early(greeting):
            return None
        return way

    def _told(self) -> str | None:
        """The capabilities of the greeting; empty: beware; None: nothing is known."""
        try:
            place, told = json.loads(self.text or "null")
        except (ValueError, TypeError):
            return None
        return told if place == self._place() and isinstance(told, str) else None

    def _note(self, told: str) -> None:
        self.text = json.dumps([self._place(), told])

    def _place(self) -> list[str]:
        options = sorted(self._endpoint.options.items())
        return [str(self._endpoint), *(f"{name}={value}" for name, value in options)]
