"""What `doctor` and `ls` see of a mailbox, and where they say the switch is."""

from pathlib import Path

import pytest

from mailhaul.cli.switches import ANYWHERE, SYSTEMS, Switches, login_cures, system_of
from tests.cli.running import maildir, mailhaul
from tests.servers.dovecot import Dovecot
from tests.servers.pymap import Pymap


@pytest.mark.parametrize(
    ("host", "system"),
    [
        ("imap.gmail.com", "Gmail"),
        ("IMAP.GMAIL.COM.", "Gmail"),
        ("outlook.office365.com", "Exchange Online"),
        ("export.imap.mail.yahoo.com", "Yahoo Mail"),
        ("imap.mail.me.com", "iCloud Mail"),
        ("ssl0.mail.ovh.net", "OVHcloud"),
        ("ex3.mail.ovh.net", "OVHcloud"),
        ("pro1.mail.ovh.net", "OVHcloud"),
        ("imap.gmx.net", "GMX and WEB.DE"),
        ("imap.fastmail.com", "Fastmail"),
        ("imap.zoho.eu", "Zoho Mail"),
        ("mail.example.org", None),
        ("notgmail.com", None),
        ("gmail.com.example.org", None),
        ("", None),
    ],
)
def test_a_mail_system_is_known_by_the_end_of_its_host_name(host: str, system: str | None) -> None:
    found = system_of(host)
    assert (found.system if found else None) == system


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.system)
def test_each_system_has_cures_of_its_own(system: Switches) -> None:
    for host in system.hosts:
        assert login_cures(host) == system.login
        assert login_cures(f"x.{host}") == system.login
    assert system.login
    assert set(system.login).isdisjoint(ANYWHERE)


def test_a_mailbox_in_order_passes_every_step(tmp_path: Path, pymap_server: Pymap) -> None:
    account = pymap_server.account()
    environ = {"MAILHAUL_PASSWORD": account.password}
    url = pymap_server.url(account)
    ran = mailhaul("doctor", url, home=tmp_path, environ=environ)
    assert ran.code == 0, ran.out
    steps = [line.split(":")[0] for line in ran.out.splitlines()[1:-1]]
    assert steps[0] == "✓ name"
    assert steps[-2:] == ["✓ login", "✓ mailbox"]
    assert ran.out.splitlines()[-1].startswith("all is well")
    ran = mailhaul("doctor", url, "--json", home=tmp_path, environ=environ)
    assert [line["event"] for line in ran.lines] == ["step"] * (len(steps)) + ["diagnosis"]
    assert ran.lines[-1] == {"event": "diagnosis", "ok": True, "exit": 0}


def test_a_refused_login_is_answered_with_where_to_look(
    tmp_path: Path, pymap_server: Pymap
) -> None:
    url = pymap_server.url(pymap_server.account())
    ran = mailhaul("doctor", url, home=tmp_path, environ={"MAILHAUL_PASSWORD": "not-this-one"})
    assert ran.code == 4
    assert "✗ login" in ran.out
    assert "AUTHENTICATIONFAILED" in ran.out
    for cure in ANYWHERE:
        assert f"    → {cure}" in ran.out
    assert "all is well" not in ran.out


@pytest.mark.parametrize(
    ("token_command", "said"),
    [
        ("sh -c 'echo no luck >&2; exit 3'", "--token-command ended with 3, saying “no luck”"),
        ("echo tok-tok-tok", "refused the login"),
    ],
)
def test_advice_about_passwords_is_for_passwords(
    tmp_path: Path, token_command: str, said: str
) -> None:
    with Dovecot(oauth=True) as server:
        url = server.url(server.account())
        ran = mailhaul("doctor", url, "--token-command", token_command, home=tmp_path)
    assert ran.code == 4
    assert said in ran.out
    assert "→" not in ran.out


@pytest.mark.parametrize(
    ("url", "failed", "code"),
    [
        ("imap://a@127.0.0.1:1", "connection", 5),
        ("imaps://a@nowhere.invalid", "name", 5),
        ("imaps://a@127.0.0.1:{port}", "tls", 5),
    ],
)
def test_the_step_that_fails_is_the_last(
    tmp_path: Path, pymap_server: Pymap, url: str, failed: str, code: int
) -> None:
    url = url.format(port=pymap_server.port)
    ran = mailhaul("doctor", url, "--json", home=tmp_path, environ={"MAILHAUL_PASSWORD": "x"})
    assert ran.code == code
    *before, last, verdict = ran.lines
    assert all(line["ok"] for line in before)
    assert (last["name"], last["ok"]) == (failed, False)
    assert last["cures"]
    assert verdict["exit"] == code


def test_a_path_is_examined_too(tmp_path: Path) -> None:
    box = maildir(tmp_path / "a", {"": 2, "Sent": 1})
    ran = mailhaul("doctor", f"maildir:{box}", home=tmp_path)
    assert ran.code == 0
    assert "✓ it can be read: 2 folders, 3 messages" in ran.out
    ran = mailhaul("doctor", f"maildir:{tmp_path}/none", home=tmp_path)
    assert ran.code == 2
    assert "✗ it can be read" in ran.out


def test_a_mailbox_is_listed_with_roles_counts_sizes_and_quota(
    tmp_path: Path, dovecot: Dovecot
) -> None:
    account = dovecot.account()
    box = maildir(tmp_path / "a", {"": 2, "Sent": 1})
    environ = {"MAILHAUL_TARGET_PASSWORD": account.password, "MAILHAUL_PASSWORD": account.password}
    url = dovecot.url(account)
    assert mailhaul("copy", f"maildir:{box}", url, home=tmp_path, environ=environ).code == 0
    ran = mailhaul("ls", url, home=tmp_path, environ=environ)
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["INBOX", "inbox", "2"] in [row[:3] for row in rows]
    assert ["Sent", "sent", "1"] in [row[:3] for row in rows]
    assert ["in", "all", "3"] in [row[:3] for row in rows]
    assert "CONDSTORE (tells which flags changed)" in ran.out
    ran = mailhaul("ls", url, "--json", home=tmp_path, environ=environ)
    mailbox = ran.lines[-1]
    assert (mailbox["event"], mailbox["messages"]) == ("mailbox", 3)
    assert "CONDSTORE" in mailbox["extensions"]
    assert [line["messages"] for line in ran.lines[:-1] if line["folder"] == ["Sent"]] == [1]


def test_a_role_that_only_the_name_tells_is_in_parentheses(
    tmp_path: Path, pymap_server: Pymap
) -> None:
    account = pymap_server.account()
    box = maildir(tmp_path / "a", {"Sent": 1})
    environ = {"MAILHAUL_TARGET_PASSWORD": account.password, "MAILHAUL_PASSWORD": account.password}
    url = pymap_server.url(account)
    assert mailhaul("copy", f"maildir:{box}", url, home=tmp_path, environ=environ).code == 0
    ran = mailhaul("ls", url, home=tmp_path, environ=environ)
    assert ["Sent", "(sent)", "1"] in [line.split()[:3] for line in ran.out.splitlines()]
