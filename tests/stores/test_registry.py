"""From an endpoint to its connector, and what is found wrong before anything is opened."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailhaul.core.endpoint import Endpoint, parse_endpoint
from mailhaul.core.errors import BadInput
from mailhaul.core.store import Source, Target
from mailhaul.stores.registry import check, open_source, open_target

SCHEMES = ["imaps://a@localhost", "imap+starttls://a@localhost", "maildir:/x", "mbox:/x", "eml:/x"]


@pytest.mark.parametrize("text", SCHEMES)
def test_every_scheme_has_a_source_and_a_target(text: str) -> None:
    source, target = open_source(parse_endpoint(text)), open_target(parse_endpoint(text))
    assert isinstance(source, Source)
    assert not isinstance(source, Target)
    assert isinstance(target, Target)


@pytest.mark.parametrize("open_it", [open_source, open_target])
def test_an_unknown_scheme_is_named_with_the_known_ones(
    open_it: Callable[[Endpoint], Source],
) -> None:
    with pytest.raises(BadInput, match="“pst:”; there are imaps:"):
        open_it(Endpoint("pst", path="/x"))
    with pytest.raises(BadInput, match="“pst:”"):
        check(Endpoint("pst", path="/x"), "source")


def test_an_endpoint_on_the_network_passes() -> None:
    check(parse_endpoint("imaps://a@nowhere.invalid"), "source")
    check(parse_endpoint("imaps://a@nowhere.invalid"), "target")


def maildir(path: Path) -> None:
    (path / "cur").mkdir(parents=True)


def mbox(path: Path) -> None:
    path.mkdir()
    (path / "Inbox").write_text("From a@b Mon Jan  1 10:00:00 2024\n\n")


def eml(path: Path) -> None:
    path.mkdir()
    (path / "a.eml").write_text("x")


def a_file(path: Path) -> None:
    path.write_text("neither mail nor a directory")


def an_mbox_file(path: Path) -> None:
    path.write_text("From a@b Mon Jan  1 10:00:00 2024\n\n")


def something_else(path: Path) -> None:
    path.mkdir()
    (path / "holiday.jpg").write_text("x")


def empty_files(path: Path) -> None:
    path.mkdir()
    for name in ("subuid-", ".pwd.lock", "motd"):
        (path / name).touch()


def an_empty_tree(path: Path) -> None:
    """An empty mbox that mailhaul has made."""
    path.mkdir()
    (path / "Inbox").touch()
    (path / ".Inbox.mailhaul").touch()


def nothing(path: Path) -> None:
    pass


OK = ""
CASES: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("maildir", "source", maildir, OK),
    ("maildir", "target", maildir, OK),
    ("maildir", "source", nothing, "there is no"),
    ("maildir", "target", nothing, OK),
    ("maildir", "source", Path.mkdir, "is no Maildir.*; name the directory"),
    ("maildir", "target", Path.mkdir, OK),
    ("maildir", "source", something_else, "is no Maildir"),
    ("maildir", "target", something_else, "is no Maildir.*; name an empty or a new directory"),
    ("maildir", "source", a_file, "is a file"),
    ("maildir", "target", a_file, "is a file"),
    ("mbox", "source", mbox, OK),
    ("mbox", "target", mbox, OK),
    ("mbox", "source", an_mbox_file, OK),
    ("mbox", "target", an_mbox_file, "is a file"),
    ("mbox", "source", a_file, "is no mbox.*; name"),
    ("mbox", "source", nothing, "there is no"),
    ("mbox", "target", nothing, OK),
    ("mbox", "target", Path.mkdir, OK),
    ("mbox", "source", something_else, "holds no mbox.*; name an mbox file or a directory"),
    ("mbox", "target", something_else, "holds no mbox.*; name an empty or a new directory"),
    ("mbox", "source", empty_files, "holds no mbox"),
    ("mbox", "target", empty_files, "holds no mbox"),
    ("mbox", "source", an_empty_tree, OK),
    ("mbox", "target", an_empty_tree, OK),
    ("eml", "source", eml, OK),
    ("eml", "target", eml, "did not write"),
    ("eml", "source", nothing, "there is no"),
    ("eml", "target", nothing, OK),
    ("eml", "target", Path.mkdir, OK),
    ("eml", "source", something_else, "holds no .eml.*; name the directory"),
    ("eml", "target", something_else, "did not write"),
    ("eml", "source", a_file, "is a file"),
]


@pytest.mark.parametrize(("scheme", "side", "make", "complaint"), CASES)
def test_a_path_is_looked_at_before_it_is_opened(
    tmp_path: Path, scheme: str, side: str, make: Callable[[Path], None], complaint: str
) -> None:
    make(tmp_path / "it")
    before = sorted(tmp_path.rglob("*"))
    if complaint:
        with pytest.raises(BadInput, match=complaint):
            check(Endpoint(scheme, path=str(tmp_path / "it")), side)
    else:
        check(Endpoint(scheme, path=str(tmp_path / "it")), side)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("scheme", ["maildir", "mbox", "eml"])
def test_a_place_that_can_not_be_made_is_named_with_the_cure(tmp_path: Path, scheme: str) -> None:
    a_file(tmp_path / "it")
    with pytest.raises(BadInput, match=r"can't be made: .*; name a place that this user can write"):
        check(Endpoint(scheme, path=str(tmp_path / "it" / "below")), "target")


@pytest.mark.parametrize("scheme", ["maildir", "mbox", "eml"])
async def test_what_passes_can_be_opened(tmp_path: Path, scheme: str) -> None:
    endpoint = Endpoint(scheme, path=str(tmp_path / "a" / "b"))
    check(endpoint, "target")
    target = open_target(endpoint)
    await target.open()
    assert [folder.path for folder in await target.folders()] == [("INBOX",)]
    await target.close()
    check(endpoint, "target")
    with pytest.raises(BadInput, match="there is no"):
        check(endpoint, "source")


def test_asking_for_the_registry_imports_no_connector() -> None:
    script = (
        "import sys, mailhaul.stores.registry; "
        "print([name for name in sys.modules if name.startswith('mailhaul.stores.')])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "['mailhaul.stores.registry']"
