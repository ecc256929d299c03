"""How many accounts would move at once, by what both services say."""

import pytest

from mailhaul.providers.actions import HandOver, Rename
from mailhaul.providers.extras import Alias, Redirection
from mailhaul.providers.paths import Path
from mailhaul.providers.prospect import Outlook, Prospect, Rules, outlook
from mailhaul.providers.saga import ExtrasRule, Guard
from mailhaul.providers.service import Contacts, Content, DomainStatus, Generation, Verb
from tests.providers.memory import MemoryHoster, MemoryService
from tests.providers.memory_provider import MemoryProvider

DOMAIN = "acme.test"
ANNA, BERT = f"anna@{DOMAIN}", f"bert@{DOMAIN}"


def new() -> MemoryService:
    verbs = frozenset({Verb.RENAME, Verb.ALIASES, Verb.REDIRECTIONS})
    made = MemoryService("mx", verbs=verbs, generation=Generation.NEW)
    return _filled(made)


def legacy() -> MemoryService:
    verbs = frozenset({Verb.HAND_OVER, Verb.ALIASES, Verb.REDIRECTIONS})
    made = MemoryService("mx", verbs=verbs, generation=Generation.LEGACY)
    return _filled(made)


def _filled(made: MemoryService) -> MemoryService:
    made.domain(DOMAIN)
    made.account(ANNA, b"x" * 5_000)
    made.account(BERT)
    return made


def exchange(*quotas: int) -> MemoryService:
    made = MemoryService("ex", verbs=frozenset({Verb.CONFIGURE}))
    made.domain(DOMAIN)
    for number, quota in enumerate(quotas):
        made.placeholder(f"p{number}@configureme.me", quota)
    return made


async def seen(source: MemoryService, target: MemoryService, rules: Rules | None = None) -> Outlook:
    hoster = MemoryHoster(source, target)
    return await outlook(
        MemoryProvider(hoster, "mx"),
        MemoryProvider(hoster, "ex"),
        (ANNA, BERT),
        rules or Rules(),
    )


def codes(prospect: Prospect) -> set[str]:
    return {each.code for each in prospect.findings}


async def test_the_new_path_has_a_name_a_place_and_a_guard_for_each() -> None:
    source, target = new(), exchange(1_000, 9_000, 9_000)
    source.account(f"anna01@{DOMAIN}")
    found = await seen(source, target)
    assert found.route.path is Path.NEW
    anna, bert = found.prospects
    assert (anna.move.temporary, anna.move.placeholder) == (
        f"anna02@{DOMAIN}", "p1@configureme.me",
    )  # fmt: skip
    assert (bert.move.placeholder, bert.guard) == ("p0@configureme.me", Guard.ALIAS)
    assert not anna.blocked
    assert not bert.blocked
    assert Rename(ANNA, f"anna02@{DOMAIN}") in [each.action for each in anna.steps]
    assert source.asked["begin"] + target.asked["begin"] == 0


async def test_the_legacy_path_hands_over_and_needs_all_four_roles() -> None:
    source, target = legacy(), exchange(9_000, 9_000)
    target.contacts = Contacts("us-1", "us-1", "us-2")
    found = await seen(source, target)
    assert found.route.path is Path.LEGACY
    assert [type(each.action) for each in found.prospects[0].steps] == [HandOver]
    assert codes(found.prospects[0]) == {"TARGET_TECHNICAL"}
    assert found.prospects[0].blocked


async def test_places_that_lack_are_told_of_those_who_get_none() -> None:
    found = await seen(new(), exchange(9_000))
    assert found.prospects[0].remaining == 0
    assert codes(found.prospects[1]) == {"PLACEHOLDER_RESERVED"}
    reserved = await seen(new(), exchange(9_000), Rules(reserved=["P0@configureme.me"]))
    assert all(each.blocked for each in reserved.prospects)


@pytest.mark.parametrize(
    ("rule", "blocked"),
    [(ExtrasRule.REFUSE, True), (ExtrasRule.REMOVE, False), (ExtrasRule.CARRY, False)],
)
async def test_what_stands_in_the_way_blocks_unless_it_is_taken_away(
    rule: ExtrasRule, blocked: bool
) -> None:
    source = new()
    source.extras += [Redirection(ANNA, "x@elsewhere.test"), Alias(BERT, f"b@{DOMAIN}")]
    found = await seen(source, exchange(9_000, 9_000), Rules(extras=rule))
    anna, bert = found.prospects
    assert anna.blocked is blocked
    assert ("FORWARD_EXIST" in codes(anna)) is blocked
    assert not bert.blocked
    assert len(bert.remarks) == 1


async def test_a_domain_that_is_not_there_an_address_that_is_taken_a_gap_are_told() -> None:
    source, target = new(), exchange(9_000, 9_000)
    source.contents = frozenset({Content.MAIL, Content.CALENDAR})
    target.domains[0].status = DomainStatus.CREATING
    target.account(ANNA)
    found = await seen(source, target)
    assert {"ADDRESS_TAKEN", "DOMAIN_CREATING", "FEATURE_GAP"} <= codes(found.prospects[0])
    assert [each.code for each in found.gap] == ["FEATURE_GAP"]


async def test_an_account_that_is_not_there_is_told() -> None:
    source = new()
    source.accounts = source.accounts[1:]
    found = await seen(source, exchange(9_000, 9_000))
    assert "ACCOUNT_EMPTY" in codes(found.prospects[0])


async def test_with_no_path_nothing_is_planned() -> None:
    source = new()
    source.generation = None
    found = await seen(source, exchange(9_000))
    assert (found.route.path, found.prospects) == (None, ())
    assert [each.code for each in found.route.findings] == ["PATH_UNKNOWN"]


async def test_without_a_provider_of_the_source_accounts_are_made_beside_it() -> None:
    hoster = MemoryHoster(exchange(9_000, 9_000))
    found = await outlook(None, MemoryProvider(hoster, "ex"), (ANNA, BERT), Rules())
    assert found.route.path is Path.CREATE
    assert [each.move.placeholder for each in found.prospects] == [
        "p0@configureme.me", "p1@configureme.me",
    ]  # fmt: skip
    assert not any(each.blocked for each in found.prospects)
