import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.baresip import Baresip  # noqa: E402
from harness.server import Server  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of a file that only add to it: its balance pays for their numbers."""
    with Server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
def own_server(tmp_path):
    """Makes servers of the test's own: `own_server(drain_timeout="5s")`; a second call with the same name shares data."""
    started = []

    def make(name="data", **settings):
        server = Server(tmp_path / name, **settings)
        server.start()
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture(autouse=True)
def phones_end():
    """A phone that a failed test has left behind would go on calling, and keep its ports."""
    yield
    for phone in list(Baresip.running):
        phone.close()


@pytest.fixture
def rest(server):
    return server.rest()


@pytest.fixture
def events(server):
    with server.events() as events:
        yield events


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows the end of its servers' logs."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for name, value in item.funcargs.items():
            if isinstance(value, Server):
                report.sections.append((f"log of {name}", value.log_tail(60)))
