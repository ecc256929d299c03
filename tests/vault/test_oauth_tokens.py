"""Tokens are renewed in time and asked for once; what an issuer gives only once is kept first."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.errors import BadInput, Closed, ClosedReason, RetryLater
from mailhaul.core.text import Secret, printable
from mailhaul.vault.oauth import Flow, keep_grant
from mailhaul.vault.oauth_answers import given as given_tokens
from mailhaul.vault.oauth_answers import rights_in
from mailhaul.vault.oauth_http import Answer, Wire
from mailhaul.vault.oauth_tokens import AGAIN, HELD, Tokens, only_one
from mailhaul.vault.sealed import Vault
from tests.servers.issuer import Issuer, Reply, error
from tests.vault.granting import KEY, NAME, Clock, grant_at, kept, tokens_for, vault_in

ONE_PROCESS = """
import asyncio, sys
from pathlib import Path
from tests.vault.granting import NAME, Tokens, vault_in
vault = vault_in(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(asyncio.run(Tokens(vault).token(NAME)).reveal(), flush=True)
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running
        assert running.protests == []


def process(directory: Path) -> "subprocess.Popen[str]":
    """Another process that asks for a token once it is told a line."""
    found = subprocess.Popen(
        [sys.executable, "-c", ONE_PROCESS, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert found.stdout is not None and found.stdout.readline() == "ready\n"
    return found


async def test_a_token_is_used_for_eighty_percent_of_its_life(
    issuer: Issuer, tmp_path: Path
) -> None:
    clock = Clock()
    tokens = tokens_for(issuer, tmp_path, clock)
    first = (await tokens.token(NAME)).reveal()
    for seconds, asked in ((2879, 1), (1, 2), (2879, 2), (1, 3)):
        clock.now += seconds
        found = (await tokens.token(NAME)).reveal()
        assert (issuer.asked["/token"], found == issuer.given[-1]) == (asked, True)
    assert first != found


async def test_a_rotated_refresh_token_is_kept_before_its_access_token_is_given(
    issuer: Issuer, tmp_path: Path
) -> None:
    clock = Clock()
    tokens = tokens_for(issuer, tmp_path, clock)
    for _ in range(3):
        given = await tokens.token(NAME)
        grant = kept(vault_in(tmp_path))
        assert grant.refresh is not None and issuer.good_refresh(grant.refresh.reveal())
        assert grant.access is not None and grant.access.reveal() == given.reveal()
        clock.now += 3600


async def test_who_gives_no_new_refresh_token_leaves_the_old_one(tmp_path: Path) -> None:
    clock = Clock()
    with Issuer(rotates=False) as issuer:
        tokens = tokens_for(issuer, tmp_path, clock)
        before = kept(tokens.vault).refresh
        for _ in range(2):
            await tokens.token(NAME)
            clock.now += 3600
        after = kept(tokens.vault).refresh
    assert before is not None and after is not None and before.reveal() == after.reveal()
    assert issuer.asked["/token"] == 2


async def test_many_logins_at_once_ask_once(issuer: Issuer, tmp_path: Path) -> None:
    issuer.delay = 0.05
    tokens = tokens_for(issuer, tmp_path)
    others = Tokens(vault_in(tmp_path), now=tokens.now)
    found = await asyncio.gather(*(each.token(NAME) for each in (tokens, others) * 40))
    assert {each.reveal() for each in found} == set(issuer.given)
    assert issuer.asked["/token"] == 1


def test_processes_that_log_in_at_once_ask_once(issuer: Issuer, tmp_path: Path) -> None:
    issuer.delay = 0.2
    keep_grant(vault_in(tmp_path), NAME, grant_at(issuer))
    running = [process(tmp_path) for _ in range(3)]
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    found = {each.communicate(timeout=30)[0].strip() for each in running}
    assert found == set(issuer.given)
    assert issuer.asked["/token"] == 1


@pytest.mark.parametrize("forgiving", [True, False], ids=["as Microsoft's", "strict"])
def test_killed_between_rotation_and_store(tmp_path: Path, forgiving: bool) -> None:
    with Issuer(forgiving=forgiving) as issuer:
        keep_grant(vault_in(tmp_path), NAME, grant_at(issuer))
        before = kept(vault_in(tmp_path))
        victim = process(tmp_path)
        # The issuer has rotated, and its answer is on its way.
        issuer.before_answer = lambda: os.kill(victim.pid, signal.SIGKILL)
        assert victim.communicate("go\n", timeout=30)[0] == ""
        issuer.before_answer = lambda: None
        assert victim.returncode == -signal.SIGKILL
        after = kept(vault_in(tmp_path))
        assert after.refresh is not None and before.refresh is not None
        assert after.refresh.reveal() == before.refresh.reveal()
        tokens = Tokens(vault_in(tmp_path))
        if forgiving:
            assert asyncio.run(tokens.token(NAME)).reveal() == issuer.given[-1]
        else:
            with pytest.raises(Closed, match="mailhaul oauth login anna again"):
                asyncio.run(tokens.token(NAME))


async def test_an_answer_is_kept_though_nobody_waits_for_it_any_more(
    issuer: Issuer, tmp_path: Path
) -> None:
    reached = threading.Event()
    go_on = threading.Event()

    def hold() -> None:
        reached.set()
        go_on.wait(10)

    issuer.before_answer = hold
    tokens = tokens_for(issuer, tmp_path)
    waiting = asyncio.ensure_future(tokens.token(NAME))
    await asyncio.to_thread(reached.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    issuer.before_answer = lambda: None
    assert (await tokens.token(NAME)).reveal() == issuer.given[-1]
    assert issuer.asked["/token"] == 1


class FullDisk(Vault):
    """A vault that can't be written for a while."""

    full = True

    def set(self, name: str, secret: Secret) -> None:
        if self.full:
            raise BadInput("the vault can't be written: no space left on device")
        super().set(name, secret)


async def test_what_can_not_be_written_is_not_used_and_written_the_next_time(
    issuer: Issuer, tmp_path: Path
) -> None:
    tokens_for(issuer, tmp_path)
    vault = FullDisk(tmp_path / "vault.json", lambda: KEY)
    clock = Clock()
    tokens = Tokens(vault, now=clock)
    for _ in range(2):
        with pytest.raises(RetryLater, match="no space left"):
            await tokens.token(NAME)
    vault.full = False
    assert (await tokens.token(NAME)).reveal() == issuer.given[0]
    assert issuer.asked["/token"] == 1
    clock.now += 3600
    assert (await tokens.token(NAME)).reveal() == issuer.given[1]


async def test_what_could_not_be_written_yields_to_a_newer_login(
    issuer: Issuer, tmp_path: Path
) -> None:
    tokens_for(issuer, tmp_path)
    vault = FullDisk(tmp_path / "vault.json", lambda: KEY)
    tokens = Tokens(vault, now=Clock())
    with pytest.raises(RetryLater):
        await tokens.token(NAME)
    vault.full = False
    keep_grant(vault, NAME, grant_at(issuer))
    assert (await tokens.token(NAME)).reveal() == issuer.given[1]


async def test_an_issuer_that_is_away_is_not_missed_while_the_token_lasts(
    issuer: Issuer, tmp_path: Path
) -> None:
    clock = Clock()
    tokens = tokens_for(issuer, tmp_path, clock)
    first = (await tokens.token(NAME)).reveal()
    clock.now += 3000
    issuer.replies += [error("temporarily_unavailable", status=503)] * 3
    for _ in range(5):
        assert (await tokens.token(NAME)).reveal() == first
    assert issuer.asked["/token"] == 2, "one login in 30 seconds tries"
    clock.now += 580
    with pytest.raises(RetryLater):
        await tokens.token(NAME)
    clock.now += 31
    issuer.replies.clear()
    assert (await tokens.token(NAME)).reveal() == issuer.given[-1] != first


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        (error("invalid_grant", "AADSTS700082: expired."), "credentials", "not used for too long"),
        (error("invalid_grant"), "credentials", "run mailhaul oauth login anna again"),
        (error("interaction_required", "AADSTS50076: mfa"), "credentials", "second factor"),
        (error("interaction_required"), "credentials", "wants to see the person"),
        (error("consent_required"), "credentials", "has to agree"),
        (error("invalid_client", "AADSTS7000222: x", 401), "credentials", "secret has expired"),
        (error("unauthorized_client"), "credentials", "mailhaul oauth check anna"),
        (error("made_up", "what\x1b[2Jever"), "credentials", r"made_up: what\x1b[2Jever"),
        (Reply(404, b"<html>"), "protocol", "status 404"),
        (Reply(200, b"<html>"), "protocol", "without a bearer token"),
        (Reply(200, b"[1]"), "protocol", "without a bearer token"),
        (Reply(200, b"[" * 100_000), "protocol", "without a bearer token"),
        (Reply(200, {"access_token": "x"}), "protocol", "without a bearer token"),
        (Reply(200, {"access_token": "x", "token_type": "mac"}), "protocol", "bearer"),
        (Reply(200, {"access_token": "x\r\ny", "token_type": "Bearer"}), "protocol", "bearer"),
        (Reply(200, {"access_token": "", "token_type": "Bearer"}), "protocol", "bearer"),
        (
            Reply(200, {"access_token": "x", "token_type": "bearer", "refresh_token": [1]}),
            "protocol",
            "can't be sent back",
        ),
        (Reply(200, b"x" * 300_000), "protocol", "more than"),
        (Reply(307, b"", {"Location": "https://evil.example/token"}), "protocol", "evil.example"),
    ],
    ids=lambda value: "" if isinstance(value, Reply) else str(value)[:30],
)
async def test_what_a_person_must_change_is_said_with_its_cure(
    issuer: Issuer, tmp_path: Path, reply: Reply, reason: str, said: str
) -> None:
    issuer.replies.append(reply)
    with pytest.raises(Closed) as caught:
        await tokens_for(issuer, tmp_path).token(NAME)
    assert caught.value.reason is ClosedReason(reason)
    assert said in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "after", "throttled"),
    [
        (error("temporarily_unavailable"), 30, False),
        (error("server_error", Retry_After="7"), 7, False),
        (Reply(502, b"<html>bad gateway"), 30, False),
        (Reply(429, b"", {"Retry-After": "120"}), 120, True),
        (Reply(429, b"", {"Retry-After": "99999999"}), 3600, True),
        (Reply(503, b"", {"Retry-After": "soon"}), 30, False),
    ],
    ids=["temporarily", "server error", "502", "429", "429 for years", "503 without a number"],
)
async def test_what_passes_is_tried_later(
    issuer: Issuer, tmp_path: Path, reply: Reply, after: float, throttled: bool
) -> None:
    issuer.replies.append(reply)
    with pytest.raises(RetryLater) as caught:
        await tokens_for(issuer, tmp_path).token(NAME)
    assert (caught.value.after, caught.value.throttled) == (after, throttled)


async def test_an_issuer_that_says_nothing_is_tried_later(issuer: Issuer, tmp_path: Path) -> None:
    issuer.delay = 0.6
    tokens = tokens_for(issuer, tmp_path)
    tokens.wire = Wire(seconds=0.2)
    with pytest.raises(RetryLater, match="did not answer"):
        await tokens.token(NAME)


async def test_an_issuer_that_is_not_there_is_tried_later(tmp_path: Path) -> None:
    with Issuer() as gone:
        tokens = tokens_for(gone, tmp_path)
    with pytest.raises(RetryLater, match="can't be reached"):
        await tokens.token(NAME)


async def test_a_refusal_is_not_asked_for_a_thousand_times(issuer: Issuer, tmp_path: Path) -> None:
    clock = Clock()
    tokens = tokens_for(issuer, tmp_path, clock)
    issuer.replies += [error("invalid_grant")] * 2
    for _ in range(10):
        with pytest.raises(Closed):
            await tokens.token(NAME)
    assert issuer.asked["/token"] == 1
    clock.now += HELD
    with pytest.raises(Closed):
        await tokens.token(NAME)
    assert issuer.asked["/token"] == 2
    # Somebody logs in anew, in another process: that is seen at once.
    keep_grant(vault_in(tmp_path), NAME, grant_at(issuer))
    assert (await tokens.token(NAME)).reveal() == issuer.given[-1]


async def test_a_refused_token_is_replaced_but_not_over_and_over(
    issuer: Issuer, tmp_path: Path
) -> None:
    clock = Clock()
    tokens = tokens_for(issuer, tmp_path, clock)
    first = await tokens.token(NAME)
    found = await asyncio.gather(*(tokens.another(NAME, first) for _ in range(5)))
    assert (found, issuer.asked["/token"]) == ([True] * 5, 2)
    second = await tokens.token(NAME)
    assert second.reveal() == issuer.given[1]
    assert await tokens.another(NAME, first), "it was replaced meanwhile"
    assert not await tokens.another(NAME, second)
    assert issuer.asked["/token"] == 2
    clock.now += AGAIN
    assert await tokens.another(NAME, second)
    assert (await tokens.token(NAME)).reveal() == issuer.given[2]


async def test_a_clock_that_was_set_back_makes_no_token_last_longer(
    issuer: Issuer, tmp_path: Path
) -> None:
    clock = Clock()
    tokens = tokens_for(issuer, tmp_path, clock)
    await tokens.token(NAME)
    clock.now -= 86400
    assert (await tokens.token(NAME)).reveal() == issuer.given[1]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("3600", 3600), (None, 300), (-5, 300), ("x", 300), (True, 300), (1e12, 30 * 86400)],
)
async def test_a_life_that_makes_no_sense_is_short(
    issuer: Issuer, tmp_path: Path, told: object, seconds: float
) -> None:
    issuer.life = told
    tokens = tokens_for(issuer, tmp_path)
    await tokens.token(NAME)
    assert kept(tokens.vault).life == seconds


async def test_a_login_that_is_gone_says_how_to_come_by_one(issuer: Issuer, tmp_path: Path) -> None:
    tokens = tokens_for(issuer, tmp_path)
    await tokens.token(NAME)
    tokens.vault.remove(f"oauth:{NAME}")
    for name in (NAME, "nobody"):
        with pytest.raises(Closed, match=f"mailhaul oauth login {name}"):
            await tokens.token(name)


async def test_without_a_refresh_token_the_end_is_the_end(issuer: Issuer, tmp_path: Path) -> None:
    tokens = tokens_for(issuer, tmp_path, refresh=None)
    with pytest.raises(Closed, match="offline access"):
        await tokens.token(NAME)


@pytest.mark.parametrize("basic", [False, True], ids=["in the form", "in a header"])
async def test_an_application_logs_in_by_its_secret(tmp_path: Path, basic: bool) -> None:
    with Issuer(secret="s3cr3t +%/:é") as issuer:
        issuer.basic_only = basic
        vault = vault_in(tmp_path)
        keep_grant(vault, NAME, grant_at(issuer, Flow.CLIENT))
        clock = Clock()
        tokens = Tokens(vault, now=clock)
        assert (await tokens.token(NAME)).reveal() == issuer.given[0]
        # Another process finds it: an application's token is everybody's.
        other = Tokens(vault_in(tmp_path), now=clock)
        assert (await other.token(NAME)).reveal() == issuer.given[0]
        wrong = replace(
            grant_at(issuer, Flow.CLIENT), client=replace(kept(vault).client, secret=None)
        )
        keep_grant(vault, NAME, wrong)
        with pytest.raises(Closed, match="doesn't take this client's"):
            await tokens.token(NAME)


async def test_secrets_are_made_known_before_they_are_sent(issuer: Issuer, tmp_path: Path) -> None:
    issuer.secret = "client-secret"
    grant = grant_at(issuer)
    assert grant.refresh is not None
    vault = vault_in(tmp_path)
    keep_grant(vault, NAME, grant)
    learnt: list[str] = []
    known: list[list[str]] = []
    issuer.before_answer = lambda: known.append(list(learnt))
    tokens = Tokens(vault, learn=lambda secret: learnt.append(secret.reveal()))
    await tokens.token(NAME)
    assert known == [[grant.refresh.reveal(), "client-secret"]]
    assert learnt[2:] == issuer.given


async def test_the_turn_is_waited_for(issuer: Issuer, tmp_path: Path) -> None:
    tokens = tokens_for(issuer, tmp_path)
    async with only_one(tokens.vault, NAME):
        waiting = asyncio.ensure_future(tokens.token(NAME))
        await asyncio.sleep(0.2)
        assert (waiting.done(), issuer.asked["/token"]) == (False, 0)
    assert (await waiting).reveal() == issuer.given[0]


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(0, ""), (100, ""), (-100, ""), (7200, "120 minutes ahead of"), (-7200, "120 minutes behind")],
)
async def test_a_clock_that_is_wrong_is_noticed_when_a_token_is_refused(
    issuer: Issuer, tmp_path: Path, ahead: float, said: str
) -> None:
    tokens = tokens_for(issuer, tmp_path, Clock(time.time() + ahead))
    issuer.replies.append(error("invalid_grant"))
    with pytest.raises(Closed) as caught:
        await tokens.token(NAME)
    assert ("clock" in str(caught.value)) == bool(said)
    assert said in str(caught.value)


async def test_a_check_has_a_fresh_token_given_and_everybody_finds_it(
    issuer: Issuer, tmp_path: Path
) -> None:
    tokens = tokens_for(issuer, tmp_path)
    await tokens.token(NAME)
    other = Tokens(vault_in(tmp_path), now=tokens.now)
    grant = await other.fresh(NAME)
    assert grant.access is not None and grant.access.reveal() == issuer.given[1]
    assert (await tokens.token(NAME)).reveal() == issuer.given[1]
    issuer.replies.append(error("temporarily_unavailable", status=503))
    with pytest.raises(RetryLater):
        await other.fresh(NAME)
    assert (await other.token(NAME)).reveal() == issuer.given[1]


def jwt(claims: object) -> Secret:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({}, claims, "")]
    return Secret(b".".join(part.rstrip(b"=") for part in parts).decode())


@pytest.mark.parametrize(
    ("token", "rights"),
    [
        (jwt({"roles": ["IMAP.AccessAsApp"], "tid": "x"}), ("IMAP.AccessAsApp",)),
        (jwt({"scp": "IMAP.AccessAsUser.All Mail.Read"}), ("IMAP.AccessAsUser.All", "Mail.Read")),
        (jwt({"tid": "x"}), ()),
        (jwt({"roles": [1, "a\x1b"], "scp": 5}), ("a\\x1b",)),
        (jwt({"sub": "x"}), None),
        (jwt([]), None),
        (Secret("EwAopaque"), None),
        (Secret("a.b.c"), None),
        (Secret("a.é.c"), None),
    ],
)
def test_what_a_token_is_good_for_is_shown_where_it_says(
    token: Secret, rights: tuple[str, ...] | None
) -> None:
    assert rights_in(token) == rights


@given(
    st.dictionaries(
        st.sampled_from(["access_token", "token_type", "expires_in", "refresh_token", "error"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    ),
    st.sampled_from([200, 201, 400, 401, 403, 404, 429, 500, 503]),
)
def test_whatever_an_issuer_answers_is_tokens_or_one_sentence(
    shape: dict[str, object], status: int
) -> None:
    try:
        found = given_tokens(Answer(status, shape), NAME, "issuer.example")
    except (Closed, RetryLater) as error:
        assert printable(str(error), 9999) == str(error)
    else:
        assert found.life > 0 and found.access.reveal().isascii()
