"""`mailhaul oauth …` as a person uses it, and tokens that try to get out."""

import base64
import itertools
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailhaul.vault.oauth import Grant, kept_grant
from mailhaul.vault.outer_keys import key_in_file
from mailhaul.vault.sealed import Vault
from tests.cli.running import Ran, command, environment, maildir, mailhaul
from tests.faults.plain import Plain
from tests.servers.dovecot import Dovecot
from tests.servers.issuer import Issuer, Reply, error
from tests.servers.process import Account

CANARY = "CANARY-kanarienvogel"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(mint=lambda account: f"{CANARY}-access-{account or 'app'}") as running:
        running.interval = 0.1
        yield running
        assert running.protests == []


def environ(home: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(home / "config")}


def oauth(home: Path, *words: str, stdin: str = "") -> Ran:
    return mailhaul("oauth", *words, home=home, environ=environ(home), stdin=stdin)


def at(issuer: Issuer) -> tuple[str, ...]:
    return ("--issuer", issuer.url, "--inside", "--client-id", issuer.client, "--scope", "mail")


def kept(home: Path, name: str) -> Grant:
    key = home / "config" / "mailhaul" / "vault.key"
    vault = Vault(home / "state" / "mailhaul" / "vault.json", lambda: key_in_file(key))
    grant = kept_grant(vault, name)
    assert grant is not None
    return grant


def browsing(home: Path, *words: str) -> "tuple[subprocess.Popen[str], str]":
    """The login under way, and what a person is to open."""
    running = subprocess.Popen(
        command(["oauth", "login", *words]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home, environ(home)),
        cwd=home,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("http"):
            return running, line.strip()
    raise AssertionError("no address was shown")


def test_a_person_logs_in_by_a_browser(issuer: Issuer, tmp_path: Path) -> None:
    running, url = browsing(tmp_path, "anna", *at(issuer), "--account", "anna@old.example")
    assert "login_hint=anna%40old.example" in url
    with urllib.request.urlopen(issuer.browse(url), timeout=10) as page:
        assert b"can be closed" in page.read()
    _, told = running.communicate(timeout=30)
    assert running.returncode == 0, told
    assert "oauth:anna" in told
    refresh = kept(tmp_path, "anna").refresh
    assert refresh is not None and issuer.good_refresh(refresh.reveal())


def test_a_browser_on_another_machine_is_pasted_from(issuer: Issuer, tmp_path: Path) -> None:
    running, url = browsing(tmp_path, "anna", *at(issuer), "--paste")
    _, told = running.communicate(issuer.browse(url) + "\n", timeout=30)
    assert running.returncode == 0, told
    again, url = browsing(tmp_path, "anna", *at(issuer), "--paste")
    _, told = again.communicate(issuer.browse(url).replace("state=", "state=x") + "\n", timeout=30)
    assert (again.returncode, "no answer to this login" in told) == (4, True)


def test_a_person_logs_in_on_another_screen(issuer: Issuer, tmp_path: Path) -> None:
    issuer.polls.append("authorization_pending")
    done = oauth(tmp_path, "login", "anna", *at(issuer), "--device")
    assert done.code == 0, done.err
    assert "BDWP-HQPK" in done.err and f"{issuer.url}/activate" in done.err
    assert kept(tmp_path, "anna").flow == "device"


def test_logins_are_listed_checked_and_removed(issuer: Issuer, tmp_path: Path) -> None:
    empty = oauth(tmp_path, "list")
    assert (empty.code, "there is no vault" in empty.err) == (2, True)
    assert oauth(tmp_path, "login", "anna", *at(issuer), "--device").code == 0
    listed = oauth(tmp_path, "list")
    assert listed.code == 0, listed.err
    assert [line.split()[0] for line in listed.out.splitlines()] == ["name", "anna"]
    (line,) = oauth(tmp_path, "list", "--json").lines
    assert (line["event"], line["flow"], line["scope"]) == ("login", "device", "mail")
    before = issuer.asked["/token"]
    checked = oauth(tmp_path, "check")
    assert checked.code == 0, checked.err
    assert checked.out == "anna: a fresh token was given, for 60 minutes\n"
    assert issuer.asked["/token"] == before + 1, "however good the one that is kept"
    issuer.replies.append(error("invalid_grant", "AADSTS50173: The password was changed."))
    wrong = oauth(tmp_path, "check", "anna", "--json")
    assert (wrong.code, wrong.lines[0]["good"]) == (4, False)
    assert "run mailhaul oauth login anna again" in wrong.lines[0]["said"]
    refresh = kept(tmp_path, "anna").refresh
    assert refresh is not None and issuer.good_refresh(refresh.reveal())
    misspelt = oauth(tmp_path, "remove", "ana")
    assert (misspelt.code, "did you mean anna" in misspelt.err) == (2, True)
    removed = oauth(tmp_path, "remove", "anna")
    assert (removed.code, "taken back at 127.0.0.1" in removed.err) == (0, True)
    assert not issuer.good_refresh(refresh.reveal())
    assert "no logins" in oauth(tmp_path, "list").err


def test_a_login_is_forgotten_though_its_issuer_is_away(issuer: Issuer, tmp_path: Path) -> None:
    assert oauth(tmp_path, "login", "anna", *at(issuer), "--device").code == 0
    issuer.replies.append(Reply(503, b""))
    removed = oauth(tmp_path, "remove", "anna")
    assert (removed.code, "not taken back at 127.0.0.1" in removed.err) == (0, True)
    assert "no logins" in oauth(tmp_path, "check").err


def test_a_box_that_was_unticked_is_said(issuer: Issuer, tmp_path: Path) -> None:
    issuer.granted = "openid"
    done = oauth(tmp_path, "login", "anna", *at(issuer), "--device")
    assert "not granted: mail" in done.err


def test_a_login_that_fails_keeps_the_one_before(issuer: Issuer, tmp_path: Path) -> None:
    assert oauth(tmp_path, "login", "anna", *at(issuer), "--device").code == 0
    before = kept(tmp_path, "anna").refresh
    issuer.polls.append("access_denied")
    assert oauth(tmp_path, "login", "anna", *at(issuer), "--device").code == 4
    after = kept(tmp_path, "anna").refresh
    assert before is not None and after is not None and before.reveal() == after.reveal()


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["anna"], "", "who gives tokens?"),
        (["anna", "--google"], "", "--client-id"),
        (["anna", "--google", "--client-id", "x", "--client"], "s\n", "--service-account"),
        (["a/b", "--google", "--client-id", "x"], "", "can't name a login"),
        (["anna", "--microsoft", "x", "--client-id", "x", "--client"], "", "no secret was given"),
        (["anna", "--google", "--device", "--client"], "", "exclude each other"),
        (["anna", "--google", "--service-account", "odd"], "", "JSON key file"),
        (["anna", "--google", "--client-id", "x", "--client-secret", CANARY], "", "no option"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_one_sentence(
    tmp_path: Path, words: list[str], stdin: str, said: str
) -> None:
    (tmp_path / "odd").write_text(CANARY)
    done = oauth(tmp_path, "login", *words, stdin=stdin)
    assert done.code == 2
    assert said in done.err
    assert CANARY not in done.err
    assert not (tmp_path / "state").exists()


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot(oauth=True) as running:
        yield running


@pytest.fixture
def fleet(server: Dovecot, tmp_path: Path) -> Iterator[Issuer]:
    """A service account that acts for everybody at the server, logged in as `fleet`."""
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "key.json").write_text(json.dumps(key_file(key)))
    minted = itertools.count(3600)

    def mint(account: str) -> str:
        return server.token_for(Account(account, ""), valid_seconds=next(minted))

    with Issuer(public_key=key.public_key(), mint=mint) as running:
        words = ("--issuer", running.url, "--inside", "--scope", "mail")
        done = oauth(tmp_path, "login", "fleet", *words, "--service-account", "key.json")
        assert done.code == 0, done.err
        yield running
        assert running.protests == []


def test_a_mailbox_is_listed_and_copied_by_a_login(
    server: Dovecot, fleet: Issuer, tmp_path: Path
) -> None:
    account, other = server.account(), server.account()
    box = maildir(tmp_path / "mail", {"": 3})

    def run(*words: str) -> Ran:
        return mailhaul(*words, home=tmp_path, environ=environ(tmp_path))

    login = f"fleet/{account.user}"
    runs = [
        run("copy", f"maildir:{box}", server.url(account), "--target-oauth", login),
        run("ls", server.url(account), "--oauth", login),
        run("ls", server.url(account), "--oauth", f"fleet/{other.user}"),
        run("ls", server.url(account), "--oauth", "nobody"),
        run("ls", server.url(account), "--oauth", "fleet"),
    ]
    assert [ran.code for ran in runs] == [0, 0, 4, 4, 4], [ran.err for ran in runs]
    assert "mailhaul oauth login nobody" in runs[3].err
    assert "oauth:fleet/{address}" in runs[4].err
    told = "".join(ran.out + ran.err for ran in runs)
    assert not any(token in told for token in fleet.given)


def test_a_plans_mailboxes_log_in_by_one_login(
    server: Dovecot, fleet: Issuer, tmp_path: Path
) -> None:
    pairs = [(server.account(), server.account()) for _ in range(2)]
    for source, _ in pairs:
        with Plain(server.host, server.port, source.user, source.password) as plain:
            for number in range(4):
                plain.append(b"INBOX", b"Subject: %d\r\n\r\nx\r\n" % number)
    rows = [f"{s.user}@x.example,{server.url(s)},{server.url(t)}" for s, t in pairs]
    (tmp_path / "mailboxes.csv").write_text("\n".join(["address,source,target", *rows]) + "\n")
    place = f"imap://{{user}}@{server.host}:{server.port}"
    (tmp_path / "plan.toml").write_text(
        f"""
name = "fleet"
[source]
url = "{place}"
secret = "oauth:fleet/{{user}}"
[target]
url = "{place}"
secret = "env:PASSWORD"
"""
    )
    found = {**environ(tmp_path), "PASSWORD": server.password}
    checked = mailhaul("check", "plan.toml", home=tmp_path, environ=found)
    assert checked.code == 0, checked.out + checked.err
    ran = mailhaul("run", "plan.toml", "--state", "shop", home=tmp_path, environ=found)
    assert (ran.code, "waits for people" in ran.out) == (3, True), ran.err
    for _, target in pairs:
        with Plain(server.host, server.port, target.user, target.password) as plain:
            (told,) = plain.answers(b"STATUS INBOX (MESSAGES)")
        assert b"MESSAGES 4" in told.text
    # One token a mailbox and process.
    assert fleet.asked["/token"] == 2 * len(pairs)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    for token in fleet.given:
        assert not any(token.encode() in path.read_bytes() for path in left)


def key_file(key: rsa.RSAPrivateKey) -> dict[str, str]:
    """As Google makes it for a service account."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "client_email": Issuer.client,
        "private_key": pem.decode(),
        "private_key_id": "k1",
    }


def test_no_output_and_no_file_holds_a_token(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    file, shape = tmp_path / "key.json", key_file(key)
    pem = shape["private_key"]
    file.write_text(json.dumps(shape))
    with Issuer(secret=f"{CANARY}-secret", mint=lambda _: f"{CANARY}-access") as issuer:
        issuer.interval = 0.1
        runs = [
            oauth(
                tmp_path,
                *("login", "app", *at(issuer), "--client", "--debug"),
                stdin=f"{CANARY}-secret\n",
            ),
            oauth(
                tmp_path,
                *("login", "anna", *at(issuer), "--device", "--with-secret"),
                stdin=f"{CANARY}-secret\n",
            ),
            oauth(tmp_path, "list", "--json"),
            oauth(tmp_path, "check", "--json", "--debug"),
        ]
        refresh = kept(tmp_path, "anna").refresh
        assert refresh is not None
        # An issuer that repeats what it was sent.
        echo = f"no such token: {refresh.reveal()}, {CANARY}-secret"
        issuer.replies.append(error("invalid_grant", echo))
        runs.append(oauth(tmp_path, "check", "anna", "--debug"))
        assert "no such token" in runs[-1].out
        runs.append(oauth(tmp_path, "remove", "anna"))
    with Issuer(public_key=key.public_key(), mint=lambda _: f"{CANARY}-access") as issuer:
        words = ("--issuer", issuer.url, "--inside", "--scope", "mail")
        service = ("--service-account", str(file))
        runs += [
            oauth(tmp_path, "login", "fleet", *words, *service),
            oauth(tmp_path, "check", "fleet", "--account", "anna@old.example"),
        ]
    assert [ran.code for ran in runs] == [0, 0, 0, 0, 4, 0, 0, 0], [r.err for r in runs]
    secrets = [f"{CANARY}-secret", f"{CANARY}-access", refresh.reveal(), pem.splitlines()[1]]
    traces = [each.encode() for each in secrets]
    traces += [base64.b64encode(each) for each in traces]
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path != file]
    assert left
    for trace in traces:
        for ran in runs:
            assert trace not in (ran.out + ran.err).encode()
        for path in left:
            assert trace not in path.read_bytes(), path
