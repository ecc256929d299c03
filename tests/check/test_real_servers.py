"""Against Dovecot and Cyrus: a check changes not one octet, and a probe tells what they do."""

import imaplib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.check.checked import Checked
from mailhaul.check.codes import Code
from mailhaul.check.mailbox import check_mailbox
from mailhaul.core.endpoint import Credentials
from mailhaul.core.text import Secret
from mailhaul.engine.outcomes import Options, Side
from mailhaul.stores.imap import ImapSource, ImapTarget
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.process import Account, RunningServer

READING = {
    *("AUTHENTICATE", "LOGIN", "CAPABILITY", "ENABLE", "ID", "NAMESPACE", "NOOP", "LOGOUT"),
    *("LIST", "STATUS", "SELECT", "EXAMINE", "UNSELECT", "FETCH", "GETQUOTAROOT", "COMPRESS"),
}
MAIL = b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\n" + b"x" * 60 + b"\r\n"


@pytest.fixture(scope="module")
def small() -> Iterator[Dovecot]:
    """A Dovecot with a quota of 20 kB, where no message may be larger than 4 kB."""
    with Dovecot(quota=20_000, largest_message=4_000, separator=".", prefix="INBOX.") as server:
        yield server


def fill(server: RunningServer, account: Account, folders: dict[str, list[bytes]]) -> None:
    client = imaplib.IMAP4(server.host, server.port, timeout=20)
    client.login(account.user, account.password)
    for name, messages in folders.items():
        if name != "INBOX":
            client.create(f'"{name}"')
        for data in messages:
            assert client.append(f'"{name}"', "", "", data)[0] == "OK"
    client.logout()


async def check(
    source: tuple[RunningServer, Account],
    target: tuple[RunningServer, Account],
    *,
    probe: bool = False,
    password: str | None = None,
    lines: list[str] | None = None,
) -> tuple[Checked, ImapTarget]:
    said = lines.append if lines is not None else None
    ours = ImapSource(source[0].endpoint(source[1]), source[0].credentials(source[1]), trace=said)
    credentials = target[0].credentials(target[1])
    if password is not None:
        credentials = Credentials(password=Secret(password))
    theirs = ImapTarget(target[0].endpoint(target[1]), credentials, trace=said)
    try:
        now = datetime.now(UTC).timestamp
        return await check_mailbox(ours, theirs, Options(), probe=probe, now=now), theirs
    finally:
        await ours.close()
        await theirs.close()


def content(home: Path, *, places: bool = False) -> dict[str, bytes]:
    """Every message of a Maildir with its flags, which stand in its name; with `places` also
    whether a client has seen it yet (new or cur), which is `\\Recent`."""
    return {
        path.relative_to(home).as_posix()
        if places
        else f"{path.parent.parent.relative_to(home)}/{path.name.removesuffix(':2,')}": (
            path.read_bytes()
        )
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.parent.name in ("cur", "new")
    }


async def test_a_check_changes_nothing_at_either_side(dovecot: Dovecot) -> None:
    ours, theirs = dovecot.account(), dovecot.account()
    fill(dovecot, ours, {"INBOX": [MAIL % (1, 1)] * 2, "Work": [MAIL % (2, 2)]})
    fill(dovecot, theirs, {"INBOX": [MAIL % (3, 3)]})
    before = content(dovecot.home(ours), places=True), content(dovecot.home(theirs))
    lines: list[str] = []
    checked, target = await check((dovecot, ours), (dovecot, theirs), lines=lines)
    assert target.traffic.writes == 0
    verbs = {m[1] for line in lines if (m := re.match(r"\S+ C: M\d+ (?:UID )?(\w+)", line))}
    assert {"EXAMINE", "SELECT", "FETCH", "LIST"} <= verbs <= READING, lines
    # Any client that opens the target's inbox for writing takes \\Recent away, and that alone.
    after = content(dovecot.home(ours), places=True), content(dovecot.home(theirs))
    assert after == before
    assert checked.messages == 3 and not checked.blocked
    codes = {finding.code for finding in checked.findings}
    assert {"DUPLICATES", "TARGET_NOT_EMPTY"} <= codes


async def test_quota_and_limits_of_dovecot_are_judged(dovecot: Dovecot, small: Dovecot) -> None:
    ours, theirs = dovecot.account(), small.account()
    large = MAIL % (9, 9) + b"y" * 70 + b"\r\n" * 3000
    fill(dovecot, ours, {"INBOX": [large] * 4})
    checked, _ = await check((dovecot, ours), (small, theirs))
    found = {finding.code: finding.evidence for finding in checked.findings}
    assert "24.7 kB are to come, 0 B of 20.5 kB are used" in found["QUOTA_SHORT"]
    assert checked.blocked


async def test_a_wrong_password_blocks_and_the_other_side_is_counted(dovecot: Dovecot) -> None:
    ours, theirs = dovecot.account(), dovecot.account()
    fill(dovecot, ours, {"INBOX": [MAIL % (1, 1)]})
    checked, _ = await check((dovecot, ours), (dovecot, theirs), password="hunter2-canary")
    assert checked.findings[0].code == Code.TARGET_CREDENTIALS
    assert checked.refused == {Side.TARGET}
    assert checked.messages == 1
    assert "hunter2" not in repr(checked)


async def test_the_probe_finds_what_cyrus_does_to_headers(dovecot: Dovecot, cyrus: Cyrus) -> None:
    ours, theirs = dovecot.account(), cyrus.account()
    eight = b"Subject: Gr\xfc\xdfe\r\nMessage-ID: <8@x>\r\n\r\nx\r\n"
    fill(dovecot, ours, {"INBOX": [eight, MAIL % (1, 1)]})
    checked, target = await check((dovecot, ours), (cyrus, theirs), probe=True)
    told = [f"{finding.code} {finding.evidence}" for finding in checked.findings]
    munged = "8-bit octets in the header: 8-bit header octets → X (1 of 2 sampled messages"
    assert any(line.startswith(f"PROBE_ALTERED {munged}") for line in told), told
    assert any(line.startswith("PROBE_REFUSED bare LF: ") for line in told), told
    assert not any("PROBE_FOLDER_LEFT" in line or "PROBE_FAILED" in line for line in told), told
    await target.open()
    assert [folder.path for folder in await target.folders()] == [("INBOX",)]
    assert checked.rate.octets_written and checked.rate.octets_read


async def test_the_probe_of_dovecot_leaves_nothing_behind(dovecot: Dovecot) -> None:
    ours, theirs = dovecot.account(), dovecot.account()
    fill(dovecot, ours, {"INBOX": [MAIL % (1, 1)]})
    fill(dovecot, theirs, {"INBOX": [MAIL % (3, 3)], "Kept": [MAIL % (4, 4)]})
    before = content(dovecot.home(theirs))
    checked, _ = await check((dovecot, ours), (dovecot, theirs), probe=True)
    assert content(dovecot.home(theirs)) == before
    assert not [path for path in dovecot.home(theirs).rglob("*mailhaul-probe*")]
    altered = [f.evidence for f in checked.findings if f.code == Code.PROBE_ALTERED]
    assert sorted(line.partition(": ")[0] for line in altered) == [
        "CR CR LF",
        "NUL octets",
        "bare LF",
    ]
    dates = [f.evidence for f in checked.findings if f.code == Code.PROBE_DATES]
    assert any("the target takes no date in the future" in line for line in dates)
