"""Fixtures for all tests: the real servers, and what becomes of a test whose server is missing.

Without a server its tests are skipped and one line at the end says so. With CI=true they fail,
and a whole run fails when a kind of server was never used.
"""

import os
from collections import Counter
from collections.abc import Generator, Iterator

import pytest

from tests.engine.tally import tally
from tests.servers.bind import Bind
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.hoster import Hoster
from tests.servers.knot import Knot
from tests.servers.postgres import Postgres
from tests.servers.process import RunningServer, Unavailable
from tests.servers.pymap import Pymap
from tests.servers.unbound import Unbound

MAIL = {"dovecot": "dovecot", "cyrus": "cyrus", "pymap_server": "pymap"}
NAMES = {"knot": "knot", "bind": "bind", "unbound": "unbound"}
FIXTURES = {**MAIL, **NAMES, "postgres": "postgres"}
NEEDED = frozenset(FIXTURES.values())
MISSING = "server is missing: "


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """One Dovecot for the whole run; take a fresh `dovecot.account()` in each test."""
    with Dovecot() as server:
        yield server


@pytest.fixture(scope="session")
def cyrus() -> Iterator[Cyrus]:
    """One Cyrus for the whole run; take a fresh `cyrus.account()` in each test."""
    with Cyrus() as server:
        yield server


@pytest.fixture(scope="session")
def pymap_server() -> Iterator[Pymap]:
    """One pymap for the whole run; take a fresh `pymap_server.account()` in each test."""
    with Pymap() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the whole run; take a fresh `postgres.database()` in each test."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def knot() -> Iterator[Knot]:
    """One Knot for the whole run; take a fresh `knot.fresh()` as zone in each test."""
    with Knot() as server:
        yield server


@pytest.fixture(scope="session")
def bind() -> Iterator[Bind]:
    """One BIND for the whole run; take a fresh `bind.fresh()` as zone in each test."""
    with Bind() as server:
        yield server


@pytest.fixture(scope="session")
def unbound() -> Iterator[Unbound]:
    """One Unbound for the whole run; `unbound.serve(zone, servers)`, then ask it."""
    with Unbound() as server:
        yield server


@pytest.fixture(scope="session")
def hoster(knot: Knot) -> Iterator[Hoster]:
    """One hoster for the whole run; `hoster.sell(Line.NEW, domain)` a service in each test."""
    with Hoster(knot) as running:
        yield running


@pytest.fixture(params=list(MAIL))
def server(request: pytest.FixtureRequest) -> RunningServer:
    """Each of the three servers in turn."""
    running = request.getfixturevalue(request.param)
    assert isinstance(running, RunningServer)
    return running


@pytest.fixture(autouse=True)
def _asked(request: pytest.FixtureRequest) -> pytest.FixtureRequest:
    """Knows which fixtures the test has asked for, those by `getfixturevalue` too."""
    return request


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    yield from _skipping_without_server()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield from _skipping_without_server()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes on the report which servers the test used, for the check at the end."""
    report = yield
    if report.when == "call" and isinstance(item, pytest.Function):
        asked = item.funcargs["_asked"]
        assert isinstance(asked, pytest.FixtureRequest)
        used = sorted(set(asked.fixturenames) & set(FIXTURES))
        report.user_properties += [("server", FIXTURES[name]) for name in used]
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """One line for each server that tests were skipped for, one for what was used, and one for
    the scenarios: here, for the process that collects from others loads no other conftest."""
    reasons = Counter(_missing_servers(terminalreporter))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"NOT RUN: {count} tests: {reason}", yellow=True)
    used = _servers_used(terminalreporter)
    if used:
        terminalreporter.write_line(f"servers used: {', '.join(sorted(used))}")
    absent = NEEDED - used
    if _is_whole_run(config) and _in_ci() and absent:
        terminalreporter.write_line(
            f"FAILED: no test ran against {', '.join(sorted(absent))}, and CI=true", red=True
        )
    if counted := tally(terminalreporter.stats.get("passed", [])):
        terminalreporter.write_line(counted)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a whole run in which a kind of server was never used has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not _in_ci() or not _is_whole_run(session.config):
        return
    if NEEDED - _servers_used(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipping_without_server() -> Generator[None]:
    try:
        yield
    except Unavailable as error:
        if _in_ci():
            raise
        pytest.skip(f"{MISSING}{error}")


def _missing_servers(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for report in reporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and MISSING in report.longrepr[2]:
            yield report.longrepr[2].split(MISSING, 1)[1]


def _servers_used(reporter: pytest.TerminalReporter) -> set[str]:
    return {
        str(value)
        for report in reporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "server"
    }


def _is_whole_run(config: pytest.Config) -> bool:
    """No file, no -k and no -m was asked for; an xdist worker sees only a part."""
    chosen = any(config.getoption(name, None) for name in ("keyword", "markexpr", "lf"))
    whole = config.args == config.getini("testpaths")
    return whole and not chosen and not hasattr(config, "workerinput")


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"
