"""Rows of Dovecot's passwd-file. What a row says beside what is asked of it stays as it is."""

import re
from dataclasses import dataclass

_RULE = re.compile(r"\*:(?:(bytes)=(\d{1,18})|(storage)=(\d{1,15})([KMGT]?)B?)", re.IGNORECASE)
_UNITS = {"": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_QUOTA = "userdb_quota_rule"
_NO_LOGIN = "nologin"


@dataclass(frozen=True, slots=True)
class Row:
    """One account: user:password:uid:gid:gecos:home:shell:extra fields, as they stand there."""

    user: str
    password: str = ""
    uid: str = ""
    gid: str = ""
    gecos: str = ""
    home: str = ""
    shell: str = ""
    extra: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The row as the file has it, with its end."""
        fields = (self.user, self.password, self.uid, self.gid, self.gecos, self.home, self.shell)
        return ":".join([*fields, " ".join(self.extra)]) + "\n"

    @property
    def is_locked(self) -> bool:
        return any(each.partition("=")[0] == _NO_LOGIN for each in self.extra)

    @property
    def quota(self) -> int | None:
        """Octets; None where the row says nothing of it."""
        for each in self.extra:
            name, _, rule = each.partition("=")
            found = _RULE.fullmatch(rule) if name == _QUOTA else None
            if found is not None:
                if found[1]:
                    return int(found[2])
                return int(found[4]) * _UNITS[found[5].upper()]
        return None

    @property
    def locked(self) -> tuple[str, ...]:
        """Its extra fields when nobody may log in."""
        return self.extra if self.is_locked else (*self.extra, _NO_LOGIN)

    @property
    def unlocked(self) -> tuple[str, ...]:
        """Its extra fields when its owner may."""
        return tuple(each for each in self.extra if each.partition("=")[0] != _NO_LOGIN)


def quota_rule(octets: int) -> str:
    """The extra field for that quota."""
    return f"{_QUOTA}=*:bytes={octets}"


def row(line: str) -> Row | None:
    """What the line says; None for a remark, a blank one and what is no account."""
    text = line.rstrip("\r\n")
    if not text.strip() or text.startswith(("#", ":")):
        return None
    fields = text.split(":", 7)
    user, password, uid, gid, gecos, home, shell, extra = [*fields, *[""] * (8 - len(fields))]
    return Row(user, password, uid, gid, gecos, home, shell, tuple(extra.split()))
