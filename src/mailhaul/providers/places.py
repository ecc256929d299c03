"""Where vendors are asked usually, and one spelling for a place that can be written in several."""

from collections.abc import Mapping
from urllib.parse import urlsplit

OVH = {
    "ovh-eu": "https://eu.api.ovh.com/1.0",
    "ovh-ca": "https://ca.api.ovh.com/1.0",
    "ovh-us": "https://api.us.ovhcloud.com/1.0",
}
"""OVHcloud's API, by the names that OVHcloud's clients give the places."""
USUAL_OVH = "ovh-eu"
GRAPH = "https://graph.microsoft.com/v1.0"

_PORTS = {"https": 443, "http": 80, "imaps": 993, "imap": 143}


def asked_at(kind: str, url: str, values: Mapping[str, str]) -> str:
    """The place where a provider of that kind is asked, to compare it by; empty for its vendor's
    usual one, written out or not. What is no address stays as it is."""
    usual = ""
    if kind.startswith("ovh-"):
        url, usual = url or values.get("place", ""), OVH[USUAL_OVH]
        url = OVH.get(url, url)
    elif kind == "microsoft365":
        usual = GRAPH
    spelled = _spelled(url)
    return "" if spelled == usual else spelled


def _spelled(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return url
    if not host:
        return url
    login, at, _ = parts.netloc.rpartition("@")
    host = f"[{host}]" if ":" in host else host.rstrip(".")
    ends = "" if port in (None, _PORTS.get(parts.scheme)) else f":{port}"
    path = parts.path.rstrip("/")
    return parts._replace(netloc=f"{login}{at}{host}{ends}", path=path).geturl()
