"""An agent, and a client of it, for one test."""

from __future__ import annotations

import pytest
import trio

from tests.agent.double import Reach, SoftwareAgent
from trio_ssh.agent import AgentClient


@pytest.fixture
def agent() -> SoftwareAgent:
    return SoftwareAgent()


@pytest.fixture
def reach(agent: SoftwareAgent, nursery: trio.Nursery) -> Reach:
    return Reach(agent, nursery)


@pytest.fixture
async def client(reach: Reach) -> AgentClient:
    return await reach.open()
