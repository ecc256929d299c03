"""Two endpoints before anything is connected: one mailbox or two, and where their state lies."""

from pathlib import Path

import pytest

from mailhaul.cli.pair import addresses, endpoint_given, state_directory
from mailhaul.core.errors import BadInput
from mailhaul.core.pair import mailbox_name, refuse_one_mailbox_twice

HOSTS = {
    "mail.example": frozenset({"192.0.2.1", "192.0.2.2"}),
    "imap.example": frozenset({"192.0.2.2"}),
    "new.example": frozenset({"192.0.2.9"}),
}


def resolve(host: str) -> frozenset[str]:
    return HOSTS.get(host, frozenset())


ONE_MAILBOX = [
    ("imaps://anna@mail.example", "imaps://anna@mail.example"),
    ("imaps://anna@mail.example", "imaps://anna@MAIL.example:993"),
    ("imaps://anna@mail.example", "imap+starttls://anna@mail.example"),
    ("imaps://anna@mail.example", "imaps://anna@imap.example"),
    ("imap://anna@mail.example:1143", "imap://anna@imap.example:1143"),
    ("imaps://anna@mail.example", "imaps://root@mail.example?authzid=anna"),
    ("imaps://anna@mail.example", "imaps://anna@mail.example?admin=root"),
    ("maildir:/mail/anna", "maildir:/mail/anna/"),
    ("maildir:/mail/anna", "mbox:/mail/../mail/anna"),
    ("maildir:/mail/anna", "eml:/mail/anna/export"),
    ("eml:/mail/anna/export", "maildir:/mail/anna"),
]
TWO_MAILBOXES = [
    ("imaps://anna@mail.example", "imaps://anna@new.example"),
    ("imaps://anna@mail.example", "imaps://berta@mail.example"),
    ("imaps://anna@unknown.example", "imaps://anna@gone.example"),
    ("imap://anna@mail.example:1143", "imap://anna@mail.example:2143"),
    ("imaps://root@mail.example?authzid=anna", "imaps://root@mail.example?authzid=berta"),
    ("maildir:/mail/anna", "maildir:/mail/anna2"),
    ("maildir:/mail/anna", "imaps://anna@mail.example"),
]


@pytest.mark.parametrize(("source", "target"), ONE_MAILBOX)
def test_one_mailbox_on_both_sides_is_refused(source: str, target: str) -> None:
    with pytest.raises(BadInput, match=r"the same|lies inside"):
        refuse_one_mailbox_twice(endpoint_given(source), endpoint_given(target), resolve)


@pytest.mark.parametrize(("source", "target"), TWO_MAILBOXES)
def test_two_mailboxes_are_not(source: str, target: str) -> None:
    refuse_one_mailbox_twice(endpoint_given(source), endpoint_given(target), resolve)


def test_a_link_to_the_source_is_the_source(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mail")
    source = endpoint_given(f"maildir:{tmp_path}/mail")
    with pytest.raises(BadInput, match="the same place"):
        refuse_one_mailbox_twice(source, endpoint_given(f"maildir:{tmp_path}/link"), resolve)


def test_loopback_has_many_names() -> None:
    assert addresses("127.0.0.1") <= addresses("localhost") | {"127.0.0.1"}
    assert addresses("nowhere.invalid") == frozenset()
    assert addresses("a" * 70 + ".example") == frozenset()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("imaps://anna@h", "imap+starttls://anna@h"),
        ("imaps://anna@h", "imaps://anna@h?admin=root"),
        ("imaps://anna@h", "imaps://anna@h?fingerprint=ab"),
        ("imaps://root@h?authzid=anna", "imaps://anna@h"),
        ("maildir:/x/../y", "maildir:/y"),
    ],
)
def test_the_way_to_a_mailbox_is_no_part_of_its_name(one: str, other: str) -> None:
    assert mailbox_name(endpoint_given(one)) == mailbox_name(endpoint_given(other))


def test_state_lies_by_pair_below_the_state_home() -> None:
    a, b = endpoint_given("imaps://anna@old.example"), endpoint_given("maildir:/mail/anna")
    environ = {"XDG_STATE_HOME": "/s"}
    there = state_directory(a, b, environ, None)
    assert there.parent == Path("/s/mailhaul")
    assert there.name.startswith("anna-old.example--maildir-anna-")
    assert there != state_directory(b, a, environ, None)
    assert there == state_directory(a, b, environ, None)


def test_a_state_directory_may_be_named() -> None:
    a, b = endpoint_given("imaps://anna@old.example"), endpoint_given("maildir:/mail/anna")
    assert state_directory(a, b, {}, "/elsewhere") == Path("/elsewhere")


@pytest.mark.parametrize("environ", [{}, {"XDG_STATE_HOME": "relative"}])
def test_without_a_state_home_it_is_in_the_home(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    a, b = endpoint_given("imaps://anna@old.example"), endpoint_given("maildir:/mail/anna")
    there = state_directory(a, b, environ, None)
    assert there.parent == Path("/home/anna/.local/state/mailhaul")


def test_names_that_are_no_file_names_are_made_some() -> None:
    a = endpoint_given("imaps://..%2F..%2Fetc%00@h")
    there = state_directory(a, a, {"XDG_STATE_HOME": "/s"}, None)
    assert there.parent == Path("/s/mailhaul")
    assert "/" not in there.name
    assert not there.name.startswith(".")


def test_a_tilde_after_the_colon_is_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert endpoint_given("maildir:~/Mail").path == "/home/anna/Mail"
