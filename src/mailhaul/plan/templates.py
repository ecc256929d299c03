"""Endpoints and references with {address}, {user} and {domain} in them, filled in for a mailbox.

What is filled in can't break out of its place: in a user name or an option it is percent-encoded,
in a host it is a domain name, in a path one component, in a command one word.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

from mailhaul.core.endpoint import DEFAULT_PORTS, FILE_SCHEMES, Endpoint, parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

NAMES = ("address", "user", "domain")
_NAMED = re.compile(r"\{([^{}]*)\}")


def endpoint_for(template: str, address: str, directory: Path = Path()) -> Endpoint:
    """The endpoint of one mailbox; relative paths count from `directory`. Raises `BadInput`."""
    endpoint = parse_endpoint(filled_url(template, address))
    if not endpoint.is_file:
        return endpoint
    return replace(endpoint, path=str(directory / Path(endpoint.path).expanduser()))


def endpoint_text(endpoint: Endpoint) -> str:
    """The whole endpoint as `parse_endpoint` reads it back, options included."""
    if endpoint.is_file:
        slashes = "//" if endpoint.path.startswith("//") else ""
        return f"{endpoint.scheme}:{slashes}{endpoint.path}"
    options = urlencode(endpoint.options, quote_via=quote)
    return f"{endpoint}?{options}" if options else str(endpoint)


def filled_url(template: str, address: str) -> str:
    """`template` with its names filled in for `address`. Raises `BadInput` where that can't be."""
    scheme = template.partition(":")[0].lower()
    if scheme in FILE_SCHEMES:
        return _filled(template, address, _component)
    if scheme not in DEFAULT_PORTS or "://" not in template:
        return template
    head, user, host, options = _parts(template)
    kept = [
        # In `login` the names are those of the mailbox that logs in (docs/endpoints.md).
        each if each.startswith("login=") else _filled(each, address, _encoded)
        for each in options.split("&")
    ]
    login = f"{_filled(user, address, _encoded)}@" if user else ""
    rest = f"?{'&'.join(kept)}" if options else ""
    return f"{head}{login}{_filled(host, address, _host)}{rest}"


def filled_reference(template: str, address: str) -> str:
    """A reference to a secret with its names filled in for `address`. Raises `BadInput`."""
    kind = template.partition(":")[0]
    fit = {"file": _component, "command": shlex.quote}.get(kind, str)
    return _filled(template, address, fit)


def with_login(template: str, user: str, admin: str = "") -> str:
    """The endpoint `template` for another login at the same system; empty when it has none."""
    if template.partition(":")[0].lower() not in DEFAULT_PORTS or "://" not in template:
        return ""
    head, _, host, options = _parts(template)
    every = [each for each in options.split("&") if each]
    if admin:
        every = [each for each in every if not each.startswith("admin=")]
        every.append(f"admin={_encoded(admin)}")
    rest = f"?{'&'.join(every)}" if every else ""
    return f"{head}{_encoded(user)}@{host}{rest}"


def wrong_names(template: str) -> Iterator[str]:
    """What stands in braces and means nothing, braces that are left open included."""
    text = re.sub(r"(?<=[?&])login=[^&]*", "", template) if "://" in template else template
    for name in _NAMED.findall(text):
        if name not in NAMES:
            yield f"{{{name}}}"
    left = _NAMED.sub("", text)
    yield from (brace for brace in "{}" if brace in left)


def has_names(template: str) -> bool:
    """Whether it differs from one mailbox to the next."""
    return any(f"{{{name}}}" in template for name in NAMES)


def _parts(url: str) -> tuple[str, str, str, str]:
    """`scheme://`, the user, host and port, the options."""
    scheme, _, rest = url.partition("://")
    place, _, options = rest.partition("?")
    user, _, host = place.rpartition("@")
    return f"{scheme}://", user, host, options


def _filled(template: str, address: str, fit: Callable[[str], str]) -> str:
    user, _, domain = address.rpartition("@")
    values = {"address": address, "user": user or address, "domain": domain if user else ""}
    return _NAMED.sub(
        lambda found: fit(values[found[1]]) if found[1] in values else found[0], template
    )


def _encoded(value: str) -> str:
    return quote(value, safe="-._~")


def _host(value: str) -> str:
    try:
        return value.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise BadInput(
            f"“{printable(value, 80)}” can't be part of a host's name; name the host itself"
        ) from error


def _component(value: str) -> str:
    if "/" in value or "\0" in value or value in ("", ".", ".."):
        raise BadInput(
            f"“{printable(value, 80)}” can't be part of a path; name this mailbox's own in its row"
        )
    return value
