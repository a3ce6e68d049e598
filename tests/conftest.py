"""For every test: nothing stays behind, no end of ours breaks an invariant, and hypothesis draws the same examples each time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator

import hypothesis
import pytest

from tests import support
from trio_ssh.testing import watched

hypothesis.settings.register_profile(
    "house",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # two cores, shared: speed is no property of a strategy here
)
hypothesis.settings.load_profile("house")

os.environ.pop("SSH_AUTH_SOCK", None)  # no test asks the agent of whoever runs it

# Started in the background, or by nohup, we ignore these, and so would every program that a test starts and means to end by them.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("settle_seconds", "how long threads, files and children may take to go after a test", default="3")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture(autouse=True)
def nothing_stays_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Files, threads and child processes that a test opened are gone when it ends. A test that failed has its own tale to tell."""
    before = support.holdings()
    yield
    if not request.node.stash.get(_failed, False):
        leaks = support.leaks_since(before, float(request.config.getini("settle_seconds")))
        assert not leaks, "left behind: " + ", ".join(leaks)


@pytest.fixture(autouse=True)
def invariants_hold() -> Iterator[None]:
    """ASR-12: whatever connections a test makes in this process, a monitor watches P1 to P9 of every end that is the library's."""
    with watched():
        yield


@pytest.fixture
def require_program() -> Callable[[str], str]:
    """``require_program("sshd")``: its path; under CI=true a missing program fails the test, elsewhere it skips."""
    return support.require_program
