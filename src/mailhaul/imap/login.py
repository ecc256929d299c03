"""Who logs in, and as whom: master users, delegates, and the ways servers want them written
(failure-modes F7).

An endpoint names the mailbox. With `admin`, that account's password opens it; `login` says how the
two are written, by a template's name or as a pattern:

    imaps://anna%40old.example@host?admin=cyrus                     authzid (RFC 4616), the default
    imaps://anna%40old.example@host?admin=master&login=dovecot      anna@old.example*master
    imaps://anna@host?admin=OLD%5Cadmin&login=exchange              OLD\\admin\\anna
    imaps://anna@host?admin=OLD/admin&login=exchange-slash          OLD/admin/anna
    imaps://anna@host?admin=admin&login=sun                         PROXYAUTH after its login
    imaps://anna%40old.example@host?admin=root&login={local}%25{admin}

Without `admin`, `authzid` names a mailbox that the user may open as a delegate.
"""

import re
from dataclasses import dataclass

from mailhaul.core.endpoint import Endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

_AUTHZID = "authzid"
_PROXY = "proxy"
_PATTERNS = {
    "dovecot": "{user}*{admin}",
    "exchange": "{admin}\\{user}",
    "exchange-slash": "{admin}/{user}",
}
TEMPLATES = {
    "cyrus": _AUTHZID,
    "zimbra": _AUTHZID,
    "sun": _PROXY,
    _AUTHZID: _AUTHZID,
    **_PATTERNS,
}
"""Template names, and the pattern of each; `authzid` ones leave the login name alone and name the
mailbox as SASL authorisation identity, `proxy` ones by a command of its own."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Login:
    """Whose password it is (`authcid`) and which mailbox is to be opened with it, where the two
    differ (`authzid`, else empty)."""

    authcid: str
    authzid: str = ""
    proxy: str = ""
    """Whom to go on as once logged in (PROXYAUTH), else empty."""


def login_names(endpoint: Endpoint) -> Login:
    """The names to log in with. Raises `BadInput` when the options don't fit each other."""
    user = endpoint.user
    admin = endpoint.options.get("admin", "")
    template = endpoint.options.get("login", "")
    authzid = endpoint.options.get("authzid", "")
    for name, value in (("user", user), ("admin", admin), ("authzid", authzid)):
        if "\0" in value:
            raise BadInput(f"the {name} name holds a NUL, which no login can carry; take it out")
    if not template:
        return Login(admin, authzid or user) if admin else Login(user, authzid)
    if TEMPLATES.get(template) in (_AUTHZID, _PROXY):
        if not admin:
            raise BadInput(f"login={template} needs admin=NAME: whose password is it?")
        if TEMPLATES[template] == _PROXY:
            return Login(admin, authzid, proxy=user)
        return Login(admin, authzid or user)
    pattern = TEMPLATES.get(template, template)
    return Login(_filled(pattern, template, user, admin), authzid)


def _filled(pattern: str, template: str, user: str, admin: str) -> str:
    shown = printable(template, 80)
    local, _, domain = user.partition("@")
    values = {"user": user, "local": local, "domain": domain, "admin": admin}
    names = _PLACEHOLDER.findall(pattern)
    if not {"user", "local"} & set(names):
        raise BadInput(
            f"login={shown} is no template and names no {{user}}; there are "
            + ", ".join(sorted(TEMPLATES))
            + ", or write a pattern with {user}, {local}, {domain} and {admin}"
        )
    for name in names:
        if name not in values:
            raise BadInput(
                f"login={shown}: {{{printable(name, 40)}}} means nothing; use {{user}}, {{local}}, "
                "{domain} and {admin}"
            )
        if not values[name]:
            cure = "add admin=NAME" if name == "admin" else "write the user as name%40domain"
            raise BadInput(f"login={shown} needs a value for {{{name}}}; {cure}")
    if admin and "admin" not in names:
        raise BadInput(f"login={shown} makes no use of admin; put {{admin}} into it")
    # In one go, so that a user called "{admin}" stays that.
    return _PLACEHOLDER.sub(lambda match: values[match[1]], pattern)
