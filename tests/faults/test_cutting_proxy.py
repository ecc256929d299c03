"""The proxy cuts where it says, on real servers; and the control: who retries blindly, doubles."""

from itertools import product

import pytest

from tests.faults.cutting_proxy import Action, Cut, CuttingProxy, hide, strip_appenduid
from tests.faults.framing import Moment, Place
from tests.faults.oracle import Contents, read_mailbox
from tests.faults.plain import Failed, Plain
from tests.servers.process import Account, RunningServer

MAIL = b"Subject: x\r\n\r\n" + b"body\r\n" * 500
STORED = {
    Place.COMMAND: 0,
    Place.COMMAND_HALF: 0,
    Place.LITERAL: 0,
    Place.LITERAL_HALF: 0,
    Place.LITERAL_DONE: 0,
    Place.ANSWER: 1,
    Place.ANSWER_HALF: 1,
    Place.ANSWERED: 1,
}
"""How many messages the server holds after a cut there. At SENT it may be either."""

SERVERS = ("dovecot", "cyrus")


@pytest.fixture(params=SERVERS)
def target(request: pytest.FixtureRequest) -> RunningServer:
    running = request.getfixturevalue(request.param)
    assert isinstance(running, RunningServer)
    return running


@pytest.mark.parametrize(("place", "action"), list(product(STORED, Action)))
def test_a_cut_append_is_stored_only_when_its_answer_was_there(
    target: RunningServer, place: Place, action: Action
) -> None:
    account = target.account()
    with CuttingProxy(
        target.host, target.port, cut=Cut(Moment(place, "APPEND"), 1, action)
    ) as proxy:
        with Plain(
            proxy.host, proxy.port, account.user, account.password, deadline=0.3
        ) as connection:
            # After a RST that follows an answer at once, the kernel may drop the answer.
            if (place, action) != (Place.ANSWERED, Action.RST):
                assert _try_append(connection) == (place is Place.ANSWERED)
            else:
                _try_append(connection)
            with pytest.raises((Failed, OSError)):
                connection.command(b"NOOP")
        assert proxy.fired
    assert len(_inbox(target, account)) == STORED[place]


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("place", [Place.ANSWER, Place.ANSWER_HALF])
def test_who_retries_blindly_after_the_final_crlf_doubles(
    target: RunningServer, place: Place, action: Action
) -> None:
    account = target.account()
    cut = Cut(Moment(place, "APPEND"), 1, action)
    with CuttingProxy(target.host, target.port, cut=cut) as proxy:
        for _ in range(2):
            owner = (proxy.host, proxy.port, account.user, account.password)
            with Plain(*owner, deadline=0.3) as connection:
                if _try_append(connection):
                    break
    assert proxy.acknowledged == 1
    assert proxy.messages == 2
    assert len(_inbox(target, account)) == 2


def test_each_kind_of_end_looks_to_the_client_as_it_is_called(target: RunningServer) -> None:
    seen = {}
    for action in Action:
        account = target.account()
        cut = Cut(Moment(Place.COMMAND, "NOOP"), 1, action)
        with (
            CuttingProxy(target.host, target.port, cut=cut) as proxy,
            Plain(
                proxy.host, proxy.port, account.user, account.password, deadline=0.3
            ) as connection,
        ):
            with pytest.raises((Failed, OSError)) as caught:
                connection.command(b"NOOP")
            seen[action] = caught.type
    assert seen == {
        Action.FIN: Failed,
        Action.RST: ConnectionResetError,
        Action.STALL: TimeoutError,
    }


@pytest.mark.parametrize("chunk", [None, 1])
def test_nothing_is_altered_without_a_cut(target: RunningServer, chunk: int | None) -> None:
    account = target.account()
    with CuttingProxy(target.host, target.port, chunk=chunk) as proxy:
        owner = (account.user, account.password)
        with Plain(proxy.host, proxy.port, *owner) as connection:
            connection.append(b"INBOX", MAIL, ("\\Seen",), "01-Feb-2020 03:04:05 +0000")
        through = read_mailbox(proxy.host, proxy.port, *owner)
    assert through == _mailbox(target, account)
    assert [copy.flags for copy in through["INBOX"]] == [frozenset({"\\seen"})]
    assert proxy.commands["APPEND"] == proxy.answered["APPEND"] == proxy.messages == 1
    assert not proxy.fired


def test_filters_hide_what_the_server_offers(dovecot: RunningServer) -> None:
    account = dovecot.account()
    with (
        CuttingProxy(
            dovecot.host, dovecot.port, filters=(hide("MULTIAPPEND"), strip_appenduid)
        ) as proxy,
        Plain(proxy.host, proxy.port, account.user, account.password) as connection,
    ):
        shown = [answer.text for answer in connection.answers(b"CAPABILITY")]
        tagged = connection.append(b"INBOX", MAIL)
    assert b"UIDPLUS" in shown[0]
    assert b"MULTIAPPEND" not in shown[0]
    assert b"APPENDUID" not in tagged


def _try_append(connection: Plain) -> bool:
    try:
        connection.append(b"INBOX", MAIL)
    except (Failed, OSError):
        return False
    return True


def _mailbox(server: RunningServer, account: Account) -> Contents:
    return read_mailbox(server.host, server.port, account.user, account.password)


def _inbox(server: RunningServer, account: Account) -> list[object]:
    return [*_mailbox(server, account)["INBOX"]]
