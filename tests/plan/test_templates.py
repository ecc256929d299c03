"""What is filled in can't break out of its place."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.endpoint import Endpoint, parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.plan.templates import (
    endpoint_for,
    endpoint_text,
    filled_reference,
    filled_url,
    with_login,
    wrong_names,
)

A = "anna+b@x.example"
URLS = [
    ("imaps://{address}@h", "imaps://anna%2Bb%40x.example@h"),
    ("imaps://{user}@mail.{domain}:994", "imaps://anna%2Bb@mail.x.example:994"),
    (
        "imaps://{address}@h?admin=root@{domain}",
        "imaps://anna%2Bb%40x.example@h?admin=root@x.example",
    ),
    (
        "imaps://{user}@h?login={user}*{admin}&admin=r",
        "imaps://anna%2Bb@h?login={user}*{admin}&admin=r",
    ),
    ("imaps://fixed%7B@h", "imaps://fixed%7B@h"),
    ("maildir:/mail/{domain}/{user}", "maildir:/mail/x.example/anna+b"),
]


@pytest.mark.parametrize(("template", "url"), URLS)
def test_an_endpoint_is_filled_in(template: str, url: str) -> None:
    assert filled_url(template, A) == url
    parse_endpoint(url)


def test_a_domain_in_a_host_is_a_domain_name() -> None:
    assert filled_url("imaps://{user}@imap.{domain}", "a@bücher.example") == (
        "imaps://a@imap.xn--bcher-kva.example"
    )


LOCAL = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() == text)


@given(LOCAL)
def test_whoever_the_user_is_the_host_and_the_options_stay(user: str) -> None:
    endpoint = parse_endpoint(filled_url("imaps://{user}@h:994?admin={user}", f"{user}@x.example"))
    assert (endpoint.host, endpoint.port, endpoint.user) == ("h", 994, user)
    assert endpoint.options == {"admin": user}


@given(LOCAL)
def test_whoever_the_user_is_a_path_stays_in_its_directory(user: str) -> None:
    try:
        path = Path(endpoint_for("maildir:/mail/{user}/new", f"{user}@x.example").path)
    except BadInput:
        return
    assert path.parts[:2] == ("/", "mail")
    assert (len(path.parts), path.name) == (4, "new")
    assert ".." not in path.parts


@given(LOCAL)
def test_whoever_the_user_is_a_command_has_the_same_words(user: str) -> None:
    command = filled_reference("command:pass show {user}", f"{user}@x.example")
    assert shlex.split(command.removeprefix("command:")) == ["pass", "show", user]


@given(LOCAL, st.dictionaries(st.sampled_from(["admin", "login", "ca"]), LOCAL))
def test_an_endpoint_that_is_written_is_read_back(user: str, options: dict[str, str]) -> None:
    endpoint = Endpoint("imaps", "h", 993, user, options=options)
    assert parse_endpoint(endpoint_text(endpoint)) == endpoint
    assert parse_endpoint(endpoint_text(endpoint)).options == options


@pytest.mark.parametrize("path", ["/mail/a", "//mail/a", "mail/a b", "~/x"])
def test_a_path_that_is_written_is_read_back(path: str) -> None:
    assert parse_endpoint(endpoint_text(Endpoint("maildir", path=path))).path == path


@pytest.mark.parametrize("user", ["..", ".", "a/b", "/etc"])
def test_an_address_that_would_lead_elsewhere_is_refused(user: str) -> None:
    with pytest.raises(BadInput, match="can't be part of a path"):
        filled_reference("file:secrets/{user}", f"{user}@x.example")


def test_relative_paths_count_from_the_plan(tmp_path: Path) -> None:
    assert endpoint_for("eml:out/{user}", A, tmp_path).path == f"{tmp_path}/out/anna+b"
    assert endpoint_for("eml:/out", A, tmp_path).path == "/out"


@pytest.mark.parametrize(
    ("template", "login"),
    [
        ("imaps://{address}@h:994?ca=x", "imaps://A%5Cb@h:994?ca=x"),
        ("imaps://h", "imaps://A%5Cb@h"),
        ("maildir:/mail", ""),
        ("nonsense", ""),
    ],
)
def test_another_login_at_the_same_system(template: str, login: str) -> None:
    assert with_login(template, "A\\b") == login


def test_an_administrator_goes_before_the_plans() -> None:
    assert with_login("imaps://{user}@h?admin=a&ca=x", "u", "b") == "imaps://u@h?ca=x&admin=b"


@pytest.mark.parametrize(
    ("template", "wrong"),
    [
        ("imaps://{address}@{domain}?login={admin}", []),
        ("imaps://{adress}@{Domain}", ["{adress}", "{Domain}"]),
        ("imaps://{address@h", ["{"]),
        ("imaps://address}@h", ["}"]),
        ("imaps://{}@h", ["{}"]),
    ],
)
def test_what_means_nothing_is_found(template: str, wrong: list[str]) -> None:
    assert list(wrong_names(template)) == wrong
