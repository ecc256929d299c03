"""The table of role names: wide enough, unambiguous, and blind to what people type differently."""

import pytest

from mailhaul.core.folder import Role
from mailhaul.engine.folder_roles import CARRIED_ROLES
from mailhaul.engine.role_names import NAMES, normal_name, role_by_name


def test_there_are_at_least_25_languages_and_each_names_every_role() -> None:
    assert len(NAMES) >= 25
    for language, roles in NAMES.items():
        assert set(roles) == set(CARRIED_ROLES), language
        assert all(names for names in roles.values()), language


def test_no_name_stands_for_two_roles() -> None:
    seen: dict[str, tuple[Role, str]] = {}
    for language, roles in NAMES.items():
        for role, names in roles.items():
            for name in names:
                earlier, where = seen.setdefault(normal_name(name), (role, language))
                assert earlier is role, f"{name}: {role} in {language}, {earlier} in {where}"


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Sent", Role.SENT),
        ("SENT ITEMS", Role.SENT),
        ("sent-mail", Role.SENT),
        ("Gesendete Elemente", Role.SENT),
        ("Gesendete  Elemente ", Role.SENT),
        ("Éléments envoyés", Role.SENT),
        ("E\u0301le\u0301ments envoye\u0301s", Role.SENT),
        ("Elementos enviados", Role.SENT),
        ("E-mails enviados", Role.SENT),
        ("E‑mails enviados", Role.SENT),
        ("Отправленные", Role.SENT),
        ("送信済みアイテム", Role.SENT),
        ("GÖNDERİLMİŞ ÖĞELER", None),
        ("Gönderilmiş Öğeler", Role.SENT),
        ("Entwürfe", Role.DRAFTS),
        ("Kopie robocze", Role.DRAFTS),
        ("Deleted Items", Role.TRASH),
        ("Papierkorb", Role.TRASH),
        ("Corbeille", Role.TRASH),
        ("刪除的郵件", Role.TRASH),
        ("Junk E-Mail", Role.JUNK),
        ("Courrier indésirable", Role.JUNK),
        ("Spam", Role.JUNK),
        ("Lixo eletrônico", Role.JUNK),
        ("Lixo", Role.TRASH),
        ("Archiv", Role.ARCHIVE),
        ("Outbox", None),
        ("Postausgang", None),
        ("Sent by me", None),
        ("", None),
    ],
)
def test_a_name_tells_its_role(name: str, role: Role | None) -> None:
    found = role_by_name(name)
    assert (found and found[0]) == role


def test_the_more_usual_name_is_the_better_one() -> None:
    ranks = [role_by_name(name) for name in ("Sent", "Sent Items", "Gesendet")]
    numbers = [rank[1] for rank in ranks if rank is not None]
    assert len(numbers) == 3
    assert numbers == sorted(numbers)
