"""Every mistake that a person makes in a plan: its line, what is shown of it, the fact, the cure."""
# ruff: noqa: E501 - tables are read by their columns

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailhaul.plan.load import load_plan
from mailhaul.plan.mistakes import MOST, Mistake, PlanErrors

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GOOD = """\
name = "Move"
time_zone = "Europe/Paris"
{top}
[source]
url = "imaps://{{address}}@old.example"
{source}
[target]
url = "imaps://{{address}}@new.example"
{target}
{rest}
"""
LIST = "address\nanna@x.example\nbert@x.example\n"


def mistakes(directory: Path, plan: str | bytes, mailboxes: str | bytes = LIST) -> list[Mistake]:
    """What is wrong with the two files; nothing, when the plan loads."""
    for name, content in (("plan.toml", plan), ("mailboxes.csv", mailboxes)):
        raw = content.encode() if isinstance(content, str) else content
        (directory / name).write_bytes(raw)
    try:
        load_plan(directory / "plan.toml", now=NOW)
    except PlanErrors as error:
        return list(error.mistakes)
    return []


def plan(top: str = "", source: str = "", target: str = "", rest: str = "") -> str:
    return GOOD.format(top=top, source=source, target=target, rest=rest)


# What is put where, and what is said: line, value, a part of the fact, a part of the cure.
TOP = [
    ("a misspelt key", "cutovr = 2030-01-01 20:00:00", 3, "cutovr", "not known", "mean cutover?"),
    ("a key of another table", 'order = "x"', 3, "order", "not known", "belongs under [carry]"),
    ("a key nobody knows", "zzzzzz = 1", 3, "zzzzzz", "not known", "there are name, cutover"),
    (
        "a cutover that is past",
        "cutover = 2026-11-21 12:59:00",
        3,
        "cutover = 2026-11-21 12:59:00",
        "lies in the past",
        "now it is 2026-11-21 13:00+01:00",
    ),
    (
        "a cutover without a time",
        "cutover = 2030-01-01",
        3,
        "cutover = 2030-01-01",
        "no time of day",
        "write a date and a time",
    ),
    ("a cutover as a number", "cutover = 5", 3, "cutover = 5", "no date and time", "20:00:00"),
    ("a cutover in words", 'cutover = "soon"', 3, "cutover = soon", "no date", "20:00:00"),
    (
        "a cutover that clocks skip",
        "cutover = 2030-03-31 02:30:00",
        3,
        "cutover = 2030-03-31 02:30:00",
        "never comes",
        "2030-03-31 03:30:00",
    ),
    (
        "a cutover that comes twice",
        "cutover = 2030-10-27 02:30:00",
        3,
        "cutover = 2030-10-27 02:30:00",
        "comes twice",
        "02:30:00+02:00 or 2030-10-27 02:30:00+01:00",
    ),
    (
        "a list that isn't there",
        'mailboxes_file = "none.csv"',
        1,
        "",
        "can't be read",
        "mailboxes_file",
    ),
    (
        "mailboxes in plan.toml",
        "mailboxes = []",
        3,
        "mailboxes",
        "no mailboxes itself",
        "mailboxes.csv",
    ),
    (
        "a name that is empty",
        'webhooks = [{url = ""}]',
        3,
        "webhooks.url = ",
        "empty",
        "write something",
    ),
]
SOURCE = [
    (
        "a password for a reference",
        'secret = "hunter2"',
        6,
        "source.secret = ***",
        "is it the secret itself?",
        "file:PATH",
    ),
    (
        "an endpoint for a reference",
        'secret = "imaps://a@b"',
        6,
        "source.secret = ***",
        "this is an endpoint",
        "file:PATH",
    ),
    (
        "a reference to nothing",
        'secret = "vault: "',
        6,
        "source.secret = ***",
        "names nothing",
        "vault:NAME",
    ),
    (
        "half a keyring entry",
        'secret = "keyring:mail"',
        6,
        "source.secret = ***",
        "a service and a user",
        "SERVICE/USER",
    ),
    (
        "a reference with an unknown name",
        'secret = "file:{adress}"',
        6,
        "source.secret = ***",
        "{adress} means nothing",
        "{address}",
    ),
    (
        "a password by name",
        'password = "hunter2"',
        6,
        "source.password = ***",
        "not known",
        "file:PATH",
    ),
    (
        "an unknown preset",
        'preset = "gmial"',
        6,
        "source.preset = gmial",
        "not known",
        "mean gmail?",
    ),
    (
        "more connections than the preset",
        'preset = "yahoo"\nconnections_each = 6',
        7,
        "source.connections_each = 6",
        "takes 5 connections",
        "5 or less",
    ),
    (
        "fewer connections than one mailbox",
        "connections_each = 4\nbudget = {connections = 3}",
        7,
        "source.budget.connections = 3",
        "each takes 4 connections",
        "allow 4 or more",
    ),
    (
        "a number as a text",
        'connections_each = "4"',
        6,
        "source.connections_each = 4",
        "no whole number",
        "digits",
    ),
    (
        "a number that is yes",
        "connections_each = true",
        6,
        "source.connections_each = true",
        "no whole number",
        "digits",
    ),
    (
        "none",
        "budget = {octets_per_day = 0}",
        6,
        "source.budget.octets_per_day = 0",
        "too small",
        "1 or more",
    ),
    (
        "too many",
        "connections_each = 21",
        6,
        "source.connections_each = 21",
        "too large",
        "20 or less",
    ),
    (
        "an endless number",
        "budget = {messages_per_second = inf}",
        6,
        "source.budget.messages_per_second = inf",
        "no number",
        "digits",
    ),
    (
        "a table that is none",
        "budget = 5",
        6,
        "source.budget = 5",
        "no table",
        "heading in brackets",
    ),
]
REST = [
    (
        "sweeps over before the first",
        '[sweeps]\nevery = "2h"\nfor = "1h"',
        12,
        "sweeps.for = 1h",
        "over before the first",
        "2h or longer",
    ),
    (
        "no duration",
        '[deltas]\nevery = "1 hour"',
        11,
        "deltas.every = 1 hour",
        "no duration",
        "90s, 15m",
    ),
    (
        "a duration as a number",
        "[deltas]\nevery = 60",
        11,
        "deltas.every = 60",
        "no duration",
        "90s",
    ),
    (
        "hours that never open",
        '[hours]\nstart = "20:00"\nend = "20:00"',
        12,
        "hours.end = 20:00",
        "never open",
        "leave [hours] out",
    ),
    (
        "hours on no day",
        '[hours]\nstart = "20:00"\nend = "21:00"\ndays = []',
        13,
        "hours.days",
        "never open",
        "1 is Monday",
    ),
    (
        "an eighth day",
        '[hours]\nstart = "20:00"\nend = "21:00"\ndays = [1,\n 8]',
        14,
        "hours.days = 8",
        "too large",
        "7 or less",
    ),
    (
        "hours with an offset",
        '[hours]\nstart = "20:00+01:00"\nend = "21:00"',
        11,
        "hours.start = 20:00+01:00",
        "plan's time zone",
        "leave the offset out",
    ),
    ("half of the hours", '[hours]\nstart = "20:00"', 10, "", "end is missing in [hours]", "end ="),
    (
        "an hour that is none",
        '[hours]\nstart = "25:00"\nend = "21:00"',
        11,
        "hours.start = 25:00",
        "no time of day",
        '"20:00"',
    ),
    (
        "a folder without a name",
        '[carry.map]\n"Sent//x" = "y"',
        11,
        "carry.map.Sent//x = y",
        "a part without a name",
        "Archive/Sent",
    ),
    (
        "a folder sent to two places",
        '[carry.map]\nINBOX = "a"\ninbox = "b"',
        12,
        "carry.map.inbox = b",
        "the folder “INBOX”",
        "choose one",
    ),
    (
        "a control character",
        '[carry.map]\nA = "a\\u0007"',
        11,
        "carry.map.A = a\\x07",
        "control",
        "out",
    ),
    (
        "a glob that is empty",
        '[carry]\nexclude = ["a", ""]',
        11,
        "carry.exclude = “”",
        "no folder",
        "Projects",
    ),
    (
        "since in the future",
        "[carry]\nsince = 2030-01-01",
        11,
        "carry.since = 2030-01-01 00:00:00",
        "future",
        "before now",
    ),
    (
        "old first and new first",
        '[carry]\norder = "newest-first"\nprestage_older_than = "30d"',
        12,
        "carry.prestage_older_than = 30d",
        "can't go first",
        "oldest-first",
    ),
    (
        "none of the choices",
        '[carry]\ndelete = "all"',
        11,
        "carry.delete = all",
        "none of the choices",
        "'mirror'",
    ),
    ("no list", '[carry]\nfolders = "INBOX"', 11, "carry.folders = INBOX", "no list", "brackets"),
    (
        "yes in words",
        '[carry]\nverify_deep = "yes"',
        11,
        "carry.verify_deep = yes",
        "neither",
        "true or false",
    ),
    (
        "a webhook in clear",
        '[[webhooks]]\nurl = "http://hooks.example/a"',
        11,
        "webhooks.url = http://hooks.example/a",
        "anybody can read",
        "https://",
    ),
    (
        "a webhook with a password",
        '[[webhooks]]\nurl = "https://a:hunter2@hooks.example"',
        11,
        "webhooks.url = https://a:***@hooks.example",
        "holds a login",
        "take it out",
    ),
    (
        "a webhook that is no address",
        '[[webhooks]]\nurl = "hooks"',
        11,
        "webhooks.url = hooks",
        "no web address",
        "https",
    ),
    (
        "a webhook's key in clear",
        '[[webhooks]]\nurl = "https://h.example"\nsecret = "hunter2"',
        12,
        "webhooks.secret = ***",
        "is it the secret",
        "file:PATH",
    ),
    (
        "a misspelt event of a webhook",
        '[[webhooks]]\nurl = "https://h.example"\nevents = [\n  "failed",\n  "verifed",\n]',
        14,
        "webhooks.events = verifed",
        "nothing by that name",
        "did you mean verified?",
    ),
    (
        "an event that nobody knows",
        '[[webhooks]]\nurl = "https://h.example"\nevents = ["full moon"]',
        12,
        "webhooks.events = full moon",
        "nothing by that name",
        "there are loaded, started",
    ),
    ("a gate for nobody", '[gates]\ngo = [""]', 11, "gates.go = ", "empty", "leave it out"),
]
PLACES = (
    [(row, "top") for row in TOP]
    + [(row, "source") for row in SOURCE]
    + [(row, "rest") for row in REST]
)


@pytest.mark.parametrize(("row", "where"), PLACES, ids=[row[0] for row, _ in PLACES])
def test_a_mistake_in_the_plan(
    row: tuple[str, str, int, str, str, str], where: str, tmp_path: Path
) -> None:
    _, text, line, value, fact, cure = row
    found = mistakes(tmp_path, plan(**{where: text}))
    assert len(found) == 1, found
    assert (found[0].line, found[0].value) == (line, value)
    assert fact in found[0].text
    assert cure in found[0].cure
    assert "hunter2" not in str(found[0])


SYSTEMS = [
    ("no user", "imaps://new.example", "names no user"),
    ("a password", "imaps://{address}:hunter2@new.example", "a password stands in it"),
    ("an unknown name", "imaps://{adress}@new.example", "{adress} means nothing"),
    ("an open brace", "imaps://{address@new.example", "a { stands alone"),
    ("no scheme", "new.example", "is no endpoint"),
    ("an unknown option", "imaps://{address}@new.example?foo=1", "no option of an endpoint"),
    ("a folder", "imaps://{address}@new.example/INBOX", "goes on after the host"),
    ("one for all", "imaps://admin@new.example", "2 mailboxes would have this one target"),
    ("the source", "imaps://{address}@old.example", "this is the source"),
    ("no path", "maildir:", "names no path"),
]


@pytest.mark.parametrize(("url", "fact"), [row[1:] for row in SYSTEMS], ids=[r[0] for r in SYSTEMS])
def test_an_endpoint_that_is_none(url: str, fact: str, tmp_path: Path) -> None:
    text = plan().replace("imaps://{address}@new.example", url)
    found = mistakes(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].line == 8
    assert fact in found[0].text
    assert found[0].cure
    assert "hunter2" not in str(found[0])


WAVES = '[[waves]]\nname = "north"\n[[waves]]\nname = "south"\ncutover = 2030-01-01 20:00:00\n'
LISTS = [
    ("no heading", WAVES, "anna@x.example,north\n", 1, "", "heading is not known", "address,wave"),
    ("nothing", "", "\n\n", 1, "", "names no mailbox", "address,wave"),
    ("an empty file", "", "", 1, "", "the file is empty", "a row for each"),
    ("a heading only", "", "address\n", 1, "", "names no mailbox", "a row"),
    (
        "a misspelt column",
        "",
        "address,sorce\na@x.example,\n",
        1,
        "column sorce",
        "not known",
        "mean source?",
    ),
    ("a column twice", "", "address,address\na@x.example,\n", 1, "column address", "twice", "once"),
    (
        "a column of passwords",
        "",
        "address,password\na@x.example,hunter2\n",
        1,
        "column password",
        "never holds a password",
        "source_secret",
    ),
    (
        "a wave nobody knows",
        WAVES,
        "address,wave\na@x.example,nort\nb@x.example,south\nc@x.example,north\n",
        2,
        "wave nort",
        "no such wave",
        "mean north?",
    ),
    (
        "a mailbox without a wave",
        WAVES,
        "address,wave\na@x.example,\nb@x.example,south\nc@x.example,north\n",
        2,
        "a@x.example",
        "no wave",
        "north, south",
    ),
    (
        "waves in the list only",
        "",
        "address,wave\na@x.example,one\n",
        2,
        "wave one",
        "no such wave",
        "[[waves]]",
    ),
    (
        "an address twice",
        "",
        "address\na@x.example\nb@x.example\n\nA@X.example\n",
        5,
        "address A@X.example",
        "line 2 is about this",
        "once",
    ),
    ("no address", "", "address,source\n,imaps://a@h\n", 2, "", "missing", "every row"),
    (
        "a name for an address",
        "",
        "address\nanna\n",
        2,
        "address anna",
        "no address",
        "anna@example.org",
    ),
    (
        "a name around an address",
        "",
        "address\nAnna <a@x.example>\n",
        2,
        "address Anna <a@x.example>",
        "no address",
        "without names",
    ),
    (
        "one target for two",
        "",
        "address,target\na@x.example,imaps://t@h\nb@x.example,imap+starttls://T@h\n",
        3,
        "target imap+starttls://T@h",
        "target of line 2 too",
        "of its own",
    ),
    (
        "the source as target",
        "",
        "address,target\na@x.example,imaps://a%40x.example@OLD.example\n",
        2,
        "address a@x.example",
        "same mailbox",
        "name another target",
    ),
    (
        "a target that is a source",
        "",
        "address,target\na@x.example,imaps://b%40x.example@old.example\nb@x.example,\n",
        2,
        "target imaps://b%40x.example@old.example",
        "the source of line 3",
        "two plans",
    ),
    (
        "a target inside a target",
        "",
        "address,target\na@x.example,maildir:/m\nb@x.example,maildir:/m/b\n",
        3,
        "target maildir:/m/b",
        "inside the target of line 2",
        "its own place",
    ),
    (
        "an endpoint that is none",
        "",
        "address,source\na@x.example,old.example\n",
        2,
        "source old.example",
        "is no endpoint",
        "imaps://",
    ),
    (
        "a password in an endpoint",
        "",
        "address,source\na@x.example,imaps://a:hunter2@h\n",
        2,
        "source imaps://a:***@h",
        "password stands",
        "file:PATH",
    ),
    (
        "a password for a reference",
        "",
        "address,source_secret\na@x.example,hunter2\n",
        2,
        "source_secret ***",
        "the secret itself",
        "file:PATH",
    ),
    (
        "too many cells",
        "",
        "address,wave\na@x.example,,more\n",
        2,
        "",
        "3 cells under 2",
        "extra “,”",
    ),
    (
        "a quote in a cell",
        "",
        'address,wave\n"a"b@x.example,\nc@x.example,\n',
        2,
        "",
        "quotes",
        '""',
    ),
    ("a quote left open", "", 'address\n"a@x.example\nb@x.example\n', 2, "", "quotes", '""'),
    (
        "passwords, Microsoft",
        "",
        "EmailAddress,UserName,Password\na@x.example,a,hunter2\nb@x.example,b,hunter2\n",
        2,
        "",
        "a password stands here, and in 1 more",
        "init --import",
    ),
    (
        "UserRoot",
        "",
        "EmailAddress,UserName,Password,UserRoot\na@x.example,a,,/users/a\n",
        2,
        "UserRoot",
        "no such way",
        "?admin=",
    ),
    (
        "an option of imapsync",
        "",
        "h1.example;a@x.example;;h2.example;a@x.example;;--delete2\n",
        1,
        "--delete2",
        "imapsync's own",
        "[carry]",
    ),
    (
        "POP",
        "",
        "Source Type;Source Server url;Source Login;Source Password;Destination Type;Destination Url;"
        "Destination Mail;Destination Password\nPOP;h;a@x.example;;IMAP;;a@x.example;\n",
        2,
        "source type POP",
        "POP",
        "IMAP",
    ),
    (
        "a web page for a host",
        "",
        "host1;user1;password1;host2;user2;password2\nhttps://h/;a@x.example;;h2;a@x.example;\n",
        2,
        "source https://h/",
        "no host",
        "name:port",
    ),
]


@pytest.mark.parametrize("row", LISTS, ids=[row[0] for row in LISTS])
def test_a_mistake_in_the_list(
    row: tuple[str, str, str, int, str, str, str], tmp_path: Path
) -> None:
    _, rest, text, line, value, fact, cure = row
    found = mistakes(tmp_path, plan(rest=rest), text)
    assert len(found) == 1, found
    assert (found[0].file, found[0].line, found[0].value) == ("mailboxes.csv", line, value)
    assert fact in found[0].text
    assert cure in found[0].cure
    assert "hunter2" not in str(found[0])


def test_a_wave_without_mailboxes_is_named_where_it_stands(tmp_path: Path) -> None:
    found = mistakes(tmp_path, plan(rest=WAVES), "address,wave\na@x.example,north\n")
    assert [(each.file, each.line, each.text) for each in found] == [
        ("plan.toml", 13, "this wave has no mailboxes")
    ]


def test_a_wave_twice(tmp_path: Path) -> None:
    rest = '[[waves]]\nname = "a"\n[[waves]]\nname = "A"\n'
    found = mistakes(tmp_path, plan(rest=rest), "address,wave\na@x.example,a\nb@x.example,A\n")
    assert [(each.line, each.text) for each in found] == [
        (13, "the wave of line 11 is called that too")
    ]


@pytest.mark.parametrize(
    ("top", "line"),
    [("cutover = 2030-01-01 20:00:00", 2), ("[hours]\nstart = '20:00'\nend = '21:00'", 2)],
)
def test_times_without_a_time_zone(top: str, line: int, tmp_path: Path) -> None:
    text = plan(top=top).replace('time_zone = "Europe/Paris"\n', "")
    found = mistakes(tmp_path, text)
    assert [each.line for each in found] == [line]
    assert "time_zone =" in found[0].cure


def test_a_time_with_an_offset_needs_no_time_zone(tmp_path: Path) -> None:
    text = plan(top="cutover = 2030-01-01 20:00:00+01:00").replace(
        'time_zone = "Europe/Paris"\n', ""
    )
    assert mistakes(tmp_path, text) == []


def test_an_unknown_time_zone_hides_no_other_mistake(tmp_path: Path) -> None:
    text = plan(top="cutover = 2020-01-01 20:00:00").replace("Europe/Paris", "Europe/Pariss")
    found = mistakes(tmp_path, text)
    assert [(each.line, each.value) for each in found] == [
        (2, "time_zone = Europe/Pariss"),
        (3, "cutover = 2020-01-01 20:00:00"),
    ]
    assert found[0].cure == "did you mean Europe/Paris?"


SYNTAX = [
    ("no quotes", plan(top="mailboxes_file = list.csv"), 3),
    ("a key twice", plan(top='name = "again"'), 3),
    ("an open string", plan(top='mailboxes_file = "hunter2'), 3),
    ("a value that is none", plan(top="cutover = hunter2"), 3),
    ("the end of the file", 'name = "x"\nmailboxes_file = """hunter2\n', 3),
]


@pytest.mark.parametrize(("text", "line"), [row[1:] for row in SYNTAX], ids=[r[0] for r in SYNTAX])
def test_what_is_not_toml(text: str, line: int, tmp_path: Path) -> None:
    found = mistakes(tmp_path, text)
    assert [each.line for each in found] == [line]
    assert found[0].text.startswith("this is not TOML: ")
    assert "hunter2" not in str(found[0])


def test_a_plan_in_latin_1_is_refused_by_its_lines(tmp_path: Path) -> None:
    found = mistakes(tmp_path, plan(top='# Büro\n[gates]\ngo = ["Zoë"]').encode("latin-1"))
    assert [(each.line, each.text) for each in found] == [
        (3, "this line is not UTF-8"),
        (5, "this line is not UTF-8"),
    ]


def test_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanErrors, match="No such file"):
        load_plan(tmp_path / "plan.toml")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_files(tmp_path: Path) -> None:
    text = """\
nam = "Move"
cutover = 2020-12-04 20:00:00
time_zone = "Europe/Paris"
[source]
url = "imaps://{address}@old.example"
secret = "hunter2"
[target]
url = "imaps://{address}@new.example"
[[waves]]
name = "north"
[[waves]]
name = "empty"
"""
    rows = b"address,wave,target\n" + b"".join(
        [
            b"anna@x.example,north,imaps://t@h\n",
            b"b\xe9rt@x.example,north,imaps://t@h\n",
            b"carl@x.example,nowhere,imaps://carl%40x.example@old.example\n",
        ]
    )
    found = mistakes(tmp_path, text, rows)
    assert [(each.file, each.line, each.text.split(";")[0][:28]) for each in found] == [
        ("plan.toml", 1, "name is missing"),
        ("plan.toml", 1, "this key is not known"),
        ("plan.toml", 2, "the cutover lies in the past"),
        ("plan.toml", 6, "this is no reference to a se"),
        ("plan.toml", 12, "this wave has no mailboxes"),
        ("mailboxes.csv", 3, "this line is not UTF-8"),
        ("mailboxes.csv", 3, "this is the target of line 2"),
        ("mailboxes.csv", 4, "the plan has no such wave"),
        ("mailboxes.csv", 4, "source and target are the sa"),
    ]


def test_the_error_is_the_list_and_ends_somewhere() -> None:
    many = [Mistake("a.csv", line, "v", "fact", "cure") for line in range(1, MOST + 3)]
    lines = str(PlanErrors(reversed(many))).splitlines()
    assert lines[0] == "a.csv:1: v: fact; cure"
    assert lines[-1] == "and 2 more"
    assert len(lines) == MOST + 1
