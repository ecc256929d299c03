"""What a hoster is told before it starts: its file `hoster.json`, and that it is up, `up.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailhaul.core.errors import BadInput
from mailhaul.core.text import printable

FILE = "hoster.json"
UP = "up.json"
HOST = "127.0.0.1"


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnDovecot(_Told):
    """A Dovecot that looks up who may log in in `hosted`, where the hoster writes.
    `mail`: where homes are made, for `owner` and `group`. `master` may read every mailbox."""

    kind: Literal["dovecot"] = "dovecot"
    host: str = HOST
    port: int
    lmtp: Path
    hosted: Path
    mail: Path
    owner: int
    group: int
    master: str
    password: str
    configuration: Path


class OnCyrus(_Told):
    """A Cyrus of many domains. `sasldb` holds its passwords; `admin` is its administrator."""

    kind: Literal["cyrus"] = "cyrus"
    host: str = HOST
    port: int
    sieve_port: int
    lmtp: Path
    sasldb: Path
    admin: str
    password: str


class Embedded(_Told):
    """An embedded server (`lab.embedded`), which the hoster runs: mail is gone when the hoster is.
    There is no Sieve and no quota; redirections and auto-replies it acts on, filters it hasn't."""

    kind: Literal["embedded"] = "embedded"


class Zones(_Told):
    """The name server of the hoster's customers' zones."""

    server: str
    port: int
    key: str
    algorithm: str
    secret: str


class Setup(_Told):
    """`token` lets a provider in, `operator` whoever runs the rehearsal. `smtp` is the port of the
    hoster's MX on `smtp_host`, `http` that of its control plane; 0: any."""

    token: str
    operator: str
    platforms: Mapping[str, Annotated[OnDovecot | OnCyrus | Embedded, Field(discriminator="kind")]]
    http: int = 0
    smtp: int = 0
    smtp_host: str = HOST
    zones: Zones | None = None


class Up(_Told):
    """Where a running hoster is reached. `imap`: port of each platform; `direct`: of embedded ones
    that in front of which no troubles are made."""

    url: str
    smtp: int
    imap: dict[str, int]
    direct: dict[str, int] = {}


def read_setup(directory: Path) -> Setup:
    """What the directory's file says. Raises `BadInput`."""
    try:
        return Setup.model_validate_json((directory / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise BadInput(f"{FILE} can't be used: {printable(str(error), 500)}") from error


def write_setup(directory: Path, setup: Setup) -> None:
    file = directory / FILE
    file.touch(mode=0o600)
    file.write_text(setup.model_dump_json(indent=1))


def tell(directory: Path, up: Up) -> None:
    """Whoever waits for `up.json` sees all of it or nothing."""
    fresh = directory / f"{UP}.new"
    fresh.write_text(json.dumps(up.model_dump()))
    fresh.replace(directory / UP)


def told(directory: Path) -> Up | None:
    """Where it runs, once it does."""
    file = directory / UP
    return Up.model_validate_json(file.read_bytes()) if file.exists() else None
