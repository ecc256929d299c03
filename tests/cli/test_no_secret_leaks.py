"""Passwords that try to get out: every command, every output, every file that is left behind."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.running import Ran, maildir, mailhaul
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account

CANARIES = ['ca"na\\ry-one', "cänäry-€-two", "canary three %41{}"]


@dataclass(frozen=True, slots=True)
class Pair:
    home: Path
    source: str
    target: str
    password: str

    def run(self, *words: str, password: str | None = None) -> Ran:
        secret = self.password if password is None else password
        names = ("MAILHAUL_SOURCE_PASSWORD", "MAILHAUL_TARGET_PASSWORD", "MAILHAUL_PASSWORD")
        return mailhaul(*words, home=self.home, environ=dict.fromkeys(names, secret))


@pytest.fixture(params=CANARIES, ids=["quoted", "unicode", "blanks"])
def pair(request: pytest.FixtureRequest, dovecot: Dovecot, tmp_path: Path) -> Iterator[Pair]:
    password = str(request.param)
    accounts = [
        dovecot.add_user(f"canary{CANARIES.index(password)}{side}", password) for side in "ab"
    ]
    source, target = (dovecot.url(account) for account in accounts)
    fill(dovecot, accounts[0], tmp_path, password)
    yield Pair(tmp_path, source, target, password)


def fill(server: Dovecot, account: Account, home: Path, password: str) -> None:
    box = maildir(home / "mail", {"": 3})
    words = ("copy", f"maildir:{box}", server.url(account), "--state", str(home / "filling"))
    done = mailhaul(*words, home=home, environ={"MAILHAUL_TARGET_PASSWORD": password})
    assert done.code == 0, done.err


def traces(secret: str) -> list[bytes]:
    raw = secret.encode()
    return [
        raw,
        secret.replace("\\", "\\\\").replace('"', '\\"').encode(),
        ascii(secret)[1:-1].encode(),
        base64.b64encode(raw),
        base64.b64encode(b"\0" + raw)[4:],
    ]


def test_no_output_and_no_file_holds_a_secret(pair: Pair) -> None:
    wrong = f"wrong-{pair.password}"
    runs = [
        pair.run("copy", pair.source, pair.target, "--dry-run"),
        pair.run("copy", pair.source, pair.target),
        pair.run("copy", pair.source, pair.target, "--json", "--debug"),
        pair.run("verify", pair.source, pair.target, "--deep"),
        pair.run("verify", pair.source, pair.target, "--json"),
        pair.run("ls", pair.source),
        pair.run("ls", pair.source, "--json"),
        pair.run("doctor", pair.source),
        pair.run("ls", pair.source, password=wrong),
        pair.run("doctor", pair.source, "--json", password=wrong),
        pair.run("copy", pair.source, pair.target, password=wrong),
        pair.run("copy", pair.source, pair.target, "--source-password", pair.password),
        pair.run("ls", pair.source.replace("@", f":{pair.password}@".replace("%", "%25"))),
    ]
    assert [ran.code for ran in runs] == [0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 2, 2]
    left = [path for path in (pair.home / "state").rglob("*") if path.is_file()]
    assert left
    for trace in traces(pair.password):
        for ran in runs:
            assert trace not in (ran.out + ran.err).encode()
        for path in left:
            assert trace not in path.read_bytes(), path
