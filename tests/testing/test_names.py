"""The public names of `trio_ssh.testing`, pinned; each has a docstring and a place in docs/testing.rst, whose examples are run."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.test_exports import leaked_names, public_functions, signature_faults, undocumented_names
from trio_ssh import testing

PAGE = (Path(__file__).parents[2] / "docs" / "testing.rst").read_text()

PUBLIC_NAMES = (
    "ConnectionPair",
    "ForgedPacket",
    "HOST_KEY",
    "INVARIANTS",
    "InvariantBroken",
    "Link",
    "PASSWORD",
    "Passage",
    "ProtocolMonitor",
    "QUICK",
    "RawPeer",
    "SimulatedListener",
    "SimulatedNetwork",
    "SimulatedStream",
    "SomethingLeft",
    "USERNAME",
    "USER_KEY",
    "UnexpectedMessage",
    "Watch",
    "deterministic_schedule",
    "open_connection_pair",
    "open_server",
    "password_request",
    "raw_client",
    "raw_server",
    "replayable",
    "simulate",
    "watched",
)


def blocks() -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", PAGE, re.MULTILINE)]


def module() -> dict[str, Any]:
    """All blocks of the page together."""
    names: dict[str, Any] = {}
    exec(compile("\n".join(["from __future__ import annotations", *blocks()]), "docs/testing.rst", "exec"), names)
    return names


TESTS = re.findall(r"^(?:async )?def (test_\w+)", "\n".join(blocks()), re.MULTILINE)


def test_the_package_exports_the_list():
    assert sorted(testing.__all__) == list(PUBLIC_NAMES)
    assert undocumented_names(testing) == []


def test_nothing_else_leaks():
    modules = {name for name in leaked_names(testing) if inspect.ismodule(getattr(testing, name))}
    assert leaked_names(testing) - modules == set()


def test_signatures_tell_the_truth():
    assert [fault for name, function in public_functions(testing) for fault in signature_faults(name, function)] == []


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_name_is_in_the_reference(name):
    assert re.search(rf"^(\.\. (auto\w+|py:data):: | +){name}$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("invariant", testing.INVARIANTS)
def test_every_invariant_is_on_the_page(invariant):
    assert re.search(rf"^{invariant} +{re.escape(testing.INVARIANTS[invariant])}$", PAGE, re.MULTILINE)


def test_the_page_has_examples():
    assert len(TESTS) >= 6


@pytest.mark.parametrize("name", TESTS)
def test_the_pages_examples(name):
    function = module()[name]
    if inspect.iscoroutinefunction(function):
        trio.run(function, None, clock=MockClock(autojump_threshold=0))
    else:
        function()
