"""Both paths from an MX Plan to an Exchange, on real servers, under mail, with a worker that is
killed at every step: every message is there once."""

import os
from pathlib import Path

import pytest

from mailhaul.lab.hoster.books import Line
from mailhaul.providers.extras import Filter, Redirection, Responder
from tests.providers_proof.estate import NAME, WHO, Estate, estate
from tests.servers.hoster import Hoster

SOAK = os.environ.get("MAILHAUL_SOAK") == "1"
PEOPLE = 20
EACH = 90 if SOAK else 9
EVERY = 1.0 if SOAK else 2.0
LOST = 3
"""Messages that the hoster loses when it hands the first account over."""
SCRIPT = 'require "fileinto";\nif header :contains "subject" "nothing of ours" {\n  discard;\n}\n'


def extras(place: Estate) -> list[Redirection | Responder | Filter]:
    """What stands beside three of the accounts."""
    one, two, three = place.addresses[:3]
    return [
        Redirection(one, "home@elsewhere.example", copy=True),
        Responder(two, "I am away."),
        Filter(three, "unwanted", SCRIPT),
    ]


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        (Line.NEW, {"rename", "guard", "make the address at the target", "take the guard away"}),
        (Line.LEGACY, {"safety copy", "hand over"}),
    ],
    ids=["new", "legacy"],
)
async def test_accounts_move_under_mail_with_a_worker_killed_at_every_step(
    line: Line, kinds: set[str], tmp_path: Path, hoster: Hoster
) -> None:
    accounts = 'extras = "carry"'
    with estate(tmp_path, hoster, line, accounts, PEOPLE, EACH, EVERY) as place:
        beside = extras(place)
        for extra in beside:
            hoster.extra(place.old, extra)
        if line is Line.LEGACY:
            hoster.arm(place.new, f"loses {LOST}")
        place.order("start", "plan.toml")
        place.start_worker()
        place.until("a look at each", place.all_are_ready)
        place.insist("accounts", "move", NAME, "--go", "--as", WHO, "--yes")
        place.killed_at_every_step(300)
        place.insist("approve", NAME, "--gate", "go", "--as", WHO, "--yes")
        place.stop_world()
        place.until(
            "everybody to be verified", lambda: place.mailboxes()["verified"] == PEOPLE, 180
        )

        assert not [each.refused for each in place.world if each.refused]
        wrong = place.wrong() + place.wrong_windows()
        assert not wrong, "\n".join(wrong[:20])
        provider = hoster.provider(place.new)
        assert set(await provider.extras()) == set(beside)
        await provider.close()
        for kind in kinds:
            met = {how for what, how in place.kills if what == kind}
            assert "done" in met, f"no kill after “{kind}”: {place.kills}"
            assert met & {"told", "waits"}, f"no kill amid “{kind}”: {place.kills}"
        print(
            f"{place.sent()} messages came while {PEOPLE} accounts moved and the worker was killed "
            f"{len(place.kills)} times; an address was nowhere for {place.longest():.1f} s at the "
            f"most, and {place.bounced()} messages were refused meanwhile"
        )
