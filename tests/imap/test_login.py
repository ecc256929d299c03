"""Who logs in, and as whom."""

import pytest

from mailhaul.core.endpoint import parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.imap.login import Login, login_names

FITTING = [
    ("the user", "imaps://anna@h", Login("anna")),
    ("an address", "imaps://anna%40a.example@h", Login("anna@a.example")),
    ("a delegate", "imaps://anna@h?authzid=ben", Login("anna", "ben")),
    ("an admin, by authzid", "imaps://anna@h?admin=root", Login("root", "anna")),
    ("Cyrus", "imaps://anna@h?admin=cyrus&login=cyrus", Login("cyrus", "anna")),
    ("Zimbra", "imaps://a@h?admin=ad%40b.example&login=zimbra", Login("ad@b.example", "a")),
    ("Dovecot", "imaps://anna@h?admin=master&login=dovecot", Login("anna*master")),
    ("Dovecot, written out", "imaps://anna*master@h", Login("anna*master")),
    ("Exchange", "imaps://anna@h?admin=OLD%5Cadmin&login=exchange", Login("OLD\\admin\\anna")),
    (
        "Exchange with addresses",
        "imaps://anna%40a.b@h?admin=admin%40a.b&login=exchange",
        Login("admin@a.b\\anna@a.b"),
    ),
    (
        "Exchange with slashes",
        "imaps://anna@h?admin=OLD/admin&login=exchange-slash",
        Login("OLD/admin/anna"),
    ),
    ("Sun", "imaps://anna@h?admin=root&login=sun", Login("root", proxy="anna")),
    (
        "a pattern",
        "imaps://anna%40a.b@h?admin=root&login={domain}/{admin}/{local}",
        Login("a.b/root/anna"),
    ),
    ("a pattern without admin", "imaps://anna@h?login=OLD%5C{user}", Login("OLD\\anna")),
    (
        "a template and an authzid",
        "imaps://anna@h?admin=m&login=dovecot&authzid=x",
        Login("anna*m", "x"),
    ),
    (
        "a user called like a placeholder",
        "imaps://%7Badmin%7D@h?admin=m&login=dovecot",
        Login("{admin}*m"),
    ),
]

UNFITTING = [
    ("a template without admin", "imaps://anna@h?login=dovecot", "add admin=NAME"),
    ("authzid without admin", "imaps://anna@h?login=cyrus", "needs admin=NAME"),
    ("Sun without admin", "imaps://anna@h?login=sun", "needs admin=NAME"),
    ("an unknown template", "imaps://anna@h?admin=m&login=kerio", "there are authzid, cyrus"),
    ("an unknown placeholder", "imaps://anna@h?login={user}{realm}", "{realm} means nothing"),
    ("a domain that isn't there", "imaps://anna@h?login={domain}/{user}", "name%40domain"),
    ("an admin without use", "imaps://anna@h?admin=m&login=x-{user}", "makes no use of admin"),
    ("a NUL in the user", "imaps://an%00na@h", "holds a NUL"),
    ("a NUL in the admin", "imaps://anna@h?admin=%00", "holds a NUL"),
]


@pytest.mark.parametrize(("why", "endpoint", "login"), FITTING)
def test_names_are_written_as_the_server_wants_them(why: str, endpoint: str, login: Login) -> None:
    assert login_names(parse_endpoint(endpoint)) == login, why


@pytest.mark.parametrize(("why", "endpoint", "words"), UNFITTING)
def test_what_does_not_fit_is_said_before_anything_is_opened(
    why: str, endpoint: str, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        login_names(parse_endpoint(endpoint))
    assert words in str(caught.value), why
