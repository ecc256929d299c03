"""What can be said about a source and a target before anything is connected."""

import hashlib
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mailhaul.core.endpoint import DEFAULT_PORTS, Endpoint, parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

Resolve = Callable[[str], frozenset[str]]


def endpoint_given(text: str) -> Endpoint:
    """The endpoint that a person wrote; a path's `~`, which no shell expands after a colon, is
    their home. Raises `BadInput`."""
    endpoint = parse_endpoint(text)
    if not endpoint.is_file:
        return endpoint
    return replace(endpoint, path=str(Path(endpoint.path).expanduser()))


def mailbox_name(endpoint: Endpoint) -> str:
    """The name of the mailbox itself, equal for endpoints that differ only in how it is reached:
    `imaps` and `imap+starttls` at their usual ports, by whichever login."""
    if endpoint.is_file:
        return f"{endpoint.scheme}:{_real(endpoint)}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    port = "" if _usual_port(endpoint) else f":{endpoint.port}"
    return f"imap://{_owner(endpoint)}@{host}{port}"


def pair_name(source: Endpoint, target: Endpoint) -> str:
    """What the ledger of this pair is known by."""
    return f"{mailbox_name(source)} → {mailbox_name(target)}"


def state_directory(
    source: Endpoint, target: Endpoint, environ: Mapping[str, str], given: str | None
) -> Path:
    """Where this pair's state is kept: `given`, else a directory of its own below
    $XDG_STATE_HOME/mailhaul (~/.local/state/mailhaul). Makes nothing."""
    if given is not None:
        return Path(given).expanduser()
    home = environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    root = Path(home) if home.startswith("/") else Path("~/.local/state").expanduser()
    short = hashlib.sha256(pair_name(source, target).encode()).hexdigest()[:10]
    return root / "mailhaul" / f"{_slug(source)}--{_slug(target)}-{short}"


def addresses(host: str) -> frozenset[str]:
    """The addresses of `host`; none when it can't be resolved, which connecting will tell."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(address[0]) for *_, address in found)


def refuse_one_mailbox_twice(source: Endpoint, target: Endpoint, resolve: Resolve) -> None:
    """Raises `BadInput` when both are one mailbox, as far as can be told from outside (A12): the
    same name; the same owner and port at hosts that share an address; the same directory or file,
    or one inside the other."""
    if source.is_file != target.is_file:
        return
    if source.is_file:
        _refuse_nested_paths(source, target)
        return
    if _owner(source) != _owner(target) or _port_class(source) != _port_class(target):
        return
    if source.host == target.host:
        where = f"{_owner(source)} at {source.host}"
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


def _owner(endpoint: Endpoint) -> str:
    """Whose mailbox is opened; an `authzid` is who the login acts for (RFC 4616)."""
    return endpoint.options.get("authzid") or endpoint.user


def _usual_port(endpoint: Endpoint) -> bool:
    return endpoint.port in DEFAULT_PORTS.values()


def _port_class(endpoint: Endpoint) -> int:
    """993 and 143 lead to one server; any other port may be a server of its own."""
    return 0 if _usual_port(endpoint) else endpoint.port


def _slug(endpoint: Endpoint) -> str:
    """A few letters by which a person knows the mailbox again; the hash makes it unique."""
    if endpoint.is_file:
        text = f"{endpoint.scheme}-{Path(endpoint.path).name}"
    else:
        text = f"{_owner(endpoint)}-{endpoint.host}" if "@" not in endpoint.user else endpoint.user
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:40] or "mailbox"
