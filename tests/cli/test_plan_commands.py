"""`mailhaul init` and `mailhaul plan …`: what they write, show and refuse."""

import asyncio
import io
import json
import os
import pty
import stat
import string
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from mailhaul.cli.exits import Exit
from mailhaul.cli.main import run
from mailhaul.cli.render import Console
from mailhaul.cli.scrub import Scrubber
from mailhaul.cli.surroundings import Surroundings
from mailhaul.db import tables
from mailhaul.db.database import open_database
from mailhaul.plan.load import load_plan
from mailhaul.plan.model import Plan
from mailhaul.plan.waves import resolved
from mailhaul.vault.outer_keys import key_in_file
from mailhaul.vault.references import resolve
from mailhaul.vault.sealed import Vault
from tests.cli.running import command, environment, mailhaul

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SIDES = ["--source", "old.example", "--target", "imap.gmail.com"]
ANNA = ["--mailbox", "anna@x.example"]


class Said:
    """What a command in this process came to."""

    def __init__(self, *words: str | Path, home: Path) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()
        scrubber = Scrubber()
        environ = {"XDG_STATE_HOME": str(home / "state"), "TZ": "Europe/Paris"}
        console = Console(self._out, self._err, scrubber, environ)
        surroundings = Surroundings(console, environ, scrubber, now=lambda: NOW)
        self.code = run([str(word) for word in words], surroundings)

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def err(self) -> str:
        return self._err.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def made(home: Path, *words: str | Path) -> Plan:
    """The plan that `init` makes of `words`; `plan check` has accepted it."""
    said = Said("init", home / "move", *words, home=home)
    assert said.code is Exit.COMPLETE, said.err
    checked = Said("plan", "check", home / "move", home=home)
    assert checked.code is Exit.COMPLETE, checked.out
    return load_plan(home / "move" / "plan.toml", now=NOW)


def test_a_plan_of_flags(tmp_path: Path) -> None:
    plan = made(
        tmp_path,
        *SIDES,
        *ANNA,
        *("--mailbox", "bert@x.example", "--cutover", "2030-01-31 20:00"),
        *("--name", 'Anna’s "Move"\\', "--target-secret", "vault:{address}"),
    )
    assert plan.name == 'Anna’s "Move"\\'
    assert (plan.time_zone, str(plan.cutover)) == ("Europe/Paris", "2030-01-31 20:00:00+01:00")
    assert (plan.source.url, plan.source.preset) == ("imaps://{address}@old.example", "generic")
    assert (plan.target.url, plan.target.preset) == ("imaps://{address}@imap.gmail.com", "gmail")
    assert plan.source.secret == "file:secrets/source/{address}"
    assert plan.target.secret == "vault:{address}"
    assert [each.address for each in plan.mailboxes] == ["anna@x.example", "bert@x.example"]


@pytest.mark.parametrize("name", ["plan.toml", "mailboxes.csv"])
def test_nothing_is_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / "move").mkdir()
    (tmp_path / "move" / name).write_text("mine", encoding="utf-8")
    said = Said("init", tmp_path / "move", *SIDES, *ANNA, home=tmp_path)
    assert said.code is Exit.USAGE
    assert "never overwritten" in said.err
    assert [path.name for path in (tmp_path / "move").iterdir()] == [name]
    assert (tmp_path / "move" / name).read_text(encoding="utf-8") == "mine"


def test_the_plan_may_have_another_name(tmp_path: Path) -> None:
    assert Said("init", tmp_path / "a.toml", *SIDES, *ANNA, home=tmp_path).code is Exit.COMPLETE
    assert Said("plan", "check", tmp_path / "a.toml", home=tmp_path).code is Exit.COMPLETE


REFUSED = [
    ("no source", ["--target", "b.example", *ANNA], "which source?"),
    ("no target", ["--source", "a.example", *ANNA], "which target?"),
    ("no mailboxes", SIDES, "which mailboxes?"),
    ("no address", [*SIDES, "--mailbox", "anna"], "anna: this is no address"),
    ("both lists", [*SIDES, *ANNA, "--import", "x"], "exclude each other"),
    ("a list that isn't there", [*SIDES, "--import", "/none.csv"], "No such file"),
    ("one system", ["--source", "a.example", "--target", "a.example", *ANNA], "this is the source"),
    ("one mailbox twice", [*SIDES, *ANNA, *ANNA], "about this address too"),
    ("a past cutover", [*SIDES, *ANNA, "--cutover", "2020-01-01 20:00"], "lies in the past"),
    ("no time", [*SIDES, *ANNA, "--cutover", "2030-01-01"], "has no time of day"),
    ("no date", [*SIDES, *ANNA, "--cutover", "soon"], "is no date and time"),
    ("a skipped time", [*SIDES, *ANNA, "--cutover", "2030-03-31 02:30"], "never comes"),
    ("a zone that is none", [*SIDES, *ANNA, "--time-zone", "Europe/Pari"], "mean Europe/Paris?"),
    ("a password", [*SIDES, *ANNA, "--source-secret", "hunter2"], "is it the secret itself?"),
    (
        "a password inside",
        ["--source", "imaps://a:hunter2@h", "--target", "h2", *ANNA],
        "a password",
    ),
]


@pytest.mark.parametrize(
    ("words", "text"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_would_be_no_plan_is_not_written(words: list[str], text: str, tmp_path: Path) -> None:
    said = Said("init", tmp_path / "move", *words, home=tmp_path)
    assert said.code is Exit.USAGE
    assert text in said.err
    assert "hunter2" not in said.err
    assert not (tmp_path / "move").exists()


MICROSOFT = (
    "EmailAddress,UserName,Password\r\nanna@x.example,anna,hunter2\r\nbert@x.example,bert,\r\n"
)


def test_passwords_of_an_imported_list_move_into_files(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(MICROSOFT, encoding="utf-8-sig")
    words = [*SIDES, "--import", str(tmp_path / "users.csv"), "--passwords", "files"]
    plan = made(tmp_path, *words)
    file = tmp_path / "move" / "secrets" / "source" / "anna@x.example"
    assert file.read_text(encoding="utf-8") == "hunter2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert plan.source.secret == "file:secrets/source/{address}"
    assert [each.source for each in plan.mailboxes] == [
        "imaps://anna@old.example",
        "imaps://bert@old.example",
    ]
    for name in ("plan.toml", "mailboxes.csv"):
        assert "hunter2" not in (tmp_path / "move" / name).read_text(encoding="utf-8")


def test_what_a_plan_refers_to_is_found(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(MICROSOFT, encoding="utf-8")
    words = [*SIDES, "--import", str(tmp_path / "users.csv"), "--passwords", "files"]
    anna, _ = resolved(made(tmp_path, *words))
    found = asyncio.run(resolve(anna.source_secret, tmp_path / "move", {}, None))
    assert found.password is not None
    assert found.password.reveal() == "hunter2"


def test_passwords_of_an_imported_list_move_into_the_vault(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(MICROSOFT, encoding="utf-8")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    words = ["init", "move", *SIDES, "--import", "users.csv", "--passwords", "vault"]
    none = mailhaul(*words, home=tmp_path, environ=environ)
    assert none.code == 2
    assert "there is no vault yet" in none.err
    assert not (tmp_path / "move").exists()
    mailhaul("vault", "set", "other", home=tmp_path, environ=environ, stdin="x\n")
    done = mailhaul(*words, home=tmp_path, environ=environ)
    assert done.code == 0, done.err
    plan = load_plan(tmp_path / "move" / "plan.toml")
    assert plan.source.secret == "vault:source/{address}"
    assert plan.target.secret == "file:secrets/target/{address}"
    key = tmp_path / "config" / "mailhaul" / "vault.key"
    vault = Vault(tmp_path / "state" / "mailhaul" / "vault.json", lambda: key_in_file(key))
    secret = vault.get("source/anna@x.example")
    assert secret is not None
    assert secret.reveal() == "hunter2"
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or path.name == "users.csv" or b"hunter2" not in path.read_bytes()


def test_passwords_are_asked_about_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(MICROSOFT, encoding="utf-8")
    said = Said(
        "init", tmp_path / "move", *SIDES, "--import", tmp_path / "users.csv", home=tmp_path
    )
    assert said.code is Exit.USAGE
    assert "--passwords files | vault | leave-out" in said.err
    assert not (tmp_path / "move").exists()


def test_passwords_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(MICROSOFT, encoding="utf-8")
    made(tmp_path, *SIDES, "--import", tmp_path / "users.csv", "--passwords", "leave-out")
    found = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "users.csv"]
    assert all(b"hunter2" not in path.read_bytes() for path in found)


def test_a_password_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(MICROSOFT, encoding="utf-8")
    file = tmp_path / "move" / "secrets" / "source" / "anna@x.example"
    file.parent.mkdir(parents=True)
    file.write_text("mine", encoding="utf-8")
    words = [*SIDES, "--import", str(tmp_path / "users.csv"), "--passwords", "files"]
    said = Said("init", tmp_path / "move", *words, home=tmp_path)
    assert said.code is Exit.USAGE
    assert file.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "move" / "plan.toml").exists()


def test_a_list_names_the_systems_itself(tmp_path: Path) -> None:
    text = "o.example;a@x.example;;n.example;a@x.example;;\no.example;b@x.example;;n.example;bb;;\n"
    (tmp_path / "file.txt").write_text(text, encoding="utf-8")
    plan = made(tmp_path, "--import", tmp_path / "file.txt")
    assert (plan.source.url, plan.target.url) == (
        "imaps://{address}@o.example",
        "imaps://{address}@n.example",
    )
    assert [(each.source, each.target) for each in plan.mailboxes] == [
        ("", ""),
        ("", "imaps://bb@n.example"),
    ]


def test_mistakes_of_an_imported_list_have_its_lines(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("address\n\na@x.example\n\nA@x.example\n", encoding="utf-8")
    said = Said("init", tmp_path / "m", *SIDES, "--import", tmp_path / "mine.csv", home=tmp_path)
    assert "mine.csv:5: address A@x.example: line 2 is about" in said.err
    (tmp_path / "mine.csv").write_text("address\n\nanna\n", encoding="utf-8")
    said = Said("init", tmp_path / "m", *SIDES, "--import", tmp_path / "mine.csv", home=tmp_path)
    assert "mine.csv:3: address anna: this is no address" in said.err


def test_waves_of_an_imported_list_are_waves_of_the_plan(tmp_path: Path) -> None:
    text = "address;wave\na@x.example;south\nb@x.example;north\nc@x.example;south\n"
    (tmp_path / "mine.csv").write_text(text, encoding="utf-16")
    plan = made(tmp_path, *SIDES, "--import", tmp_path / "mine.csv")
    assert [wave.name for wave in plan.waves] == ["south", "north"]


HOSTS = st.from_regex(r"[a-z]{1,9}\.(example|gmail\.com|office365\.com|ovh\.net)", fullmatch=True)
ODD = st.text(string.printable + "äß\u202e\x00\U0001f4e8", min_size=1, max_size=20)
USERS = st.text(string.ascii_letters + string.digits + "._%+-{}'&=?#*!äß", min_size=1, max_size=12)
SYSTEMS = st.one_of(
    HOSTS,
    HOSTS.map(lambda host: f"imaps://{{user}}@{host}:994?admin=root"),
    st.sampled_from(
        ["maildir:/m/{address}", "eml:out/{user}", "imap+starttls://{address}@mail.{domain}"]
    ),
    ODD,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("a.example", "b.example", ["{address}"], 'a"b\\\x7f\n', None, "UTC")
@given(
    source=SYSTEMS,
    target=SYSTEMS,
    users=st.lists(USERS, min_size=1, max_size=5) | st.lists(ODD, min_size=1, max_size=2),
    name=ODD,
    cutover=st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2040, 1, 1)),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Nowhere"]),
)
def test_whatever_init_writes_passes_plan_check_and_else_it_writes_nothing(
    source: str, target: str, users: list[str], name: str, cutover: datetime | None, zone: str
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        words = [f"--source={source}", f"--target={target}", f"--name={name}", "--time-zone", zone]
        words += [f"--mailbox={user}@x.example" for user in users]
        words += [] if cutover is None else ["--cutover", cutover.isoformat(" ")]
        said = Said("init", home / "move", *words, home=home)
        assert said.code in (Exit.COMPLETE, Exit.USAGE), said.err
        if said.code is Exit.USAGE:
            assert not (home / "move").exists()
            return
        checked = Said("plan", "check", home / "move", home=home)
        assert checked.code is Exit.COMPLETE, checked.out
        assert load_plan(home / "move" / "plan.toml").name == name


def test_init_asks_at_a_terminal(tmp_path: Path) -> None:
    answers = "old.example\nnew.example\nanna@x.example\nbert@x.example\n\n\nEurope/Berlin\n\n"
    main, side = pty.openpty()
    process = subprocess.Popen(
        command(["init", "move"]),
        stdin=side,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    os.close(side)
    os.write(main, answers.encode())
    _, err = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 0, err
    assert b"source: host, or endpoint with {address}: " in err
    assert b"name of the plan [x.example]: " in err
    plan = load_plan(tmp_path / "move" / "plan.toml")
    assert (plan.name, plan.time_zone, len(plan.mailboxes)) == ("x.example", "Europe/Berlin", 2)


def broken(home: Path) -> Path:
    (home / "plan.toml").write_text('nam = "x"\n[source]\nsecret = "hunter2"\n', encoding="utf-8")
    (home / "mailboxes.csv").write_text("address\nanna\n", encoding="utf-8")
    return home / "plan.toml"


def test_plan_check_shows_every_mistake_with_its_line(tmp_path: Path) -> None:
    said = Said("plan", "check", broken(tmp_path), home=tmp_path)
    assert said.code is Exit.USAGE
    heads = [line for line in said.out.splitlines() if line[:1].strip() and ":" in line[:20]]
    assert heads == [
        "plan.toml:1",
        "plan.toml:1",
        "plan.toml:1  nam",
        "plan.toml:2",
        "plan.toml:3  source.secret = ***",
        "mailboxes.csv:2  address anna",
    ]
    assert said.out.splitlines()[-1] == "6 mistakes; nothing was begun"
    assert "hunter2" not in said.out + said.err


def test_plan_check_tells_scripts(tmp_path: Path) -> None:
    said = Said("plan", "check", broken(tmp_path), "--json", home=tmp_path)
    *mistakes, last = said.lines
    assert {line["event"] for line in mistakes} == {"mistake"}
    assert mistakes[2] == {
        "event": "mistake",
        "file": "plan.toml",
        "line": 1,
        "value": "nam",
        "text": "this key is not known",
        "cure": "did you mean name?",
    }
    assert (last["event"], last["mistakes"], last["name"]) == ("plan_checked", 6, None)


def test_plan_check_names_the_line_of_what_dns_can_not_be(tmp_path: Path) -> None:
    text = (
        'name = "x"\n[source]\nurl = "imaps://{address}@a.example"\nsecret = "env:A"\n'
        '[target]\nurl = "imaps://{address}@b.example"\nsecret = "env:B"\n'
        '[dns]\nprofile = "exchage-online"\n'
    )
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    (tmp_path / "mailboxes.csv").write_text("address\nanna@acme.example\n", encoding="utf-8")
    said = Said("plan", "check", tmp_path / "plan.toml", "--json", home=tmp_path)
    mistake, last = said.lines
    assert (mistake["file"], mistake["line"], last["mistakes"]) == ("plan.toml", 9, 1)
    assert mistake["value"] == "dns.profile = exchage-online"
    assert "exchange-online" in mistake["cure"]


def test_plan_check_of_a_plan_that_is_not_there(tmp_path: Path) -> None:
    said = Said("plan", "check", tmp_path / "none", home=tmp_path)
    assert said.code is Exit.USAGE
    assert "No such file or directory" in said.out


def counted(home: Path, name: str, sizes: dict[str, tuple[int, int]]) -> None:
    """An installation that has counted the mailboxes."""
    database = open_database(None, home / "state" / "mailhaul")
    with database.begin() as connection:
        tables.metadata.create_all(connection)
        plan = connection.execute(
            insert(tables.plan)
            .values(name=name, text="{}", directory="/", state="running", loaded_at=0)
            .returning(tables.plan.c.id)
        ).scalar_one()
        for position, (address, (messages, octets)) in enumerate(sizes.items()):
            connection.execute(
                insert(tables.mailbox).values(
                    plan_id=plan,
                    position=position,
                    address=address,
                    wave="",
                    source="",
                    target="",
                    state="checked",
                    since_at=0,
                    expected_messages=messages,
                    expected_octets=octets,
                )
            )
    database.close()


def test_plan_show_without_sizes_says_how_to_get_them(tmp_path: Path) -> None:
    made(tmp_path, *SIDES, *ANNA, "--cutover", "2030-01-31 20:00")
    said = Said("plan", "show", tmp_path / "move", home=tmp_path)
    assert said.code is Exit.COMPLETE
    assert "mailhaul check counts them" in said.out
    assert "500.0 MB a day a mailbox" in said.out
    assert "31 Jan 2030 20:00" in said.out
    assert "imaps://anna%40x.example@old.example" in said.out
    assert not (tmp_path / "state").exists()


def test_plan_show_forecasts_from_the_census(tmp_path: Path) -> None:
    made(tmp_path, *SIDES, *ANNA, "--mailbox", "b@x.example", "--cutover", "2026-12-31 20:00")
    counted(tmp_path, "x.example", {"anna@x.example": (10_000, 2_000_000_000)})
    said = Said("plan", "show", tmp_path / "move", home=tmp_path)
    assert "10,000 + ?  2.0 GB" in said.out
    assert "what binds: octets a day of one mailbox at the target" in said.out
    lines = Said("plan", "show", tmp_path / "move", "--json", home=tmp_path).lines
    wave = next(line for line in lines if line["event"] == "plan_wave")
    assert (wave["messages"], wave["unknown"]) == (10_000, 1)
    # Half a GB a day: from noon, the last quarter is begun at the third midnight.
    assert wave["ready_if_started_now"].startswith("2026-11-2")
    assert wave["latest_start"] < "2026-12-31"
    assert lines[-1]["event"] == "plan"


def test_plan_show_says_when_it_is_too_late(tmp_path: Path) -> None:
    made(tmp_path, *SIDES, *ANNA, "--cutover", "2026-11-22 20:00")
    counted(tmp_path, "x.example", {"anna@x.example": (10_000, 2_000_000_000)})
    assert "too late" in Said("plan", "show", tmp_path / "move", home=tmp_path).out


def test_a_group_of_commands_lists_them(tmp_path: Path) -> None:
    said = Said("plan", "--help", home=tmp_path)
    assert said.code is Exit.COMPLETE
    assert "plan check   read a plan" in said.out
    assert "copy" not in said.out
    assert Said("plan", home=tmp_path).out == said.out
    assert Said("plan", home=tmp_path).code is Exit.USAGE
    assert Said("help", "plan", home=tmp_path).out == said.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["plan", "chek", "x"], "“plan chek” is no command; did you mean plan check?"),
        (["plan", "--json"], "belongs behind it; see mailhaul plan --help"),
        (["plan", "check", "a", "b"], "write mailhaul plan check [PLAN] (more by --help)"),
        (["init", "a", "b"], "write mailhaul init [PATH] (more by --help)"),
    ],
)
def test_a_command_line_of_two_words_that_means_nothing(
    words: list[str], text: str, tmp_path: Path
) -> None:
    said = Said(*words, home=tmp_path)
    assert said.code is Exit.USAGE
    assert text in said.err


@pytest.mark.parametrize("words", [["plan", "check", "--help"], ["help", "plan", "check"]])
def test_help_of_a_command_of_two_words(words: list[str], tmp_path: Path) -> None:
    assert Said(*words, home=tmp_path).out.startswith("usage: mailhaul plan check [PLAN] [options]")


def test_without_a_plan_the_one_here_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = Said("plan", "check", home=tmp_path)
    assert said.code is Exit.USAGE
    assert "plan.toml can't be read" in said.out
    assert Said("init", "--yes", *SIDES, *ANNA, home=tmp_path).code is Exit.COMPLETE
    assert Said("plan", "check", home=tmp_path).code is Exit.COMPLETE
    assert Said("start", home=tmp_path).code is Exit.COMPLETE
    assert "plan " in Said("status", home=tmp_path).out
    assert Said("pause", home=tmp_path).code is Exit.COMPLETE
    (tmp_path / "plan.toml").rename(tmp_path / "other.toml")
    assert Said("pause", tmp_path, home=tmp_path).code is Exit.USAGE
    assert Said("resume", "other.toml", home=tmp_path).code is Exit.COMPLETE


def test_an_optional_operand_may_stand_anywhere(tmp_path: Path) -> None:
    said = Said("init", "--yes", *SIDES, tmp_path / "move", *ANNA, home=tmp_path)
    assert said.code is Exit.COMPLETE, said.err
    assert (tmp_path / "move" / "plan.toml").exists()


def test_the_schema_is_printed(tmp_path: Path) -> None:
    said = Said("plan", "schema", home=tmp_path)
    assert json.loads(said.out)["title"] == "mailhaul plan"


def test_help_of_these_commands_loads_no_heavy_module(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom mailhaul.cli.main import main\n"
        "sys.argv = ['mailhaul', *{words!r}]\nmain()\n"
        "print(sorted({{'pydantic', 'sqlalchemy', 'dbos'}} & set(sys.modules)), file=sys.stderr)"
    )
    for words in (["init", "--help"], ["plan", "check", "--help"], ["plan", "show", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", script.format(words=words)],
            capture_output=True,
            check=True,
            env=environment(tmp_path),
            encoding="utf-8",
            timeout=60,
        )
        assert done.stderr.strip() == "[]"
