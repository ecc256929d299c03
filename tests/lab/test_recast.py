"""A user's plan is made smaller in all its proportions, and leads to nobody's own systems."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailhaul.lab import recast
from mailhaul.plan.forecast import Amount
from mailhaul.plan.load import load_plan
from mailhaul.plan.model import Plan

TEXT = """
name = "Acme “quoted”"
time_zone = "Europe/Berlin"
cutover = 2035-03-02 20:00:00
[source]
url = "imaps://{address}@mail.acme.example"
secret = "file:secrets/{address}"
connections_each = 6
[source.budget]
connections = 6
octets_per_day = 1000000000
[target]
url = "imaps://{address}@outlook.office365.com"
secret = "command:get-token {address}"
preset = "exchange-online"
[carry]
exclude = ["Trash"]
map = { "Sent Items" = "Sent" }
since = 2020-01-01
order = "newest-first"
[deltas]
every = "6h"
[sweeps]
every = "30m"
for = "24h"
[hours]
start = "19:00"
end = "07:00"
days = [1, 2, 3]
[gates]
objects = ["Ada Adler"]
go = ["Ben Bauer"]
[[waves]]
name = "pilot"
cutover = 2035-02-23 20:00:00
[[waves]]
name = "all"
[[webhooks]]
url = "https://hooks.acme.example/x"
[dns]
mx = ["10 mx.acme.example"]
[dns.writer]
kind = "rfc2136"
server = "ns.acme.example"
key = "acme.example"
secret = "env:ZONE"
[canary]
on = true
"""


def plan_of(directory: Path, mailboxes: list[tuple[str, str]]) -> Plan:
    (directory / "plan.toml").write_text(TEXT, encoding="utf-8")
    rows = ["address,wave", *(f"{address},{wave}" for address, wave in mailboxes)]
    (directory / "mailboxes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return load_plan(directory / "plan.toml")


@pytest.mark.parametrize(
    ("without", "left_out"),
    [
        ((), ["carry.exclude", "carry.map", "carry.since", "webhooks", "canary"]),
        (("exclude", "map"), ["carry.since", "webhooks", "canary"]),
        (("exclude", "map", "since", "[[webhooks]]", 'url = "https:'), ["canary"]),
    ],
)
def test_what_the_rehearsal_does_not_play_is_named(
    without: tuple[str, ...], left_out: list[str], tmp_path: Path
) -> None:
    whole = plan_of(tmp_path, [("anna@acme.example", "all"), ("bo@acme.example", "pilot")])
    lines = [line for line in TEXT.splitlines() if not (without and line.startswith(without))]
    (tmp_path / "plan.toml").write_text("\n".join(lines), encoding="utf-8")
    assert recast.unplayed(load_plan(tmp_path / "plan.toml")) == left_out
    assert recast.unplayed(whole) == [
        "carry.exclude",
        "carry.map",
        "carry.since",
        "webhooks",
        "canary",
    ]


def test_no_control_plane_is_ever_asked_in_a_rehearsal(tmp_path: Path) -> None:
    provider = 'kind = "ovh-mxplan"\nservice = "acme.example"\nsecret = "env:KEY"\n'
    rest = f"[source.provider]\n{provider}[target.provider]\n{provider}[accounts]\n"
    text = f"{TEXT}{rest}".replace("[gates]", '[gates]\naccounts = ["Kim"]')
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    rows = "address,wave\nanna@acme.example,all\nbo@acme.example,pilot\n"
    (tmp_path / "mailboxes.csv").write_text(rows)
    whole = load_plan(tmp_path / "plan.toml")
    assert "accounts" in recast.unplayed(whole)
    casting = recast.cast(whole, {each.address: Amount(10, 1000) for each in whole.mailboxes}, 5)
    played = tomllib.loads(recast.plan_text(whole, casting, ("127.0.0.1:1", "127.0.0.1:2")))
    assert "accounts" not in played
    assert not played.get("gates", {}).get("accounts")
    assert "provider" not in played["source"] | played["target"]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    boxes = [(f"p{number}@acme.example", "pilot") for number in range(4)]
    boxes += [(f"u{number}@acme.example", "all") for number in range(36)]
    return plan_of(tmp_path, boxes)


def test_each_wave_has_its_share_spread_over_its_sizes(plan: Plan) -> None:
    known = {f"u{number}@acme.example": Amount(number * 100, number) for number in range(36)}
    casting = recast.cast(plan, known, most=20)
    waves = [role.wave for role in casting.roles]
    assert (waves.count("pilot"), waves.count("all")) == (2, 18)
    numbers = [int(role.address[1:].split("@")[0]) for role in casting.roles if role.wave == "all"]
    assert numbers == [*range(1, 36, 2)]
    assert len(casting.everybody) == 40
    assert casting.counted == 36


def test_proportions_are_kept_and_nobody_counted_is_supposed(plan: Plan) -> None:
    known = {"p0@acme.example": Amount(1_000_000, 10**12), "p1@acme.example": Amount(0, 0)}
    known["p2@acme.example"] = Amount(500_000, 5 * 10**11)
    casting = recast.cast(plan, known, most=100)
    roles = {role.address: role for role in casting.roles}
    assert len(roles) == 40
    first, empty, half = (roles[f"p{number}@acme.example"] for number in range(3))
    assert first.messages == pytest.approx(2 * half.messages, abs=2)
    assert empty.messages == 0
    assert roles["u7@acme.example"].messages >= 1
    assert sum(role.messages for role in casting.roles) <= recast.MOST_MESSAGES + 40
    assert (
        sum(role.octets for role in casting.roles) <= recast.MOST_MESSAGES * recast.MEAN_OCTETS + 40
    )
    assert casting == recast.cast(plan, known, most=100)


def test_a_small_plan_is_played_as_it_is(tmp_path: Path) -> None:
    boxes = [("a@acme.example", "pilot"), ("b@acme.example", "all")]
    plan = plan_of(tmp_path, boxes)
    known = {"a@acme.example": Amount(10, 5_000), "b@acme.example": Amount(20, 9_000)}
    casting = recast.cast(plan, known, most=24)
    assert [(role.messages, role.octets) for role in casting.roles] == [(10, 5_000), (20, 9_000)]
    assert (casting.messages, casting.octets) == (1.0, 1.0)


def test_the_plan_for_stand_ins_is_good_and_the_same_but_for_the_systems(
    plan: Plan, tmp_path: Path
) -> None:
    casting = recast.cast(plan, {}, most=20)
    played = tmp_path / "played"
    played.mkdir()
    text = recast.plan_text(plan, casting, ("127.0.0.1:1143", "127.0.0.1:1144"))
    (played / "plan.toml").write_text(text, encoding="utf-8")
    (played / "mailboxes.csv").write_text(recast.mailboxes_text(casting), encoding="utf-8")
    again = load_plan(played / "plan.toml")
    for name in ("name", "time_zone", "hours", "gates", "deltas", "sweeps"):
        assert getattr(again, name) == getattr(plan, name)
    for wave in ("pilot", "all"):
        assert again.cutover_of(wave) == plan.cutover_of(wave)
    assert again.carry.order == plan.carry.order
    assert (again.carry.exclude, again.carry.map, again.carry.since) == ((), {}, None)
    assert again.webhooks == ()
    assert (again.dns, again.canary, again.expect_text) == (None, None, None)
    assert again.source.url == "imap://{address}@127.0.0.1:1143"
    assert again.target.url == "imap://{address}@127.0.0.1:1144"
    assert again.source.budget.connections == 6
    assert again.source.budget.octets_per_day == max(
        round(10**9 * casting.octets), 2 * recast.LARGEST
    )
    assert again.target.budget.messages_per_second_each == pytest.approx(4.0 * casting.messages)
    assert "get-token" not in text
    assert "acme.example" not in text


@pytest.mark.parametrize("minutes", [1.0, 2.0, 10.0])
def test_the_clock_shows_the_whole_plan_in_the_time_given(plan: Plan, minutes: float) -> None:
    casting = recast.cast(plan, {}, most=20)
    timing = recast.timed(plan, casting, minutes, datetime(2030, 1, 1, tzinfo=UTC))
    first, last = plan.cutover_of("pilot"), plan.cutover_of("all")
    assert first is not None
    assert last is not None
    assert timing.cutovers == {"pilot": first, "all": last}
    assert first - timing.begin >= recast.LEAST_LEAD
    end = last + plan.sweeps.for_
    real = (end - timing.begin).total_seconds() / timing.speed
    assert real + recast.BESIDES <= timing.seconds
    # What doesn't fit into so few minutes takes longer, and it is known how long.
    if minutes == 10:
        assert timing.seconds == pytest.approx(minutes * 60)
    else:
        assert timing.speed == 12 * 3600 / recast.NIGHT
        assert timing.seconds > minutes * 60


@pytest.mark.parametrize(("speed", "messages"), [(60.0, 2_400), (12_000.0, 216), (10**6, 120)])
def test_there_is_as_much_mail_as_one_night_takes(plan: Plan, speed: float, messages: int) -> None:
    timing = recast.Timing(datetime(2030, 1, 1, tzinfo=UTC), speed, {}, 100.0)
    assert recast.workable(plan, timing) == messages


def test_a_plan_without_a_cutover_begins_now(tmp_path: Path) -> None:
    text = "\n".join(line for line in TEXT.splitlines() if not line.startswith("cutover"))
    plan_of(tmp_path, [("a@acme.example", "pilot"), ("b@acme.example", "all")])
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    plan = load_plan(tmp_path / "plan.toml")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    timing = recast.timed(plan, recast.cast(plan, {}, most=5), 2.0, now)
    assert set(timing.cutovers.values()) == {None}
    assert timedelta() <= now - timing.begin < timedelta(days=3)
