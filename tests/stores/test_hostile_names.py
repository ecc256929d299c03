"""Whatever a folder is called and whatever lies in a tree, a file store stays below its root."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailhaul.core.errors import MailhaulError
from mailhaul.core.folder import FolderPath
from mailhaul.core.message import Message
from mailhaul.core.store import Source, Target
from mailhaul.stores.eml import EmlSource
from mailhaul.stores.eml_target import eml_target
from mailhaul.stores.maildir import MaildirSource
from mailhaul.stores.maildir_target import maildir_target
from mailhaul.stores.mbox import MboxSource
from mailhaul.stores.mbox_target import mbox_target
from mailhaul.stores.safe_paths import NameCoding, decode_name, encode_name
from tests.stores.awkward import mail
from tests.stores.conformance import listed_changes, named, octets, put

SOURCES: dict[str, Callable[[Path], Source]] = {
    "maildir": MaildirSource,
    "mbox": MboxSource,
    "eml": EmlSource,
}
TARGETS: dict[str, Callable[[Path], Target]] = {
    "maildir": maildir_target,
    "mbox": mbox_target,
    "eml": eml_target,
}
CODINGS = {
    "Maildir++": NameCoding("\\", frozenset("."), utf7=True, portable=False),
    "plain": NameCoding("\\", frozenset(), utf7=True, reserved=frozenset({"cur", "new", "tmp"})),
    "mbox": NameCoding("%", frozenset(), utf7=False, endings=(".sbd", ".mbox")),
}

HOSTILE: dict[str, FolderPath] = {
    "upwards": ("..", "..", "outside"),
    "upwards in one": ("../../outside",),
    "upwards with dots": ("x", "..", "..", "..", "outside"),
    "absolute": ("/etc/cron.d/evil",),
    "absolute after a folder": ("x", "/etc/cron.d/evil"),
    "NUL": ("a\0b",),
    "an empty part": ("a", "", "b"),
    "nothing": (),
    "300 octets": ("x" * 300,),
    "300 octets of two": ("ö" * 150,),
    "a device of Windows": ("nul.txt",),
    "a stream of Windows": ("file:stream",),
    "a backslash way out": ("..\\..\\outside",),
    "escapes": ("\x1b[2J\u202egnp.exe",),
    "half a character": ("\ud800",),
    "a name of ours": ("manifest.jsonl",),
    "our manifest's name": (".INBOX.mailhaul",),
    "our temporary name": ("INBOX.new",),
    "parts of a Maildir": ("cur",),
    "a hidden name": (".bashrc",),
    "blanks": ("   ",),
    "a dot at the end": ("dot.",),
    "what looks coded": ("\\2e\\2e", "%2e%2e", "&Li4-"),
    "sixty levels": tuple("x" * 60),
    "an inbox with a dotless i": ("\u0131nbox",),
}
COMPONENT = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="./\\~%&:\0 -CONcurnewtmp", min_size=1, max_size=12),
    st.sampled_from(["..", ".", "~", "cur", "AUX", "con.mbox", "a/b", "%2f", "\\2f", "&AGE-"]),
)


def everything(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


async def made(target: Target, path: FolderPath) -> bool:
    """Whether the target would have it; if so, it is there, under its own name, with its mail."""
    try:
        folder = await target.create(path, None)
    except MailhaulError:
        return False
    await put(target, folder, mail("inside"))
    listed = await named(target, folder.path)
    assert await octets(target, listed) == [mail("inside")]
    if not (path[0].isascii() and path[0].upper() == "INBOX"):
        assert listed.path == path
    return True


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_stays_inside(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "outside").mkdir()
    target = TARGETS[kind](tmp_path / "deep" / "box")
    await target.open()
    taken = await made(target, HOSTILE[name])
    await target.close()
    beyond = {path for path in everything(tmp_path) if not path.startswith("deep/box/")}
    assert beyond == ({"outside", "deep", "deep/box"} if taken else {"outside"})


@pytest.mark.parametrize("kind", TARGETS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.lists(COMPONENT, min_size=1, max_size=3).map(tuple))
def test_any_name_stays_inside(kind: str, path: FolderPath) -> None:
    async def run(root: Path) -> bool:
        target = TARGETS[kind](root / "deep" / "box")
        await target.open()
        taken = await made(target, path)
        await target.close()
        return taken

    with TemporaryDirectory() as directory:
        taken = asyncio.run(run(Path(directory)))
        beyond = {name for name in everything(Path(directory)) if not name.startswith("deep/box/")}
        assert beyond == ({"deep", "deep/box"} if taken else set())


@pytest.mark.parametrize("coding", CODINGS)
@given(text=st.one_of(COMPONENT, st.text(min_size=1, max_size=40)))
def test_a_coded_name_is_plain_and_means_what_it_meant(coding: str, text: str) -> None:
    try:
        name = encode_name(CODINGS[coding], text)
    except MailhaulError:
        return
    assert name not in ("", ".", "..")
    assert not set("/\0") & set(name)
    assert name[0] not in ".~"
    assert decode_name(CODINGS[coding], name) == text


@pytest.mark.parametrize("kind", TARGETS)
async def test_names_that_differ_in_case_stay_apart(tmp_path: Path, kind: str) -> None:
    target = TARGETS[kind](tmp_path)
    await target.open()
    if target.capabilities.names.folds_case:
        pytest.skip("this disk takes both for one name, and the store says so")
    for name in ("Sent", "sent", "SENT"):
        await put(target, await target.create((name,), None), mail(name))
    for name in ("Sent", "sent", "SENT"):
        assert await octets(target, await named(target, (name,))) == [mail(name)]


def hostile_maildir(root: Path, outside: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)
    (root / "cur" / "1.good:2,").write_bytes(b"Subject: good\n\n")
    (root / "cur" / "2.link:2,").symlink_to(outside / "secret")
    os.mkfifo(root / "cur" / "3.fifo:2,")
    (root / "cur" / "4.directory:2,").mkdir()
    bind(root / "new" / "5.socket")
    (root / ".Linked").symlink_to(outside)
    (root / ".Half").mkdir()
    (root / ".Half" / "cur").symlink_to(outside / "cur")
    (root / "dovecot-keywords").symlink_to(outside / "secret")
    os.mkfifo(root / "subscriptions")


def hostile_mbox(root: Path, outside: Path) -> None:
    root.mkdir()
    line = "From a@b Mon Jan  1 10:00:00 2024\n"
    (root / "Inbox").write_text(f"{line}Subject: good\n\n\n")
    (root / "Linked").symlink_to(outside / "mbox")
    (root / "Down").symlink_to(outside)
    (root / ".Inbox.mailhaul").symlink_to(outside / "secret")
    os.mkfifo(root / "fifo")
    bind(root / "socket")


def hostile_eml(root: Path, outside: Path) -> None:
    (root / "0001").mkdir(parents=True)
    (root / "good.eml").write_bytes(b"Subject: good\n\n")
    (root / "link.eml").symlink_to(outside / "secret")
    (root / "Down").symlink_to(outside)
    (root / "0001" / "manifest.jsonl").symlink_to(outside / "secret")
    (root / "directory.eml").mkdir()
    os.mkfifo(root / "fifo.eml")
    bind(root / "socket.eml")


def bind(path: Path) -> None:
    """A socket there, however long the path is."""
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


TREES = {"maildir": hostile_maildir, "mbox": hostile_mbox, "eml": hostile_eml}


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.timeout(30)
async def test_a_hostile_tree_is_read_without_what_is_no_mail(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    for part in ("cur", "new", "tmp"):
        (outside / part).mkdir(parents=True)
    (outside / "cur" / "9.secret:2,").write_bytes(b"Subject: secret\n\n")
    (outside / "secret").write_bytes(b"secret\n")
    (outside / "mbox").write_text("From a@b Mon Jan  1 10:00:00 2024\nSubject: secret\n\n\n")
    (outside / "secret.eml").write_text("Subject: secret\n\n")
    TREES[kind](tmp_path / "box", outside)
    before = everything(tmp_path)
    source = SOURCES[kind](tmp_path / "box")
    await source.open()
    found = []
    for folder in await source.folders():
        if folder.selectable:
            entries = (await listed_changes(source, folder)).entries
            async for message in source.fetch(folder, entries):
                if isinstance(message, Message):
                    found.append(message.blob.head(100))
    assert found == [b"Subject: good\r\n\r\n"]
    assert len(source.traffic.notices) >= 3
    assert everything(tmp_path) == before
    await source.close()


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_tree_without_end_is_left_at_some_depth(tmp_path: Path, kind: str) -> None:
    here = tmp_path
    for _ in range(200):
        here = here / "d"
    here.mkdir(parents=True)
    (tmp_path / "cur").mkdir()
    source = SOURCES[kind](tmp_path)
    await source.open()
    await source.folders()
    assert any("deep" in notice for notice in source.traffic.notices)
    await source.close()


@pytest.mark.parametrize(
    ("kind", "trap"),
    [
        ("maildir", "cur"),
        ("maildir", "tmp"),
        ("maildir", "dovecot-keywords.new"),
        ("mbox", "INBOX"),
        ("mbox", ".INBOX.mailhaul"),
        ("mbox", ".INBOX.new"),
        ("eml", "0001"),
        ("eml", "0001/manifest.jsonl"),
        ("eml", "0001/00000001.eml"),
    ],
)
async def test_a_link_laid_in_the_targets_way_is_never_followed(
    tmp_path: Path, kind: str, trap: str
) -> None:
    target = TARGETS[kind](tmp_path / "box")
    await target.open()
    inbox = await target.create(("INBOX",), None)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"as it was")
    place = tmp_path / "box" / trap
    if place.exists():
        place.rename(tmp_path / "moved away")
    is_directory = trap in ("cur", "tmp", "0001")
    place.symlink_to(outside if is_directory else outside / "victim")
    try:
        await put(target, inbox, mail("caught"), flags=frozenset({"Keyword"}))
        await target.remove(inbox, [1])
    except MailhaulError:
        pass
    assert everything(outside) == {"victim"}
    assert (outside / "victim").read_bytes() == b"as it was"
