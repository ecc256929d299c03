"""A plan that is good: what becomes of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailhaul.plan.load import load_plan
from mailhaul.plan.model import Plan
from mailhaul.plan.moments import wall_fault, zone_fault
from mailhaul.plan.waves import resolved, waves

PLAN = """\
name = "Move"
time_zone = "Europe/Paris"
cutover = 2030-07-01 20:00:00
[source]
url = "imaps://{address}@old.example"
secret = "file:secrets/{user}"
[target]
url = "maildir:out/{address}"
[carry]
since = 2020-01-01
[hours]
start = 20:00:00
end = "06:00"
[[waves]]
name = "second"
cutover = 2030-08-01 20:00:00+00:00
[[waves]]
name = "first"
"""
LIST = """\
address,wave,source,target,source_secret
anna@x.example,first,,,
bert@x.example,second,imaps://b@h,mbox:{user},vault:b
carl@x.example,first,,,
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    (tmp_path / "mailboxes.csv").write_text(LIST, encoding="utf-8")
    return load_plan(tmp_path / "plan.toml")


def test_every_moment_is_aware(plan: Plan) -> None:
    assert plan.cutover == datetime(2030, 7, 1, 18, tzinfo=UTC)
    assert plan.carry.since == datetime(2019, 12, 31, 23, tzinfo=UTC)
    assert plan.cutover_of("second") == datetime(2030, 8, 1, 20, tzinfo=UTC)
    assert plan.cutover_of("first") == plan.cutover


def test_a_plan_survives_its_row(plan: Plan) -> None:
    text = plan.model_dump_json(by_alias=True)
    again = Plan.model_validate_json(text)
    assert again == plan
    assert again.model_dump_json(by_alias=True) == text


def test_waves_come_in_the_plans_order_with_their_mailboxes_in_the_lists(plan: Plan) -> None:
    found = [(wave.name, [each.address for each in wave.mailboxes]) for wave in waves(plan)]
    assert found == [
        ("second", ["bert@x.example"]),
        ("first", ["anna@x.example", "carl@x.example"]),
    ]


def test_a_row_goes_before_the_template(plan: Plan, tmp_path: Path) -> None:
    bert, anna, _ = resolved(plan, tmp_path)
    assert (str(bert.source), bert.target.path) == ("imaps://b@h", f"{tmp_path}/bert")
    assert (bert.source_secret, bert.target_secret, bert.line) == ("vault:b", "", 3)
    assert str(anna.source) == "imaps://anna%40x.example@old.example"
    assert anna.target.path == f"{tmp_path}/out/anna@x.example"
    assert anna.source_secret == "file:secrets/anna"


def test_a_plan_that_runs_may_have_a_cutover_that_is_past(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN.replace("2030-07", "2020-07"), encoding="utf-8")
    (tmp_path / "mailboxes.csv").write_text(LIST, encoding="utf-8")
    moment = load_plan(tmp_path / "plan.toml").cutover
    assert moment is not None
    assert moment.year == 2020


def test_ten_thousand_mailboxes_load_in_seconds(tmp_path: Path) -> None:
    rows = "".join(f"user{number}@x.example,first,,,\n" for number in range(9_999))
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    rows = f"{LIST.splitlines()[0]}\n{rows}b@x.example,second,,,\n"
    (tmp_path / "mailboxes.csv").write_text(rows, encoding="utf-8")
    begin = datetime.now()
    assert len(load_plan(tmp_path / "plan.toml").mailboxes) == 10_000
    assert datetime.now() - begin < timedelta(seconds=20)


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires"])
def test_a_time_zone(name: str) -> None:
    assert zone_fault(name) is None


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("Europe/Pari", "did you mean Europe/Paris?"),
        ("Paris!", "write one of the IANA names, like Europe/Paris or America/New_York"),
        ("", "write one of the IANA names, like Europe/Paris or America/New_York"),
        ("../etc/passwd", "write one of the IANA names, like Europe/Paris or America/New_York"),
    ],
)
def test_no_time_zone(name: str, cure: str) -> None:
    assert zone_fault(name) == cure


def test_only_the_hours_of_the_change_are_no_times(plan: Plan) -> None:
    quarter = timedelta(minutes=15)
    begin = datetime(2030, 1, 1)
    faulty = [
        moment
        for number in range(365 * 96)
        if wall_fault(moment := begin + number * quarter, plan.zone)
    ]
    expected = [datetime(2030, 3, 31, 2) + n * quarter for n in range(4)]
    expected += [datetime(2030, 10, 27, 2) + n * quarter for n in range(4)]
    assert faulty == expected


def test_what_the_zones_are_to_hold_is_kept_with_the_plan(tmp_path: Path) -> None:
    (tmp_path / "expect.toml").write_text('mx = ["10 mx.new.example"]\n', encoding="utf-8")
    dns = '[dns]\nexpect = "expect.toml"\n'
    (tmp_path / "plan.toml").write_text(PLAN + dns, encoding="utf-8")
    (tmp_path / "mailboxes.csv").write_text(LIST, encoding="utf-8")
    plan = load_plan(tmp_path / "plan.toml")
    assert plan.expect_text == 'mx = ["10 mx.new.example"]\n'
    assert Plan.model_validate_json(plan.model_dump_json(by_alias=True)) == plan
