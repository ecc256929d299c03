"""The demo's subsidiary is believed only where mail proves it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mailhaul.lab import subsidiary
from mailhaul.lab.hoster.books import Line
from mailhaul.lab.hosting import hosting
from mailhaul.lab.oracle import counted
from mailhaul.lab.people import Person
from mailhaul.lab.subsidiary import BOOKS, DOMAIN, NEW, Subsidiary
from mailhaul.providers.extras import Extra, Redirection, Responder

PASSWORD = "correct horse 9"
JAN, KIM = f"jan@{DOMAIN}", f"kim@{DOMAIN}"
SENT_ON = Redirection(JAN, BOOKS, copy=True)
ANSWERED = Responder(KIM, "Am Montag wieder da.")


@pytest.mark.parametrize(
    ("standing", "wrong"),
    [
        ((SENT_ON, ANSWERED), []),
        ((ANSWERED,), [f"{JAN}: redirected 0 times, and not once"]),
        ((SENT_ON, Responder(KIM, "Nein.")), [f"{KIM}: answered 0 times, and not once"]),
    ],
    ids=["both stand", "no redirection", "another answer"],
)
def test_what_stands_beside_accounts_is_proven_by_mail(
    standing: Sequence[Extra],
    wrong: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subsidiary, "WAIT", 2.0)
    with hosting(tmp_path / "hoster") as lab:
        lab.sell(NEW, Line.EXCHANGE, DOMAIN)
        lab.accounts(NEW, PASSWORD, JAN, KIM)
        for extra in standing:
            lab.put_up(NEW, extra)
        people = []
        for address in (JAN, KIM):
            line = lab.connect(Line.EXCHANGE, address, PASSWORD)
            people.append(Person(address, line, line, (("INBOX",),)))
        assert Subsidiary(lab, "Ada Adler", tuple(people)).judge() == wrong
        # What came in by the hoster is expected as it lies there, below its stamp.
        assert [counted(each).wrong for each in people] == [(), ()]
        assert [counted(each).new for each in people] == [1, 1]
        for each in people:
            each.new.close()
