"""The report: its documents agree, and what was signed can't be changed unnoticed."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mailhaul.core.errors import BadInput
from mailhaul.journey.account import Account
from mailhaul.journey.events import Head
from mailhaul.report import bundle, documents, manifest, merkle
from mailhaul.report.figures import (
    DifferenceFigures,
    FindingFigures,
    FolderFigures,
    GateFigures,
    LeftoverFigures,
    MailboxFigures,
    MoveFigures,
    PassFigures,
    Report,
)

HOSTILE = "<script>alert(1)</script> =cmd|' /C calc'!A1"


def report() -> Report:
    account = Account(census=7, copied=3, adopted=1, skipped=1, refused=1, missing=1)
    anna = MailboxFigures(
        address="anna@example.com",
        wave="first",
        source="imaps://anna@old.example",
        target="imaps://anna@new.example",
        state="verified",
        reason="",
        grade="Good",
        account=account,
        octets=123_456,
        folders=(FolderFigures("INBOX", "INBOX", account),),
        passes=(
            PassFigures(
                1, "copy", 1e9, 1e9 + 4, "complete", 4, 0, 0, 123_456, 7, {"throttled": 2.0},
                (), (), None,
            ),
        ),
        leftovers=(
            LeftoverFigures("INBOX", "9", "refused", "too big", HOSTILE, "", "Anna", 1e9 + 9),
            LeftoverFigures("INBOX", "10", "missing", "gone", "", "", None, None),
        ),
        differences=(DifferenceFigures("altered", "note", "INBOX", "8-bit → X", HOSTILE, 2),),
        findings=(FindingFigures("APPEND_LIMIT", "warns", "40 MB", "ask for more"),),
        move=MoveFigures(
            "new", "moved", "Olga <b>", 1e9, 1e9 + 60, "anna01@example.com", 4.0, True, "", None
        ),
    )  # fmt: skip
    bob = MailboxFigures(
        "bob@example.com", "", "imaps://bob@old.example", "imaps://bob@new.example",
        "copying", "the target is throttling", "", Account(2, 2), 10,
    )  # fmt: skip
    gate = GateFigures("first", "go", "Anna", "root", 1e9, "7 messages\nall synced")
    return Report(
        plan="Example & Sons",
        state="running",
        drawn_at=1e9 + 100,
        started_at=1e9,
        ended_at=None,
        time_zone="Europe/Paris",
        head=Head(12, "ab" * 32),
        mailboxes=(anna, bob),
        gates=(gate,),
        grades={"Good": 1},
    )


def lines(count: int, folder: str = "INBOX") -> manifest.FolderLines:
    def messages() -> Iterator[manifest.MessageLine]:
        for number in range(count):
            yield manifest.MessageLine(
                str(number), str(number + 100), "copied", 10, 0, f"{number:064x}"
            )

    return manifest.FolderLines("anna@example.com", folder, folder, messages())


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def written(directory: Path) -> bundle.Written:
    folders = [lines(3), lines(0, "Empty"), lines(5, "Sent")]
    return bundle.write(directory, report(), folders, KEY)


def test_all_documents_tell_the_same_figures(tmp_path: Path) -> None:
    whole = json.loads(documents.as_json(report()))
    rows = list(csv.DictReader(io.StringIO(documents.mailboxes_csv(report()))))
    for shown, row in zip(whole["mailboxes"], rows, strict=True):
        assert {name: str(count) for name, count in shown["account"].items()}.items() <= row.items()
    total = {name: sum(int(row[name]) for row in rows) for name in Account.__dataclass_fields__}
    assert whole["account"] == total
    assert whole["account"] == {
        "census": 9, "copied": 5, "adopted": 1, "skipped": 1, "refused": 1, "missing": 1
    }  # fmt: skip
    page = documents.as_html(report())
    assert "9 = 5 copied + 1 adopted + 1 skipped + 1 refused + 1 missing" in page


def test_how_an_account_was_moved_is_told() -> None:
    page = documents.as_html(report())
    assert page.count("Its account") == 1
    assert "nowhere for 4.0 s at the most, and something took its mail meanwhile" in page
    assert "called anna01@example.com since." in page
    assert "Olga &lt;b&gt; agreed to it" in page
    anna, bob = json.loads(documents.as_json(report()))["mailboxes"]
    assert (anna["move"]["nowhere"], bob["move"]) == (4.0, None)


def test_a_sum_that_does_not_match_is_said(tmp_path: Path) -> None:
    wrong = MailboxFigures("a", "", "s", "t", "copying", "", "", Account(3, 1), 0)
    page = documents.as_html(
        Report("p", "running", 0, None, None, "UTC", Head(0, ""), mailboxes=(wrong,))
    )
    assert "The sum does not match" in page
    assert "accounted for" not in page


def test_what_a_mail_says_does_nothing() -> None:
    page = documents.as_html(report())
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    rows = csv.DictReader(io.StringIO(documents.leftovers_csv(report())))
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


@given(st.lists(st.binary(max_size=8), max_size=40))
def test_the_root_is_that_of_rfc_6962(items: list[bytes]) -> None:
    def expected(leaves: list[bytes]) -> bytes:
        import hashlib

        if not leaves:
            return hashlib.sha256(b"").digest()
        if len(leaves) == 1:
            return leaves[0]
        split = 1
        while split * 2 < len(leaves):
            split *= 2
        left, right = expected(leaves[:split]), expected(leaves[split:])
        return hashlib.sha256(b"\x01" + left + right).digest()

    leaves = [merkle.leaf(each) for each in items]
    assert merkle.root(leaves) == expected(leaves)


def test_a_report_that_nobody_touched_is_true(tmp_path: Path) -> None:
    made = written(tmp_path / "report")
    checked = bundle.verify(tmp_path / "report")
    assert (checked.folders, checked.messages, checked.hashed) == (3, 8, 8)
    assert checked.key == made.key
    assert bundle.verify(tmp_path / "report", made.key) == checked


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    written(tmp_path / "report")
    written(tmp_path / "report")
    assert bundle.verify(tmp_path / "report").messages == 8
    assert [each.name for each in tmp_path.iterdir()] == ["report"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds other files"):
        written(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_another_signer_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "report")
    with pytest.raises(manifest.Untrue, match="signed by"):
        bundle.verify(tmp_path / "report", "00" * 16)


@pytest.mark.parametrize("name", ["report.html", "report.json", "mailboxes.csv"])
def test_a_changed_document_is_found(tmp_path: Path, name: str) -> None:
    written(tmp_path / "report")
    file = tmp_path / "report" / name
    file.write_bytes(file.read_bytes().replace(b"7", b"8", 1))
    with pytest.raises(manifest.Untrue, match=name):
        bundle.verify(tmp_path / "report")


def test_every_damage_to_the_manifest_is_found(tmp_path: Path) -> None:
    written(tmp_path / "report")
    file = tmp_path / "report" / bundle.MANIFEST
    whole = file.read_bytes()
    rows = whole.splitlines(keepends=True)
    damages = [b"".join(rows[:place] + rows[place + 1 :]) for place in range(len(rows))]
    damages += [b"".join([*rows[:place], rows[place], *rows[place:]]) for place in range(len(rows))]
    damages += [
        b"".join([*rows[:place], rows[place + 1], rows[place], *rows[place + 2 :]])
        for place in range(len(rows) - 1)
    ]
    damages += [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(0, len(whole), 5)]  # fmt: skip  # noqa: E501
    damages += [whole[:place] for place in range(0, len(whole), 11)]
    for damaged in damages:
        file.write_bytes(damaged)
        with pytest.raises(manifest.Untrue):
            bundle.verify(tmp_path / "report", manifest.fingerprint(KEY.public_key()))
    file.write_bytes(whole)
    bundle.verify(tmp_path / "report")


def test_a_directory_without_a_report_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no report"):
        bundle.verify(tmp_path)


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "state" / "signing.key"
    first = manifest.signing_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    again = manifest.signing_key(file)
    assert first.public_key().public_bytes_raw() == again.public_key().public_bytes_raw()
    file.write_bytes(b"short")
    with pytest.raises(BadInput, match="holds no signing key"):
        manifest.signing_key(file)
