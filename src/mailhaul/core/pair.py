"""Two endpoints beside each other: is it one mailbox or two, and what is the pair known by?"""

from collections.abc import Callable
from pathlib import Path

from mailhaul.core.endpoint import DEFAULT_PORTS, Endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

Resolve = Callable[[str], frozenset[str]]


def mailbox_name(endpoint: Endpoint) -> str:
    """The name of the mailbox itself, equal for endpoints that differ only in how it is reached:
    `imaps` and `imap+starttls` at their usual ports, by whichever login."""
    if endpoint.is_file:
        return f"{endpoint.scheme}:{_real(endpoint)}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    port = "" if _usual_port(endpoint) else f":{endpoint.port}"
    return f"imap://{owner(endpoint)}@{host}{port}"


def pair_name(source: Endpoint, target: Endpoint) -> str:
    """What the ledger of this pair is known by."""
    return f"{mailbox_name(source)} → {mailbox_name(target)}"


def refuse_one_mailbox_twice(source: Endpoint, target: Endpoint, resolve: Resolve) -> None:
    """Raises `BadInput` when both are one mailbox, as far as can be told from outside (A12): the
    same name; the same owner and port at hosts that share an address; the same directory or file,
    or one inside the other."""
    if source.is_file != target.is_file:
        return
    if source.is_file:
        _refuse_nested_paths(source, target)
        return
    if owner(source) != owner(target) or _port_class(source) != _port_class(target):
        return
    if source.host == target.host:
        where = f"{owner(source)} at {source.host}"
    else:
        shared = resolve(source.host) & resolve(target.host)
        if not shared:
            return
        where = f"{source.host} and {target.host} are one address, {min(shared)}"
    raise BadInput(
        f"source and target are the same mailbox ({printable(where, 200)}); name another target"
    )


def _refuse_nested_paths(source: Endpoint, target: Endpoint) -> None:
    one, other = _real(source), _real(target)
    if one == other:
        raise BadInput(f"source and target are the same place, {_shown(one)}; name another target")
    if other.is_relative_to(one):
        raise BadInput(
            f"the target {_shown(other)} lies inside the source; name a place outside {_shown(one)}"
        )
    if one.is_relative_to(other):
        raise BadInput(
            f"the source {_shown(one)} lies inside the target; "
            f"name a target outside {_shown(other)}"
        )


def _shown(path: Path) -> str:
    return printable(str(path), 200)


def _real(endpoint: Endpoint) -> Path:
    return Path(endpoint.path).expanduser().resolve()


def owner(endpoint: Endpoint) -> str:
    """Whose mailbox is opened; an `authzid` is who the login acts for (RFC 4616)."""
    return endpoint.options.get("authzid") or endpoint.user


def _usual_port(endpoint: Endpoint) -> bool:
    return endpoint.port in DEFAULT_PORTS.values()


def _port_class(endpoint: Endpoint) -> int:
    """993 and 143 lead to one server; any other port may be a server of its own."""
    return 0 if _usual_port(endpoint) else endpoint.port
