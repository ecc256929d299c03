"""Sieve scripts: ours say what they were made of, others' stay as they are and are told apart."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhaul.providers import sieve_directory, sieve_reading
from mailhaul.providers.effects import same_extra
from mailhaul.providers.extras import Extra, Filter, Redirection, Responder
from mailhaul.providers.provider import Refused
from mailhaul.providers.sieve_directory import Scripts
from mailhaul.providers.sieve_reading import Unreadable, restored, statements, without
from mailhaul.providers.sieve_script import Own, filter_name, left_out, read, written

ANN = "ann@b.test"
FILTER = 'require "fileinto";\nif header :is "x" "y" { fileinto "Plans"; stop; }\n'

TOLD: list[tuple[str, str, list[Extra] | None]] = [
    ("nothing", "", []),
    ("remarks", '# redirect "x@y";\n/* redirect "x@y"; */', []),
    ("a redirection", 'redirect "x@y.test";', [Redirection(ANN, "x@y.test")]),
    (
        "with a copy",
        'require ["copy"];\nredirect :copy "x@y.test";',
        [Redirection(ANN, "x@y.test", True)],
    ),
    ("and kept", 'redirect "x@y.test"; keep;', [Redirection(ANN, "x@y.test", True)]),
    (
        "two, and an end",
        'redirect "x@y.test";\nREDIRECT "z@y.test";\nstop;',
        [Redirection(ANN, "x@y.test"), Redirection(ANN, "z@y.test")],
    ),
    (
        "an auto-reply",
        'require "vacation"; vacation :days 7 :addresses ["a@b.test", "c@b.test"] '
        ':subject "I\'m \\"away\\"" "back \\\\ soon";',
        [Responder(ANN, "back \\ soon", 'I\'m "away"')],
    ),
    (
        "a text of many lines",
        "vacation text: # so long\n..one\ntwo\n.\n;",
        [Responder(ANN, ".one\ntwo\n")],
    ),
    ("under a test", 'if true { redirect "x@y.test"; }', None),
    ("stopped before", 'stop; redirect "x@y.test";', None),
    ("thrown away", 'redirect "x@y.test"; discard;', None),
    ("a list of addresses", 'redirect ["x@y.test"];', None),
    ("a ready-made message", 'vacation :mime "Subject: x";', None),
    ("no Sieve", 'redirect "x@y.test', None),
    ("a bracket too many", 'redirect "x@y.test"; }', None),
    (
        "an address that ends in a statement",
        'redirect "x@y.test\\"; discard; \\"";',
        [Redirection(ANN, 'x@y.test"; discard; "')],
    ),
]


@pytest.mark.parametrize(("name", "text", "expected"), TOLD, ids=[each[0] for each in TOLD])
def test_a_script_is_told_apart(name: str, text: str, expected: list[Extra] | None) -> None:
    script = sieve_reading.read(text, ANN)
    assert script.plain is (expected is not None)
    assert [each for _, each in script.found] == (expected or [])
    if expected is None:
        assert script.redirects is ("redirect" in text)


@pytest.mark.parametrize(("name", "text", "expected"), TOLD, ids=[each[0] for each in TOLD])
def test_a_statement_is_taken_out_and_put_back_to_the_octet(
    name: str, text: str, expected: list[Extra] | None
) -> None:
    for extra in expected or []:
        less = without(text, ANN, extra)
        left = [each for _, each in sieve_reading.read(less, ANN).found]
        assert left == [each for each in expected or [] if each != extra]
        assert restored(less, extra) == text
        assert restored(less, Redirection(ANN, "else@y.test")) == less
    assert without(text, ANN, Redirection(ANN, "else@y.test")) == text


TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80
) | st.just('\n#mailhaul {"extras": [], "before": ""}\n')
SUBJECTS = TEXTS.map(lambda text: "".join(text.splitlines()))
MOMENTS = st.none() | st.integers(0, 253402300799)
OWN = st.lists(
    st.one_of(
        st.builds(
            Redirection, st.just(""), st.sampled_from(["x@y.test", "z@y.test"]), st.booleans()
        ),
        st.builds(Responder, st.just(""), TEXTS.filter(bool), SUBJECTS, MOMENTS, MOMENTS),
        st.builds(Filter, st.just(""), TEXTS, st.just(FILTER), TEXTS),
    ),
    max_size=5,
)


@settings(max_examples=50, deadline=None)
@given(OWN, st.sampled_from(["", "roundcube", 'a "quoted" name']))
def test_our_script_says_what_it_was_made_of(extras: list[Extra], before: str) -> None:
    assert not any(map(left_out, extras))
    own = Own(tuple(extras), before)
    filters = {filter_name(e.name): e.script for e in extras if isinstance(e, Filter)}
    text = written(own)
    assert read(text, filters) == own
    # Nothing of it ends a statement early: it has just the commands that it should.
    names = [each.name for each in statements(text)]
    onward = [each for each in extras if isinstance(each, Redirection)]
    assert names.count("redirect") == len(onward)
    assert names.count("include") == len(filters_of(extras)) + bool(before)
    assert set(names) <= {"require", "redirect", "vacation", "if", "include", "stop"}


def filters_of(extras: list[Extra]) -> list[Extra]:
    return [each for each in extras if isinstance(each, Filter)]


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text + "discard;\n",
        lambda text: text.replace("x@y.test", "evil@y.test", 1),
        lambda text: text.replace("#mailhaul {", "#mailhaul [{", 1),
        lambda text: "\n" + text,
        lambda text: text.replace("Redirection", "Alias"),
    ],
)
def test_a_script_that_was_changed_by_hand_is_not_ours(changed: object) -> None:
    text = written(Own((Redirection("", "x@y.test"),)))
    assert callable(changed)
    assert read(changed(text), {}) is None


@pytest.mark.parametrize(
    "extra",
    [
        Redirection(ANN, 'x@y.test"; discard; "'),
        Redirection(ANN, "nowhere"),
        Responder(ANN, "a\0b"),
        Responder(ANN, ""),
        Responder(ANN, "a", "two\nlines"),
        Responder(ANN, "a", begins=-1),
        Responder(ANN, "a", copy_to="x y@z.test"),
        Filter(ANN, "plans", words="moves plans"),
    ],
)
def test_what_sieve_can_not_say_is_left_out(extra: Extra) -> None:
    assert left_out(extra)


def test_numbers_and_depths_without_end_are_not_read() -> None:
    assert not sieve_reading.read("a " + "9" * 100_000 + ";", ANN).plain
    assert not sieve_reading.read("if true {" * 50_000, ANN).plain
    assert not sieve_reading.read('redirect "x@y.test";' * 100_000, ANN).plain
    with pytest.raises(Unreadable):
        statements('require ["a", {];')


@pytest.fixture
def home(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path / "sieve", tmp_path / ".dovecot.sieve")


def held(home: Scripts) -> dict[str, str]:
    """Every file and link that people see."""
    found = {}
    for path in sorted(home.active.parent.rglob("*")):
        if path.is_symlink():
            found[path.name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[path.name] = path.read_text()
    return found


def activate(home: Scripts, name: str, text: str) -> None:
    """A person's client does so."""
    home.directory.mkdir()
    (home.directory / f"{name}.sieve").write_text(text)
    home.active.symlink_to(f"sieve/{name}.sieve")


ADDED: list[Extra] = [
    Redirection(ANN, "x@y.test"),
    Redirection(ANN, "x@y.test", True),
    Responder(ANN, "away", "hi"),
    Filter(ANN, "plans", FILTER),
]


@pytest.mark.parametrize("extra", ADDED, ids=lambda extra: type(extra).__name__)
@pytest.mark.parametrize(
    "before", ["", 'redirect "z@y.test";\n', FILTER], ids=["none", "plain", "filter"]
)
def test_what_is_added_and_removed_leaves_no_trace(
    extra: Extra, before: str, home: Scripts
) -> None:
    if before:
        activate(home, "roundcube", before)
    files, stood = held(home), sieve_directory.extras(home, ANN)
    sieve_directory.add(home, extra)
    now = sieve_directory.extras(home, ANN)
    assert any(same_extra(each, extra) for each in now)
    assert len(now) == len(stood) + 1
    sieve_directory.add(home, extra)
    assert sieve_directory.extras(home, ANN) == now
    sieve_directory.remove(home, extra)
    assert held(home) == files


@pytest.mark.parametrize(
    "text",
    ['redirect :copy "z@y.test";\n# mine\nkeep;\n', 'vacation "away";\n', FILTER, "no sieve {"],
)
def test_what_others_wrote_is_removed_and_put_back(text: str, home: Scripts) -> None:
    activate(home, "roundcube", text)
    files = held(home)
    (stood,) = sieve_directory.extras(home, ANN)
    sieve_directory.remove(home, stood)
    assert sieve_directory.extras(home, ANN) == []
    sieve_directory.add(home, stood)
    assert held(home) == files


def test_all_at_once_come_and_go_in_any_order(home: Scripts) -> None:
    activate(home, "roundcube", FILTER)
    files = held(home)
    for extra in ADDED[1:]:
        sieve_directory.add(home, extra)
    assert len(sieve_directory.extras(home, ANN)) == 4
    for extra in (ADDED[2], ADDED[1], ADDED[3]):
        sieve_directory.remove(home, extra)
    assert held(home) == files


def test_a_script_in_the_links_place_is_moved_in_as_pigeonhole_does(home: Scripts) -> None:
    home.active.write_text('redirect "z@y.test";\n')
    sieve_directory.add(home, ADDED[2])
    assert (home.directory / "dovecot.orig.sieve").read_text() == 'redirect "z@y.test";\n'
    assert len(sieve_directory.extras(home, ANN)) == 2
    sieve_directory.remove(home, ADDED[2])
    assert sieve_directory.extras(home, ANN) == [Redirection(ANN, "z@y.test")]


def test_our_script_changed_by_hand_is_left_alone(home: Scripts) -> None:
    sieve_directory.add(home, ADDED[0])
    ours = home.directory / "mailhaul.sieve"
    ours.write_text(ours.read_text() + "# changed\ndiscard;\n")
    files = held(home)
    for extra in ADDED[1:]:
        with pytest.raises(Refused, match="changed by hand"):
            sieve_directory.add(home, replace(extra))
    (found,) = sieve_directory.extras(home, ANN)
    assert isinstance(found, Filter)
    assert found.name == "mailhaul"
    kept = {name: text for name, text in held(home).items() if not name.startswith("mailhaul-")}
    assert kept == files


@pytest.mark.parametrize("where", ["outside", "a directory that is a link"])
def test_links_that_lead_out_are_not_followed(where: str, home: Scripts, tmp_path: Path) -> None:
    if where == "outside":
        home.directory.mkdir()
        (tmp_path / "passwd").write_text("secret")
        home.active.symlink_to("passwd")
    else:
        (tmp_path / "elsewhere").mkdir()
        home.directory.symlink_to("elsewhere")
    with pytest.raises(Refused):
        sieve_directory.extras(home, ANN)
    with pytest.raises(Refused):
        sieve_directory.add(home, ADDED[0])
