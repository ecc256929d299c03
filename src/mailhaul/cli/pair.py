"""What can be said about a source and a target before anything is connected."""

import hashlib
import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mailhaul.core.endpoint import Endpoint, parse_endpoint
from mailhaul.core.pair import owner, pair_name


def endpoint_given(text: str) -> Endpoint:
    """The endpoint that a person wrote; a path's `~`, which no shell expands after a colon, is
    their home. Raises `BadInput`."""
    endpoint = parse_endpoint(text)
    if not endpoint.is_file:
        return endpoint
    return replace(endpoint, path=str(Path(endpoint.path).expanduser()))


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


def _slug(endpoint: Endpoint) -> str:
    """A few letters by which a person knows the mailbox again; the hash makes it unique."""
    if endpoint.is_file:
        text = f"{endpoint.scheme}-{Path(endpoint.path).name}"
    else:
        text = f"{owner(endpoint)}-{endpoint.host}" if "@" not in endpoint.user else endpoint.user
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:40] or "mailbox"
