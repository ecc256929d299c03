"""What a person sees of the control planes that a plan names; nothing here changes anything."""

from pathlib import Path

import pytest

from mailhaul.cli.exits import Exit
from mailhaul.dns.expected import Expected, Moment, Wanted
from mailhaul.dns.records import Kind, MailHost, RecordSet
from mailhaul.providers.service import AccountState
from tests.cli.hoster_desk import DOMAIN, PLAN, A, B, HosterDesk, hoster_desk
from tests.dns.memory_zone import MemoryZone
from tests.providers.memory import Fault

COMMANDS = ("show", "accounts", "domains", "obstacles", "records")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HosterDesk:
    return hoster_desk(tmp_path, monkeypatch)


def test_a_service_is_shown_with_its_generation_and_the_evidence_for_it(desk: HosterDesk) -> None:
    ran = desk.run("provider", "show", desk.file)
    assert ran.code is Exit.COMPLETE, ran.err
    assert "source: MX Plan mx (memory)" in ran.out
    assert "  generation  new\n  evidence    server model: mxplan-1\n" in ran.out
    assert "3 accounts to be made or configured" in ran.out
    assert "administrator us-1, technical us-2, billing us-1" in ran.out
    lines = desk.run("provider", "show", desk.file, "--side", "target", "--json").lines
    assert [line["event"] for line in lines] == ["provider_service", "provider"]
    assert (lines[0]["free"], lines[0]["technical"]) == (3, "us-2")


def test_accounts_are_listed_and_placeholders_counted(desk: HosterDesk) -> None:
    ran = desk.run("provider", "accounts", desk.file)
    assert ran.code is Exit.COMPLETE, ran.err
    assert f"a.weiss@{DOMAIN}" in ran.out
    assert "0 accounts, and 3 placeholders to be configured" in ran.out
    ran = desk.run("provider", "accounts", desk.file, "--side", "source", "--mailbox", B)
    assert A not in ran.out
    assert "to bert@elsewhere.example, a copy stays" in ran.out


def test_an_account_that_is_not_there_is_told_so(desk: HosterDesk) -> None:
    ran = desk.run("provider", "accounts", desk.file, "--mailbox", f"a.weiss@{DOMAIN}")
    assert ran.code is Exit.USAGE
    assert f"there is no account a.weiss@{DOMAIN}" in ran.err


def test_a_domain_that_is_not_ready_is_shown_with_the_proof_asked_for(desk: HosterDesk) -> None:
    assert desk.run("provider", "domains", desk.file, "--side", "source").code is Exit.COMPLETE
    proof = RecordSet("check.other.example", Kind.CNAME, 300, ("ovh.com",))
    desk.ex.domains[1].proof = proof
    ran = desk.run("provider", "domains", desk.file)
    assert ran.code is Exit.INCOMPLETE
    assert "ownership not proven" in ran.out
    assert "  check.other.example. 300 IN CNAME ovh.com.\n" in ran.out


def test_obstacles_have_their_code_their_meaning_and_their_cure(desk: HosterDesk) -> None:
    ran = desk.run("provider", "obstacles", desk.file)
    assert ran.code is Exit.INCOMPLETE
    assert "blocks: FORWARD_LOCAL: a redirection that keeps a copy stands" in ran.out
    assert "→ remove the redirection at the source" in ran.out
    ran = desk.run("provider", "obstacles", desk.file, "--mailbox", A, "--json")
    assert ran.code is Exit.COMPLETE
    assert [line.get("code") for line in ran.lines] == ["ALIAS_EXIST", None]
    desk.mx.account(f"busy@{DOMAIN}").state = AccountState.BUSY
    ran = desk.run("provider", "obstacles", desk.file, "--mailbox", f"busy@{DOMAIN}")
    assert "(trying again later helps too)" in ran.out


def test_records_are_shown_beside_what_the_providers_own_zone_holds(desk: HosterDesk) -> None:
    desk.ex.domains[0].expected = Expected(
        DOMAIN,
        mx=(MailHost(10, "mx.new.example"),),
        records=(Wanted("ownership", DOMAIN, Kind.TXT, ("MS=1",), Moment.NOW),),
    )
    ran = desk.run("provider", "records", desk.file)
    assert f"? with the switch: {DOMAIN}. 300 IN MX 10 mx.new.example.\n" in ran.out
    assert "what stands is not known" in ran.out
    assert "other.example: the service doesn't say" in ran.out
    desk.ex.zones[DOMAIN] = MemoryZone(DOMAIN)
    lines = desk.run("provider", "records", desk.file, "--domain", DOMAIN, "--json").lines
    assert {(line["kind"], line["stands"]) for line in lines[:-1]} == {
        ("MX", "no"), ("TXT", "no"),
    }  # fmt: skip


def test_a_side_that_is_away_keeps_nothing_about_the_other_back(desk: HosterDesk) -> None:
    desk.mx.arm(Fault.EXPIRED)
    ran = desk.run("provider", "show", desk.file, "--json")
    assert ran.code is Exit.CREDENTIALS
    assert [line["event"] for line in ran.lines] == [
        "provider_trouble", "provider_service", "provider",
    ]  # fmt: skip
    assert "log in anew" in ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_plan_without_providers_is_told_what_to_write(desk: HosterDesk, command: str) -> None:
    lines = PLAN.splitlines()
    kept = [
        line for line in lines
        if "provider" not in line and "lab" not in line and "service" not in line
        and "127.0.0.1" not in line and "KEY" not in line
    ]  # fmt: skip
    desk.write(A, plan="\n".join(kept))
    ran = desk.run("provider", command, desk.file)
    assert ran.code is Exit.USAGE
    assert "provider] into it" in ran.err.replace("[source.provider] or [target.", "") or ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_looking_changes_nothing(desk: HosterDesk, command: str) -> None:
    desk.run("provider", command, desk.file)
    for service in (desk.mx, desk.ex):
        assert (service.asked["begin"], len(service.works)) == (0, 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_provider_says_is_never_acted_on_by_a_terminal(
    desk: HosterDesk, command: str
) -> None:
    for service in (desk.mx, desk.ex):
        service.product = "\x1b[2J"
        service.domains[0].relay = "\x1b[31mx"
        service.account(f"x\x1b]0;{DOMAIN}").name = "\u202e"
    ran = desk.run("provider", command, desk.file)
    assert "\x1b" not in ran.out + ran.err
    assert "\u202e" not in ran.out
