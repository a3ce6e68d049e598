"""The public names of `trio_ssh.agent`, pinned; each has a docstring and a place in the reference."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import trio_ssh
from tests.test_exports import leaked_names, public_functions, signature_faults, undocumented_names
from trio_ssh import agent

PAGE = (Path(__file__).parents[2] / "docs" / "reference.rst").read_text().partition("\nAgents\n------\n")[2]

PUBLIC_NAMES = (
    "AgentClient",
    "AgentCredential",
    "AgentError",
    "AgentIdentity",
    "AgentLimits",
    "AgentLocked",
    "AgentLost",
    "AgentProtocolError",
    "AgentRefused",
    "AgentSigner",
    "AgentUnavailable",
    "AssociatedCertificates",
    "BoundSession",
    "Confirm",
    "Constraint",
    "Destination",
    "Hop",
    "HostKeySpec",
    "Lifetime",
    "RestrictDestination",
    "SecurityKeyProvider",
    "agent_path",
    "open_agent",
)


def test_the_package_exports_the_list() -> None:
    assert agent.__all__ == list(PUBLIC_NAMES)
    assert undocumented_names(agent) == []


def test_nothing_else_leaks() -> None:
    modules = {name for name in leaked_names(agent) if inspect.ismodule(getattr(agent, name))}
    assert leaked_names(agent) - modules == set()


def test_signatures_tell_the_truth() -> None:
    assert [fault for name, function in public_functions(agent) for fault in signature_faults(name, function)] == []


@pytest.mark.parametrize("name", [name for name in PUBLIC_NAMES if name not in trio_ssh.__all__])
def test_every_name_is_in_the_reference(name) -> None:
    assert re.search(rf"^\.\. (auto\w+|py:data):: {name}$", PAGE, re.MULTILINE)
