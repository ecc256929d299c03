"""From an endpoint to the connector that speaks to it.

Connectors are imported when they are asked for and not before: starting up is measured, and who
carries IMAP to IMAP never pays for the file formats (nor the other way round).
"""

from pathlib import Path

from mailhaul.core.blob import Spool
from mailhaul.core.endpoint import DEFAULT_PORTS, Credentials, Endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.lease import Lease
from mailhaul.core.store import Source, Target

# ruff: noqa: PLC0415 - each connector is imported where it is chosen, see above.


def open_source(
    endpoint: Endpoint,
    credentials: Credentials | None = None,
    *,
    connections: int = 1,
    spool: Spool | None = None,
) -> Source:
    """A source for `endpoint`, not yet opened; the object has no verb that writes.

    Uses at most `connections` connections at once. Raises `BadInput` for a scheme nobody speaks.
    """
    if endpoint.scheme == "maildir":
        from mailhaul.stores.maildir import MaildirSource

        return MaildirSource(Path(endpoint.path), spool)
    if endpoint.scheme == "mbox":
        from mailhaul.stores.mbox import MboxSource

        return MboxSource(Path(endpoint.path), spool)
    if endpoint.scheme == "eml":
        from mailhaul.stores.eml import EmlSource

        return EmlSource(Path(endpoint.path), spool)
    if endpoint.scheme in DEFAULT_PORTS:
        from mailhaul.stores.imap import ImapSource

        return ImapSource(
            endpoint, credentials or Credentials(), connections=connections, spool=spool
        )
    raise _unknown(endpoint)


def open_target(
    endpoint: Endpoint,
    credentials: Credentials | None = None,
    *,
    connections: int = 1,
    spool: Spool | None = None,
    lease: Lease | None = None,
) -> Target:
    """A target for `endpoint`, not yet opened; else as `open_source`. A server hears nothing while
    the `lease` does not hold; files are this machine's, where nobody else writes."""
    if endpoint.scheme == "maildir":
        from mailhaul.stores.maildir_target import maildir_target

        return maildir_target(Path(endpoint.path), spool)
    if endpoint.scheme == "mbox":
        from mailhaul.stores.mbox_target import mbox_target

        return mbox_target(Path(endpoint.path), spool)
    if endpoint.scheme == "eml":
        from mailhaul.stores.eml_target import eml_target

        return eml_target(Path(endpoint.path), spool)
    if endpoint.scheme in DEFAULT_PORTS:
        from mailhaul.stores.imap import ImapTarget

        return ImapTarget(
            endpoint,
            credentials or Credentials(),
            connections=connections,
            spool=spool,
            lease=lease,
        )
    raise _unknown(endpoint)


def load(endpoint: Endpoint) -> None:
    """Imports now what its connector would import when it is first needed."""
    if endpoint.scheme in DEFAULT_PORTS:
        from mailhaul.stores.imap import load as load_imap

        load_imap()


def check(endpoint: Endpoint, side: str) -> None:
    """Raises `BadInput` for what can be known to be wrong before anything is opened: a path that
    isn't there, isn't of that kind, or can't be read (`side` "source") or written ("target").

    Writes nothing. An endpoint on the network passes: only connecting tells.
    """
    assert side in ("source", "target"), side
    writing = side == "target"
    if endpoint.scheme == "maildir":
        from mailhaul.stores.maildir_tree import check_maildir

        check_maildir(Path(endpoint.path), writing=writing)
    elif endpoint.scheme == "mbox":
        from mailhaul.stores.mbox_tree import check_mbox

        check_mbox(Path(endpoint.path), writing=writing)
    elif endpoint.scheme == "eml":
        from mailhaul.stores.eml_tree import check_eml

        check_eml(Path(endpoint.path), writing=writing)
    elif endpoint.scheme not in DEFAULT_PORTS:
        raise _unknown(endpoint)


def _unknown(endpoint: Endpoint) -> BadInput:
    known = ", ".join(f"{scheme}:" for scheme in [*DEFAULT_PORTS, "maildir", "mbox", "eml"])
    return BadInput(f"nothing here speaks “{endpoint.scheme}:”; there are {known}")
