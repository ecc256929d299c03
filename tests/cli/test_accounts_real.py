"""Accounts made and looked at from the command line, on the lab's hoster: real servers, and tasks
that take their time."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from mailhaul.cli.exits import Exit
from mailhaul.lab.hoster.books import Line
from mailhaul.providers.extras import Alias, Extra, Group, Redirection
from mailhaul.providers.service import AccountState, Mode
from tests.cli.running import Ran, command, environment, mailhaul
from tests.servers.hoster import PASSWORD, Hoster

PLAN = """
name = "move"
[source]
url = "imaps://{{address}}@old.example"
secret = "env:PW"
[source.provider]
kind = "lab"
service = "{old}"
url = "{url}"
secret = "env:KEY"
[target]
url = "imaps://{{address}}@new.example"
secret = "env:PW"
[target.provider]
kind = "lab"
service = "{new}"
url = "{url}"
secret = "env:KEY"
[accounts]
extras = "carry"
"""
PEOPLE = ("anna", "bert", "cleo")


class Desk:
    """A person's desk at a hoster with two services."""

    def __init__(self, home: Path, hoster: Hoster) -> None:
        self.home = home
        self.hoster = hoster
        self.domain = f"d{hoster.dovecot.token}{len(hoster.seen())}.test"
        self.people = [f"{name}@{self.domain}" for name in PEOPLE]
        self.old = hoster.sell(Line.NEW, self.domain)
        self.new = hoster.sell(Line.EXCHANGE, self.domain, mode=Mode.NON_AUTHORITATIVE, seconds=0.5)
        hoster.accounts(self.old, *self.people)
        hoster.placeholders(self.new, len(PEOPLE))
        hoster.extra(self.old, Alias(self.people[0], f"a@{self.domain}"))
        hoster.extra(self.old, Redirection(self.people[1], "bert@elsewhere.test", copy=True))
        text = PLAN.format(old=self.old, new=self.new, url=hoster.url)
        (home / "plan.toml").write_text(text)
        (home / "mailboxes.csv").write_text("\n".join(["address", *self.people, ""]))
        self.environ = {"KEY": hoster.token, "PW": PASSWORD}

    def run(self, *words: str) -> Ran:
        return mailhaul(*words, home=self.home, environ=self.environ)

    def there(self) -> tuple[list[str], list[Extra]]:
        """The accounts of the new service, and what stands beside them."""

        async def look() -> tuple[list[str], list[Extra]]:
            provider = self.hoster.provider(self.new)
            try:
                accounts, extras = await provider.accounts(), await provider.extras()
            finally:
                await provider.close()
            real = (each for each in accounts if each.state is AccountState.CONFIGURED)
            return sorted(each.address for each in real), list(extras)

        return asyncio.run(look())


@pytest.fixture
def desk(tmp_path: Path, hoster: Hoster) -> Desk:
    return Desk(tmp_path, hoster)


def test_the_path_the_places_and_the_steps_are_told(desk: Desk) -> None:
    ran = desk.run("accounts", "check", "--steps", "--json")
    assert ran.code == Exit.COMPLETE, ran.err
    path, *accounts, end = ran.lines
    assert path["path"] == "new"
    assert any("mxplan-" in text for text in path["evidence"])
    assert [each["temporary"] for each in accounts] == [
        f"{name}01@{desk.domain}" for name in PEOPLE
    ]
    assert len({each["placeholder"] for each in accounts}) == len(PEOPLE)
    assert accounts[1]["steps"][0].startswith("remove the redirection")
    assert (end["accounts"], end["blocked"]) == (3, 0)


def test_making_that_is_killed_is_finished_by_saying_it_again(desk: Desk) -> None:
    assert desk.run("start", "plan.toml").code == Exit.COMPLETE
    words = ("accounts", "make", "move", "--beside", "--go", "--as", "Olga Weiss", "--json")
    making = subprocess.Popen(
        command(words),
        cwd=desk.home,
        env=environment(desk.home, desk.environ),
        stdout=subprocess.PIPE,
    )
    assert making.stdout is not None
    for line in making.stdout:
        if json.loads(line)["event"] == "account_made":
            break
    making.kill()
    making.wait()
    making.stdout.close()
    ran = desk.run(*words)
    assert ran.code == Exit.COMPLETE, ran.out
    assert desk.there() == (sorted(desk.people), [Alias(desk.people[0], f"a@{desk.domain}")])
    assert ran.lines[-1]["failed"] == 0
    again = desk.run(*words)
    assert (again.lines[-1]["there"], again.lines[-1]["made"]) == (4, 0)


def test_a_group_of_a_list_is_made_once_its_members_are(desk: Desk) -> None:
    assert desk.run("start", "plan.toml").code == Exit.COMPLETE
    team = f"team@{desk.domain}"
    (desk.home / "objects.csv").write_text(
        f"kind;address;to\nmailbox;{desk.people[0]}\ngroup;{team};{desk.people[0]}\n"
    )
    words = ("accounts", "make", "move", "--csv", "objects.csv", "--go", "--as", "Olga Weiss")
    ran = desk.run(*words)
    assert ran.code == Exit.COMPLETE, ran.out + ran.err
    assert desk.there() == ([desk.people[0]], [Group(team, (desk.people[0],))])
